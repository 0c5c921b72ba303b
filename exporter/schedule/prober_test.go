package schedule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// ask wants a look of the fake at the target.
func (f *fake) ask(target string, timeout time.Duration) Ask {
	return Ask{Module: "m", Target: target, Identity: target, Timeout: timeout, Overdue: check.Unknown, Job: func(timeout time.Duration) Job {
		job := f.job(target)
		job.Look = func(ctx context.Context, m check.Memory) *check.Result {
			return (&check.Look{Definition: definition, Check: f, Target: target, Timeout: timeout, Memory: m}).Run(ctx)
		}
		return job
	}}
}

// said is what an asker got, for messages.
func said(a Answer, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s, %d values, looked %v, shared %v", a.Result.State, len(a.Result.Values), a.Looked, a.Shared)
}

func wantSaid(t *testing.T, what string, a Answer, err error, want string) {
	t.Helper()
	if got := said(a, err); got != want {
		t.Errorf("%s: Probe = %s; want %s", what, got, want)
	}
}

// later probes in a goroutine of its own.
func later(p *Prober, a Ask) func() (Answer, error) {
	var answer Answer
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		answer, err = p.Probe(context.Background(), a)
	}()
	return func() (Answer, error) {
		<-done
		return answer, err
	}
}

func stopProber(t *testing.T, p *Prober) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Errorf("Stop() = %v; want nil", err)
	}
}

func observe(r *check.Report) { r.Observe(depth, 1, "a") }

func TestAskersShareALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{run: func(_ context.Context, r *check.Report) error {
			time.Sleep(2 * time.Second)
			observe(r)
			return nil
		}}
		p := NewProber(ProberOptions{Places: 8})
		first := later(p, f.ask("a", 10*time.Second))
		synctest.Wait()
		var others []func() (Answer, error)
		for range maxAskers - 1 {
			others = append(others, later(p, f.ask("a", 10*time.Second)))
		}
		synctest.Wait()
		_, err := p.Probe(context.Background(), f.ask("a", 10*time.Second))
		if !errors.Is(err, ErrBusy) {
			t.Errorf("asker %d of one look: %v; want %v", maxAskers+1, err, ErrBusy)
		}
		a, err := first()
		wantSaid(t, "the first", a, err, "OK, 1 values, looked true, shared false")
		for _, other := range others {
			b, err := other()
			wantSaid(t, "another", b, err, "OK, 1 values, looked true, shared true")
			if b.Result != a.Result {
				t.Error("another result; want the same")
			}
		}
		if got := f.looks(); got != 1 {
			t.Errorf("%d looks; want 1", got)
		}
		a, err = p.Probe(context.Background(), f.ask("a", 10*time.Second))
		wantSaid(t, "afterwards", a, err, "OK, 1 values, looked true, shared false")
		if got := f.looks(); got != 2 {
			t.Errorf("%d looks; want 2: nothing is kept of one that is over", got)
		}
		synctest.Wait()
		if f.closed != 2 {
			t.Errorf("%d closed; want 2", f.closed)
		}
		stopProber(t, p)
		if _, err := p.Probe(context.Background(), f.ask("a", time.Second)); !errors.Is(err, ErrStopped) {
			t.Errorf("after Stop: %v; want %v", err, ErrStopped)
		}
	})
}

// A look that ignores its deadline keeps its own target busy, not its place.
func TestProbeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hang := &fake{run: func(_ context.Context, r *check.Report) error {
			observe(r)
			<-release
			return nil
		}}
		good := &fake{}
		p := NewProber(ProberOptions{Places: 1, Flights: 2})
		a, err := p.Probe(context.Background(), hang.ask("a", time.Second))
		wantSaid(t, "a look that hangs", a, err, "UNKNOWN, 1 values, looked true, shared false")
		began := time.Now()
		a, err = p.Probe(context.Background(), hang.ask("a", time.Second))
		wantSaid(t, "asked again", a, err, "UNKNOWN, 0 values, looked false, shared true")
		if text := a.Result.Rows[0].Text; !strings.Contains(text, "ignores its deadline of 1 s and still runs") || !a.Result.TimedOut || a.Result.Reason != check.Timeout {
			t.Errorf("asked again: %q, timed out %v, reason %q; want what hangs, timed out, timeout", text, a.Result.TimedOut, a.Result.Reason)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("asked again: it took %v; want no wait", took)
		}
		a, err = p.Probe(context.Background(), good.ask("b", time.Second))
		wantSaid(t, "another target", a, err, "OK, 1 values, looked true, shared false")
		if s := p.Stats(); s.Hanging != 1 || s.Running != 0 || s.Places != 1 {
			t.Errorf("Stats() = %+v; want 1 hanging, 0 running, 1 place", s)
		}
		close(release)
		synctest.Wait()
		if s := p.Stats(); s.Hanging != 0 || len(p.flights) != 0 {
			t.Errorf("Stats() = %+v with %d flights; want none hanging, none left", s, len(p.flights))
		}
		a, err = p.Probe(context.Background(), hang.ask("a", time.Second))
		wantSaid(t, "after it has returned", a, err, "OK, 1 values, looked true, shared false")
		stopProber(t, p)
	})
}

