package board

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
)

// Of returns how a series or column of that name, from the query of that
// refID, is shown: the defaults and the overrides that match, in their order.
func (c FieldConfig) Of(name, refID string) (Field, error) {
	f := c.Defaults
	f.Custom = maps.Clone(f.Custom)
	if f.Custom == nil {
		f.Custom = map[string]any{}
	}
	for _, o := range c.Overrides {
		var options string
		if err := json.Unmarshal(o.Matcher.Options, &options); err != nil {
			return f, fmt.Errorf("override %s: options %s: %w", o.Matcher.ID, o.Matcher.Options, err)
		}
		matches, err := matcher(o.Matcher.ID, options, name, refID)
		if err != nil {
			return f, err
		}
		if !matches {
			continue
		}
		for _, p := range o.Properties {
			if err := f.set(p.ID, p.Value); err != nil {
				return f, fmt.Errorf("override of %s: property %s: %w", name, p.ID, err)
			}
		}
	}
	return f, nil
}

func matcher(kind, options, name, refID string) (bool, error) {
	switch kind {
	case "byName":
		return name == options, nil
	case "byFrameRefID":
		return refID == options, nil
	case "byRegexp":
		expr, err := regexp.Compile(strings.Trim(options, "/"))
		return err == nil && expr.MatchString(name), err
	}
	return false, fmt.Errorf("override %q is not known here", kind)
}

func (f *Field) set(property string, value json.RawMessage) error {
	if key, ok := strings.CutPrefix(property, "custom."); ok {
		var v any
		if err := json.Unmarshal(value, &v); err != nil {
			return err
		}
		f.Custom[key] = v
		return nil
	}
	targets := map[string]any{
		"displayName": &f.DisplayName, "unit": &f.Unit, "decimals": &f.Decimals, "min": &f.Min, "max": &f.Max,
		"noValue": &f.NoValue, "color": &f.Color, "links": &f.Links, "thresholds": &f.Thresholds,
	}
	if property == "mappings" { // not into the defaults' own array
		f.Mappings = nil
		return json.Unmarshal(value, &f.Mappings)
	}
	target, ok := targets[property]
	if !ok {
		return fmt.Errorf("not known here")
	}
	return json.Unmarshal(value, target)
}

// Text is the word that the mappings put in place of the value, and its
// colour; ok is false where none matches.
func (f Field) Text(value float64) (text, color string, ok bool) {
	for _, m := range f.Mappings {
		switch m.Type {
		case "value":
			var options map[string]struct{ Text, Color string }
			json.Unmarshal(m.Options, &options) //nolint:errcheck // no mapping then
			if r, ok := options[strconv.FormatFloat(value, 'f', -1, 64)]; ok {
				return r.Text, r.Color, true
			}
		case "range":
			var o struct {
				From, To *float64
				Result   struct{ Text, Color string }
			}
			json.Unmarshal(m.Options, &o) //nolint:errcheck // no mapping then
			if (o.From == nil || value >= *o.From) && (o.To == nil || value <= *o.To) {
				return o.Result.Text, o.Result.Color, true
			}
		}
	}
	return "", "", false
}

// ThresholdColor is the colour of the highest threshold that the value
// reaches, empty where there are none.
func (f Field) ThresholdColor(value float64) string {
	color := ""
	for _, s := range f.Thresholds.Steps {
		if s.Value == nil || value >= *s.Value {
			color = s.Color
		}
	}
	return color
}
