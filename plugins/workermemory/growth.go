package workermemory

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs"
)

// Bounds of what is kept of the workers' sizes. 500 workers with 24 samples
// of 20 bytes each are a quarter of what a check may remember.
const (
	maxSamples    = 64    // of one worker
	maxAllSamples = 12000 // of all of them
	keepSamples   = 24 * time.Hour
)

const (
	// leastSamples and leastSpan are how many looks over how long a growth is
	// told from.
	leastSamples = 6
	leastSpan    = time.Hour
	// warmUp is how long after its start what a process takes is no growth: it
	// loads what it needs.
	warmUp = 10 * time.Minute
	// noise is how many times the spread around the line the rise must be.
	noise = 4
)

// history is the sizes of one process over time.
type history struct {
	Process string   `json:"p"` // identity
	Samples []sample `json:"s"`
}

// sample is a size at an age. The age is that of the kernel's clock since
// boot, which nobody sets.
type sample struct {
	Age   float64 // seconds
	Bytes float64 // resident and swapped
}

// MarshalJSON writes whole seconds and KiB: [3600,153600].
func (s sample) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]int64{int64(math.Round(s.Age)), int64(math.Round(s.Bytes / 1024))})
}

// UnmarshalJSON reads them back.
func (s *sample) UnmarshalJSON(data []byte) error {
	var both [2]float64
	if err := json.Unmarshal(data, &both); err != nil {
		return err
	}
	if both[0] < 0 || both[1] < 0 {
		return errors.New("a sample below zero")
	}
	*s = sample{both[0], both[1] * 1024}
	return nil
}

// add takes a look's sample. Another process begins anew.
func (h history) add(identity string, p procs.Process, bound int) history {
	if h.Process != identity || len(h.Samples) > 0 && p.Age.Seconds() <= h.Samples[len(h.Samples)-1].Age {
		h = history{Process: identity}
	}
	if p.Age < warmUp {
		return h
	}
	h.Samples = append(slices.Clone(h.Samples), sample{p.Age.Seconds(), float64(p.RSS + p.Swap)})
	oldest := p.Age.Seconds() - keepSamples.Seconds()
	h.Samples = slices.DeleteFunc(h.Samples, func(s sample) bool { return s.Age < oldest })
	for len(h.Samples) > bound {
		h.Samples = thin(h.Samples)
	}
	return h
}

// thin drops the sample that is nearest to its neighbours, so that what is kept
// spreads evenly over hours however often is looked. Both ends stay.
func thin(samples []sample) []sample {
	drop, least := 1, math.Inf(1)
	for i := 1; i < len(samples)-1; i++ {
		if gap := samples[i+1].Age - samples[i-1].Age; gap < least {
			drop, least = i, gap
		}
	}
	return slices.Delete(samples, drop, drop+1)
}

// leak returns the growth in bytes per second, where there is one: a straight
// rise by least squares, over an hour at least, that stands out of the noise
// and was going on in the older half of the time as well as in the newer. A
// step, a start that takes its time, and a size that goes up and down are
// none.
func (h history) leak() (perSecond float64, ok bool) {
	n := len(h.Samples)
	if n < leastSamples || h.Samples[n-1].Age-h.Samples[0].Age < leastSpan.Seconds() {
		return 0, false
	}
	all := fit(h.Samples)
	rise := all.slope * (h.Samples[n-1].Age - h.Samples[0].Age)
	if !(all.slope > 0) || rise < noise*all.spread {
		return 0, false
	}
	middle := (h.Samples[0].Age + h.Samples[n-1].Age) / 2
	half, _ := slices.BinarySearchFunc(h.Samples, middle, func(s sample, age float64) int {
		if s.Age < age {
			return -1
		}
		return 1
	})
	if half < 2 || n-half < 2 {
		return 0, false
	}
	older, newer := fit(h.Samples[:half]), fit(h.Samples[half:])
	if older.slope < all.slope/4 || newer.slope < all.slope/2 {
		return 0, false
	}
	return all.slope, true
}

// line is a straight line through samples.
type line struct {
	slope  float64 // bytes per second
	spread float64 // standard deviation of the samples around it, bytes
}

// fit lays the line by least squares. Ages are taken from their mean, so that
// a process of a year's age loses no digits.
func fit(samples []sample) line {
	n := float64(len(samples))
	var age, size float64
	for _, s := range samples {
		age += s.Age / n
		size += s.Bytes / n
	}
	var xx, xy, yy float64
	for _, s := range samples {
		x, y := s.Age-age, s.Bytes-size
		xx += x * x
		xy += x * y
		yy += y * y
	}
	if xx == 0 {
		return line{}
	}
	slope := xy / xx
	rest := max(yy-slope*xy, 0)
	return line{slope: slope, spread: math.Sqrt(rest / max(n-2, 1))}
}

// judgeGrowth reports the workers that leak, and when they reach the limit of
// their resident memory or of their control group.
func judgeGrowth(r *check.Report, list []worker, histories map[string]history, groups []limited) {
	r.Absent(growth)
	r.Absent(timeToLimit)
	for _, w := range list {
		perSecond, ok := histories[w.label].leak()
		if !ok {
			continue
		}
		r.Observe(growth, perSecond*time.Hour.Seconds(), w.label)
		room := math.Inf(1)
		if _, critical := r.Limits(rss, w.label); critical != nil && !critical.Inside {
			room = critical.End - float64(w.main.RSS)
		}
		for _, g := range groups {
			if g.has(w.main.PID) {
				room = min(room, float64(g.Limit)-float64(g.Used))
			}
		}
		if !math.IsInf(room, 1) {
			r.Observe(timeToLimit, max(room, 0)/perSecond, w.label)
		}
	}
}

// remember takes the workers' sizes into the histories; what is gone is
// forgotten.
func remember(before map[string]history, list []worker, boot string) map[string]history {
	next := make(map[string]history, len(list))
	bound := max(min(maxSamples, maxAllSamples/max(len(list), 1)), leastSamples*2)
	for _, w := range list {
		if len(next) < maxKept {
			next[w.label] = before[w.label].add(identity(boot, w.main), w.main, bound)
		}
	}
	return next
}
