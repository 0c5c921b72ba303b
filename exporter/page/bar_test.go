package page

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
)

// ranges parses "warning critical" as -w and -c have them; "-" is none.
func ranges(t testing.TB, text string, unit check.Unit) (warning, critical *check.Range) {
	t.Helper()
	parse := func(text string) *check.Range {
		if text == "-" {
			return nil
		}
		r, err := check.ParseRange(text, unit)
		if err != nil {
			t.Fatal(err)
		}
		return &r
	}
	w, c, _ := strings.Cut(text, " ")
	return parse(w), parse(c)
}

func valueOf(t testing.TB, limits string, judged float64) *check.Value {
	v := &check.Value{Metric: rows, Judged: judged}
	v.Warning, v.Critical = ranges(t, limits, check.None)
	switch {
	case v.Critical != nil && v.Critical.Violates(judged):
		v.State = check.Critical
	case v.Warning != nil && v.Warning.Violates(judged):
		v.State = check.Warning
	}
	return v
}

// drawn is a bar in one line: zones from left to right, then the marker.
func drawn(b *Bar) string {
	if b == nil {
		return "none"
	}
	var parts []string
	for _, z := range b.Zones {
		parts = append(parts, fmt.Sprintf("%s %v+%v", z.Class, z.X, z.Width))
	}
	return strings.Join(parts, ", ") + "; " + strings.TrimSpace(fmt.Sprintf("%s %v", b.Marker, b.X))
}

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		limits string
		value  float64
		want   string
	}{
		{"- -", 5, "none"},
		{"40 80", 20, "ok 0+48, warning 48+48, critical 96+24; at 24"},
		{"40 80", 0, "ok 0+48, warning 48+48, critical 96+24; at 1"},
		{"40 80", 90, "ok 0+48, warning 48+48, critical 96+24; at 108"},
		{"40 80", 8e15, "ok 0+48, warning 48+48, critical 96+24; above 120"},
		{"40 80", -3, "ok 0+48, warning 48+48, critical 96+24; below 0"},
		{"40 80", inf(1), "ok 0+48, warning 48+48, critical 96+24; above 120"},
		{"40 80", inf(-1), "ok 0+48, warning 48+48, critical 96+24; below 0"},
		{"40 80", math.NaN(), "ok 0+48, warning 48+48, critical 96+24; 0"},
		{"- 80", 20, "ok 0+96, critical 96+24; at 24"},
		{"40 -", 50, "ok 0+96, warning 96+24; at 119"},
		{"14: 7:", 60, "critical 0+30, warning 30+30, ok 60+60; above 120"},
		{"14: 7:", 10, "critical 0+30, warning 30+30, ok 60+60; at 42.9"},
		{"10:20 5:25", 15, "critical 0+19.2, warning 19.2+19.2, ok 38.4+38.4, warning 76.8+19.2, critical 96+24; at 57.6"},
		{"@10:20 -", 15, "ok 0+48, warning 48+48, ok 96+24; at 72"},
		{"-5:5 -10:10", 0, "critical 0+20, warning 20+20, ok 40+40, warning 80+20, critical 100+20; at 60"},
		{"~:10 -", -100, "ok 0+96, warning 96+24; below 0"},
		{"- 0:0", 0, "critical 0+120, ok 0+3; at 1"},
		{"- @5:5", 5, "ok 0+120, critical 94.5+3; at 96"},
		{"- @0", 0, "ok 0+120, critical 0+3; at 1"},
		{"~: -", 3, "ok 0+120; above 120"},
		{"- @~:", 3, "critical 0+120; above 120"},
		{"80 40", 50, "ok 0+48, critical 48+72; at 60"}, // warning beyond critical never shows
	} {
		v := valueOf(t, tt.limits, tt.value)
		if got := drawn(makeBar(v, "")); got != tt.want {
			t.Errorf("bar of %v against %q = %s; want %s", tt.value, tt.limits, got, tt.want)
		}
	}
}

// Where the marker stands, the zone is that of the value's state, for any
// limits; and nothing is drawn outside of the bar.
func FuzzBar(f *testing.F) {
	f.Add(40.0, 80.0, 0.0, 100.0, 20.0, false, true)
	f.Add(-1e308, 1e308, math.Inf(-1), 7.0, 1e300, true, false)
	f.Add(0.0, 0.0, 5.0, 5.0, 5.0, true, true)
	f.Fuzz(func(t *testing.T, ws, we, cs, ce, judged float64, wInside, cInside bool) {
		if math.IsNaN(ws+we) || math.IsNaN(cs+ce) || ws > we || cs > ce {
			return // no range
		}
		v := &check.Value{
			Metric: rows, Judged: judged, Warning: &check.Range{Start: ws, End: we, Inside: wInside}, Critical: &check.Range{Start: cs, End: ce, Inside: cInside},
		}
		b := makeBar(v, "")
		edge := 0.0
		for _, z := range b.Zones {
			if !(z.X >= 0 && z.Width >= 0 && z.X+z.Width <= barWidth+0.05) {
				t.Fatalf("zone %+v of %v, %v lies outside of the bar", z, v.Warning, v.Critical)
			}
			edge = max(edge, z.X+z.Width)
		}
		if edge < barWidth-0.05 || b.X < 0 || b.X > barWidth || math.IsNaN(b.X) {
			t.Fatalf("bar of %v, %v ends at %v, marker at %v; want %v", v.Warning, v.Critical, edge, b.X, barWidth)
		}
		if b.Marker == "at" && b.X > 1 && b.X < barWidth-1 {
			under := slices.IndexFunc(b.Zones, func(z Zone) bool {
				return z.Class == zoneOf(v, judged) && z.X-0.2 <= b.X && b.X <= z.X+z.Width+0.2
			})
			if under < 0 {
				t.Fatalf("the marker of %v at %v is in no zone %q of %+v", judged, b.X, zoneOf(v, judged), b.Zones)
			}
		}
	})
}
