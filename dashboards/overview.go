package dashboards

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/prometheus"

	"github.com/belfry-monitoring/belfry/common/check"
)

const formatTable = prometheus.PromQueryFormatTable

func overview() spec {
	return spec{
		uid: "belfry-overview", title: titlePrefix + "Overview",
		about: "What is wrong now, of everything that Belfry looks at, worst first.",
		draw:  drawOverview,
	}
}

func drawOverview(s *sheet) {
	s.counts()
	s.worst()
	s.heading("Over time")
	s.history()
	s.heading("What is wrong")
	s.found()
	s.heading("By kind of check")
	s.byCheck()
}

// counts says how many targets have each verdict. A query returns nothing
// where there are no checks: a zero would look as if all were well.
func (s *sheet) counts() {
	for _, c := range []struct {
		state check.State
		color string
		about string
	}{
		{check.Critical, colorCritical, "Aim for 0: each is broken now."},
		{check.Unknown, colorUnknown, "Aim for 0: nobody knows whether these are well, because they could not be looked at."},
		{check.Warning, colorWarning, "Aim for 0: these can wait for the morning, not for the month."},
		{check.OK, colorOK, "Aim for all of them."},
	} {
		t := thresholds("transparent", step{1, c.color})
		s.add(panel{
			title: c.state.String(), w: 4, h: 4, view: numbers("short").Thresholds(t).ColorMode("background"),
			about:   fmt.Sprintf("Targets whose newest verdict is %s. %s", c.state, c.about),
			queries: []query{{expr: fmt.Sprintf("sum(belfry_check_state%s == bool %d)", s.scope(), c.state), instant: true}},
		})
	}
	s.add(panel{
		title: "Not looked at yet", w: 4, h: 4, view: numbers("short").Thresholds(thresholds(colorOK, step{1, colorUnknown})),
		about: "Configured checks without any result. Aim for 0 a minute after a start; one that stays is waiting for a place to run, see the board of the exporter.",
		queries: []query{{expr: "count(belfry_check_interval_seconds" + s.scope() + " unless belfry_check_state" + s.scope() + ") or 0 * count(belfry_check_state" + s.scope() + ")",
			instant: true}},
	})
	s.add(panel{
		title: "Exporters", w: 4, h: 4,
		view:    numbers("short").Thresholds(thresholds(colorCritical, step{1, colorOK})),
		about:   "Exporters that answer Prometheus. Aim for as many as there should be; the alert of a missing one is not here, because what is missing has no series.",
		queries: []query{{expr: `count(belfry_exporter_checks{job=~"$job",instance=~"$instance"})`, instant: true}},
	})
}

// worst is the table that one begins with at three in the morning.
func (s *sheet) worst() {
	const each = "job, instance, check, target"
	list := func(id, expr string) query {
		return query{id: id, expr: onBoard(expr), instant: true, format: formatTable}
	}
	// One of several, which would have a row each: the board says all.
	first := func(expr string) string { return "topk by (" + each + ") (1, " + expr + ")" }
	s.add(panel{
		title: "Worst first", w: width, h: 10,
		about: "Every target with its newest verdict, worst first; UNKNOWN stands between WARNING and CRITICAL. Beside it what is beyond its limit, what was found, " +
			"and why the look failed, one of each. A click on a target opens the board that shows it in full. " +
			"Aim for OK in the first row, ages below the check's interval, and looks that take a small part of it.",
		view: sortedBy(merged(rows(),
			verdictColumn("Value #verdict"), linkColumn("target", "Target"), column{name: "check", title: "Check"},
			column{name: "metric", title: "Beyond its limit"}, column{name: "finding", title: "Found"}, column{name: "reason", title: "Why it failed"},
			unitColumn("Value #ok", "Last OK", "s"), unitColumn("Value #age", "Last look", "s"),
			unitColumn("Value #duration", "It took", "s"), unitColumn("Value #interval", "Looks every", "s"),
			column{name: "instance", title: "Exporter"}, hiddenColumn("board"),
			hiddenColumn("Value #limit"), hiddenColumn("Value #found"), hiddenColumn("Value #failure"),
		), "Verdict", true),
		queries: []query{
			list("verdict", badness(s.scope())),
			list("limit", first("sum by ("+each+", metric) (belfry_check_beyond_limit"+s.scope(`severity="critical"`)+") * 1000 or sum by ("+each+", metric) (belfry_check_beyond_limit"+s.scope()+")")),
			list("found", first(unnamed("belfry_check_finding"+s.scope()+" > 0"))),
			list("failure", unnamed("belfry_check_failure_info"+s.scope())),
			list("ok", "time() - belfry_check_last_ok_timestamp_seconds"+s.scope()),
			list("age", "time() - belfry_check_last_run_timestamp_seconds"+s.scope()),
			list("duration", unnamed("belfry_check_duration_seconds"+s.scope())),
			list("interval", unnamed("belfry_check_interval_seconds"+s.scope())),
		},
	})
}

