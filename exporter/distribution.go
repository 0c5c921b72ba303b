package exporter

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/exposition"
	"github.com/belfry-monitoring/belfry/exporter/config"
)

// distributions are the histograms of one check and target: of each metric
// that declares Buckets, one for each label set, over all looks since the
// check was configured. Looks write, scrapes read.
type distributions struct {
	memoryKey string // of the check whose values they are

	mu         sync.Mutex
	histograms map[string]*histogram // by metric key and label values
	count      map[*check.Metric]int
	made       atomic.Pointer[[]prometheus.Metric]
}

type histogram struct {
	desc   *prometheus.Desc
	bounds []float64
	labels []string // check and target first
	in     []uint64 // values up to each bound and beyond the one before it
	sum    float64
	total  uint64 // misses included
}

// observe counts a look's values, and its misses beyond every bound. What has
// neither is not counted: a look that failed says nothing of how long a
// message takes. At most 200 label sets of a metric are kept, those that came
// first.
func (d *distributions) observe(r *check.Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	counted := false
	count := func(m *check.Metric, labels []string, value float64) {
		if h := d.histogram(r, m, labels); h != nil {
			h.add(value)
			counted = true
		}
	}
	for _, v := range r.Values {
		if len(v.Metric.Buckets) > 0 && !math.IsNaN(v.Number) {
			count(v.Metric, v.Labels, v.Number)
		}
	}
	for _, m := range r.Missed {
		count(m.Metric, m.Labels, math.Inf(1))
	}
	if counted {
		made := d.metrics()
		d.made.Store(&made)
	}
}

func (d *distributions) histogram(r *check.Result, m *check.Metric, labels []string) *histogram {
	key := m.Key + "\xff" + strings.Join(labels, "\xff")
	if h := d.histograms[key]; h != nil {
		return h
	}
	if d.count[m] >= exposition.MaxLabelSets {
		return nil
	}
	if d.histograms == nil {
		d.histograms, d.count = make(map[string]*histogram), make(map[*check.Metric]int)
	}
	d.count[m]++
	h := &histogram{
		desc: prometheus.NewDesc(m.DistributionName(), "Distribution since the exporter started of: "+m.Help,
			append([]string{"check", "target"}, m.Labels...), nil),
		bounds: m.Buckets, labels: append([]string{r.Definition.Name, r.Target}, labels...), in: make([]uint64, len(m.Buckets)),
	}
	d.histograms[key] = h
	return h
}

// add counts a value. An infinite one is a miss, which is left out of the sum:
// it would make that infinite for ever.
func (h *histogram) add(value float64) {
	h.total++
	if math.IsInf(value, 0) {
		return
	}
	h.sum += value
	if i, _ := slices.BinarySearch(h.bounds, value); i < len(h.bounds) {
		h.in[i]++
	}
}

// metrics makes once, after a look, what every scrape hands out.
func (d *distributions) metrics() []prometheus.Metric {
	made := make([]prometheus.Metric, 0, len(d.histograms))
	for _, h := range d.histograms {
		cumulative, below := make(map[float64]uint64, len(h.bounds)), uint64(0)
		for i, bound := range h.bounds {
			below += h.in[i]
			cumulative[bound] = below
		}
		m, err := prometheus.NewConstHistogram(h.desc, h.total, h.sum, cumulative, h.labels...)
		if err != nil {
			m = prometheus.NewInvalidMetric(h.desc, err)
		}
		made = append(made, m)
	}
	return made
}

// collect sends what there is; it never waits for a look.
func (d *distributions) collect(ch chan<- prometheus.Metric) {
	if d == nil {
		return
	}
	if made := d.made.Load(); made != nil {
		for _, m := range *made {
			ch <- m
		}
	}
}

// pair is a check's name and target.
type pair struct{ check, target string }

// keptDistributions are those of a configuration: a check that looks at the
// same thing in the same way as before, however it judges it, keeps its own.
func keptDistributions(before map[pair]*distributions, checks []*config.Check) map[pair]*distributions {
	next := make(map[pair]*distributions, len(checks))
	for _, c := range checks {
		p := pair{c.Definition.Name, c.Target}
		next[p] = before[p]
		if key := c.MemoryKey(); next[p] == nil || next[p].memoryKey != key {
			next[p] = &distributions{memoryKey: key}
		}
	}
	return next
}
