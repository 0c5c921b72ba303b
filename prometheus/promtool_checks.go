package prometheus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// step is the time between two samples and two evaluations in the tests of
// the checks' alerts.
const step = 30 * time.Second

// none is a sample that is not there.
const none = -1

// before is how many steps all is well.
const before = 10

func steps(t time.Duration) int { return int((t + step - 1) / step) }

// course is how the state of one target goes on, a sample each step.
type course struct {
	target string
	states []int
	// What goes with the state where it is not OK; empty for nothing.
	reason, finding, beyond, severity string
	// interval between looks as configured, of which the last one that was OK
	// began that long before the first bad one; 0: the exporter does not say.
	interval time.Duration
}

func (c *course) then(state int, steps int) {
	for range steps {
		c.states = append(c.states, state)
	}
}

// firing says which of the states is alerted at each step, by the rule's words
// and not by its expression: promtool tells whether the expression agrees.
func (c *course) firing(state check.State, a check.Alert) []bool {
	fires := make([]bool, len(c.states))
	left, active := 0, false
	for now := range c.states {
		known, ok := false, false
		for then := 0; then <= now; then++ {
			age := time.Duration(now-then) * step
			ok = ok || age <= a.For && c.states[then] == int(check.OK)
			known = known || age >= a.For && age <= a.For+5*time.Minute && c.states[then] != none
		}
		switch {
		case c.states[now] == int(state) && known && !ok && 2*time.Duration(now-before)*step >= 5*c.interval:
			active, left = true, now+1
		case active && time.Duration(now-left)*step >= a.KeepFiringFor:
			active = false
		}
		fires[now] = active
	}
	return fires
}

// courses are the targets of the test of one check: one that stays in each
// state and recovers, one that goes to and fro between bad states, one that is
// OK now and then, one that is new, one that is too short, one whose looks are
// far apart.
func courses(d *check.Definition) []course {
	a := d.Alerting()
	bad, after := steps(a.For)+4, steps(max(a.KeepFiringFor, unreachableKeeps))+2
	var all []course
	for _, v := range verdicts() {
		c := course{target: "stays " + v.word}
		switch v.state {
		case check.Critical:
			c.reason, c.severity = string(check.Dial), v.severity
		case check.Unknown:
			c.reason = string(check.Auth)
		default:
			c.severity = v.severity
			c.target = `stays "Warning" (ü\)` // whose series the annotations must find
		}
		if c.severity != "" && len(d.Metrics) > 0 {
			c.beyond = d.Metrics[0].Key
		}
		if len(d.Findings) > 0 && v.state != check.Unknown {
			c.finding = d.Findings[0].Key
		}
		c.then(int(check.OK), before)
		c.then(int(v.state), bad)
		c.then(int(check.OK), after)
		all = append(all, c)
	}
	fro := course{target: "to and fro"}
	fro.then(int(check.OK), before)
	soft := course{target: "OK now and then"}
	soft.then(int(check.OK), before)
	for i := range bad {
		fro.then([]int{int(check.Critical), int(check.Critical), int(check.Warning), int(check.Warning)}[i%4], 1)
		soft.then([]int{int(check.Critical), int(check.Critical), int(check.OK), int(check.OK)}[i%4], 1)
	}
	fresh := course{target: "new"}
	fresh.then(none, before)
	fresh.then(int(check.Critical), bad)
	short := course{target: "too short"}
	short.then(int(check.OK), before)
	short.then(int(check.Critical), steps(a.For)-1)
	seldom := course{target: "looks seldom"}
	seldom.then(int(check.OK), before)
	seldom.then(int(check.Critical), bad)
	for _, c := range []*course{&fro, &soft, &fresh, &short, &seldom} {
		c.then(int(check.OK), before+bad+after-len(c.states))
		all = append(all, *c)
	}
	for i := range all {
		switch all[i].target {
		case "looks seldom":
			all[i].interval = time.Duration(bad+1) * step // one look
		case "new":
		default:
			all[i].interval = d.Interval
		}
	}
	return all
}

// CheckTests renders promtool's tests of CheckRules: at each of several
// moments everything that fires, so that a second alert of the same fault
// fails them as well as a missing one.
func CheckTests(catalog []*check.Definition) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%srule_files: [../belfry_checks.yml]\nevaluation_interval: %s\ntests:\n", header, duration(step))
	for _, d := range append(slices.Clip(catalog), other()) {
		a, all := d.Alerting(), courses(d)
		fmt.Fprintf(&b, "\n  - name: %s\n    interval: %s\n    input_series:\n", d.Name, duration(step))
		for i := range all {
			all[i].write(&b, d)
		}
		// All is well; not bad for long enough; bad; well, and kept; over.
		fires, last := before+steps(a.For)+2, len(all[0].states)-1
		moments := []int{before - 1, fires - 4, fires, fires + 2 + steps(a.KeepFiringFor) - 1, last}
		b.WriteString("    promql_expr_test:\n")
		for _, m := range moments {
			everything(&b, d, all, m)
		}
		b.WriteString("    alert_rule_test:\n")
		for _, v := range verdicts() {
			annotated(&b, d, all, v, fires)
		}
	}
	return []byte(b.String())
}

