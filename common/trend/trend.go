// Package trend tells steady growth from what looks like it for a while: a
// step, a start that takes its time, a size that goes up and down. It is pure:
// no clock, no input or output, no verdicts.
package trend

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"slices"
)

// Window bounds how far back a series reaches, in seconds: a day, so that the
// load's own rhythm is in it.
const Window = 24 * 3600

// clockBack is how far back, in seconds, a time may lie without the clock
// having been set: such a sample is left out, a clock that was set begins a
// new series.
const clockBack = 60

// Sample is a value at a time.
type Sample struct {
	At    float64 // seconds since any fixed moment, whole
	Value float64 // any unit
}

// MarshalJSON writes [at,value].
func (s Sample) MarshalJSON() ([]byte, error) { return json.Marshal([2]float64{s.At, s.Value}) }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Sample) UnmarshalJSON(data []byte) error {
	var both []float64
	if err := json.Unmarshal(data, &both); err != nil {
		return err
	}
	if len(both) != 2 {
		return errors.New("a sample is two numbers: time and value")
	}
	s.At, s.Value = both[0], both[1]
	return nil
}

// Series is the last day of one quantity that is never below zero, oldest
// first. The zero value is an empty one. It is never changed: Add returns another.
type Series struct {
	Samples []Sample `json:"s,omitempty"`
	// Peak is the largest value of the samples that are too old to be kept;
	// zero for none.
	Peak float64 `json:"k,omitempty"`
}

// Add returns the series with one more sample and at most bound of them (at
// least 8). Where there are too many, the one goes whose neighbours are
// closest together, so that the rest stays spread evenly over the time: looks
// every ten seconds reach back as far as looks every ten minutes. Values that
// are no finite number are left out, and so is a second sample within a
// second.
func (s Series) Add(at, value float64, bound int) Series {
	at = math.Round(at)
	if !finite(at) || !finite(value) {
		return s
	}
	if !slices.IsSortedFunc(s.Samples, func(a, b Sample) int { return cmp.Compare(a.At, b.At) }) {
		s = Series{} // a damaged file
	}
	if n := len(s.Samples); n > 0 {
		switch last := s.Samples[n-1].At; {
		case at < last-clockBack:
			s = Series{}
		case at <= last:
			return s
		}
	}
	next := Series{Samples: append(slices.Clone(s.Samples), Sample{at, value}), Peak: s.Peak}
	old := 0
	for next.Samples[old].At < at-Window {
		next.Peak = math.Max(next.Peak, next.Samples[old].Value)
		old++
	}
	next.Samples = next.Samples[old:]
	for len(next.Samples) > max(bound, 8) {
		i := next.closest()
		next.Samples = slices.Delete(next.Samples, i, i+1)
	}
	return next
}

