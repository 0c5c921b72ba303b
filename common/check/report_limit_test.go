package check

import (
	"context"
	"math"
	"testing"
)

func TestReportLimit(t *testing.T) {
	learned := Limit{Metric: depth, Match: map[string]string{"queue": "a"}, Severity: Critical, Range: Range{End: 50}}
	d, c := testDefinition(func(r *Report) error {
		r.Observe(depth, 60, "a", "/")
		r.Observe(depth, 15, "b", "/")
		r.Limit(learned)
		return nil
	})
	l := &Look{Definition: d, Check: c}
	const want = "CRITICAL; CRITICAL a /: depth 60 (above 50); WARNING b /: depth 15 (above 10)"
	for range 2 { // what one look learned must not reach the next by the shared Setup
		if got := summary(l.Run(context.Background())); got != want {
			t.Errorf("with a limit learned in the look: %s; want %s", got, want)
		}
	}
	l.Limits = []Limit{{Metric: depth, Severity: Critical, Range: Range{End: math.Inf(1)}}}
	if got, want := summary(l.Run(context.Background())), "WARNING; WARNING a /: depth 60 (above 10); WARNING b /: depth 15 (above 10)"; got != want {
		t.Errorf("with the operator's limit beside it: %s; want %s", got, want)
	}
}

// A value that another metric judges keeps the operator's limits only.
func TestReportWaive(t *testing.T) {
	d, c := testDefinition(func(r *Report) error {
		r.Observe(depth, 60, "a", "/")
		r.Observe(depth, 15, "b", "/")
		r.Limit(Limit{Metric: depth, Match: map[string]string{"queue": "a"}, Severity: Critical, Range: Range{End: 50}})
		r.Waive(depth, "a", "/")
		return nil
	})
	l := &Look{Definition: d, Check: c}
	if got, want := summary(l.Run(context.Background())), "WARNING; WARNING b /: depth 15 (above 10)"; got != want {
		t.Errorf("with the limits of a waived: %s; want %s", got, want)
	}
	l.Limits = []Limit{{Metric: depth, Match: map[string]string{"queue": "a"}, Severity: Critical, Range: Range{End: 40}}}
	if got, want := summary(l.Run(context.Background())), "CRITICAL; CRITICAL a /: depth 60 (above 40); WARNING b /: depth 15 (above 10)"; got != want {
		t.Errorf("with the operator's limit beside it: %s; want %s", got, want)
	}
}

// What a check is told of its limits is what judges it, and asking uses none.
func TestReportLimits(t *testing.T) {
	var warning, critical *Range
	d, c := testDefinition(func(r *Report) error {
		r.Limit(Limit{Metric: depth, Match: map[string]string{"queue": "a"}, Severity: Critical, Range: Range{End: 50}})
		warning, critical = r.Limits(depth, "a", "/")
		r.Observe(depth, 5, "b", "/")
		return nil
	})
	l := &Look{Definition: d, Check: c, Limits: []Limit{{Metric: depth, Match: map[string]string{"queue": "a"}, Severity: Warning, Range: Range{End: 7}}}}
	result := l.Run(context.Background())
	if warning == nil || critical == nil || warning.End != 7 || critical.End != 50 {
		t.Errorf("Limits() = %v, %v; want up to 7 and up to 50", warning, critical)
	}
	if got, want := summary(result), "UNKNOWN; UNKNOWN warning limit depth{queue=a}=7 matches nothing that was observed; OK b /: depth 5"; got != want {
		t.Errorf("a limit that was asked for and not observed: %s; want %s", got, want)
	}
}

// A value says who set the limits that judged it: the operator before the
// profile before the metric's default.
func TestOriginOfLimits(t *testing.T) {
	d, c := testDefinition(func(r *Report) error {
		for _, queue := range []string{"a", "b", "c"} {
			r.Observe(depth, 1, queue, "/")
		}
		r.Limit(Limit{Metric: depth, Match: map[string]string{"queue": "b"}, Severity: Critical, Range: Range{End: 50}})
		r.Waive(depth, "c", "/")
		return nil
	})
	l := &Look{Definition: d, Check: c, Limits: []Limit{{Metric: depth, Match: map[string]string{"queue": "a"}, Severity: Critical, Range: Range{End: 40}}}}
	result := l.Run(context.Background())
	for i, want := range []struct {
		warning, critical Origin
		limited           bool
	}{{FromDefault, FromOperator, true}, {FromDefault, FromProfile, true}, {0, 0, false}} {
		v := result.Values[i]
		if limited := v.Critical != nil; limited != want.limited || limited && (v.WarningFrom != want.warning || v.CriticalFrom != want.critical) {
			t.Errorf("%s has limits %v from %d, %v from %d; want from %d and %d, limited: %v", v.Labels[0], v.Warning, v.WarningFrom, v.Critical, v.CriticalFrom, want.warning, want.critical, want.limited)
		}
	}
}
