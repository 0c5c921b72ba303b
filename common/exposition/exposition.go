// Package exposition names the series of a result: what the exporter serves
// and what a plugin writes for node_exporter's textfile collector are the
// same families, from one place. It needs no Prometheus library.
package exposition

import (
	"math"
	"sort"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// MaxLabelSets is how many label sets of one metric are exported per check.
// All are judged; what is left out is counted in
// belfry_check_dropped_label_sets.
const MaxLabelSets = 200

// Type is a Prometheus metric type.
type Type string

// The types that checks need.
const (
	Gauge   Type = "gauge"
	Counter Type = "counter"
)

// Family describes series of one name.
type Family struct {
	Name, Help string
	Type       Type
	Labels     []string // names, "check" and "target" first
}

// Sample is one series' value; its label values stand in the order of the
// family's labels.
type Sample struct {
	Family *Family
	Values []string
	Number float64
}

func gauge(name, help string, labels ...string) *Family {
	return &Family{Name: name, Help: help, Type: Gauge, Labels: append([]string{"check", "target"}, labels...)}
}

// State is the family of the verdicts. Compare it with ==: UNKNOWN is 3 but
// not the worst.
func State() *Family {
	return gauge("belfry_check_state", "Verdict of the newest look: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")
}

// Of turns a result into samples, in a stable order.
func Of(r *check.Result, name, target string) []Sample {
	e := &export{id: []string{name, target}}
	e.add(State(), float64(r.State))
	e.add(gauge("belfry_check_duration_seconds", "How long the newest look took."), r.Duration.Seconds())
	e.add(gauge("belfry_check_last_run_timestamp_seconds", "When the newest look began."), float64(r.Started.UnixMilli())/1e3)
	e.add(gauge("belfry_check_timed_out", "Whether the newest look was ended by its own deadline."), truth(r.TimedOut))
	if r.Reason != "" {
		e.add(gauge("belfry_check_failure_info", "Why the newest look failed: the reason of the worst failure, 1.", "reason"), 1, string(r.Reason))
	}
	e.findings(r)
	e.beyond(r)
	e.add(gauge("belfry_check_dropped_label_sets", "Label sets of the newest look that are judged but not exported."), float64(e.values(r)))
	return e.samples
}

type export struct {
	id      []string
	samples []Sample
}

func (e *export) add(f *Family, number float64, labels ...string) {
	values := make([]string, 0, len(e.id)+len(labels))
	values = append(append(values, e.id...), labels...)
	e.samples = append(e.samples, Sample{Family: f, Values: values, Number: number})
}

func (e *export) findings(r *check.Result) {
	family := gauge("belfry_check_finding", "How often the newest look found what the label names.", "finding")
	found := make(map[string]int)
	for _, row := range r.Rows {
		if row.Kind == check.RowFinding {
			found[row.Key]++
		}
	}
	for _, f := range r.Definition.Findings {
		e.add(family, float64(found[f.Key]), f.Key)
	}
	for _, f := range check.BuiltinFindings() {
		e.add(family, float64(found[f.Key]), f.Key)
	}
}

// beyond names the metrics that made the verdict what it is, as findings and
// reasons are named: an alert that says only CRITICAL sends its reader looking.
// Metrics within their limits have no series.
func (e *export) beyond(r *check.Result) {
	family := gauge("belfry_check_beyond_limit", "How many label sets of a metric the newest look saw beyond the limit of this severity; only of metrics where there are some.", "metric", "severity")
	type violation struct {
		metric   *check.Metric
		severity check.State
	}
	count := make(map[violation]int)
	for _, v := range r.Values {
		if v.State != check.OK {
			count[violation{v.Metric, v.State}]++
		}
	}
	for _, m := range r.Definition.Metrics {
		for _, severity := range []check.State{check.Warning, check.Critical} {
			if n := count[violation{m, severity}]; n > 0 {
				e.add(family, float64(n), m.Key, strings.ToLower(severity.String()))
			}
		}
	}
}

// values exports the observed values and their limits, family by family, and
// returns how many label sets were left out.
func (e *export) values(r *check.Result) (dropped int) {
	byMetric := make(map[*check.Metric][]check.Value, len(r.Definition.Metrics))
	for _, v := range r.Values {
		byMetric[v.Metric] = append(byMetric[v.Metric], v)
	}
	for _, m := range r.Definition.Metrics {
		values := keepWorst(byMetric[m])
		dropped += len(byMetric[m]) - len(values)
		value, limit := Families(m)
		for _, v := range values {
			e.add(value, v.Number, v.Labels...)
		}
		for _, v := range values {
			e.limit(limit, v, check.Warning, v.Warning)
			e.limit(limit, v, check.Critical, v.Critical)
		}
	}
	return dropped
}

// Families returns the family of a metric's values and that of its limits.
func Families(m *check.Metric) (value, limit *Family) {
	value = gauge(m.Name(), m.Help, m.Labels...)
	if m.Kind == check.Counter {
		value.Type = Counter
	}
	limit = gauge(m.LimitName(), "Bounds beyond which "+m.Key+" is a problem; with inside=\"true\" between which.",
		append(append([]string(nil), m.Labels...), "severity", "bound", "inside")...)
	return value, limit
}

// limit exports both bounds, open ones as infinities, so that one expression
// fits every range.
func (e *export) limit(f *Family, v check.Value, severity check.State, r *check.Range) {
	if r == nil {
		return
	}
	inside := "false"
	if r.Inside {
		inside = "true"
	}
	word := strings.ToLower(severity.String())
	for _, b := range []struct {
		bound string
		value float64
	}{{"min", r.Start}, {"max", r.End}} {
		e.add(f, b.value, append(append([]string(nil), v.Labels...), word, b.bound, inside)...)
	}
}

// keepWorst bounds the label sets: problems stay, then the largest values,
// in their first order.
func keepWorst(values []check.Value) []check.Value {
	if len(values) <= MaxLabelSets {
		return values
	}
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool {
		x, y := values[order[a]], values[order[b]]
		if x.State != y.State {
			return x.State.WorseThan(y.State)
		}
		return x.Judged > y.Judged || math.IsNaN(x.Judged) && !math.IsNaN(y.Judged)
	})
	kept := order[:MaxLabelSets]
	sort.Ints(kept)
	out := make([]check.Value, 0, MaxLabelSets)
	for _, i := range kept {
		out = append(out, values[i])
	}
	return out
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
