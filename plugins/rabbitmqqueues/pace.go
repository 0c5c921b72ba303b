package rabbitmqqueues

import (
	"math"
	"time"

	"github.com/belfry-monitoring/belfry/common/rabbitmq"
	"github.com/belfry-monitoring/belfry/common/zulip/queuestats"
)

const (
	// maxGap is how long ago the previous look may be: nobody knows what went
	// on in a longer time without looks, or whether a clock was set.
	maxGap = 15 * time.Minute
	// gapCounts is what the time between two looks adds at most to the time
	// in which nothing was done, so that a clock set forward makes no worker
	// stuck.
	gapCounts = 2 * time.Minute
	// minWindow is over how long a rate is measured at least: the statistics
	// are renewed every 5 s and lag up to 8 s behind.
	minWindow = 20 * time.Second
	// freshFor is how old a worker's statistics may be to prove that it works:
	// it renews them every 30 s.
	freshFor = time.Minute
	// idleFor is how long ago an idle worker may have said so to be believed
	// where nothing else tells what it holds.
	idleFor = 5 * time.Minute
	// clockTolerance is how far ahead another clock may be.
	clockTolerance = time.Minute
	// backlogToBlame is from how many waiting messages on the age of a
	// worker's statistics says that it is stuck at the very first look. Zulip
	// has the same number: a worker writes its file a moment after the first
	// message comes.
	backlogToBlame = 10
	// restartsToBlame is how often a worker must have renewed its statistics
	// without a single success: at its start and with its first message is
	// ordinary.
	restartsToBlame = 2
	// growthLooks and growthTime are for how many windows in a row and how
	// long a queue must have grown, and growthLeast by how many messages.
	growthLooks = 10
	growthTime  = 10 * time.Minute
	growthLeast = 50
	// redeliveredLeast is how many redeliveries are no accident.
	redeliveredLeast = 10
)

// sighting is what one look sees of one queue.
type sighting struct {
	depth float64 // messages; ready ones only where exact is false
	exact bool    // what consumers hold is in the depth
	queue *rabbitmq.Queue
	stats *queuestats.Stats // of the worker; nil where there are none
	meant bool              // the queue may hold messages without a consumer
	now   time.Time
}

// working reports that the worker holds messages by its own word.
func (s *sighting) working() bool { return s.stats != nil && !s.stats.Idle() }

// deserted reports that nobody consumes from the queue.
func (s *sighting) deserted() bool {
	return s.queue.Consumers.Known && s.queue.Consumers.Value == 0
}

// empty reports that nothing waits and nobody holds anything, as far as that
// can be known.
func (s *sighting) empty() bool {
	return s.depth == 0 && (s.exact || s.deserted() || s.idle())
}

// idle reports that the queue's one worker has said lately that it holds
// nothing. The file of several workers speaks for one of them, and a worker
// that hangs while it is idle gets messages without knowing it.
func (s *sighting) idle() bool {
	return s.stats != nil && s.stats.Idle() && s.queue.Consumers.Known && s.queue.Consumers.Value == 1 && s.age() <= idleFor
}

// age is how old the worker's statistics are; beyond all limits where they
// are of the future.
func (s *sighting) age() time.Duration {
	if age := s.now.Sub(s.stats.Updated); age >= -clockTolerance {
		return age
	}
	return math.MaxInt64
}

// memo is what is remembered of a queue from one look to the next. The keys
// are short because a broker may have thousands of queues.
type memo struct {
	// The last look.
	Depth   float64         `json:"d,omitempty"`
	Left    rabbitmq.Number `json:"l,omitzero"`
	Updated int64           `json:"u,omitempty"` // of the worker's statistics, Unix microseconds
	Unmoved float64         `json:"s,omitempty"` // seconds in which nothing was done
	Barren  int             `json:"n,omitempty"` // statistics renewed without a success
	Failing bool            `json:"f,omitempty"` // the last ones had no success
	Idle    bool            `json:"e,omitempty"` // nothing was ready, and by the last ones nothing was held
	// The look from which rates are measured.
	Base window `json:"b"`
	// What the last full window has shown.
	Shown shown `json:"w,omitzero"`
	// Since when it grows, and how deep it was then.
	Grows     int     `json:"g,omitempty"`
	GrowsFrom float64 `json:"h,omitempty"`
	GrowsAt   int64   `json:"i,omitempty"`
}

// window begins a measurement.
type window struct {
	At          int64           `json:"t"` // Unix milliseconds
	Depth       float64         `json:"d,omitempty"`
	Left        rabbitmq.Number `json:"l,omitzero"`
	Redelivered rabbitmq.Number `json:"r,omitzero"`
}

