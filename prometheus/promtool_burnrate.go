package prometheus

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// supply is how the values of one target come in: how many of them each
// minute, and how many of these are late or lost, in stretches of minutes.
type supply struct {
	target    string
	comment   string
	stretches []stretch
}

type stretch struct {
	minutes int
	late    float64 // of one value each minute
}

func supplies() []supply {
	return []supply{
		{"healthy", "one in 200 is late", []stretch{{4320, 0.005}}},
		{"outage", "nothing arrives for the last 20 minutes of the first 6 hours, then all is well", []stretch{{340, 0}, {20, 1}, {3960, 0}}},
		{"leak", "one in fifty is lost, for days", []stretch{{4320, 0.02}}},
		{"starts", "the first two are late, then one in 500", []stretch{{2, 1}, {4318, 0.002}}},
		{"short", "nothing arrives for 4 minutes", []stretch{{356, 0}, {4, 1}, {3960, 0}}},
	}
}

// BurnRateTests renders promtool's tests of BurnRateRules.
func BurnRateTests(catalog []*check.Definition) []byte {
	var b strings.Builder
	b.WriteString(header + "rule_files: [../belfry_burn_rate.yml]\nevaluation_interval: 10m\ntests:\n")
	for _, m := range promised(catalog) {
		bound, _ := promise(m)
		for i, le := range []string{strconv.FormatFloat(bound, 'f', -1, 64), strconv.FormatFloat(bound, 'f', 1, 64)} {
			fmt.Fprintf(&b, "\n  - name: %s, bounds written as %s\n    interval: 1m\n    input_series:\n", m.DistributionName(), le)
			for _, s := range supplies() {
				s.write(&b, m, le)
			}
			b.WriteString("    promql_expr_test:\n")
			for _, moment := range []struct {
				at      string
				targets []string
			}{{"50m", nil}, {"6h", []string{"outage"}}, {"7h", nil}, {"30h", nil}, {"3d", []string{"leak"}}} {
				if i > 0 && moment.at != "6h" {
					continue // the days take their time
				}
				fmt.Fprintf(&b, "      - eval_time: %s\n        expr: ALERTS{alertstate=\"firing\"}\n        exp_samples:", moment.at)
				if len(moment.targets) == 0 {
					b.WriteString(" []\n")
					continue
				}
				b.WriteString("\n")
				for _, target := range moment.targets {
					fmt.Fprintf(&b, "          - labels: 'ALERTS{alertname=%q,alertstate=\"firing\",severity=\"warning\",%s}'\n            value: 1\n", BurnRateAlert(m), labelsOf(m, target))
				}
			}
		}
	}
	return []byte(b.String())
}

// labelsOf are a series's labels; a metric's own have the value "a".
func labelsOf(m *check.Metric, target string) string {
	text := fmt.Sprintf(`job="belfry",instance="tower:19742",check="x",target=%q`, target)
	for _, l := range m.Labels {
		text += fmt.Sprintf(`,%s="a"`, l)
	}
	return text
}

// write writes both series of the target; a counter begins at 0.
func (s supply) write(b *strings.Builder, m *check.Metric, le string) {
	series := func(name, more string, each func(stretch) float64) {
		var items []string
		from := 0.0
		for _, st := range s.stretches {
			step := each(st)
			items = append(items, fmt.Sprintf("%s+%sx%d", number(from), number(step), st.minutes-1))
			from += step * float64(st.minutes)
		}
		fmt.Fprintf(b, "      - series: '%s{%s%s}'\n        values: '%s'\n", name, labelsOf(m, s.target), more, strings.Join(items, " "))
	}
	fmt.Fprintf(b, "      # %s: %s\n", s.target, s.comment)
	series(m.DistributionName()+"_bucket", `,le="`+le+`"`, func(st stretch) float64 { return 1 - st.late })
	series(m.DistributionName()+"_count", "", func(stretch) float64 { return 1 })
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
