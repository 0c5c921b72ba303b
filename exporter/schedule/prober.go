package schedule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Why a prober does not answer. Neither says anything of the target.
var (
	ErrBusy    = errors.New("the exporter is too busy")
	ErrStopped = errors.New("the exporter stops")
)

// Ask is a look that somebody wants now.
type Ask struct {
	// Module and Target name what is looked at: no pair is ever looked at
	// twice at the same time.
	Module, Target string
	// Identity is equal for asks that are configured alike: those share a
	// look that runs.
	Identity string
	// Timeout is how long the asker waits.
	Timeout time.Duration
	// Job makes what looks, for the time that is left; it is called once for
	// each look, with its Close afterwards. Its Memory may be nil for none.
	Job func(timeout time.Duration) Job
	// Overdue is the state of an answer that no look has given in time.
	Overdue check.State
}

func (a *Ask) key() key { return key{a.Module, a.Target} }

// Answer is what a probe says.
type Answer struct {
	Result *check.Result
	// Looked is false when Result is not a look's own, because that is not
	// over: it says nothing of findings and values.
	Looked bool
	Shared bool          // another asker began the look
	Waited time.Duration // before the look began
}

// ProberOptions bound a prober.
type ProberOptions struct {
	Places int // looks that run at the same time; one that is abandoned takes none
	// Flights bounds the looks that run, wait or hang; 0 for no bound, where
	// the targets are known.
	Flights int
}

// maxAskers is how many may share one look.
const maxAskers = 16

// Prober takes looks that are asked for. It keeps nothing of one that is
// over. Its methods may be called from any goroutine.
type Prober struct {
	room
	ctx  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	limit   int // of flights
	flights map[key]*flight
}

// flight is a look that runs, waits for its place, or hangs.
type flight struct {
	identity string
	asked    time.Time
	askers   int  // under the prober's lock, as the next
	hangs    bool // abandoned, and not returned yet

	// Written before done is closed.
	timeout time.Duration // that the look had
	waited  time.Duration
	result  *check.Result
	err     error
	done    chan struct{} // closed when there is a result or an error
}

// NewProber makes a prober.
func NewProber(o ProberOptions) *Prober {
	p := &Prober{room: room{bound: newPlaces(o.Places)}, limit: o.Flights, flights: make(map[key]*flight)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Resize changes the bounds while looks run.
func (p *Prober) Resize(o ProberOptions) {
	p.bound.resize(o.Places)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = o.Flights
}

// Probe returns the verdict of a look that has begun for this ask, or of one
// that was under way for another. The look does not end when ctx does: others
// may wait for it. A look that had less time than this asker has left, and
// found fault, is not taken for his; nor is one of another configuration. The
// error wraps ErrBusy, ErrStopped or that of ctx.
func (p *Prober) Probe(ctx context.Context, a Ask) (Answer, error) {
	end := time.Now().Add(a.Timeout)
	overdue := time.NewTimer(a.Timeout)
	defer overdue.Stop()
	for {
		f, own, hung, err := p.join(a, end)
		if err != nil {
			return Answer{}, err
		}
		patience := overdue.C
		if own {
			patience = nil // it returns at its deadline
		}
		select {
		case <-f.done:
			p.leave(f)
		case <-patience:
			p.leave(f)
			return f.overdue(a), nil
		case <-ctx.Done():
			p.leave(f)
			return Answer{}, context.Cause(ctx)
		}
		switch left := time.Until(end); {
		case hung:
			return f.hanging(), nil
		case own || f.identity == a.Identity && (f.good() || left <= f.timeout):
			return Answer{Result: f.result, Looked: true, Shared: !own, Waited: f.waited}, f.err
		}
	}
}

// good reports a look whose verdict more time could not make better.
func (f *flight) good() bool { return f.err == nil && f.result.State == check.OK }

// overdue is the answer to one who had less time than the look.
func (f *flight) overdue(a Ask) Answer {
	job := a.Job(a.Timeout)
	job.close()
	text := fmt.Sprintf("no result within %s: the look that began at %s for another request still runs", check.FormatDuration(a.Timeout), clock(f.asked))
	result := job.unknown(f.asked, check.Timeout, text)
	result.State, result.Rows[0].State, result.Rows[0].Kind = a.Overdue, a.Overdue, check.RowDeadline
	result.Duration, result.TimedOut = a.Timeout, true
	return Answer{Result: result, Shared: true}
}

// hanging is the answer while a look that was abandoned has not returned: the
// state in which its deadline left it, without what it saw.
func (f *flight) hanging() Answer {
	job := Job{Definition: f.result.Definition, Target: f.result.Target}
	hung := job.unknown(f.result.Started, check.Timeout, hangingText(f.result.Started, f.timeout))
	for _, row := range f.result.Rows {
		if row.Kind == check.RowDeadline {
			hung.State, hung.Rows[0].State = row.State, row.State
			break
		}
	}
	hung.Rows[0].Kind, hung.Duration, hung.TimedOut = check.RowDeadline, f.result.Duration, true
	return Answer{Result: hung, Shared: true}
}

// join finds the flight of the ask, or begins one where there is none; own
// says which, and hung that it was abandoned before.
func (p *Prober) join(a Ask, end time.Time) (f *flight, own, hung bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return nil, false, false, ErrStopped
	}
	if f := p.flights[a.key()]; f != nil {
		if f.askers >= maxAskers {
			return nil, false, false, fmt.Errorf("%w: %d wait for the same look already", ErrBusy, maxAskers)
		}
		f.askers++
		return f, false, f.hangs, nil
	}
	switch {
	case p.limit > 0 && len(p.flights) >= p.limit:
		return nil, false, false, fmt.Errorf("%w: %d looks run, wait or hang already", ErrBusy, p.limit)
	case time.Until(end) < a.least():
		return nil, false, false, fmt.Errorf("%w: a look of the configuration before has taken half of the time", ErrBusy)
	}
	f = &flight{identity: a.Identity, asked: time.Now(), askers: 1, done: make(chan struct{})}
	p.flights[a.key()] = f
	go p.fly(f, a, end)
	return f, true, false, nil
}

// least is what must be left of an asker's time for a look to begin: one that
// is cut short because the exporter is busy would blame its target.
func (a *Ask) least() time.Duration { return a.Timeout / 2 }

func (p *Prober) leave(f *flight) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.askers--
}