// closest returns the sample between the first and the last whose neighbours
// are closest together.
func (s Series) closest() int {
	best, gap := 1, math.Inf(1)
	for i := 1; i < len(s.Samples)-1; i++ {
		if g := s.Samples[i+1].At - s.Samples[i-1].At; g < gap {
			best, gap = i, g
		}
	}
	return best
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Growth is a steady rise.
type Growth struct {
	// PerSecond is the rise in a second by least squares over the whole span.
	PerSecond float64
	// Newest is the same over the newer half, and at most PerSecond: a
	// forecast goes by the slower of the two.
	Newest float64
	Span   float64 // seconds from the first sample to the last
}

// Until returns the seconds until a value that is now room below its limit
// reaches it. A forecast reaches no further ahead than twice as far as was
// looked back: ok is false beyond, because nothing is known of that time. At
// the limit and above it is zero.
func (g Growth) Until(room float64) (seconds float64, ok bool) {
	if !finite(room) || !(g.Newest > 0) {
		return 0, false
	}
	seconds = math.Max(room, 0) / g.Newest
	return seconds, seconds <= 2*g.Span
}

// What makes a rise a steady one.
const (
	// leastSamples and leastSpan (seconds) are what a growth is told from.
	leastSamples, leastSpan = 6, 3600
	// noise is how many standard deviations of the samples around the line
	// the whole rise must be, and how many standard errors the slope.
	noise = 4
	// fell is the part of the rise that the last sample may be below the line
	// where noise (three standard deviations) is no more.
	fell = 0.125
	// jump is the part of the rise that two neighbours may be apart beyond
	// what the line has between them: two steps are no growth.
	jump = 0.25
	// steady is the part of its share that each quarter of the time must have
	// of the rise: after a step, on a staircase, one has none.
	steady = 0.25
	// lasting is that of the newest: a start that slows down is none.
	lasting = 0.6
)

// Growth returns the growth of the series, where there is one. It is one when
//
//   - there are at least six samples over at least an hour,
//   - the rise stands out of the noise: four standard deviations of the
//     samples around the line, and the slope four standard errors,
//   - no single step is more than a quarter of it,
//   - it went on in each quarter of the time, and in the newest not much
//     slower (a start that levels off is none),
//   - the newest quarter is higher than anything before, and the last sample
//     not far below the line (a size that goes up and down has been here and
//     went back by itself).
func (s Series) Growth() (Growth, bool) {
	n := len(s.Samples)
	if n < leastSamples {
		return Growth{}, false
	}
	first, last := s.Samples[0].At, s.Samples[n-1].At
	span := last - first
	if !(span >= leastSpan) {
		return Growth{}, false
	}
	latest := s.Samples[n-1].Value
	s.Samples = smooth(s.Samples)
	all := fit(s.Samples)
	rise := all.slope * span
	if !(rise > 0 && rise >= noise*all.spread && all.slope >= noise*all.slopeError) {
		return Growth{}, false
	}
	if latest < all.end-math.Max(3*all.spread, fell*rise) || s.highestStep(all.slope) > jump*rise {
		return Growth{}, false
	}
	quarters, complete := s.quarters()
	if !complete || !goesOn(quarters) || !s.higherThanEver(first+span*3/4, all.spread) {
		return Growth{}, false
	}
	newer := fit(s.since(first + span/2))
	if !(newer.slope > 0) || math.IsInf(all.slope, 0) {
		return Growth{}, false
	}
	return Growth{PerSecond: all.slope, Newest: math.Min(newer.slope, all.slope), Span: span}, true
}

// smooth takes the median of each sample and its neighbours, so that a spike of
// one look hides no growth and makes none; the last is the median of the last
// three.
func smooth(samples []Sample) []Sample {
	n := len(samples)
	smoothed := slices.Clone(samples)
	for i := 1; i < n; i++ {
		middle := min(i, n-2)
		three := []float64{samples[middle-1].Value, samples[middle].Value, samples[middle+1].Value}
		slices.Sort(three)
		smoothed[i].Value = three[1]
	}
	return smoothed
}

// highestStep returns how far a sample is above the one before, beyond what
// the slope has between them.
func (s Series) highestStep(slope float64) float64 {
	highest := 0.0
	for i := 1; i < len(s.Samples); i++ {
		a, b := s.Samples[i-1], s.Samples[i]
		highest = math.Max(highest, b.Value-a.Value-slope*(b.At-a.At))
	}
	return highest
}

// quarters returns the mean values of the four quarters of the time; complete
// is false when one has no sample.
func (s Series) quarters() (means [4]float64, complete bool) {
	first, last := s.Samples[0].At, s.Samples[len(s.Samples)-1].At
	var sums, counts [4]float64
	for _, p := range s.Samples {
		q := max(0, min(int(4*(p.At-first)/(last-first)), 3))
		sums[q] += p.Value
		counts[q]++
	}
	for q := range sums {
		if counts[q] == 0 {
			return means, false
		}
		means[q] = sums[q] / counts[q]
	}
	return means, true
}

// goesOn reports that each quarter has its share of the rise.
func goesOn(means [4]float64) bool {
	share := (means[3] - means[0]) / 3
	for q := 1; q < 4; q++ {
		least := steady
		if q == 3 {
			least = lasting
		}
		if means[q]-means[q-1] < least*share {
			return false
		}
	}
	return share > 0
}

// higherThanEver reports that the mean of what was measured since the moment
// is above all that was before, but for noise.
func (s Series) higherThanEver(moment, spread float64) bool {
	before := s.Peak
	for _, p := range s.Samples {
		if p.At < moment {
			before = math.Max(before, p.Value)
		}
	}
	newest := s.since(moment)
	sum := 0.0
	for _, p := range newest {
		sum += p.Value
	}
	return len(newest) > 0 && sum/float64(len(newest)) >= before-2*spread
}

// since returns the samples from the moment on.
func (s Series) since(moment float64) []Sample {
	i := slices.IndexFunc(s.Samples, func(p Sample) bool { return p.At >= moment })
	if i < 0 {
		return nil
	}
	return s.Samples[i:]
}
