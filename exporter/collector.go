package exporter

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"

	"github.com/belfry-monitoring/belfry/common/exposition"
	"github.com/belfry-monitoring/belfry/exporter/discover"
)

func (e *Exporter) register() error {
	all := []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		version.NewCollector("belfry_exporter"),
		e.reloadGood, e.reloadGoodAt, e.delay, e.probes.outcomes,
		&collector{exporter: e, descriptions: describe()},
	}
	for _, c := range all {
		if err := e.registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// collector serves the exporter's own numbers. It is unchecked (it describes
// nothing), because which there are depends on the options.
type collector struct {
	exporter *Exporter
	descriptions
}

type descriptions struct {
	jobs, places, running, waiting, hanging *prometheus.Desc
	probing, asking, stuck                  *prometheus.Desc
	unsaved, writes, writeErrors            *prometheus.Desc
	discovered                              *prometheus.Desc
}

func describe() descriptions {
	desc := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	return descriptions{
		jobs:    desc("belfry_exporter_checks", "Configured checks."),
		places:  desc("belfry_exporter_concurrency_limit", "How many looks may run at the same time."),
		running: desc("belfry_exporter_running_looks", "Looks that run now."),
		waiting: desc("belfry_exporter_waiting_looks", "Looks that are due and wait because too many others run."),
		hanging: desc("belfry_exporter_hanging_looks", "Looks that were abandoned at their deadline and have not returned yet."),

		probing: desc("belfry_exporter_probe_running_looks", "Looks that run now because somebody asked for them at /probe."),
		asking:  desc("belfry_exporter_probe_waiting_looks", "Looks that were asked for at /probe and wait because too many others run."),
		stuck:   desc("belfry_exporter_probe_hanging_looks", "Looks for /probe that were abandoned at their deadline and have not returned yet."),

		unsaved:     desc("belfry_exporter_state_unsaved", "Checks whose memory has changed since it was written to the state directory."),
		writes:      desc("belfry_exporter_state_writes_total", "Memories of checks that were written to the state directory."),
		writeErrors: desc("belfry_exporter_state_write_errors_total", "Memories of checks that could not be written to the state directory."),

		discovered: prometheus.NewDesc("belfry_exporter_discovered", "Things found on this machine, without a configuration, by what became of them: other than watched, nobody looks at them.", []string{"product", "outcome"}, nil),
	}
}

// Describe makes the collector unchecked.
func (*collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends how the exporter is doing, and the distributions over many
// looks; what the newest looks saw is put together by Exporter.Gather.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64) {
		ch <- constMetric(desc, kind, value)
	}
	for _, d := range *c.exporter.distributions.Load() {
		d.collect(ch)
	}
	stats := c.exporter.scheduler.Stats()
	send(c.jobs, prometheus.GaugeValue, float64(stats.Jobs))
	send(c.places, prometheus.GaugeValue, float64(stats.Places))
	send(c.running, prometheus.GaugeValue, float64(stats.Running))
	send(c.waiting, prometheus.GaugeValue, float64(stats.Waiting))
	send(c.hanging, prometheus.GaugeValue, float64(stats.Hanging))
	if d := c.exporter.discovery.Load(); d != nil {
		for _, product := range discover.Products() {
			for _, outcome := range discover.Outcomes() {
				ch <- constMetric(c.discovered, prometheus.GaugeValue, float64(d.Count(product, outcome)), product, string(outcome))
			}
		}
	}
	if keeper := c.exporter.options.Memories; keeper != nil {
		stats := keeper.Stats()
		send(c.unsaved, prometheus.GaugeValue, float64(stats.Unsaved))
		send(c.writes, prometheus.CounterValue, float64(stats.Writes))
		send(c.writeErrors, prometheus.CounterValue, float64(stats.Errors))
	}
	asked := c.exporter.probes.stats()
	send(c.probing, prometheus.GaugeValue, float64(asked.Running))
	send(c.asking, prometheus.GaugeValue, float64(asked.Waiting))
	send(c.stuck, prometheus.GaugeValue, float64(asked.Hanging))
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

// constMetric is a metric or, where it cannot be one, an error that the
// handler reports without losing the others.
func constMetric(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) prometheus.Metric {
	m, err := prometheus.NewConstMetric(desc, kind, value, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
