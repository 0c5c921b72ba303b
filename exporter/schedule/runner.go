package schedule

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/belfry-monitoring/belfry/common/check"
)

// HistoryLength is how many looks of a job are remembered.
const HistoryLength = 60

// Entry is one look of the past.
type Entry struct {
	At       time.Time
	State    check.State
	Duration time.Duration
	// Value is the worst judged value of the definition's first metric, the
	// largest among equals; NaN where the look has none.
	Value float64
	// Text is what Options.Text made of the look, at most MaxPastText bytes;
	// empty for looks before the last TextsKept.
	Text string
}

// Of the words that looks have said, which are most of what a history weighs,
// the newest are kept, each cut to a length in bytes: 4 kB of a check at most.
const (
	TextsKept   = 20
	MaxPastText = 200
)

// runner is a job with its goroutine. Only that goroutine writes state.
type runner struct {
	scheduler *Scheduler
	job       Job
	slots     slots
	memory    check.Memory
	added     time.Time
	due       time.Time // by when the first look should have returned

	state  atomic.Pointer[state]
	ctx    context.Context
	cancel context.CancelFunc
	idle   chan struct{} // closed when no look will be started or recorded any more
	gone   chan struct{} // closed when no look runs any more, the one that ignores its deadline included

	// awaits is closed when no look of the removed job before this one runs any
	// more; nil for none. looks is set once this one may look.
	awaits <-chan struct{}
	looks  atomic.Bool
}

// state is what is known of a job. It is never changed in place.
type state struct {
	result       *check.Result // nil: not looked yet
	since        time.Time     // start of the first of the looks that all had the state of the result
	derived      any
	running      bool
	waiting      bool      // for a place
	busySince    time.Time // of running or waiting
	hangingSince time.Time // start of the look that ignores its deadline; zero: none
	next         time.Time
	runs         [4]uint64 // by state
	abandoned    uint64
	lastOK       time.Time // start of the newest look that was OK; zero: none
	history      []Entry   // oldest first
}

// dueGrace is what a look may take beyond its timeout to be recorded.
const dueGrace = time.Second

func newRunner(s *Scheduler, job Job, spread time.Duration) *runner {
	r := &runner{
		scheduler: s, job: job, memory: job.Memory, added: time.Now(),
		slots: newSlots(s.origin, s.options.Seed, job.key(), job.Interval, spread),
		idle:  make(chan struct{}), gone: make(chan struct{}),
	}
	if r.memory == nil {
		r.memory = &memory{}
	}
	s.longest.Store(max(s.longest.Load(), int64(job.Timeout))) // under Set's lock
	r.due = r.added.Add(r.slots.first + job.Timeout + dueGrace)
	r.state.Store(&state{next: r.added.Add(r.slots.first)})
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

func (r *runner) start() { go r.loop() }

// follow makes the runner wait for the removed one before it, whose look may
// hang. Where that one was waiting itself, it waits for the same.
func (r *runner) follow(before *runner) {
	r.awaits = before.awaits
	if before.looks.Load() {
		r.awaits = before.gone
	}
	since := before.state.Load().hangingSince
	r.update(func(s *state) { s.hangingSince = since })
}

// mayLook waits for the removed job. It reports false when this one has been
// removed, too.
func (r *runner) mayLook() bool {
	if r.awaits != nil {
		select {
		case <-r.awaits:
		case <-r.ctx.Done():
			return false
		}
		r.update(func(s *state) { s.hangingSince = time.Time{} })
	}
	r.looks.Store(true)
	return true
}

// update replaces the state by a changed copy.
func (r *runner) update(change func(*state)) {
	next := *r.state.Load()
	change(&next)
	r.state.Store(&next)
}

// loop looks at each slot. While a look that ignored its deadline has not
// returned, no other one is started.
func (r *runner) loop() {
	if !r.mayLook() {
		r.job.close()
		close(r.idle)
		close(r.gone)
		return
	}
	var hang <-chan struct{}
	defer close(r.gone)
	defer func() {
		r.cancel()
		if hang == nil {
			r.job.close()
			close(r.idle)
			return
		}
		close(r.idle) // nobody waits for what ignores its deadline
		<-hang
		r.scheduler.hanging.Add(-1)
		r.job.close()
	}()
	timer := time.NewTimer(time.Until(r.state.Load().next))
	defer timer.Stop()
	last := r.added
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-hang:
			hang = nil
			r.scheduler.hanging.Add(-1)
			r.update(func(s *state) { s.hangingSince = time.Time{} })
			continue
		case <-timer.C:
		}
		if hang == nil {
			var ok bool
			if hang, ok = r.run(); !ok {
				return
			}
			last = time.Now()
			if result := r.state.Load().result; result != nil {
				last = result.Started
			}
		}
		next := r.slots.after(time.Now(), last)
		r.update(func(s *state) { s.next = next })
		timer.Reset(time.Until(next))
	}
}