func at(moment int) string { return duration(time.Duration(moment) * step) }

// write writes the target's series.
func (c *course) write(b *strings.Builder, d *check.Definition) {
	series := func(name, more string, value func(state int) string) {
		var items []string
		for from := 0; from < len(c.states); {
			to := from
			for to < len(c.states) && c.states[to] == c.states[from] {
				to++
			}
			v := value(c.states[from])
			switch n := to - from - 1; {
			case v == "_":
				items = append(items, fmt.Sprintf("_x%d", n+1))
			case n == 0:
				items = append(items, v)
			default:
				items = append(items, fmt.Sprintf("%s+0x%d", v, n))
			}
			from = to
		}
		fmt.Fprintf(b, "      - series: '%s{job=\"belfry\",instance=\"tower:19742\",check=%q,target=%q%s}'\n        values: '%s'\n",
			name, d.Name, c.target, more, strings.Join(items, " "))
	}
	bad := func(otherwise string) func(int) string {
		return func(state int) string {
			if state <= int(check.OK) {
				return otherwise
			}
			return "1"
		}
	}
	series("belfry_check_state", "", func(state int) string {
		if state == none {
			return "_"
		}
		return fmt.Sprint(state)
	})
	if c.interval > 0 {
		constant := func(value time.Duration) {
			fmt.Fprintf(b, "        values: '%d+0x%d'\n", int(value.Seconds()), len(c.states)-1)
		}
		labels := fmt.Sprintf("{job=\"belfry\",instance=\"tower:19742\",check=%q,target=%q}", d.Name, c.target)
		b.WriteString("      - series: 'belfry_check_interval_seconds" + labels + "'\n")
		constant(c.interval)
		b.WriteString("      - series: 'belfry_check_last_ok_timestamp_seconds" + labels + "'\n")
		constant(before*step - c.interval)
	}
	if c.reason != "" {
		series("belfry_check_failure_info", fmt.Sprintf(",reason=%q", c.reason), bad("_"))
	}
	if c.finding != "" {
		series("belfry_check_finding", fmt.Sprintf(",finding=%q", c.finding), bad("0"))
		series("belfry_check_finding", `,finding="memory_lost"`, func(int) string { return "0" })
	}
	if c.beyond != "" {
		series("belfry_check_beyond_limit", fmt.Sprintf(",metric=%q,severity=%q", c.beyond, c.severity), bad("_"))
	}
}

// everything writes all that fires at the moment.
func everything(b *strings.Builder, d *check.Definition, all []course, moment int) {
	fmt.Fprintf(b, "      - eval_time: %s\n        expr: ALERTS{alertstate=\"firing\"}\n        exp_samples:", at(moment))
	any := false
	sample := func(name, target, severity string) {
		if !any {
			b.WriteString("\n")
		}
		any = true
		fmt.Fprintf(b, "          - labels: 'ALERTS{alertname=%q,alertstate=\"firing\",check=%q,target=%q,severity=%q,job=\"belfry\",instance=\"tower:19742\"}'\n            value: 1\n",
			name, d.Name, target, severity)
	}
	for _, c := range all {
		for _, v := range verdicts() {
			if c.firing(v.state, d.Alerting())[moment] {
				sample(AlertName(d, v.state), c.target, v.severity)
			}
		}
		if c.unreachable()[moment] {
			sample(unreachableAlert, c.target, severityNone)
		}
	}
	if !any {
		b.WriteString(" []\n")
	}
}

// unreachable says when the target is CRITICAL for the reason that it does
// not answer.
func (c *course) unreachable() []bool {
	if c.reason != string(check.Dial) {
		return make([]bool, len(c.states))
	}
	return (&course{states: c.states}).firing(check.Critical, check.Alert{KeepFiringFor: unreachableKeeps})
}

// annotated writes what the alert of a state says at the moment.
func annotated(b *strings.Builder, d *check.Definition, all []course, v verdict, moment int) {
	fmt.Fprintf(b, "      - eval_time: %s\n        alertname: %s\n        exp_alerts:\n", at(moment), AlertName(d, v.state))
	for _, c := range all {
		if !c.firing(v.state, d.Alerting())[moment] {
			continue
		}
		said := ""
		if c.reason != "" {
			said += " Failed: " + c.reason + "."
		}
		if c.finding != "" {
			said += " Found: " + c.finding + "."
		}
		if c.beyond != "" {
			said += " Beyond the limit: " + c.beyond + "."
		}
		b.WriteString("          - exp_labels:\n")
		for _, f := range []field{{"check", d.Name}, {"target", c.target}, {"severity", v.severity}, {"job", "belfry"}, {"instance", "tower:19742"}} {
			fmt.Fprintf(b, "              %s: %s\n", f.key, scalar(f.value))
		}
		fields(b, "            ", "exp_annotations", []field{
			{"summary", fmt.Sprintf("%s of %s is %s.%s", d.Name, c.target, v.state, said)},
			{"description", description(d, d.Name)},
			{"runbook_url", pages + d.Name + ".md#when-it-fires"},
		})
	}
}
