package page

import (
	"math"
	"slices"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Bar draws a value against its limits: zones from left to right, and a
// marker. Its numbers are in units of an SVG of barWidth.
type Bar struct {
	Zones  []Zone
	Marker string  // "at", or "below" and "above" for what lies beyond the ends; empty for no number
	X      float64 // of the marker
	State  string  // class of the value's state
	Label  string  // all of it in words
}

// Zone is a stretch in which values have the same state.
type Zone struct {
	X, Width float64
	Class    string
}

const barWidth = 120.0

// barEnd keeps the arithmetic finite.
const barEnd = 1e300

// makeBar returns nil for a value without limits. What is in which zone says
// the library's own Range.Violates, at points between the bounds.
func makeBar(v *check.Value, label string) *Bar {
	if v.Warning == nil && v.Critical == nil {
		return nil
	}
	low, high, bounds := scale(v)
	x := func(value float64) float64 {
		value = min(max(value, low), high)
		return round((value/2 - low/2) / (high/2 - low/2) * barWidth)
	}
	b := &Bar{State: stateOf(v.State).Class, Label: label}
	cuts := []float64{low}
	for _, bound := range bounds {
		if bound > low && bound < high {
			cuts = append(cuts, bound)
		}
	}
	cuts = append(cuts, high)
	for i := 1; i < len(cuts); i++ {
		from, to := x(cuts[i-1]), x(cuts[i])
		class := zoneOf(v, cuts[i-1]/2+cuts[i]/2)
		if n := len(b.Zones); n > 0 && b.Zones[n-1].Class == class {
			b.Zones[n-1].Width = round(to - b.Zones[n-1].X)
			continue
		}
		b.Zones = append(b.Zones, Zone{from, round(to - from), class})
	}
	b.Zones = append(b.Zones, points(v, bounds, low, high, x)...)
	switch {
	case math.IsNaN(v.Judged):
	case v.Judged < low:
		b.Marker = "below"
	case v.Judged > high:
		b.Marker, b.X = "above", barWidth
	default:
		b.Marker, b.X = "at", min(max(x(v.Judged), 1), barWidth-1)
	}
	return b
}

// scale chooses the values at the ends of the bar by the limits alone, so that
// the bars of one check stay comparable, with room beyond each bound for the
// zone behind it. Bounds are the finite ones, sorted.
func scale(v *check.Value) (low, high float64, bounds []float64) {
	onlyLow := true // nothing bounds the value from above
	for _, r := range []*check.Range{v.Warning, v.Critical} {
		if r == nil {
			continue
		}
		for i, bound := range []float64{r.Start, r.End} {
			if !math.IsInf(bound, 0) {
				bounds = append(bounds, min(max(bound, -barEnd), barEnd))
				onlyLow = onlyLow && i == 0
			}
		}
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	if len(bounds) == 0 {
		return 0, 1, nil
	}
	low, high = bounds[0], bounds[len(bounds)-1]
	positive := low >= 0
	if positive {
		low = 0
	}
	room := high - low
	if room == 0 {
		room = max(math.Abs(high), 1)
	}
	if !positive {
		low -= room / 4
	}
	if onlyLow {
		return low, high + room, bounds
	}
	return low, high + room/4, bounds
}

// points are the bounds at which alone a value has a state that it has on
// neither side: a limit of "0" allows 0 and nothing else.
func points(v *check.Value, bounds []float64, low, high float64, x func(float64) float64) []Zone {
	var zones []Zone
	for i, bound := range bounds {
		before, after := low, high
		if i > 0 {
			before = bounds[i-1]
		}
		if i+1 < len(bounds) {
			after = bounds[i+1]
		}
		class := zoneOf(v, bound)
		if bound > low && zoneOf(v, before/2+bound/2) == class || bound < high && zoneOf(v, bound/2+after/2) == class {
			continue
		}
		zones = append(zones, Zone{min(max(round(x(bound)-1.5), 0), barWidth-3), 3, class})
	}
	return zones
}

func zoneOf(v *check.Value, at float64) string {
	switch {
	case v.Critical != nil && v.Critical.Violates(at):
		return critical.Class
	case v.Warning != nil && v.Warning.Violates(at):
		return warning.Class
	}
	return good.Class
}

func round(x float64) float64 { return math.Round(x*10) / 10 }
