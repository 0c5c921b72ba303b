package check

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// abandonGrace is how long after the deadline a check may still return before
// it is abandoned: what honours its context needs a moment to come back.
const abandonGrace = 150 * time.Millisecond

// Look is everything that one look needs. Run may be called again and again,
// never twice at once.
type Look struct {
	Definition   *Definition
	Check        Check
	Target       string           // overrides the target of Prepare
	Limits       []Limit          // the operator's
	Severities   map[string]State // of findings, the operator's
	Only, Skip   []string         // parts
	Timeout      time.Duration    // zero: the definition's
	TimeoutState *State           // nil: UNKNOWN
	Memory       Memory           // nil: none
	Now          func() time.Time // nil: time.Now
	Notes        []string         // of the face, shown with -v
}

// Run prepares the check anew, takes one look and judges it. It returns at
// the deadline at the latest, whatever the check does. The panic of a check
// becomes UNKNOWN.
func (l *Look) Run(ctx context.Context) *Result {
	now := l.Now
	if now == nil {
		now = time.Now
	}
	timeout := l.Timeout
	if timeout <= 0 {
		timeout = l.Definition.Timeout
	}
	started, clock := now(), time.Now()
	end := clock.Add(timeout)
	report := &Report{
		def: l.Definition, now: now, only: l.Only, skip: l.Skip, memory: l.Memory, outer: ctx, end: end, table: l.limitTable,
		seen: make(map[string]bool), sight: sight{notes: append([]string(nil), l.Notes...)},
	}
	run, cancel := context.WithDeadline(withLookDeadline(ctx, end, stepMarginOf(timeout)), end)

	done := make(chan error, 1)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		defer cancel()
		done <- guard(func() error { return l.look(run, report) })
	}()

	abandoned := l.wait(ctx, report, done, timeout)
	seen := report.freeze()
	if !abandoned && !seen.timedOut && seen.interrupted == "" {
		seen.commit(l.Memory, started, max(time.Until(end), abandonGrace))
	}
	result := l.judge(seen, now())
	result.Started, result.Duration = started, time.Since(clock)
	if abandoned {
		result.Abandoned = finished
	}
	return result
}

// look prepares and runs. Preparing belongs to the look, so that a rotated
// key or a renewed file is seen in both faces alike, and a file that hangs
// costs one look only.
func (l *Look) look(ctx context.Context, report *Report) error {
	setup, err := l.Check.Prepare()
	if err != nil {
		return PrepareFault(err)
	}
	report.prepared(setup)
	return l.Check.Run(ctx, report)
}

// PrepareFault gives an error of Prepare that names no reason the reason
// config.
func PrepareFault(err error) error {
	var f *Fault
	if errors.As(err, &f) {
		return err
	}
	return &Fault{Reason: Config, Err: err}
}

// wait returns when the check has, or when its time is over: true when it was
// left running.
func (l *Look) wait(ctx context.Context, report *Report, done <-chan error, timeout time.Duration) (abandoned bool) {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	select {
	case err := <-done:
		report.returned(ctx, err)
		return false
	case <-ctx.Done():
		report.interrupt(context.Cause(ctx))
	case <-deadline.C:
		report.timeOut()
	}
	grace := time.NewTimer(abandonGrace)
	defer grace.Stop()
	select {
	case err := <-done:
		report.returned(ctx, err)
		return false
	case <-grace.C:
		return true
	}
}

// returned takes the error of a check that came back.
func (r *Report) returned(ctx context.Context, err error) {
	if ctx.Err() != nil {
		r.interrupt(context.Cause(ctx))
	}
	r.Fail(err)
}

// freeze ends the report: what comes later is dropped, so that what was
// collected can be read without the lock.
func (r *Report) freeze() *sight {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen = true
	seen := r.sight
	return &seen
}

func (r *Report) prepared(setup Setup) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.setup = setup
}

func (r *Report) timeOut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timedOut = true
}

func (r *Report) interrupt(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(cause, context.DeadlineExceeded) {
		r.timedOut = true
		return
	}
	r.interrupted = fmt.Sprintf("interrupted: %v", cause)
}

// commit stores what the look remembered. A failure is a finding: rates and
// growth will be missing until it is mended. A file system that hangs costs
// the memory, not the verdict.
func (s *sight) commit(memory Memory, at time.Time, limit time.Duration) {
	if s.remember == nil || memory == nil {
		return
	}
	stored := make(chan error, 1)
	go func() { stored <- guard(func() error { return memory.Store(s.remember, at) }) }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var err error
	select {
	case err = <-stored:
	case <-timer.C:
		err = fmt.Errorf("not stored within %s", FormatDuration(limit))
	}
	if err != nil {
		f := builtinFinding("memory_lost")
		s.found = append(s.found, found{finding: f, text: fmt.Sprintf("this look is not kept for the next one: %v", err)})
	}
}