// fly takes the look and waits for it to return, however long it hangs.
func (p *Prober) fly(f *flight, a Ask, end time.Time) {
	waiting, cancel := context.WithDeadline(p.ctx, end.Add(-a.least()))
	defer cancel()
	var job Job
	f.timeout = a.Timeout
	result, ok := p.take(waiting, func() *check.Result {
		f.timeout, f.waited = time.Until(end), time.Since(f.asked)
		job = a.Job(f.timeout)
		return job.look(p.ctx, job.Memory)
	})
	f.result = result
	switch {
	case p.ctx.Err() != nil:
		f.err = ErrStopped
	case !ok:
		f.err = fmt.Errorf("%w: no place for the look came free in half of its time, of %d", ErrBusy, p.Stats().Places)
	}
	hang := p.land(f, a)
	if hang != nil {
		<-hang
		p.hanging.Add(-1)
		p.remove(a)
	}
	job.close()
}

// land hands out the result. A look that hangs stays, so that no other of its
// target begins.
func (p *Prober) land(f *flight, a Ask) (hang <-chan struct{}) {
	if f.result != nil {
		hang = f.result.Abandoned
	}
	p.mu.Lock()
	f.hangs = hang != nil
	p.mu.Unlock()
	if hang == nil {
		p.remove(a) // before anybody who is not content with it asks again
	}
	close(f.done)
	return hang
}

func (p *Prober) remove(a Ask) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.flights, a.key())
}

// Stop ends all looks and waits until they have returned or ctx is over. A
// look that ignores its deadline is not waited for.
func (p *Prober) Stop(ctx context.Context) error {
	p.stop()
	p.mu.Lock()
	var all []*flight
	for _, f := range p.flights {
		all = append(all, f)
	}
	p.mu.Unlock()
	busy := 0
	for _, f := range all {
		select {
		case <-f.done:
		case <-ctx.Done():
			busy++
		}
	}
	if busy > 0 {
		return fmt.Errorf("stop the probes: %d still look: %w", busy, context.Cause(ctx))
	}
	return nil
}

// Stats returns the numbers of this moment; Jobs is 0.
func (p *Prober) Stats() Stats {
	places, running, waiting := p.bound.stats()
	return Stats{Places: places, Running: running, Waiting: waiting, Hanging: int(p.hanging.Load())}
}

// NewMemory makes a memory that lives as long as it is used, for the jobs of
// a prober.
func NewMemory() check.Memory { return &memory{} }