func (s *sheet) history() {
	s.add(panel{
		title: "Whatever was not OK", w: width, h: 8, view: timeline(stateWords()).NoValue("no verdict but OK in this time, or none at all: see the counts above"),
		about: "The verdicts of every target that was not OK at some moment of the time shown. Aim for an empty panel. A gap is a time without a result.",
		queries: []query{{
			expr:   "belfry_check_state" + s.scope() + " and (sum_over_time(belfry_check_state" + s.scope() + "[$__range] @ end()) > 0)",
			legend: "{{check}} {{target}}",
		}},
	})
	var states []query
	for _, state := range []check.State{check.Critical, check.Unknown, check.Warning, check.OK} {
		states = append(states, query{expr: fmt.Sprintf("sum(belfry_check_state%s == bool %d)", s.scope(), state), legend: state.String()})
	}
	s.add(panel{
		title: "Targets by verdict", w: 12, h: 7, view: colored(stacked("short")),
		about:   "How many targets have each verdict, over time. Aim for green alone; a step down of the whole is an exporter that is gone.",
		queries: states,
	})
	s.add(panel{
		title: "Looks that were not OK", w: 12, h: 7, view: lines("percentunit").Max(1),
		about: "Share of the looks of the last hour that did not end with OK, by kind of check. Aim for 0; a check that flaps shows here also when it is OK at this moment.",
		queries: []query{{
			expr:   `1 - sum by (check) (rate(belfry_check_runs_total` + s.scope(`state="ok"`) + `[1h])) / sum by (check) (rate(belfry_check_runs_total` + s.scope() + `[1h]))`,
			legend: "{{check}}",
		}},
	})
}

func (s *sheet) byCheck() {
	var queries []query
	columns := []column{{name: "check", title: "Check"}}
	for _, state := range []check.State{check.Critical, check.Unknown, check.Warning, check.OK} {
		word := strings.ToLower(state.String())
		queries = append(queries, query{id: word, expr: fmt.Sprintf("sum by (check) (belfry_check_state%s == bool %d)", s.scope(), state), instant: true, format: formatTable})
		columns = append(columns, countColumn("Value #"+word, state.String(), stateColor(state)))
	}
	s.add(panel{
		title: "Verdicts by kind of check", w: 12, h: 8,
		about:   "How many targets of each kind of check have each verdict. Aim for numbers in the last column only.",
		view:    sortedBy(merged(rows(), columns...), check.Critical.String(), true),
		queries: queries,
	})
	s.add(panel{
		title: "Looks that take long", w: 12, h: 8, view: shares(),
		about: "How much of the time between two looks the newest look took, the ten longest. Aim for a small part: a look is ended by its own timeout, which is at most the interval.",
		queries: []query{{expr: "sort_desc(topk(10, belfry_check_duration_seconds" + s.scope() + " / belfry_check_interval_seconds" + s.scope() + "))",
			legend: "{{check}} {{target}}", instant: true}},
	})
}
