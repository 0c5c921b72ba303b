package workermemory

import (
	"fmt"
	"math"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs"
	"github.com/belfry-monitoring/belfry/common/trend"
)

// Bounds of what is kept of the workers' sizes: 12,000 samples of 23 bytes are
// a quarter of what a check may remember.
const (
	maxSamples    = 48    // of one worker: one each half an hour of the day
	maxAllSamples = 12000 // of all of them
)

const (
	// warmUp is how long after its start what a process takes is no growth: it
	// loads what it needs.
	warmUp = 10 * time.Minute
	// keepUnseen is how long the sizes of a process are kept that is not
	// found: it may only have been unreadable for a moment.
	keepUnseen = time.Hour
)

// sizes are the resident and swapped bytes of processes over time, by
// identity: a worker that is started anew begins anew. Time is the kernel's
// since boot, which nobody sets.
type sizes map[string]trend.Series

// remember takes a look's sizes in.
func (before sizes) remember(list []worker, boot string) sizes {
	next := make(sizes, len(list))
	bound := min(maxSamples, maxAllSamples/max(len(list), 1))
	now := 0.0
	for _, w := range list {
		at := (w.main.Started + w.main.Age).Seconds()
		now = math.Max(now, at)
		if len(next) >= maxKept {
			continue
		}
		key := identity(boot, w.main)
		series := before[key]
		if w.main.Age >= warmUp {
			series = series.Add(at, held(w.main), bound)
		}
		next[key] = series
	}
	for key, series := range before {
		if _, here := next[key]; here || len(series.Samples) == 0 || len(next) >= maxKept {
			continue
		}
		// After a boot the time begins anew, and no identity comes back.
		if ago := now - series.Samples[len(series.Samples)-1].At; len(list) == 0 || ago >= 0 && ago <= keepUnseen.Seconds() {
			next[key] = series
		}
	}
	return next
}

// held is what a process holds of memory and swap, in bytes.
func held(p procs.Process) float64 { return float64(p.RSS) + float64(p.Swap) }

// judgeGrowth reports the workers that grow steadily, and when they reach the
// critical limit of their resident memory or, together, that of a control
// group.
func judgeGrowth(r *check.Report, list []worker, known sizes, groups []limited, boot string) {
	r.Absent(growth)
	r.Absent(timeToLimit)
	growths := make(map[int]trend.Growth)
	for _, w := range list {
		if g, ok := known[identity(boot, w.main)].Growth(); ok {
			growths[w.main.PID] = g
		}
	}
	for _, w := range list {
		g, ok := growths[w.main.PID]
		if !ok {
			continue
		}
		perHour := g.PerSecond * time.Hour.Seconds()
		r.Observe(growth, perHour, w.label)
		limit := math.NaN()
		if _, critical := r.Limits(rss, w.label); critical != nil {
			limit = ceiling(*critical, float64(w.main.RSS))
		}
		left, foretold := g.Until(limit - float64(w.main.RSS))
		text := fmt.Sprintf("grows by %s an hour towards %s", check.FormatBytes(math.Round(perHour)), check.FormatBytes(limit))
		for _, in := range groups {
			if !in.has(w.main.PID) {
				continue
			}
			// Whoever grows in it fills it.
			all := g
			for pid, other := range growths {
				if pid != w.main.PID && in.has(pid) {
					all.Newest += other.Newest
				}
			}
			seconds, ok := all.Until(float64(in.Limit) - float64(in.Used))
			if ok && (!foretold || seconds < left) {
				left, foretold = seconds, true
				text = fmt.Sprintf("grows by %s an hour, its control group %s holds %s of %s", check.FormatBytes(math.Round(perHour)), in.Path,
					check.FormatBytes(float64(in.Used)), check.FormatBytes(float64(in.Limit)))
			}
		}
		if foretold {
			r.Observe(timeToLimit, left, w.label)
			r.Detail(text, w.label)
		}
	}
}

// ceiling returns the upper bound that a size reaches as it grows, not a
// number where there is none.
func ceiling(critical check.Range, size float64) float64 {
	bound := critical.End
	if critical.Inside {
		bound = critical.Start
	}
	if math.IsInf(bound, 0) || critical.Inside && size > critical.End {
		return math.NaN()
	}
	return bound
}
