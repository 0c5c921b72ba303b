package page

import (
	"math"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

func entries(states string, values ...float64) []schedule.Entry {
	var list []schedule.Entry
	for i, v := range values {
		state := map[byte]check.State{'o': check.OK, 'w': check.Warning, 'c': check.Critical, 'u': check.Unknown}[states[i]]
		list = append(list, schedule.Entry{State: state, Value: v})
	}
	return list
}

func TestTrend(t *testing.T) {
	none := math.NaN()
	for _, tt := range []struct {
		states string
		values []float64
		want   string // line | ticks
	}{
		{"ooo", []float64{0, 5, 10}, "M115 17L117 9.5L119 2|ok M114 22.5h6"},
		{"o", []float64{4}, "M119 2h0|ok M118 22.5h2"},
		{"oo", []float64{0, 0}, "M117 17L119 17|ok M116 22.5h4"},
		{"oo", []float64{-5, 5}, "M117 17L119 2|ok M116 22.5h4"},
		{"oucc", []float64{10, none, none, 10}, "M113 2h0M119 2h0|ok M112 22.5h2|unknown M114 22.5h2|critical M116 22.5h4"},
		{"owow", []float64{none, none, none, none}, "|ok M112 22.5h2M116 22.5h2|warning M114 22.5h2M118 22.5h2"},
		{"oo", []float64{math.Inf(1), 3}, "M119 2h0|ok M116 22.5h4"},
		{"oo", []float64{math.MaxFloat64, -math.MaxFloat64}, "M117 2L119 17|ok M116 22.5h4"},
	} {
		trend := makeTrend(faked, entries(tt.states, tt.values...))
		got := trend.Line
		for _, tick := range trend.Ticks {
			got += "|" + tick.Class + " " + tick.Path
		}
		if got != tt.want {
			t.Errorf("trend of %s %v = %s; want %s", tt.states, tt.values, got, tt.want)
		}
	}
	if got := makeTrend(faked, nil); got != nil {
		t.Errorf("trend of nothing = %+v; want none", got)
	}
	long := entries(strings.Repeat("o", 100), make([]float64, 100)...)
	if got := makeTrend(faked, long).Ticks[0].Path; got != "M0 22.5h120" {
		t.Errorf("trend of 100 looks = %s; want the last 60", got)
	}
	const want = "last 4 looks: 1 CRITICAL, 3 OK; replay lag from 1 MiB to 3 MiB, last 2 MiB"
	if got := makeTrend(faked, entries("ooco", 1<<20, 3<<20, none, 2<<20)).Label; got != want {
		t.Errorf("label = %s; want %s", got, want)
	}
}