// run takes one look and records it. hang is not nil when the look was
// abandoned; ok is false when the job has been removed meanwhile, whose
// interrupted look says nothing.
func (r *runner) run() (hang <-chan struct{}, ok bool) {
	r.update(func(s *state) { s.waiting, s.busySince = true, time.Now() })
	result, ok := r.scheduler.take(r.ctx, func() *check.Result {
		if delayed := r.scheduler.options.Delayed; delayed != nil {
			delayed(max(time.Since(r.state.Load().next), 0))
		}
		r.update(func(s *state) { s.waiting, s.running, s.busySince = false, true, time.Now() })
		return r.job.look(r.ctx, r.memory)
	})
	if !ok {
		return nil, false
	}
	if r.ctx.Err() != nil {
		return result.Abandoned, false
	}
	r.record(result)
	return result.Abandoned, true
}

func (r *runner) record(result *check.Result) {
	derived, text := r.finished(&result)
	r.update(func(s *state) {
		if s.result == nil || s.result.State != result.State {
			s.since = result.Started
		}
		s.running, s.result, s.derived = false, result, derived
		s.runs[min(result.State, check.Unknown)]++
		if result.State == check.OK {
			s.lastOK = result.Started
		}
		s.hangingSince = time.Time{}
		if result.Abandoned != nil {
			s.hangingSince = result.Started
			s.abandoned++
		}
		s.history = remember(s.history, Entry{
			At: result.Started, State: result.State, Duration: result.Duration, Value: headline(result), Text: text,
		})
	})
}

// remember returns the history with one more look; readers have the old one.
func remember(history []Entry, newest Entry) []Entry {
	kept := history[max(len(history)-HistoryLength+1, 0):]
	next := append(make([]Entry, 0, HistoryLength), kept...) // whole at once: memory does not grow for an hour
	if n := len(kept); n > 0 && kept[n-1].Text == newest.Text {
		newest.Text = kept[n-1].Text // what is said again and again is held once
	}
	if n := len(next) - TextsKept; n >= 0 {
		next[n].Text = ""
	}
	return append(next, newest)
}

// cutText bounds the words of a look at a rune's edge. What is cut off must
// not stay in memory.
func cutText(text string) string {
	if len(text) <= MaxPastText {
		return text
	}
	end := MaxPastText - len("...")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.Clone(text[:end]) + "..."
}

// finished calls the hooks; a result on which one panics is replaced by one
// that says so.
func (r *runner) finished(result **check.Result) (derived any, text string) {
	defer func() {
		if cause := recover(); cause != nil {
			failed := r.job.unknown((*result).Started, check.Internal, fmt.Sprintf("panic: %v (a defect of the exporter, please report it)", cause))
			failed.Duration, failed.Abandoned = (*result).Duration, (*result).Abandoned
			failed.Trace = []string{string(debug.Stack())}
			*result, derived, text = failed, nil, failed.Rows[0].Text
		}
	}()
	if hook := r.scheduler.options.Finished; hook != nil {
		derived = hook(r.state.Load().result, *result)
	}
	if hook := r.scheduler.options.Text; hook != nil {
		text = cutText(hook(*result))
	}
	return derived, text
}

// headline picks the value of the first metric that stands for the look.
func headline(result *check.Result) float64 {
	worst := math.NaN()
	state := check.OK
	for _, v := range result.Values {
		if len(result.Definition.Metrics) == 0 || v.Metric != result.Definition.Metrics[0] {
			continue
		}
		if math.IsNaN(worst) || v.State.WorseThan(state) || v.State == state && v.Judged > worst {
			worst, state = v.Judged, v.State
		}
	}
	return worst
}
