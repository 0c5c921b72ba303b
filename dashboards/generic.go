package dashboards

import (
	"fmt"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// rest draws whatever a check reports and the board does not show yet, in a
// closed row: a check that is added to the catalog needs no more than its
// name on a board.
func (s *sheet) rest(d *check.Definition) {
	var metrics []*check.Metric
	for _, m := range d.Metrics {
		if !s.drawn[m][d.Name] {
			metrics = append(metrics, m)
		}
	}
	s.fold(fmt.Sprintf("Everything else that %s reports", d.Plugin()))
	s.findingsOf(d)
	for _, m := range metrics {
		s.over(d.Name, m.Key, 8, 7)
	}
}

// over draws a metric over time with its limit lines, from its declaration.
func (s *sheet) over(name, key string, w, h uint32) {
	m := s.metric(name, key)
	s.add(panel{
		title: titleOf(m), about: aboutOf(m), w: w, h: h, view: lines(unitOf(m)),
		queries: append([]query{{expr: s.value(name, m), legend: legend(m)}}, s.limits(name, m)...),
	})
}

// titleOf is a metric's title as a heading.
func titleOf(m *check.Metric) string {
	title := m.Title
	if title == "" {
		title = strings.ReplaceAll(m.Key, "_", " ")
	}
	switch m.Kind {
	case check.Since:
		if !strings.Contains(title, "age") && !strings.Contains(title, "for") {
			title += ", time since"
		}
	case check.Until:
		title += ", time left"
	case check.Counter:
		title += ", in the last hour"
	}
	return strings.ToUpper(title[:1]) + title[1:]
}

// aboutOf says what a metric's panel shows and what to aim for.
func aboutOf(m *check.Metric) string {
	text := sentence(m.Help)
	switch m.Kind {
	case check.Since:
		text += " Shown is the time since then."
	case check.Until:
		text += " Shown is the time until then."
	case check.Counter:
		return text + " Shown is by how much it grew in the last hour. Aim for a steady line: know why where it rises."
	}
	if m.Warning == "" && m.Critical == "" {
		return text + " It has no limit of its own; the dashed lines are there where somebody gave it one (-w and -c " + m.Key + "=). Aim for what is usual."
	}
	var given []string
	if m.Warning != "" {
		given = append(given, "WARNING "+m.Warning)
	}
	if m.Critical != "" {
		given = append(given, "CRITICAL "+m.Critical)
	}
	return text + " Aim for the right side of the dashed lines, the limits in force; of several the nearest. By default: " + strings.Join(given, ", ") + "."
}

// sentence is a text that begins like one and ends in a full stop.
func sentence(text string) string {
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}

// findingsOf draws what a check has found, over time.
func (s *sheet) findingsOf(d *check.Definition) {
	if len(d.Findings) == 0 {
		return
	}
	var list []string
	for _, f := range d.Findings {
		list = append(list, "- "+f.Key+": "+strings.TrimSuffix(f.Help, "."))
	}
	s.add(panel{
		title: "Findings", w: width, h: 6, view: lines("short").NoValue("no findings in this time"),
		about:   "What the looks found that is no number, and how often in one look. Aim for an empty panel.\n\n" + strings.Join(list, "\n"),
		queries: []query{{expr: "belfry_check_finding" + s.of(d.Name) + " > 0", legend: "{{target}} {{finding}}"}},
	})
}

// looks draws what every board of checks begins with: the verdicts now, and
// how they came about.
func (s *sheet) looks() {
	s.add(panel{
		title: "Verdicts now", w: 8, h: 6, view: verdicts(),
		about: "The newest verdict of each target, worst first (at most 24). UNKNOWN is worse than WARNING and better than CRITICAL. Aim for green; " +
			"what is missing here does not look at all.",
		queries: []query{{expr: "sort_desc(topk(24, " + badness(s.scope()) + "))", legend: s.things(), instant: true}},
	})
	s.add(panel{
		title: "Verdicts over time", w: 16, h: 6, view: timeline(stateWords()),
		about:   "Each target's verdict over time. Aim for unbroken green; a gap is a time without a result.",
		queries: []query{{expr: "belfry_check_state" + s.scope(), legend: s.things()}},
	})
}

// things names a target, with its check where the board shows several.
func (s *sheet) things() string {
	if len(s.board.all()) == 1 {
		return "{{target}}"
	}
	return "{{check}} {{target}}"
}

// found draws what is wrong beyond numbers, on every board of checks.
func (s *sheet) found() {
	const each = "job, instance, check, target, what"
	s.add(panel{
		title: "What is wrong now", w: 12, h: 7,
		about: "What the newest looks found that is no number (split brain, a queue without consumer, a backup that ended with errors), and which metrics are beyond which limit; " +
			"how often, because a target may have many standbys or queues. Aim for an empty table; the check's page says what each means and what to do.",
		view: sortedBy(merged(rows().NoValue("no findings, no limit exceeded"),
			column{name: "target", title: "Target"}, column{name: "check", title: "Check"}, column{name: "what", title: "What"},
			unitColumn("Value", "Times", "short")), "Target", false),
		queries: []query{{
			expr: "sum by (" + each + `) (label_join(belfry_check_finding` + s.scope() + ` > 0, "what", "", "finding") or label_join(belfry_check_beyond_limit` + s.scope() +
				`, "what", " beyond ", "metric", "severity"))`,
			instant: true, format: formatTable,
		}},
	})
	s.add(panel{
		title: "Looks that failed, by reason", w: 12, h: 7, view: stacked("short").NoValue("no failures in this time"),
		about: "How many targets could not be looked at, and why: dns, dial, tls, auth, timeout, permission, config and so on. Aim for an empty panel: " +
			"while a look fails, the thing itself is not watched.",
		queries: []query{{expr: "count by (check, reason) (belfry_check_failure_info" + s.scope() + ")", legend: "{{check}} {{reason}}"}},
	})
}
