// Package schedule runs configured checks at their intervals and keeps what
// they saw. Reading never waits for a look, and a look that hangs delays only
// its own target.
package schedule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Job is one check of one target. The pair of the definition's name and the
// target is unique in a scheduler.
type Job struct {
	Definition *check.Definition
	Target     string
	Interval   time.Duration // between the starts of two looks; at least a second
	Timeout    time.Duration // of one look; at most the interval

	// Look takes one look and returns at the timeout at the latest, as
	// check.Look does. It is never called twice at once.
	Look func(context.Context, check.Memory) *check.Result
	// Close gives back what the check keeps open; nil for nothing. It is not
	// called while a look runs.
	Close func() error

	// Identity is equal for jobs that are configured alike: Set leaves such a
	// job as it is, with its results.
	Identity string
	// MemoryKey is equal for jobs that look at the same thing in the same
	// way, however they judge it: what they remember outlives a Set.
	MemoryKey string
	// Memory keeps what the job remembers; nil: as long as the scheduler does.
	// A Set that knows the MemoryKey goes on with the memory of the job before.
	Memory check.Memory
}

type key struct{ check, target string }

func (j *Job) key() key { return key{j.Definition.Name, j.Target} }

func (k key) compare(other key) int {
	return cmp.Or(cmp.Compare(k.check, other.check), cmp.Compare(k.target, other.target))
}

// Options of a scheduler; the zero value is useful.
type Options struct {
	// Seed tells replicas apart: two schedulers with the same jobs and
	// different seeds look at different moments.
	Seed string
	// Finished is called after each look with the result before it (nil for
	// none) and the new one. What it returns is kept beside the result: a
	// face makes there, once, what it would else make at every reading.
	Finished func(before, now *check.Result) any
	// Text says what a look has found, in the words that its history keeps; nil
	// for none.
	Text func(*check.Result) string
	// Delayed is called as each look begins with how long after its slot that
	// is: the time that it waited for a place and that the machine was busy.
	Delayed func(time.Duration)
}

// Scheduler runs jobs. Its methods may be called from any goroutine.
type Scheduler struct {
	options Options
	origin  time.Time    // the grid of all slots starts here
	room                 // its hanging looks are those of removed jobs, too
	longest atomic.Int64 // the longest timeout of all jobs so far, in nanoseconds

	setting sync.Mutex // one Set or Stop at a time
	stopped bool
	runners atomic.Pointer[[]*runner] // sorted by check and target, never changed in place
}

// New makes a scheduler without jobs.
func New(options Options) *Scheduler {
	s := &Scheduler{options: options, origin: time.Now(), room: room{bound: newPlaces(1)}}
	s.runners.Store(&[]*runner{})
	return s
}

// Plan is a set of jobs and how they share the machine.
type Plan struct {
	Jobs []Job
	// Places is how many looks may run at the same time. A look that was
	// abandoned at its deadline takes none.
	Places int
	// Spread is the time over which the first looks of new jobs are spread,
	// or their interval if that is shorter.
	Spread time.Duration
}

// stopGrace is how long Set waits for the looks of removed jobs to return
// from their cancelled contexts; what takes longer ends behind its back.
const stopGrace = time.Second

// Set replaces the jobs. A job whose identity stays the same goes on as if
// nothing had happened; any other starts anew, keeping only its memory where
// the MemoryKey is the same.
func (s *Scheduler) Set(plan Plan) error {
	s.setting.Lock()
	defer s.setting.Unlock()
	if s.stopped {
		return errors.New("set the jobs: the scheduler has been stopped")
	}
	wanted := make(map[key]bool, len(plan.Jobs))
	for i := range plan.Jobs {
		k := plan.Jobs[i].key()
		if wanted[k] {
			return fmt.Errorf("set the jobs: check %s of target %s twice", k.check, k.target)
		}
		wanted[k] = true
	}
	old := make(map[key]*runner)
	for _, r := range *s.runners.Load() {
		old[r.job.key()] = r
	}
	s.bound.resize(plan.Places)

	var next, fresh []*runner
	follows := make(map[*runner]*runner)
	for _, job := range plan.Jobs {
		before := old[job.key()]
		if before != nil && before.job.Identity == job.Identity {
			next = append(next, before)
			delete(old, job.key())
			job.close()
			continue
		}
		r := newRunner(s, job, plan.Spread)
		if before != nil && before.job.MemoryKey == job.MemoryKey {
			r.memory = before.memory
			follows[r] = before
		}
		next, fresh = append(next, r), append(fresh, r)
	}
	removed := make([]*runner, 0, len(old))
	for _, r := range old {
		removed = append(removed, r)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	stopAll(ctx, removed) // before the new ones start: a target is never looked at twice at once
	for r, before := range follows {
		r.follow(before)
	}

	slices.SortFunc(next, func(a, b *runner) int { return a.job.key().compare(b.job.key()) })
	s.runners.Store(&next)
	for _, r := range fresh {
		r.start()
	}
	return nil
}

// Stop ends all looks and waits until they have returned or ctx is over. A
// look that ignores its deadline is not waited for. Snapshots stay readable.
func (s *Scheduler) Stop(ctx context.Context) error {
	s.setting.Lock()
	defer s.setting.Unlock()
	s.stopped = true
	if busy := stopAll(ctx, *s.runners.Load()); busy > 0 {
		return fmt.Errorf("stop the checks: %d still look: %w", busy, context.Cause(ctx))
	}
	return nil
}

// stopAll cancels the runners, waits for their looks, and returns how many
// are not back when ctx ends.
func stopAll(ctx context.Context, runners []*runner) (busy int) {
	for _, r := range runners {
		r.cancel()
	}
	for _, r := range runners {
		select {
		case <-r.idle:
		case <-ctx.Done():
			busy++
		}
	}
	return busy
}

// Stats says how the scheduler is doing.
type Stats struct {
	Jobs    int
	Places  int // how many looks may run at the same time
	Running int // looks that take a place now
	Waiting int // looks that are due and wait for a place
	Hanging int // looks that were abandoned at their deadline and have not returned
}

// Stats returns the numbers of this moment.
func (s *Scheduler) Stats() Stats {
	places, running, waiting := s.bound.stats()
	return Stats{
		Jobs: len(*s.runners.Load()), Places: places, Running: running, Waiting: waiting,
		Hanging: int(s.hanging.Load()),
	}
}

// Snapshot returns what is known of one job at the time now. It never waits.
func (s *Scheduler) Snapshot(check, target string, now time.Time) (snap Snapshot, ok bool) {
	runners := *s.runners.Load()
	i, ok := slices.BinarySearchFunc(runners, key{check, target}, func(r *runner, k key) int { return r.job.key().compare(k) })
	if !ok {
		return Snapshot{}, false
	}
	return runners[i].snapshot(now), true
}

// Snapshots returns what is known of each job at the time now, sorted by
// check and target. It never waits.
func (s *Scheduler) Snapshots(now time.Time) []Snapshot {
	runners := *s.runners.Load()
	snapshots := make([]Snapshot, len(runners))
	for i, r := range runners {
		snapshots[i] = r.snapshot(now)
	}
	return snapshots
}
