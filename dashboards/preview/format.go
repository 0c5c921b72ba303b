package preview

import (
	"math"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/dashboards/board"
)

// colors are Grafana's named ones in its dark theme.
var namedColors = map[string]string{
	"green": "#73bf69", "dark-green": "#37872d", "semi-dark-green": "#56a64b", "yellow": "#fade2a", "dark-yellow": "#e0b400", "orange": "#ff9830",
	"dark-orange": "#fa6400", "red": "#f2495c", "dark-red": "#c4162a", "semi-dark-red": "#e02f44",
	"purple": "#b877d9", "dark-purple": "#8f3bb8", "blue": "#5794f2", "dark-blue": "#1f60c4", "text": "#ccccdc", "transparent": "transparent",
}

// palette is Grafana's classic one.
var palette = []string{
	"#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0", "#37872d", "#fade2a",
	"#447ebc", "#c15c17", "#890f02", "#0a437c", "#6d1f62", "#584477", "#b7dbab", "#f4d598", "#70dbed", "#f9ba8f",
}

func hue(name string) string {
	if c, ok := namedColors[name]; ok {
		return c
	}
	if name == "" {
		return namedColors["text"]
	}
	return name
}

// shown is a value as the field shows it.
func shown(f board.Field, value float64) (text, col string) {
	if t, c, ok := f.Text(value); ok {
		if c == "" {
			c = f.ThresholdColor(value)
		}
		return t, hue(c)
	}
	col = namedColors["text"]
	switch {
	case f.Color.Mode == "fixed":
		col = hue(f.Color.FixedColor)
	case f.ThresholdColor(value) != "":
		col = hue(f.ThresholdColor(value))
	}
	return format(f, value), col
}

// scale is a unit's larger and smaller sisters.
type scale struct {
	from float64
	div  float64
	name string
}

var scales = map[string][]scale{
	"s": {
		{604800, 604800, " weeks"}, {2 * 86400, 86400, " days"}, {3600, 3600, " hours"}, {60, 60, " mins"}, {1, 1, " s"},
		{1e-3, 1e-3, " ms"}, {0, 1e-6, " µs"},
	},
	"bytes": {{1 << 40, 1 << 40, " TiB"}, {1 << 30, 1 << 30, " GiB"}, {1 << 20, 1 << 20, " MiB"}, {1 << 10, 1 << 10, " KiB"}, {0, 1, " B"}},
	"short": {{1e9, 1e9, " Bil"}, {1e6, 1e6, " Mil"}, {1e3, 1e3, " K"}, {0, 1, ""}},
}

// units that only put something behind the number.
var suffixes = map[string]string{"reqps": " req/s", "ops": " ops/s", "cps": " c/s", "mps": " msg/s", "none": "", "": ""}

func format(f board.Field, value float64) string {
	switch {
	case math.IsNaN(value):
		return f.NoValue
	case math.IsInf(value, 0):
		return strings.Replace(strconv.FormatFloat(value, 'f', 0, 64), "Inf", "∞", 1)
	}
	if f.Unit == "percentunit" {
		return number(f, value*100) + "%"
	}
	if f.Unit == "bool_yes_no" {
		if value == 0 {
			return "No"
		}
		return "Yes"
	}
	unit := f.Unit
	if list, ok := scales[unit]; ok {
		if value == 0 {
			return "0" + map[string]string{"s": " s", "bytes": " B"}[unit]
		}
		for _, s := range list {
			if math.Abs(value) >= s.from {
				return number(f, value/s.div) + s.name
			}
		}
	}
	if suffix, ok := suffixes[unit]; ok {
		return number(f, value) + suffix
	}
	return number(f, value) + " " + unit
}

// number has three significant digits where the field does not say how many
// decimals.
func number(f board.Field, v float64) string {
	if f.Decimals != nil {
		return strconv.FormatFloat(v, 'f', *f.Decimals, 64)
	}
	decimals := 0
	switch a := math.Abs(v); {
	case a == math.Trunc(a) || a >= 100:
	case a >= 10:
		decimals = 1
	case a >= 0.01:
		decimals = 2
	default:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

func custom[T any](f board.Field, key string) T {
	v, _ := f.Custom[key].(T)
	return v
}