// shown is what a window has shown.
type shown struct {
	Rate        float64 `json:"r,omitempty"` // messages per second that leave; 0: not known
	Before      float64 `json:"p,omitempty"` // the same of the window before
	Seconds     float64 `json:"t,omitempty"` // length of the window
	Change      bool    `json:"c,omitempty"` // the rate is that of the depth's own fall
	Idle        bool    `json:"i,omitempty"` // messages waited and none left
	Redelivered float64 `json:"x,omitempty"` // more than once for each message; 0: no loop
}

// pace is what can be said of how a queue is worked off.
type pace struct {
	drain   rabbitmq.Number // seconds until what is in the queue is worked off
	how     basis           // what the estimate stands on
	rate    float64         // messages per second, of all consumers
	proven  bool            // it is being worked off now
	stalled rabbitmq.Number // seconds in which messages were there and nothing was done

	grows       int // windows
	grewFrom    float64
	grewFor     time.Duration
	barren      int     // statistics renewed without a success, as long as messages are there
	redelivered float64 // messages given out again in a loop since the last window began; 0: none
	loopRate    float64 // the same per second, by the statistics of the last seconds; 0: none
}

type basis int

const (
	noBasis basis = iota
	byWorker
	byAcks
	byChange
)

// follow compares a sighting with what is remembered, nil for nothing, and
// says what to remember. The previous look was the gap ago.
func follow(s *sighting, before *memo, gap time.Duration) (memo, pace) {
	if before != nil && (gap <= 0 || gap > maxGap) {
		before = nil
	}
	next := memo{Depth: s.depth, Left: s.queue.Left}
	if s.stats != nil {
		next.Updated = s.stats.Updated.UnixMicro()
		next.Failing = !s.stats.HasMean
		next.Idle = s.depth == 0 && s.stats.Idle()
	}
	var p pace
	next.measure(s, before)
	p.estimate(s, before, &next)
	p.progress(s, before, &next, gap)
	p.trouble(s, before, &next)
	return next, p
}

// measure keeps the beginning of the window until it is long enough, and then
// what it has shown.
func (next *memo) measure(s *sighting, before *memo) {
	begin := window{At: s.now.UnixMilli(), Depth: s.depth, Left: s.queue.Left, Redelivered: s.queue.Redelivered}
	if before == nil {
		next.Base = begin
		return
	}
	next.Base, next.Shown = before.Base, before.Shown
	next.Grows, next.GrowsFrom, next.GrowsAt = before.Grows, before.GrowsFrom, before.GrowsAt
	length := s.now.Sub(time.UnixMilli(before.Base.At))
	switch {
	case length < 0 || length > 2*maxGap:
		next.Base, next.Shown = begin, shown{}
		next.Grows = 0
	case length >= minWindow:
		next.Shown = before.Base.show(s, length.Seconds())
		next.Shown.Before = before.Shown.Rate
		next.grow(s.depth, before.Base, s.meant)
		next.Base = begin
	}
}

// show compares the two ends of a window.
func (w window) show(s *sighting, seconds float64) shown {
	seen := shown{Seconds: seconds}
	left := math.NaN()
	if w.Left.Known && s.queue.Left.Known && s.queue.Left.Value >= w.Left.Value {
		left = s.queue.Left.Value - w.Left.Value
	}
	if again := s.queue.Redelivered.Value - w.Redelivered.Value; w.Redelivered.Known && s.queue.Redelivered.Known && !math.IsNaN(left) &&
		again >= redeliveredLeast && again > 2*(max(w.Depth, s.depth)+left) {
		seen.Redelivered = again
	}
	if math.IsNaN(left) {
		// Nobody counts what leaves. A queue that has lost more than half of
		// its messages is gone in less than this time once more.
		if s.depth <= w.Depth/2 && s.depth > 0 {
			seen.Rate, seen.Change = (w.Depth-s.depth)/seconds, true
		}
		return seen
	}
	// Messages also leave without a consumer: they expire, or are purged.
	gone := max(left, w.Depth-s.depth)
	switch {
	case gone == 0:
		seen.Idle = w.Depth > 0 && s.depth > 0
	case gone < w.Depth:
		// Some that waited at the beginning wait still: there was work all the
		// time, and the consumers can do no more.
		seen.Rate = gone / seconds
	case s.depth <= gone/4:
		// The queue may have been empty meanwhile and its consumers able to do
		// more, but so much is sure, and it is enough.
		seen.Rate = gone / seconds
	}
	return seen
}

// pace is the rate at which a queue of the depth is worked off. A window may
// have begun while the worker was being started: slowness counts when two
// windows in a row show it, and only speed, where the queue is gone in half
// the time of the window, by one.
func (w *shown) pace(depth float64) (rate float64, ok bool) {
	rate = max(w.Rate, w.Before)
	return rate, w.Rate > 0 && (w.Before > 0 || depth/rate <= w.Seconds/2)
}

// grow counts windows at whose end there was more than at their beginning.
func (next *memo) grow(depth float64, base window, meant bool) {
	switch {
	case depth <= base.Depth || meant:
		next.Grows = 0
	case next.Grows == 0:
		next.Grows, next.GrowsFrom, next.GrowsAt = 1, base.Depth, base.At
	default:
		next.Grows++
	}
	if next.Grows == 0 {
		next.GrowsFrom, next.GrowsAt = 0, 0
	}
}

