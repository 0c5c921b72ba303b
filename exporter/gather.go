package exporter

import (
	"slices"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/exposition"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

// A registry takes apart, checks and sorts every series at every scrape. Those
// of a check change with its looks only, so they are made and checked once, at
// the look, and a scrape puts together what is there.

// made are the series of one result.
type made struct {
	labels   []*dto.LabelPair // check and target
	families []familyOf
}

// familyOf are the series of one family in one result.
type familyOf struct {
	family  *family
	metrics []*dto.Metric
}

// family is what the series of one name have in common. It is never changed.
type family struct {
	name, help string
	kind       dto.MetricType
	labels     []string // names, sorted
	order      []int    // of the values, as they come
}

// families are those that have been seen, by name and labels: 10,000 checks
// share them.
type families struct{ known sync.Map }

func (f *families) of(e *exposition.Family) *family {
	id := e.Name + "\xff" + strings.Join(e.Labels, "\xff")
	if known, ok := f.known.Load(id); ok {
		return known.(*family)
	}
	fresh := &family{name: e.Name, help: e.Help, kind: dto.MetricType_GAUGE, order: make([]int, len(e.Labels))}
	if e.Type == exposition.Counter {
		fresh.kind = dto.MetricType_COUNTER
	}
	for i := range fresh.order {
		fresh.order[i] = i
	}
	slices.SortFunc(fresh.order, func(a, b int) int { return strings.Compare(e.Labels[a], e.Labels[b]) })
	for _, i := range fresh.order {
		fresh.labels = append(fresh.labels, e.Labels[i])
	}
	known, _ := f.known.LoadOrStore(id, fresh)
	return known.(*family)
}

// gauge and counter are metrics with their values, each in one piece of
// memory: there are hundreds of thousands.
type gauge struct {
	metric dto.Metric
	gauge  dto.Gauge
	value  float64
}

type counter struct {
	metric  dto.Metric
	counter dto.Counter
	value   float64
}

func metricOf(kind dto.MetricType, value float64, labels []*dto.LabelPair) *dto.Metric {
	if kind == dto.MetricType_COUNTER {
		c := &counter{value: value}
		c.counter.Value, c.metric.Counter, c.metric.Label = &c.value, &c.counter, labels
		return &c.metric
	}
	g := &gauge{value: value}
	g.gauge.Value, g.metric.Gauge, g.metric.Label = &g.value, &g.gauge, labels
	return &g.metric
}

func pairOf(name, value string) *dto.LabelPair {
	return &dto.LabelPair{Name: &name, Value: proto.String(strings.ToValidUTF8(value, "?"))}
}

// make turns samples into series. Of equal label sets, which two foreign
// names can become when they are cleaned, it keeps the first: Prometheus would
// refuse the whole scrape. Equal labels are kept once.
func (f *families) make(name, target string, samples []exposition.Sample) *made {
	type label struct{ name, value string }
	pairs := make(map[label]*dto.LabelPair)
	pair := func(name, value string) *dto.LabelPair {
		l := label{name, value}
		if pairs[l] == nil {
			pairs[l] = pairOf(name, value)
		}
		return pairs[l]
	}
	m := &made{labels: []*dto.LabelPair{pair("check", name), pair("target", target)}}
	seen := make(map[string]bool, len(samples))
	var last *exposition.Family
	for _, s := range samples {
		id := s.Family.Name + "\xff" + strings.Join(s.Values, "\xff")
		if seen[id] {
			continue
		}
		seen[id] = true
		if s.Family != last {
			last = s.Family
			m.families = append(m.families, familyOf{family: f.of(s.Family)})
		}
		of := &m.families[len(m.families)-1]
		labels := m.labels // of most series
		if len(of.family.labels) > 2 {
			labels = make([]*dto.LabelPair, len(of.family.labels))
			for i, name := range of.family.labels {
				labels[i] = pair(name, s.Values[of.family.order[i]])
			}
		}
		of.metrics = append(of.metrics, metricOf(of.family.kind, s.Number, labels))
	}
	return m
}

// scrape puts together what is served once.
type scrape struct{ families map[string]*dto.MetricFamily }

func (s *scrape) add(f *family, metrics ...*dto.Metric) {
	into := s.families[f.name]
	if into == nil {
		into = &dto.MetricFamily{Name: &f.name, Help: &f.help, Type: &f.kind}
		s.families[f.name] = into
	}
	into.Metric = append(into.Metric, metrics...)
}

// Gather returns the newest results and the exporter's own metrics, sorted by
// family, check and target. It never waits for a look.
func (e *Exporter) Gather() ([]*dto.MetricFamily, error) {
	all, err := e.registry.Gather()
	s := &scrape{families: make(map[string]*dto.MetricFamily)}
	d := e.perCheck
	for _, snap := range e.scheduler.Snapshots(time.Now()) {
		m := e.resultSeries(snap)
		s.add(d.interval, metricOf(d.interval.kind, snap.Interval.Seconds(), m.labels))
		for i, state := range d.states {
			labels := []*dto.LabelPair{m.labels[0], state, m.labels[1]}
			s.add(d.runs, metricOf(d.runs.kind, float64(snap.Runs[check.States()[i]]), labels))
		}
		s.add(d.abandoned, metricOf(d.abandoned.kind, float64(snap.Abandoned), m.labels))
		if !snap.LastOK.IsZero() {
			s.add(d.lastOK, metricOf(d.lastOK.kind, float64(snap.LastOK.UnixMilli())/1e3, m.labels))
		}
		for _, of := range m.families {
			s.add(of.family, of.metrics...)
		}
	}
	return s.sorted(all), err
}

// sorted returns the families with those that there are already, by name.
func (s *scrape) sorted(all []*dto.MetricFamily) []*dto.MetricFamily {
	for _, f := range s.families {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all
}

// perCheck are the families of what the scheduler knows of each check.
type perCheck struct {
	interval, runs, abandoned, lastOK *family
	states                            []*dto.LabelPair // in the order of check.States
}

func perCheckFamilies() perCheck {
	of := func(name, help string, kind exposition.Type, more ...string) *family {
		return new(families).of(&exposition.Family{Name: name, Help: help, Type: kind, Labels: append([]string{"check", "target"}, more...)})
	}
	d := perCheck{
		interval:  of("belfry_check_interval_seconds", "Configured time between two looks. A check without belfry_check_state has not looked yet.", exposition.Gauge),
		runs:      of("belfry_check_runs_total", "Finished looks by their verdict.", exposition.Counter, "state"),
		abandoned: of("belfry_check_abandoned_runs_total", "Looks that ignored their deadline and were left behind.", exposition.Counter),
		lastOK:    of("belfry_check_last_ok_timestamp_seconds", "When the newest look began that was OK; not there before the first since the exporter has the check.", exposition.Gauge),
	}
	for _, state := range check.States() {
		d.states = append(d.states, pairOf("state", strings.ToLower(state.String())))
	}
	return d
}

// resultSeries returns what was made when the look finished, or little where
// there is no look that still counts.
func (e *Exporter) resultSeries(snap schedule.Snapshot) *made {
	name, target := snap.Definition.Name, snap.Target
	switch ready, ok := snap.Derived.(*made); {
	case snap.Result == nil:
		return e.families.make(name, target, nil)
	case snap.Stale:
		return e.families.make(name, target, stale(exposition.Of(snap.Result, name, target), !snap.Result.Started.IsZero()))
	case ok:
		return ready
	}
	return e.series(snap.Result)
}

func (e *Exporter) series(r *check.Result) *made {
	return e.families.make(r.Definition.Name, r.Target, exposition.Of(r, r.Definition.Name, r.Target))
}
