package preview

import (
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/belfry-monitoring/belfry/dashboards/board"
	"github.com/belfry-monitoring/belfry/dashboards/promquery"
)

// canvas is the room inside a panel.
type canvas struct {
	W, H   float64
	window promquery.Window
	marks  []mark
}

// line is a series with how it is shown.
type line struct {
	promquery.Series
	name, refID string
	field       board.Field
	target      board.Target
}

func (c canvas) draw(p board.Panel, results []promquery.Result) (template.HTML, error) {
	if p.Type == "table" {
		return c.table(p, results)
	}
	lines, err := linesOf(p, results)
	if err != nil {
		return "", err
	}
	if len(lines) == 0 {
		return none(p.FieldConfig.Defaults), nil
	}
	switch p.Type {
	case "stat":
		return c.stat(p, lines)
	case "timeseries":
		return c.timeseries(p, lines)
	case "state-timeline":
		return c.timeline(lines), nil
	case "heatmap":
		return c.heatmap(p, lines)
	case "bargauge":
		return c.bargauge(lines), nil
	}
	return "", fmt.Errorf("panels of type %q cannot be drawn", p.Type)
}

func none(f board.Field) template.HTML {
	text := f.NoValue
	if text == "" {
		text = "No data"
	}
	return template.HTML(`<div class="none">` + html.EscapeString(text) + `</div>`)
}

// linesOf are the series of all queries, without values that are no numbers.
func linesOf(p board.Panel, results []promquery.Result) ([]line, error) {
	var lines []line
	for _, r := range results {
		for _, s := range r.Series {
			s.Points = slices.DeleteFunc(slices.Clone(s.Points), func(p promquery.Point) bool { return math.IsNaN(p.Value) || math.IsInf(p.Value, 0) })
			l := line{Series: s, refID: r.Target.RefID, name: board.Legend(r.Target.LegendFormat, s.Labels), target: r.Target}
			field, err := p.FieldConfig.Of(l.name, l.refID)
			if err != nil {
				return nil, err
			}
			if field.DisplayName != "" {
				l.name = field.DisplayName
			}
			l.field = field
			lines = append(lines, l)
		}
	}
	return lines, nil
}

// options reads the panel's options into a struct.
func options(p board.Panel, into any) error {
	if len(p.Options) == 0 {
		return nil
	}
	return json.Unmarshal(p.Options, into)
}

// x is where a moment stands between left and right.
func (c canvas) x(at, left, right float64) float64 {
	from, to := float64(c.window.From.Unix()), float64(c.window.To.Unix())
	return left + (at-from)/(to-from)*(right-left)
}

// times draws the labels below a time axis.
func (c canvas) times(b *strings.Builder, left, right, y float64) {
	from, to := c.window.From.Unix(), c.window.To.Unix()
	step := niceSeconds(float64(to-from) / math.Max(2, (right-left)/90))
	for at := (from/step + 1) * step; at < to; at += step {
		x := c.x(float64(at), left, right)
		if x < left+14 || x > right-14 {
			continue
		}
		seconds := at % 86400
		text := fmt.Sprintf("%02d:%02d", seconds/3600, seconds/60%60)
		if step < 60 {
			text += fmt.Sprintf(":%02d", seconds%60)
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, x, y, text)
	}
}

func niceSeconds(wanted float64) int64 {
	for _, s := range []int64{5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200} {
		if float64(s) >= wanted {
			return s
		}
	}
	return 86400
}

func esc(s string) string { return html.EscapeString(s) }
