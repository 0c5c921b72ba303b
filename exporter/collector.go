package exporter

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/exposition"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

func (e *Exporter) register() error {
	all := []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		version.NewCollector("belfry_exporter"),
		e.reloadGood, e.reloadGoodAt,
		&collector{exporter: e, descriptions: describe()},
	}
	for _, c := range all {
		if err := e.registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// collector serves the newest results. It is unchecked (it describes
// nothing), because which series there are depends on what is looked at.
type collector struct {
	exporter *Exporter
	descriptions
}

type descriptions struct {
	interval, runs, abandoned               *prometheus.Desc // of each check
	jobs, places, running, waiting, hanging *prometheus.Desc // of the exporter
}

func describe() descriptions {
	desc := prometheus.NewDesc
	perCheck := func(more ...string) []string { return append([]string{"check", "target"}, more...) }
	return descriptions{
		interval:  desc("belfry_check_interval_seconds", "Configured time between two looks. A check without belfry_check_state has not looked yet.", perCheck(), nil),
		runs:      desc("belfry_check_runs_total", "Finished looks by their verdict.", perCheck("state"), nil),
		abandoned: desc("belfry_check_abandoned_runs_total", "Looks that ignored their deadline and were left behind.", perCheck(), nil),
		jobs:      desc("belfry_exporter_checks", "Configured checks.", nil, nil),
		places:    desc("belfry_exporter_concurrency_limit", "How many looks may run at the same time.", nil, nil),
		running:   desc("belfry_exporter_running_looks", "Looks that run now.", nil, nil),
		waiting:   desc("belfry_exporter_waiting_looks", "Looks that are due and wait because too many others run.", nil, nil),
		hanging:   desc("belfry_exporter_hanging_looks", "Looks that were abandoned at their deadline and have not returned yet.", nil, nil),
	}
}

// Describe makes the collector unchecked.
func (*collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the newest results; it never waits for a look.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	e := c.exporter
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		ch <- constMetric(desc, kind, value, labels...)
	}
	kept := *e.distributions.Load()
	for _, snap := range e.scheduler.Snapshots(time.Now()) {
		id := []string{snap.Definition.Name, snap.Target}
		send(c.interval, prometheus.GaugeValue, snap.Interval.Seconds(), id...)
		for _, state := range check.States() {
			send(c.runs, prometheus.CounterValue, float64(snap.Runs[state]), append(id, strings.ToLower(state.String()))...)
		}
		send(c.abandoned, prometheus.CounterValue, float64(snap.Abandoned), id...)
		for _, m := range e.resultSeries(snap) {
			ch <- m
		}
		kept[pair{snap.Definition.Name, snap.Target}].collect(ch)
	}
	stats := e.scheduler.Stats()
	send(c.jobs, prometheus.GaugeValue, float64(stats.Jobs))
	send(c.places, prometheus.GaugeValue, float64(stats.Places))
	send(c.running, prometheus.GaugeValue, float64(stats.Running))
	send(c.waiting, prometheus.GaugeValue, float64(stats.Waiting))
	send(c.hanging, prometheus.GaugeValue, float64(stats.Hanging))
}

// resultSeries returns what was made when the look finished, or little where
// there is no look that still counts.
func (e *Exporter) resultSeries(snap schedule.Snapshot) []prometheus.Metric {
	switch made, ok := snap.Derived.([]prometheus.Metric); {
	case snap.Result == nil:
		return nil
	case snap.Stale:
		return metrics(stale(exposition.Of(snap.Result, snap.Definition.Name, snap.Target), !snap.Result.Started.IsZero()))
	case ok:
		return made
	}
	return e.series(snap.Result)
}

func (e *Exporter) series(r *check.Result) []prometheus.Metric {
	return metrics(exposition.Of(r, r.Definition.Name, r.Target))
}

// stale keeps of the samples of a result that no look has returned what is
// true all the same. That nothing was found is not.
func stale(samples []exposition.Sample, looked bool) []exposition.Sample {
	var kept []exposition.Sample
	for _, s := range samples {
		switch s.Family.Name {
		case "belfry_check_state", "belfry_check_timed_out", "belfry_check_failure_info":
			kept = append(kept, s)
		case "belfry_check_last_run_timestamp_seconds":
			if looked {
				kept = append(kept, s)
			}
		}
	}
	return kept
}

// metrics turns samples into metrics. Of equal label sets, which two foreign
// names can become when they are cleaned, it keeps the first: Prometheus
// would refuse the whole scrape.
func metrics(samples []exposition.Sample) []prometheus.Metric {
	descs := make(map[*exposition.Family]*prometheus.Desc)
	seen := make(map[string]bool, len(samples))
	made := make([]prometheus.Metric, 0, len(samples))
	for _, s := range samples {
		id := s.Family.Name + "\xff" + strings.Join(s.Values, "\xff")
		if seen[id] {
			continue
		}
		seen[id] = true
		desc := descs[s.Family]
		if desc == nil {
			desc = prometheus.NewDesc(s.Family.Name, s.Family.Help, s.Family.Labels, nil)
			descs[s.Family] = desc
		}
		kind := prometheus.GaugeValue
		if s.Family.Type == exposition.Counter {
			kind = prometheus.CounterValue
		}
		made = append(made, constMetric(desc, kind, s.Number, s.Values...))
	}
	return made
}

// constMetric is a metric or, where it cannot be one, an error that the
// handler reports without losing the others.
func constMetric(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) prometheus.Metric {
	m, err := prometheus.NewConstMetric(desc, kind, value, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
