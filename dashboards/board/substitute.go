package board

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// All is the value of a variable that means all of its values.
const All = "$__all"

// Scope is what variables in a query stand for.
type Scope struct {
	// Values of the template variables that have several, by name; one that
	// is All stands for AllValues of its name, or else for everything.
	Values    map[string][]string
	AllValues map[string]string

	Range  time.Duration // from the dashboard's first moment to its last
	Step   time.Duration // between two points
	Scrape time.Duration // between two scrapes, as the data source is told
}

// variable finds $name, ${name} and ${name:format}. A dollar before anything
// else is the end of a regular expression.
var variable = regexp.MustCompile(`\$(\w+)|\$\{(\w+)(?::(\w+))?\}`)

// Substitute replaces the variables in a query or link as Grafana's
// Prometheus data source does. A variable that is not in the scope is an
// error, where Grafana would leave it as it is.
func Substitute(text string, s Scope) (string, error) {
	var errs []error
	replaced := variable.ReplaceAllStringFunc(text, func(match string) string {
		parts := variable.FindStringSubmatch(match)
		name, format := parts[1]+parts[2], parts[3]
		value, err := s.value(name, format)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s in %q: %w", match, text, err))
			return match
		}
		return value
	})
	return replaced, errors.Join(errs...)
}

func (s Scope) value(name, format string) (string, error) {
	if d, ok := s.durations()[name]; ok {
		return d, nil
	}
	values, ok := s.Values[name]
	if !ok {
		return "", errors.New("no such variable")
	}
	all := slices.Contains(values, All)
	switch format {
	case "queryparam":
		var pairs []string
		for _, v := range values {
			pairs = append(pairs, "var-"+name+"="+url.QueryEscape(v))
		}
		return strings.Join(pairs, "&"), nil
	case "":
	default:
		return "", fmt.Errorf("format %q is not known here", format)
	}
	if all {
		if s.AllValues[name] == "" {
			return ".*", nil
		}
		return s.AllValues[name], nil
	}
	escaped := make([]string, len(values))
	for i, v := range values {
		escaped[i] = escape(v)
	}
	if len(escaped) == 1 {
		return escaped[0], nil
	}
	return "(" + strings.Join(escaped, "|") + ")", nil
}

// escape makes a value a regular expression that matches nothing else, inside
// the quotes of PromQL.
func escape(value string) string {
	var b strings.Builder
	for _, r := range value {
		switch {
		case r == '\\':
			b.WriteString(`\\\\`)
		case r == '"':
			b.WriteString(`\"`)
		case strings.ContainsRune(`$^*{}[]+?.()|`, r):
			b.WriteString(`\\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// durations are Grafana's own variables. $__rate_interval is long enough for
// a rate to have two points at every step, four scrapes at least.
func (s Scope) durations() map[string]string {
	seconds := func(d time.Duration) string { return strconv.FormatInt(max(1, int64(d.Seconds())), 10) }
	return map[string]string{
		"__interval":      seconds(s.Step) + "s",
		"__interval_ms":   strconv.FormatInt(s.Step.Milliseconds(), 10),
		"__rate_interval": seconds(max(s.Step+s.Scrape, 4*s.Scrape)) + "s",
		"__range":         seconds(s.Range) + "s",
		"__range_s":       seconds(s.Range),
		"__range_ms":      strconv.FormatInt(s.Range.Milliseconds(), 10),
	}
}

// label finds {{name}} in a legend.
var label = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// Legend fills the labels of a series into the format of a legend; an empty
// format is the series as PromQL writes it.
func Legend(format string, labels map[string]string) string {
	if format == "" || format == "__auto" {
		var pairs []string
		for name, value := range labels {
			if name != "__name__" {
				pairs = append(pairs, name+"="+strconv.Quote(value))
			}
		}
		slices.Sort(pairs)
		return labels["__name__"] + "{" + strings.Join(pairs, ", ") + "}"
	}
	text := label.ReplaceAllStringFunc(format, func(match string) string {
		return labels[label.FindStringSubmatch(match)[1]]
	})
	return strings.Join(strings.Fields(text), " ")
}
