package prometheus

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// objective is the share of looks whose value must be within the metric's
// warning limit over 30 days. A check looks once a minute, so a stricter one
// would alert for a handful of messages.
const objective = 0.99

// burn is a speed at which the budget is used up, seen over both windows: the
// long one says that it matters, the short one that it goes on. They are those
// of Google's SRE workbook, chapter 5.
type burn struct {
	factor      float64
	long, short time.Duration
}

const day = 24 * time.Hour

func burns() []burn {
	return []burn{
		{14.4, time.Hour, 5 * time.Minute}, // 2 % of the budget of 30 days in an hour
		{6, 6 * time.Hour, 30 * time.Minute},
		{3, day, 2 * time.Hour},
		{1, 3 * day, 6 * time.Hour},
	}
}

// promised are the metrics with a distribution and a warning limit that is one
// of its bounds, each once, with the checks that have it.
func promised(catalog []*check.Definition) (metrics []*check.Metric) {
	for _, d := range catalog {
		for _, m := range d.Metrics {
			if _, ok := promise(m); ok && !slices.Contains(metrics, m) {
				metrics = append(metrics, m)
			}
		}
	}
	return metrics
}

// promise is the highest value that is in time.
func promise(m *check.Metric) (bound float64, ok bool) {
	if len(m.Buckets) == 0 || m.Warning == "" {
		return 0, false
	}
	r, err := check.ParseRange(m.Warning, m.JudgedUnit())
	if err != nil || r.Inside || math.IsInf(r.End, 1) || !slices.Contains(m.Buckets, r.End) {
		return 0, false
	}
	return r.End, true
}

// level is what the recorded series are of: what "without (le)" leaves.
func level(m *check.Metric) string {
	return strings.Join(append([]string{"instance", "check", "target"}, m.Labels...), "_")
}

func ratioName(m *check.Metric, window time.Duration) string {
	return fmt.Sprintf("%s:belfry_%s_%s_late:ratio_rate%s", level(m), m.Family, m.Key, duration(window))
}

// BurnRateAlert is the name of the alert of a metric's budget.
func BurnRateAlert(m *check.Metric) string {
	return "Belfry" + camel(m.Family) + camel(m.Key) + "BudgetBurn"
}

// BurnRateRules renders the recording rules and the alert of each metric whose
// distribution is kept.
func BurnRateRules(catalog []*check.Definition) []byte {
	var b strings.Builder
	b.WriteString(header + `#
# How fast the time of messages uses up what users are promised: 99 % of them
# within the warning limit, over 30 days. What was lost counts as late. The
# alert is a ticket, because whoever must be woken is woken by the verdict of
# the check; this one sees what no single verdict does, such as one lost message
# in ten. A look that itself failed (UNKNOWN) counts as nothing.
groups:
`)
	for _, m := range promised(catalog) {
		bound, _ := promise(m)
		var rules []rule
		for _, w := range windows() {
			rules = append(rules, rule{record: ratioName(m, w), expr: ratioExpr(m, bound, w)})
		}
		rules = append(rules, burnRule(m))
		group(&b, "belfry_"+m.Family+"_"+m.Key+"_budget",
			"Share of values beyond "+m.JudgedUnit().Format(bound)+", or lost: "+m.Help, time.Minute, rules)
	}
	return []byte(b.String())
}

func windows() []time.Duration {
	var all []time.Duration
	for _, w := range burns() {
		all = append(all, w.long, w.short)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// bucket selects the series of a bound. Prometheus 3 writes whole bounds with
// a point (3.0), those before as the exporter does (3).
func bucket(m *check.Metric, bound float64) string {
	text := strconv.FormatFloat(bound, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += `(\\.0)?`
	} else {
		text = strings.ReplaceAll(text, ".", `\\.`)
	}
	return m.DistributionName() + `_bucket{le=~"` + text + `"}`
}

func ratioExpr(m *check.Metric, bound float64, window time.Duration) string {
	return fmt.Sprintf("1 - sum without (le) (rate(%s[%s]))\n  / rate(%s_count[%s])",
		bucket(m, bound), duration(window), m.DistributionName(), duration(window))
}

func burnRule(m *check.Metric) rule {
	var speeds []string
	for _, w := range burns() {
		limit := strconv.FormatFloat(w.factor*(1-objective), 'g', 6, 64)
		// In its first hours a few late ones are a large share of all.
		known := fmt.Sprintf("last_over_time(%s_count[10m] offset %s)", m.DistributionName(), duration(w.long))
		speeds = append(speeds, fmt.Sprintf("%s > %s\n  and %s > %s\n  and %s", ratioName(m, w.long), limit, ratioName(m, w.short), limit, known))
	}
	bound, _ := promise(m)
	return rule{
		alert:      BurnRateAlert(m),
		expr:       strings.Join(speeds, "\nor\n"),
		keepFiring: 15 * time.Minute,
		labels:     []field{{"severity", severityWarning}},
		annotations: []field{
			{"summary", "{{ $value | humanizePercentage }} of the looks of {{ $labels.check }} of {{ $labels.target }}" + named(m.Labels) +
				" saw more than " + m.JudgedUnit().Format(bound) + ", or a loss."},
			{"description", "99 % in time are promised; at this rate the budget of 30 days is gone early. What lasts is alerted by the verdict of the check. " +
				"The distribution is " + m.DistributionName() + "."},
			{"runbook_url", "https://github.com/belfry-monitoring/belfry/blob/main/docs/prometheus.md#burn-rate"},
		},
	}
}

// named adds the values of labels that are there.
func named(labels []string) string {
	var b strings.Builder
	for _, l := range labels {
		b.WriteString("{{ with $labels." + l + " }}, " + l + " {{ . }},{{ end }}")
	}
	return b.String()
}
