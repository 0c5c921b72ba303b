package prometheus

import (
	"fmt"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Violated is the expression that has a sample for each label set of the
// metric that is beyond its limit of that severity, by the limits that the
// exporter serves beside the values. It says what [check.Range.Violates] says:
// ends belong to the range, NaN is beyond every limit. The samples have the
// metric's value, or the age or time left that is judged.
//
// Rules of this package do not use it, because the check has decided already.
// It is for people's own rules, and docs/prometheus.md shows it.
func Violated(m *check.Metric, severity check.State) string {
	value := m.Name()
	switch m.Kind {
	case check.Since:
		value = "clamp_min(time() - " + value + ", 0)"
	case check.Until:
		value = "(" + value + " - time())"
	}
	limit := func(bound, inside string) string {
		return fmt.Sprintf("ignoring (severity, bound, inside) %s{severity=%q, bound=%q, inside=%q}",
			m.LimitName(), strings.ToLower(severity.String()), bound, inside)
	}
	expr := strings.Join([]string{
		value + " > " + limit("max", "false"),
		value + " < " + limit("min", "false"),
		value + " >= " + limit("min", "true") + "\n  <= " + limit("max", "true"),
	}, "\nor\n")
	if value == m.Name() { // a time is always a number
		expr += "\nor\n" + value + " != " + value + "\n  and " + strings.Replace(limit("max", "@"), `, inside="@"`, "", 1)
	}
	return expr
}
