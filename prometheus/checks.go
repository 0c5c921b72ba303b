package prometheus

import (
	"fmt"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// verdict is a state that is alerted.
type verdict struct {
	state    check.State
	word     string // in the name of the alert
	severity string
}

func verdicts() []verdict {
	return []verdict{
		{check.Critical, "Critical", severityCritical},
		{check.Unknown, "Unknown", severityUnknown},
		{check.Warning, "Warning", severityWarning},
	}
}

// AlertName is the name of the alert of a check in that state, such as
// BelfryPostgresReplicationLagCritical.
func AlertName(d *check.Definition, state check.State) string {
	return "Belfry" + camel(d.Name) + camel(strings.ToLower(state.String()))
}

func camel(name string) string {
	var b strings.Builder
	for _, word := range strings.Split(name, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// CheckRules renders the alerts by verdict: for each check one for each state
// that is not OK.
func CheckRules(catalog []*check.Definition) []byte {
	var b strings.Builder
	b.WriteString(header + `#
# An alert of a check has the state that the check itself has decided, by the
# limits of the exporter's configuration: what Nagios would say. It fires when
# the check is in that state and was not OK once within the time in brackets
# (Definition.Alert.For), whichever its states were. "for" would not do: a check
# that is CRITICAL and WARNING in turn would never fire. The third line is for
# checks that are new, the last for those that are configured to look less
# often than usual. States are compared with ==, because UNKNOWN is 3 and not
# the worst.
groups:
`)
	for _, d := range catalog {
		group(&b, "belfry_"+d.Name, d.Plugin()+" "+d.Summary, 0, verdictRules(d, fmt.Sprintf("check=%q", d.Name)))
	}
	group(&b, "belfry_other", "Checks that these rules do not know: the exporter is newer than they are.", 0,
		verdictRules(other(), fmt.Sprintf("check!~%q", names(catalog))))
	group(&b, "belfry_unreachable", "Alerts nobody: Alertmanager silences by it what depends on the thing that is down.", 0, []rule{unreachableRule()})
	return []byte(b.String())
}

// other stands for the checks of a newer exporter, which must not be without
// any alert until somebody has renewed the rules.
func other() *check.Definition {
	return &check.Definition{Name: "other", Summary: "is not known to these rules, which are older than the exporter", Interval: 2 * time.Minute}
}

func names(catalog []*check.Definition) string {
	var list []string
	for _, d := range catalog {
		list = append(list, d.Name)
	}
	return strings.Join(list, "|")
}

func verdictRules(d *check.Definition, selector string) []rule {
	var rules []rule
	for _, v := range verdicts() {
		rules = append(rules, rule{
			alert:      AlertName(d, v.state),
			expr:       verdictExpr(selector, v.state, d.Alerting().For),
			keepFiring: d.Alerting().KeepFiringFor,
			labels:     []field{{"severity", v.severity}},
			annotations: []field{
				{"summary", fmt.Sprintf("{{ $labels.check }} of {{ $labels.target }} is %s.%s", v.state, why(v.state))},
				{"description", description(d, "{{ $labels.check }}")},
				{"runbook_url", pages + "{{ $labels.check }}.md#when-it-fires"},
			},
		})
	}
	return rules
}

// verdictExpr: in the state now, never OK within the time, and known for that
// long, because of a check that is new, or back after a gap, nothing is known
// before. Where the exporter's configuration gives a longer interval than the
// definition, the third bad look decides all the same; what is probed, and an
// exporter that has just been restarted, have no such time. One in the future is
// of a clock that was set back since, and says nothing (abs).
func verdictExpr(selector string, state check.State, since time.Duration) string {
	series := "belfry_check_state{" + selector + "}"
	return fmt.Sprintf("%s == %d\n  unless min_over_time(%s[%s]) == 0\n  and last_over_time(%s[5m] offset %s)\n"+
		"  unless abs(time() - belfry_check_last_ok_timestamp_seconds{%s}) < 3.5 * belfry_check_interval_seconds{%[7]s}",
		series, state, series, duration(since), series, duration(since), selector)
}

// why lists by what the verdict came about, as far as series say it: the
// reason of a failure, findings, and metrics beyond their limits. It asks
// Prometheus when the alert is evaluated.
func why(state check.State) string {
	const id = `{check=%q,target=%q,job=%q,instance=%q`
	const labels = ` $labels.check $labels.target $labels.job $labels.instance | query`
	ask := func(metric, selector, condition string) string {
		return "printf `" + metric + id + selector + "}" + condition + "`" + labels
	}
	list := func(title, query, label string) string {
		return "{{ with " + query + " | sortByLabel \"" + label + "\" }} " + title +
			":{{ range $i, $s := . }}{{ if $i }},{{ end }} {{ $s.Labels." + label + " }}{{ end }}.{{ end }}"
	}
	text := list("Failed", ask("belfry_check_failure_info", "", ""), "reason") +
		list("Found", ask("belfry_check_finding", "", " > 0"), "finding")
	if state == check.Unknown {
		return text // a value beyond a limit is none
	}
	return text + list("Beyond the limit", ask("belfry_check_beyond_limit", ",severity=\""+strings.ToLower(state.String())+"\"", ""), "metric")
}

func description(d *check.Definition, name string) string {
	return fmt.Sprintf("check_%s %s. It was OK in no look of the last %s. Its first line, rows and values are on the exporter's page, those of a probe in its answer with debug=true; at a shell the plugin says the same.",
		name, strings.TrimSuffix(d.Summary, "."), duration(d.Alerting().For))
}

const unreachableAlert = "BelfryPeerUnreachable"

// unreachableKeeps is how long it silences others after the thing is back: as
// long as most alerts stay of themselves, and as long again for what depends
// on it to recover.
const unreachableKeeps = 10 * time.Minute

// answers is there for each server of postgres_replication_lag that a look has
// reached. That check alone of those that silence others looks at several: a
// standby that is down explains nothing as long as its primary answers.
const answers = "belfry_postgres_replication_primary"

// unreachableRule tells what is down from what has a value beyond its limit:
// only the one explains why what depends on it fails.
func unreachableRule() rule {
	var reasons []string
	for _, r := range check.Reasons() {
		if r.State() == check.Critical {
			reasons = append(reasons, string(r))
		}
	}
	return rule{
		alert: unreachableAlert,
		expr: "belfry_check_state == 2\n  and on (job, instance, check, target) belfry_check_failure_info{reason=~\"" +
			strings.Join(reasons, "|") + "\"}\n  unless on (job, instance, check, target) " + answers,
		keepFiring: unreachableKeeps,
		labels:     []field{{"severity", severityNone}},
		annotations: []field{
			{"summary", "What {{ $labels.check }} of {{ $labels.target }} looks at does not answer."},
			{"description", "Tells nobody: the alert of the check itself does. It is there for inhibition, see docs/prometheus.md."},
			{"runbook_url", "https://github.com/belfry-monitoring/belfry/blob/main/docs/prometheus.md#inhibition"},
		},
	}
}