// The state of a look that hangs is the one of its deadline.
func TestProbeThatHangsHasTheStateOfItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hang := &fake{run: func(context.Context, *check.Report) error { <-release; return nil }}
		ask := hang.ask("a", time.Second)
		critical := check.Critical
		ask.Job = func(timeout time.Duration) Job {
			job := hang.job("a")
			job.Look = func(ctx context.Context, m check.Memory) *check.Result {
				return (&check.Look{Definition: definition, Check: hang, Target: "a", Timeout: timeout, TimeoutState: &critical}).Run(ctx)
			}
			return job
		}
		p := NewProber(ProberOptions{Places: 1})
		for range 2 {
			if a, err := p.Probe(context.Background(), ask); err != nil || a.Result.State != check.Critical {
				t.Errorf("Probe = %s; want CRITICAL", said(a, err))
			}
		}
		close(release)
		stopProber(t, p)
	})
}

// What another asker's short time did to a verdict is not the verdict of one
// who has more.
func TestProbeWithMoreTimeThanTheLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{run: func(ctx context.Context, r *check.Report) error {
			select {
			case <-time.After(3 * time.Second):
				observe(r)
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		p := NewProber(ProberOptions{Places: 8})
		short := later(p, f.ask("a", time.Second))
		synctest.Wait()
		long := later(p, f.ask("a", 10*time.Second))
		a, err := short()
		wantSaid(t, "1 s", a, err, "UNKNOWN, 0 values, looked true, shared false")
		a, err = long()
		wantSaid(t, "10 s", a, err, "OK, 1 values, looked true, shared false")

		// Of two that have the same time, the later takes the verdict as it is.
		g := &fake{run: func(context.Context, *check.Report) error {
			time.Sleep(time.Second)
			return errors.New("refused")
		}}
		first := later(p, g.ask("b", 10*time.Second))
		time.Sleep(500 * time.Millisecond)
		b, err := p.Probe(context.Background(), g.ask("b", 10*time.Second))
		wantSaid(t, "the second of two", b, err, "UNKNOWN, 0 values, looked true, shared true")
		if _, err := first(); err != nil || g.looks() != 1 {
			t.Errorf("%d looks, %v; want 1", g.looks(), err)
		}
		stopProber(t, p)
	})
}

func TestProbeWithLessTimeThanTheLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{run: func(_ context.Context, r *check.Report) error {
			time.Sleep(5 * time.Second)
			observe(r)
			return nil
		}}
		p := NewProber(ProberOptions{Places: 8})
		long := later(p, f.ask("a", 10*time.Second))
		synctest.Wait()
		ask := f.ask("a", time.Second)
		ask.Overdue = check.Critical
		a, err := p.Probe(context.Background(), ask)
		wantSaid(t, "1 s", a, err, "CRITICAL, 0 values, looked false, shared true")
		if text := a.Result.Rows[0].Text; !strings.HasPrefix(text, "no result within 1 s: the look that began at ") || !a.Result.TimedOut {
			t.Errorf("1 s: %q, timed out %v; want no result, timed out", text, a.Result.TimedOut)
		}
		a, err = long()
		wantSaid(t, "10 s", a, err, "OK, 1 values, looked true, shared false")
		stopProber(t, p)
	})
}

// A look that began with another configuration ends, and is nobody else's.
func TestProbeOfAnotherConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{run: func(_ context.Context, r *check.Report) error {
			time.Sleep(2 * time.Second)
			observe(r)
			return nil
		}}
		p := NewProber(ProberOptions{Places: 8})
		before := later(p, f.ask("a", 10*time.Second))
		synctest.Wait()
		ask := f.ask("a", 10*time.Second)
		ask.Identity = "reloaded"
		a, err := p.Probe(context.Background(), ask) // the fake panics on two looks at once
		wantSaid(t, "the new configuration", a, err, "OK, 1 values, looked true, shared false")
		a, err = before()
		wantSaid(t, "the old configuration", a, err, "OK, 1 values, looked true, shared false")
		if f.looks() != 2 {
			t.Errorf("%d looks; want 2", f.looks())
		}
		stopProber(t, p)
	})
}

func TestProbesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fake{run: func(_ context.Context, r *check.Report) error {
			time.Sleep(8 * time.Second)
			observe(r)
			return nil
		}}
		p := NewProber(ProberOptions{Places: 1, Flights: 2})
		first := later(p, slow.ask("a", 10*time.Second))
		synctest.Wait()
		began := time.Now()
		second := later(p, slow.ask("b", 10*time.Second))
		synctest.Wait()
		if _, err := p.Probe(context.Background(), slow.ask("c", 10*time.Second)); !errors.Is(err, ErrBusy) || time.Since(began) != 0 {
			t.Errorf("the third of two: %v after %v; want %v at once", err, time.Since(began), ErrBusy)
		}
		if _, err := second(); !errors.Is(err, ErrBusy) || time.Since(began) != 5*time.Second {
			t.Errorf("one that waits for a place: %v after %v; want %v after half of its time", err, time.Since(began), ErrBusy)
		}
		a, err := first()
		wantSaid(t, "the first", a, err, "OK, 1 values, looked true, shared false")
		p.Resize(ProberOptions{Places: 2})
		quick := &fake{}
		a, err = p.Probe(context.Background(), quick.ask("b", 10*time.Second))
		wantSaid(t, "when there is room again", a, err, "OK, 1 values, looked true, shared false")
		if slow.looks() != 1 || len(p.flights) != 0 {
			t.Errorf("%d looks, %d flights left; want 1, none", slow.looks(), len(p.flights))
		}
		stopProber(t, p)
	})
}

// An asker who goes away takes the look from nobody.
func TestProbeOfOneWhoGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{run: func(_ context.Context, r *check.Report) error {
			time.Sleep(2 * time.Second)
			observe(r)
			return nil
		}}
		p := NewProber(ProberOptions{Places: 8})
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := p.Probe(ctx, f.ask("a", 10*time.Second)); !errors.Is(err, context.Canceled) {
				t.Errorf("one who goes away: %v; want %v", err, context.Canceled)
			}
		})
		synctest.Wait()
		other := later(p, f.ask("a", 10*time.Second))
		synctest.Wait()
		cancel()
		wg.Wait()
		a, err := other()
		wantSaid(t, "the other", a, err, "OK, 1 values, looked true, shared true")
		stopProber(t, p)
	})
}

// A defect of the face stays with its request.
func TestProbeThatPanics(t *testing.T) {
	p := NewProber(ProberOptions{Places: 1})
	ask := (&fake{}).ask("a", time.Minute)
	ask.Job = func(time.Duration) Job {
		return Job{Definition: definition, Target: "a", Look: func(context.Context, check.Memory) *check.Result { panic("in the face") }}
	}
	a, err := p.Probe(context.Background(), ask)
	if err != nil || a.Result.State != check.Unknown || a.Result.Reason != check.Internal {
		t.Errorf("Probe = %s; want UNKNOWN, internal", said(a, err))
	}
	stopProber(t, p)
}

func TestProberStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{run: func(ctx context.Context, _ *check.Report) error { <-ctx.Done(); return ctx.Err() }}
		p := NewProber(ProberOptions{Places: 1})
		runs, waits := later(p, f.ask("a", time.Minute)), later(p, f.ask("b", time.Minute))
		synctest.Wait()
		stopProber(t, p)
		for _, asker := range []func() (Answer, error){runs, waits} {
			if a, err := asker(); !errors.Is(err, ErrStopped) {
				t.Errorf("Probe while it stops = %s; want %v", said(a, err), ErrStopped)
			}
		}
	})
}

// Any number of targets leaves nothing behind, and a look without a memory
// remembers nothing.
func TestProberForgets(t *testing.T) {
	p := NewProber(ProberOptions{Places: 4, Flights: 8})
	recalled := false
	f := func() *fake {
		return &fake{run: func(_ context.Context, r *check.Report) error {
			var n int
			if _, ok := r.Recall(&n); ok {
				recalled = true
			}
			r.Remember(1)
			observe(r)
			return nil
		}}
	}
	for i := range 5000 {
		if a, err := p.Probe(context.Background(), f().ask(fmt.Sprint("target", i%2500), time.Minute)); err != nil || a.Result.State != check.OK {
			t.Fatalf("Probe = %s; want OK", said(a, err))
		}
	}
	if len(p.flights) != 0 || recalled {
		t.Errorf("%d flights left, recalled %v; want none, false", len(p.flights), recalled)
	}
	ask := f().ask("kept", time.Minute)
	memory, job := NewMemory(), ask.Job
	ask.Job = func(timeout time.Duration) Job {
		j := job(timeout)
		j.Memory = memory
		return j
	}
	for range 2 {
		if a, err := p.Probe(context.Background(), ask); err != nil {
			t.Fatalf("Probe = %s; want OK", said(a, err))
		}
	}
	if !recalled {
		t.Error("with a memory: nothing recalled; want the look before")
	}
	stopProber(t, p)
}