// estimate says how long it takes to work off what is there. A rate of zero is
// no estimate, and a queue without consumer has none.
func (p *pace) estimate(s *sighting, before, next *memo) {
	consumers := 1.0
	if s.queue.Consumers.Above(1) {
		consumers = s.queue.Consumers.Value
	}
	mean := 0.0
	if s.stats != nil && s.stats.HasMean {
		mean = s.stats.SecondsPerMessage
	}
	seen, ok := next.Shown.pace(s.depth)
	switch {
	case s.empty():
		p.drain = rabbitmq.Known(0)
		return
	case s.depth == 0 || s.deserted():
		return
	case ok:
		p.how, p.rate, p.proven = byAcks, seen, true
		if next.Shown.Change {
			p.how = byChange
		}
	case mean > 0:
		// A mean is of the past: only who has just written it works.
		p.how, p.rate = byWorker, consumers/mean
		p.proven = s.fresh(before) && !next.Shown.Idle
	default:
		return
	}
	p.drain = rabbitmq.Known(s.depth / p.rate)
}

// fresh reports that the worker has written its statistics lately, or since
// the previous look where its clock is another one.
func (s *sighting) fresh(before *memo) bool {
	if s.stats == nil || !s.stats.HasMean {
		return false
	}
	return s.age() <= freshFor || s.renewed(before)
}

// renewed reports that the worker's statistics are others than at the
// previous look.
func (s *sighting) renewed(before *memo) bool {
	return before != nil && before.Updated != 0 && s.stats != nil && s.stats.Updated.UnixMicro() != before.Updated
}

// progress adds up the time in which messages were there and nothing was done.
func (p *pace) progress(s *sighting, before, next *memo, gap time.Duration) {
	busy := s.depth > 0 || !s.exact && s.working()
	switch {
	case s.empty():
		p.stalled = rabbitmq.Known(0)
		return
	case !busy || s.deserted() && !s.queue.Unacknowledged.Above(0) || s.meant:
		return // of what nobody has in his hands it is said at once that nobody consumes
	case before == nil, !s.exact && before.Idle && s.working():
		// The age of the worker's statistics is all there is. A worker that
		// was idle writes them when the first message comes, a moment later.
		if s.stats != nil && (s.depth > backlogToBlame && before == nil || !s.exact && s.working()) {
			next.Unmoved = max(s.now.Sub(s.stats.Updated).Seconds(), 0)
			p.stalled = rabbitmq.Known(next.Unmoved)
		}
		return
	}
	counted := before.Left.Known && s.queue.Left.Known
	written := before.Updated != 0 && s.stats != nil
	moved := counted && s.queue.Left.Value != before.Left.Value || // less: the broker has started anew
		written && s.renewed(before) && s.stats.HasMean ||
		!counted && s.depth < before.Depth
	if !counted && !written {
		return // nobody could have seen it
	}
	if !moved {
		next.Unmoved = before.Unmoved
		if before.Depth > 0 || !s.exact && !before.Idle {
			next.Unmoved += min(gap, gapCounts).Seconds()
		}
	}
	p.stalled = rabbitmq.Known(next.Unmoved)
}

// trouble finds what goes on in circles, and what grows.
func (p *pace) trouble(s *sighting, before, next *memo) {
	busy := s.depth > 0 || !s.exact && s.working()
	if next.Failing && before != nil {
		next.Barren = before.Barren
		// A worker that is started anew and has nothing to do has no success.
		if s.renewed(before) && before.Failing && busy && (before.Depth > 0 || !s.exact) {
			next.Barren++
		}
	}
	if next.Barren >= restartsToBlame && busy {
		p.barren = next.Barren
	}
	if s.depth > 0 && !s.meant {
		p.redelivered = next.Shown.Redelivered
		// Each message more than once a second. A worker that has started anew
		// gets what the old one held once, and acknowledges it.
		if rate := s.queue.RedeliverRate; rate.Above(max(s.depth, 1)) && s.queue.AckRate.Value < rate.Value/4 {
			p.loopRate = rate.Value
		}
	}
	grewFor := s.now.Sub(time.UnixMilli(next.GrowsAt))
	if next.Grows >= growthLooks && grewFor >= growthTime && s.depth >= 2*next.GrowsFrom && s.depth >= next.GrowsFrom+growthLeast {
		p.grows, p.grewFrom, p.grewFor = next.Grows, next.GrowsFrom, grewFor
	}
}

// worthKeeping reports whether a memo says more than that nothing is there. Of
// a queue with statistics that is much: what is there next is new, however
// long ago its idle worker wrote them.
func (next *memo) worthKeeping(s *sighting) bool { return s.depth > 0 || s.stats != nil }
