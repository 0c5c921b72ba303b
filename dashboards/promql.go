package dashboards

import (
	"fmt"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// scope are the matchers of what the board's variables choose, in braces, with
// more of them.
func (s *sheet) scope(more ...string) string {
	matchers := []string{`job=~"$job"`, `instance=~"$instance"`}
	if !s.board.ofExporter() {
		if names := s.board.all(); len(names) > 0 {
			matchers = append(matchers, fmt.Sprintf("check=~%q", strings.Join(names, "|")))
		}
		if s.board.hasCheck() {
			matchers = append(matchers, `check=~"$check"`)
		}
		matchers = append(matchers, `target=~"$target"`)
	}
	return "{" + strings.Join(append(matchers, more...), ",") + "}"
}

// of are the matchers of one check.
func (s *sheet) of(name string, more ...string) string {
	matchers := []string{`job=~"$job"`, `instance=~"$instance"`, fmt.Sprintf("check=%q", name)}
	if s.board.hasCheck() {
		matchers = append(matchers, `check=~"$check"`)
	}
	return "{" + strings.Join(append(append(matchers, `target=~"$target"`), more...), ",") + "}"
}

// value is what people want to know of a metric: the age of a moment in the
// past, the time left until one in the future, how much a counter grew in the
// last hour, and the number itself of anything else.
func (s *sheet) value(name string, m *check.Metric) string {
	series := m.Name() + s.of(name)
	switch m.Kind {
	case check.Since:
		return "time() - " + series
	case check.Until:
		return series + " - time()"
	case check.Counter:
		return "increase(" + strings.Replace(series, "}", "}[1h]", 1) + ")"
	}
	return series
}

// bound is the series of a metric's limits on one side, "max" or "min".
func (s *sheet) bound(name string, m *check.Metric, side string, more ...string) string {
	return m.LimitName() + s.of(name, append(more, fmt.Sprintf("bound=%q", side), `inside="false"`)...)
}

// The words of limit lines, which overrides draw dashed.
const (
	above = "{{severity}} above"
	below = "{{severity}} below"
)

// limits are the queries of a metric's limit lines: of several limits the
// nearest. A line goes on for an hour without values that it limits; a limit
// that is open has none, and no lower one is drawn at 0, because a plain 10 is
// a range from 0.
func (s *sheet) limits(name string, m *check.Metric) []query {
	if m.Kind == check.Counter {
		return nil
	}
	return []query{
		{id: "upper", expr: "min by (severity) (last_over_time(" + s.bound(name, m, "max") + "[1h]) < Inf)", legend: above},
		{id: "lower", expr: "max by (severity) (last_over_time(" + s.bound(name, m, "min") + "[1h]) > 0)", legend: below},
	}
}

// share is how much of its limit at that severity a value has used: at 1 it is
// reached. Each value has its own.
func (s *sheet) share(name string, m *check.Metric, severity check.State) string {
	word := strings.ToLower(severity.String())
	return "(" + s.value(name, m) + ") / ignoring(severity, bound, inside) (" +
		s.bound(name, m, "max", fmt.Sprintf("severity=%q", word)) + " > 0 < Inf)"
}

// badness orders verdicts as they are bad: 0 OK, 1 WARNING, 2 UNKNOWN, 3
// CRITICAL. The exporter's own number for UNKNOWN, 3, is not the worst.
func badness(scope string) string {
	return strings.ReplaceAll("(belfry_check_state# == 2) + 1 or (belfry_check_state# == 3) - 1 or belfry_check_state# + 0", "#", scope)
}

// onBoard adds the label board to series that have the label check: the board
// that shows it in full.
func onBoard(expr string) string {
	for _, b := range boards() {
		if len(b.checks) > 0 {
			expr = fmt.Sprintf(`label_replace(%s, "board", %q, "check", %q)`, expr, b.uid, strings.Join(b.checks, "|"))
		}
	}
	return expr
}

// legend names the series of a metric: the target first, then what its labels
// tell apart.
func legend(m *check.Metric) string {
	parts := []string{"{{target}}"}
	for _, l := range m.Labels {
		parts = append(parts, "{{"+l+"}}")
	}
	return strings.Join(parts, " ")
}

// withMatcher adds a matcher to a series that has some.
func withMatcher(series, matcher string) string {
	return strings.Replace(series, "}", ","+matcher+"}", 1)
}

// leMatcher finds the bucket of a whole bound: Prometheus 3 writes 12.0 where
// Prometheus 2 keeps 12.
func leMatcher(bound string) string { return fmt.Sprintf(`le=~"%s(\\.0)?"`, bound) }

// unnamed are the series without their name, so that a table joins the rows
// of several metrics.
func unnamed(expr string) string { return "sum without (__name__) (" + expr + ")" }
