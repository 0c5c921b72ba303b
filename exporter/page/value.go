package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Value is an observed value with the limits that judged it.
type Value struct {
	Name   string // of the metric
	Help   string
	Labels []Label
	Text   string // "96.5 MiB"
	State  state
	Judged bool // there is a limit
	Bar    *Bar
	Limits []Limit // critical first
	Series string  // name of the Prometheus series
}

// Label is a label that has a value.
type Label struct{ Name, Value string }

// Limit is one limit in words.
type Limit struct {
	State     state
	Condition string // "above 80 MiB"
	Range     string // as -w and -c take it
	From      string // who set it
}

func makeValue(v *check.Value) *Value {
	unit := v.Metric.JudgedUnit()
	shown := &Value{
		Name: titleOf(v.Metric), Help: v.Metric.Help, Text: unit.Format(v.Judged), State: stateOf(v.State), Series: v.Metric.Name(),
		Judged: v.Warning != nil || v.Critical != nil,
	}
	for i, name := range v.Metric.Labels {
		if i < len(v.Labels) && v.Labels[i] != "" {
			shown.Labels = append(shown.Labels, Label{name, visible(v.Labels[i])})
		}
	}
	for _, l := range []struct {
		state state
		limit *check.Range
		from  check.Origin
	}{{critical, v.Critical, v.CriticalFrom}, {warning, v.Warning, v.WarningFrom}} {
		if l.limit != nil {
			shown.Limits = append(shown.Limits, Limit{l.state, condition(*l.limit, unit), l.limit.Format(unit), originOf(l.from)})
		}
	}
	shown.Bar = makeBar(v, shown.label())
	return shown
}

// label says in words what the bar draws.
func (v *Value) label() string {
	var b strings.Builder
	for _, l := range v.Labels {
		b.WriteString(l.Value + " ")
	}
	fmt.Fprintf(&b, "%s %s: %s", v.Name, v.Text, v.State.Word)
	for i, l := range v.Limits {
		b.WriteString([]string{"; ", ", "}[min(i, 1)] + strings.ToLower(l.State.Word) + " " + l.Condition)
	}
	return b.String()
}

func originOf(o check.Origin) string {
	switch o {
	case check.FromOperator:
		return "configured"
	case check.FromProfile:
		return "from the check's profile"
	}
	return "default"
}

// worstValue is the value that stands for the look: that of the first row that
// judges one, as the library has sorted them; without one, the first value of
// the first metric. nil: there is none.
func worstValue(r *check.Result) *check.Value {
	for _, row := range r.Rows {
		if row.Kind != check.RowValue {
			continue
		}
		for i := range r.Values {
			if v := &r.Values[i]; v.Metric.Key == row.Key && slices.Equal(v.Labels, row.Labels) {
				return v
			}
		}
	}
	for i := range r.Values {
		if v := &r.Values[i]; len(r.Definition.Metrics) > 0 && v.Metric == r.Definition.Metrics[0] {
			return v
		}
	}
	return nil
}

// sortedValues are all values, the worst first, what is judged before what is
// not, then in the order of the definition and of the labels.
func sortedValues(r *check.Result) []*check.Value {
	order := make(map[*check.Metric]int, len(r.Definition.Metrics))
	for i, m := range r.Definition.Metrics {
		order[m] = i
	}
	values := make([]*check.Value, len(r.Values))
	for i := range r.Values {
		values[i] = &r.Values[i]
	}
	slices.SortStableFunc(values, func(a, b *check.Value) int {
		switch {
		case a.State.WorseThan(b.State):
			return -1
		case b.State.WorseThan(a.State):
			return 1
		}
		return cmp.Or(unjudged(a)-unjudged(b), order[a.Metric]-order[b.Metric], slices.Compare(a.Labels, b.Labels))
	})
	return values
}

func unjudged(v *check.Value) int {
	if v.Warning == nil && v.Critical == nil {
		return 1
	}
	return 0
}
