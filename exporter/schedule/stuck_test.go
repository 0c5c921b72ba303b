package schedule

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

const slack = 30 * time.Second

// notStuck looks at the scheduler every second.
func notStuck(t *testing.T, s *Scheduler, during time.Duration) {
	t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(time.Second) {
		if err := s.Stuck(time.Now(), slack); err != nil {
			t.Fatalf("Stuck() = %v; want nil", err)
		}
	}
}

// stuckIn waits until the scheduler calls itself stuck.
func stuckIn(t *testing.T, s *Scheduler, want string, least, most time.Duration) {
	t.Helper()
	began := time.Now()
	for {
		err := s.Stuck(time.Now(), slack)
		took := time.Since(began)
		switch {
		case err == nil && took <= most:
			time.Sleep(time.Second)
			continue
		case err == nil || !strings.Contains(err.Error(), want) || took < least:
			t.Errorf("Stuck() = %v after %s; want %s after %s to %s", err, took, want, least, most)
		}
		return
	}
}

// Looks that are slow, hang, panic, wait their turn or are replaced are no
// reason to end the process.
func TestNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		slow := &fake{run: func(ctx context.Context, _ *check.Report) error { <-ctx.Done(); return ctx.Err() }}
		hang := &fake{run: func(context.Context, *check.Report) error { <-release; return nil }}
		panics := &fake{run: func(context.Context, *check.Report) error { panic("in the check") }}
		s := New(Options{})
		notStuck(t, s, time.Minute) // without a job
		p := plan((&fake{}).job("good"), slow.job("slow"), another(slow).job("slow too"), hang.job("hang"), panics.job("panics"))
		p.Places = 1
		mustSet(t, s, p)
		notStuck(t, s, 20*time.Minute)
		again := (&fake{}).job("hang") // waits for the one that hangs
		again.Identity = "another"
		mustSet(t, s, plan(again))
		notStuck(t, s, 20*time.Minute)
		rare := (&fake{}).job("rare")
		rare.Interval = 24 * time.Hour
		mustSet(t, s, plan(rare))
		notStuck(t, s, 49*time.Hour)
		close(release)
		mustStop(t, s)
		notStuck(t, s, 5*time.Minute)
	})
}

func another(f *fake) *fake { return &fake{run: f.run} }

// A face that does not take the result holds up the job.
func TestStuckInTheFace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var looks atomic.Int64
		s := New(Options{Finished: func(_, _ *check.Result) any {
			if looks.Add(1) == 3 {
				<-release
			}
			return nil
		}})
		mustSet(t, s, plan((&fake{}).job("a")))
		for looks.Load() < 3 {
			notStuck(t, s, time.Second)
		}
		stuckIn(t, s, "check fake of target a has not come back from its look", slack, slack+15*time.Second)
		close(release)
		synctest.Wait()
		notStuck(t, s, 5*time.Minute)
		mustStop(t, s)
	})
}

// Places that are not given back leave every job waiting.
func TestStuckWithoutPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		p := plan((&fake{}).job("a"), (&fake{}).job("b"))
		p.Places = 1
		mustSet(t, s, p)
		notStuck(t, s, 3*time.Minute)
		if !s.bound.take(context.Background()) {
			t.Fatal("no place")
		}
		stuckIn(t, s, "waits for its turn, and no look has begun or ended for", slack+10*time.Second, slack+3*time.Minute)
		s.bound.give()
		synctest.Wait()
		notStuck(t, s, 5*time.Minute)
		mustStop(t, s)
	})
}

// A job that nobody wakes.
func TestStuckAsleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		r := newRunner(s, (&fake{}).job("a"), 0)
		r.looks.Store(true)
		s.runners.Store(&[]*runner{r})
		stuckIn(t, s, "check fake of target a was due 31s ago and has not looked", slack, slack+2*time.Second)
		r.cancel()
	})
}
