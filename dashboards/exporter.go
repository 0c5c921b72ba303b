package dashboards

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/belfry-monitoring/belfry/common/check"
)

const exporterUID = "belfry-exporter"

func exporterHealth() spec {
	return spec{
		uid: exporterUID, title: titlePrefix + "Exporter health",
		about: "Whether the exporter itself keeps up: looks that begin late, wait or hang, scrapes, memory and configuration.",
		draw:  drawExporter,
	}
}

func drawExporter(s *sheet) {
	series := func(name string) string { return name + s.scope() }
	each := func(text string) string { return "{{instance}} " + text }
	s.add(panel{
		title: "Checks", w: 4, h: 4, view: numbers("short").Thresholds(thresholds("text")),
		about:   "Configured checks of all exporters chosen. Aim for as many as you configured.",
		queries: []query{{expr: "sum(" + series("belfry_exporter_checks") + ")", instant: true}},
	})
	s.add(panel{
		title: "Configuration", w: 4, h: 4,
		view:    numbers("short").ColorMode("background").Mappings(words(map[string][2]string{"0": {"wrong", colorCritical}, "1": {"in use", colorOK}})),
		about:   "Whether the configuration was right when it was read last. Aim for \"in use\": while it is wrong, the one before goes on, and what you changed does not count.",
		queries: []query{{expr: "min(" + series("belfry_exporter_config_last_reload_successful") + ")", instant: true}},
	})
	s.add(panel{
		title: "Configuration read", w: 4, h: 4, view: numbers("s").Thresholds(thresholds("text")),
		about:   "How long ago the configuration in use was read. Aim for the time of your last change.",
		queries: []query{{expr: "time() - min(" + series("belfry_exporter_config_last_reload_success_timestamp_seconds") + ")", instant: true}},
	})
	s.add(panel{
		title: "Hanging looks", w: 4, h: 4, view: numbers("short").Thresholds(thresholds(colorOK, step{1, colorCritical})),
		about:   "Looks that ignored their deadline and have not returned yet. Aim for 0: the target of one that stays is not looked at until the exporter is restarted.",
		queries: []query{{expr: "sum(" + series("belfry_exporter_hanging_looks") + ")", instant: true}},
	})
	s.add(panel{
		title: "Waiting looks", w: 4, h: 4, view: numbers("short").Thresholds(thresholds(colorOK, step{1, colorWarning})),
		about:   "Looks that are due and wait because too many others run. Aim for 0: more means that concurrency is too small, or that many targets hang.",
		queries: []query{{expr: "sum(" + series("belfry_exporter_waiting_looks") + ")", instant: true}},
	})
	s.add(panel{
		title: "Version", w: 4, h: 4, view: numbers("short").Thresholds(thresholds("text")).TextMode("name"),
		about:   "Versions of the exporters. Aim for one.",
		queries: []query{{expr: "count by (version) (" + series("belfry_exporter_build_info") + ")", legend: "{{version}}", instant: true}},
	})
	s.heading("Looks")
	var delays []query
	for _, q := range []struct{ q, word string }{{"0.5", "half"}, {"0.95", "95 %"}, {"0.99", "99 %"}} {
		delays = append(delays, query{
			expr:   fmt.Sprintf("histogram_quantile(%s, sum by (le) (rate(%s[5m])))", q.q, series("belfry_exporter_look_delay_seconds_bucket")),
			legend: q.word + " begin within",
		})
	}
	s.add(panel{
		title: "How late looks begin", w: 8, h: 8, view: lines("s"),
		about:   "How long after their moment looks have begun, in the last five minutes. Aim for milliseconds: more than a second means that the machine or concurrency is too small.",
		queries: delays,
	})
	s.add(panel{
		title: "Delay of looks", w: 8, h: 8, view: distribution("s"),
		about: "How many looks began how late. Aim for one bright row at the bottom.",
		queries: []query{{
			expr:   "sum by (le) (increase(" + series("belfry_exporter_look_delay_seconds_bucket") + "[$__rate_interval]))",
			legend: "{{le}}", format: "heatmap",
		}},
	})
	s.add(panel{
		title: "Places for looks", w: 8, h: 8,
		view: lines("short").WithOverride(named("places"), []dashboard.DynamicConfigValue{
			property("color", map[string]string{"mode": "fixed", "fixedColor": colorWarning}),
			property("custom.lineStyle", map[string]any{"fill": "dash", "dash": []int{8, 6}}), property("custom.fillOpacity", 0),
		}),
		about: "Looks that run, wait and hang, and how many may run at the same time (dashed). Aim for running far below that line, and nothing that waits.",
		queries: []query{
			{expr: series("belfry_exporter_running_looks"), legend: each("running")},
			{expr: series("belfry_exporter_waiting_looks"), legend: each("waiting")},
			{expr: series("belfry_exporter_hanging_looks"), legend: each("hanging")},
			{expr: "min(" + series("belfry_exporter_concurrency_limit") + ")", legend: "places"},
		},
	})
	var verdicts []query
	for _, state := range check.States() {
		matcher := fmt.Sprintf("state=%q", strings.ToLower(state.String()))
		verdicts = append(verdicts, query{expr: "sum(rate(belfry_check_runs_total" + s.scope(matcher) + "[5m]))", legend: state.String()})
	}
	s.add(panel{
		title: "Looks by verdict", w: 8, h: 7, view: colored(stacked("cps")), queries: verdicts,
		about: "Looks per second by their verdict, in the last five minutes. Aim for green; the sum is the work that the exporter does.",
	})
	s.add(panel{
		title: "Results that age", w: 8, h: 7, view: lines("short"),
		about: "Age of the oldest results in intervals of their check, the ten oldest. Aim for 1: a result of 3 intervals turns UNKNOWN and its values disappear.",
		queries: []query{{
			expr:   "topk(10, (time() - " + series("belfry_check_last_run_timestamp_seconds") + ") / " + series("belfry_check_interval_seconds") + ")",
			legend: "{{check}} {{target}}",
		}},
	})
	s.add(panel{
		title: "Looks that were ended", w: 8, h: 7, view: lines("short"),
		about: "Targets whose newest look was ended by its own deadline, and looks of the last hour that ignored theirs. Aim for 0: raise the timeout, or see what hangs.",
		queries: []query{
			{expr: "sum by (check) (" + series("belfry_check_timed_out") + ")", legend: "{{check}} ended at its deadline"},
			{expr: "sum by (check) (increase(" + series("belfry_check_abandoned_runs_total") + "[1h]))", legend: "{{check}} left behind"},
		},
	})
	s.heading("Probes")
	s.add(panel{
		title: "Probes by outcome", w: 12, h: 7, view: stacked("reqps"),
		about: "What Prometheus asked for at /probe, per second: looked and shared have a verdict; busy found no place, overdue no time, and the others asked for what is not configured. " +
			"Aim for looked alone, and nothing where you use no modules.",
		queries: []query{{expr: "sum by (outcome) (rate(" + series("belfry_exporter_probes_total") + "[$__rate_interval]))", legend: "{{outcome}}"}},
	})
	s.add(panel{
		title: "Places for probes", w: 12, h: 7, view: lines("short"),
		about: "Looks for /probe that run, wait and hang. Aim for nothing that waits or hangs: see probe_concurrency, or the target.",
		queries: []query{
			{expr: series("belfry_exporter_probe_running_looks"), legend: each("running")},
			{expr: series("belfry_exporter_probe_waiting_looks"), legend: each("waiting")},
			{expr: series("belfry_exporter_probe_hanging_looks"), legend: each("hanging")},
		},
	})
	s.heading("Scrapes")
	s.add(panel{
		title: "Duration of a scrape", w: 8, h: 7, view: lines("s"),
		about:   "How long Prometheus took to read /metrics. Aim for milliseconds: a scrape never waits for a look, so that a slow one is the machine, the network or too many series.",
		queries: []query{{expr: series("scrape_duration_seconds"), legend: "{{instance}}"}},
	})
	s.add(panel{
		title: "Series of a scrape", w: 8, h: 7, view: lines("short"),
		about: "Series that a scrape returned, and label sets that were judged but not exported, because a metric of one target has more than 200. Aim for a flat line and 0.",
		queries: []query{
			{expr: series("scrape_samples_scraped"), legend: "{{instance}} series"},
			{expr: "sum by (instance) (" + series("belfry_check_dropped_label_sets") + ")", legend: "{{instance}} left out"},
		},
	})
	s.add(panel{
		title: "Errors of scrapes", w: 8, h: 7, view: lines("short"),
		about:   "What could not be put together or written in the last hour, by cause. Aim for 0: each is a series that Prometheus did not get; the exporter's log says which.",
		queries: []query{{expr: "sum by (cause) (increase(" + series("promhttp_metric_handler_errors_total") + "[1h]))", legend: "{{cause}}"}},
	})
	s.heading("Process")
	s.add(panel{
		title: "Memory", w: 8, h: 7, view: lines("bytes"),
		about: "Resident memory of the exporter and the part of it that is in use by Go. Aim for a flat line: about 30 MiB, and more with thousands of checks.",
		queries: []query{
			{expr: series("process_resident_memory_bytes"), legend: each("resident")},
			{expr: series("go_memstats_heap_inuse_bytes"), legend: each("Go heap")},
		},
	})
	s.add(panel{
		title: "CPU", w: 8, h: 7, view: lines("percentunit"),
		about:   "CPU time that the exporter took, 100 % is one core. Aim for what is usual; compare the number of looks when it rises.",
		queries: []query{{expr: "rate(" + series("process_cpu_seconds_total") + "[$__rate_interval])", legend: "{{instance}}"}},
	})
	s.add(panel{
		title: "Files and goroutines", w: 8, h: 7, view: lines("short"),
		about: "Open file descriptors, and goroutines. Aim for flat lines: one that only rises is a leak.",
		queries: []query{
			{expr: series("process_open_fds"), legend: each("files")},
			{expr: series("go_goroutines"), legend: each("goroutines")},
		},
	})
	s.heading("Memory of the checks, where --state-dir is given")
	s.add(panel{
		title: "Not written yet", w: 12, h: 6, view: lines("short").NoValue("no --state-dir"),
		about:   "Checks whose memory has changed since it was written to the state directory. Aim for a line that comes back to near 0 every --state-interval.",
		queries: []query{{expr: series("belfry_exporter_state_unsaved"), legend: "{{instance}}"}},
	})
	s.add(panel{
		title: "Written and failed", w: 12, h: 6, view: lines("short").NoValue("no --state-dir"),
		about: "Memories that were written in the last hour, and those that could not be. Aim for no failures: the log says what is wrong, mostly a full disk.",
		queries: []query{
			{expr: "increase(" + series("belfry_exporter_state_writes_total") + "[1h])", legend: each("written")},
			{expr: "increase(" + series("belfry_exporter_state_write_errors_total") + "[1h])", legend: each("failed")},
		},
	})
}
