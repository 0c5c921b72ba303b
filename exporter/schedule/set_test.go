package schedule

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

func TestSetKeepsWhatIsUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counting := func(_ context.Context, r *check.Report) error {
			var n float64
			r.Recall(&n)
			r.Observe(depth, n, "a")
			r.Remember(n + 1)
			return nil
		}
		same, limits, other, gone := &fake{run: counting}, &fake{run: counting}, &fake{run: counting}, &fake{run: counting}
		s := New(Options{})
		mustSet(t, s, plan(same.job("same"), limits.job("limits"), other.job("other"), gone.job("gone")))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		kept := snapshotOf(t, s, "same").Result

		same2, limits2, other2 := &fake{run: counting}, &fake{run: counting}, &fake{run: counting}
		limitsJob, otherJob := limits2.job("limits"), other2.job("other")
		limitsJob.Identity = "other limits"
		otherJob.Identity, otherJob.MemoryKey = "other options", "other options"
		mustSet(t, s, plan(same2.job("same"), limitsJob, otherJob))
		if got := snapshotOf(t, s, "same").Result; got != kept || same2.closed != 1 || same.closed != 0 {
			t.Errorf("unchanged job: result kept %v, new check closed %d times, old %d; want true, 1, 0", got == kept, same2.closed, same.closed)
		}
		for target, f := range map[string]*fake{"limits": limits, "other": other} {
			if snap := snapshotOf(t, s, target); snap.Result != nil || f.closed != 1 {
				t.Errorf("changed job %s: %s, old check closed %d times; want pending, 1", target, describe(snap), f.closed)
			}
		}
		if n := len(s.Snapshots(time.Now())); n != 3 || gone.closed != 1 {
			t.Errorf("%d jobs, removed check closed %d times; want 3, 1", n, gone.closed)
		}
		looks := gone.looks()
		time.Sleep(time.Minute)
		synctest.Wait()
		if gone.looks() != looks {
			t.Errorf("the removed check looked %d times more", gone.looks()-looks)
		}
		for target, want := range map[string]bool{"same": true, "limits": true, "other": false} {
			if got := snapshotOf(t, s, target).Result.Values[0].Number; got > 2 != want {
				t.Errorf("job %s remembers %v looks; want its memory kept: %v", target, got, want)
			}
		}
		mustStop(t, s)
		if same.closed != 1 {
			t.Errorf("closed %d times at the end; want 1", same.closed)
		}
	})
}

func TestSetWaitsForARemovedLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{run: func(ctx context.Context, _ *check.Report) error { <-ctx.Done(); return ctx.Err() }}
		s := New(Options{})
		mustSet(t, s, Plan{Jobs: []Job{f.job("a")}, Places: 1})
		synctest.Wait()
		changed := f.job("a")
		changed.Identity = "changed"
		mustSet(t, s, Plan{Jobs: []Job{changed}, Places: 1})
		synctest.Wait()
		if f.looks() != 2 { // the fake panics when they overlap
			t.Errorf("%d looks; want the first interrupted and a second", f.looks())
		}
		time.Sleep(11 * time.Second)
		if snap := snapshotOf(t, s, "a"); snap.Result == nil || strings.Contains(snap.Result.Rows[0].Text, "panic") {
			t.Errorf("second look: %s; want no overlap", describe(snap))
		}
		mustStop(t, s)
	})
}

// Reloads do not pile up looks of a target that hangs: one that is configured
// otherwise waits until the old look returns.
func TestSetWaitsForAHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := &fake{run: func(context.Context, *check.Report) error { <-release; return nil }}
		s := New(Options{})
		mustSet(t, s, plan(f.job("a")))
		time.Sleep(2 * time.Minute)
		for i := range 20 {
			job := f.job("a")
			job.Identity = string(rune('a' + i))
			mustSet(t, s, plan(job))
			time.Sleep(2 * time.Minute)
		}
		synctest.Wait()
		snap := snapshotOf(t, s, "a")
		if f.looks() != 1 || s.Stats().Hanging != 1 || snap.Result == nil || !strings.Contains(snap.Result.Rows[0].Text, "ignores its deadline") {
			t.Errorf("after 20 reloads: %d looks, %d hanging, %s; want 1, 1, the hang said", f.looks(), s.Stats().Hanging, describe(snap))
		}
		close(release)
		time.Sleep(2 * time.Minute)
		if snap := snapshotOf(t, s, "a"); f.looks() < 2 || s.Stats().Hanging != 0 || !snap.HangingSince.IsZero() {
			t.Errorf("after the look has returned: %d looks, %d hanging, since %v; want it looked at again", f.looks(), s.Stats().Hanging, snap.HangingSince)
		}
		mustStop(t, s)
	})
}

func TestSetRefuses(t *testing.T) {
	s := New(Options{})
	err := s.Set(plan((&fake{}).job("a"), (&fake{}).job("a")))
	if want := "set the jobs: check fake of target a twice"; err == nil || err.Error() != want {
		t.Errorf("Set(twice the same) = %v; want %s", err, want)
	}
	mustStop(t, s)
	if err := s.Set(plan()); err == nil {
		t.Errorf("Set after Stop = nil; want an error")
	}
}

func TestStopDoesNotWaitForAHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hung := &fake{run: func(context.Context, *check.Report) error { <-release; return nil }}
		s := New(Options{})
		mustSet(t, s, Plan{Jobs: []Job{hung.job("a")}, Places: 1})
		time.Sleep(time.Second) // it looks, and does not hear of the end
		begin := time.Now()
		mustStop(t, s)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("Stop() took %v; want less than a second", took)
		}
		if hung.closed != 0 || s.Stats().Hanging != 1 {
			t.Errorf("closed %d times, %d hanging; want 0 while the look runs, 1", hung.closed, s.Stats().Hanging)
		}
		close(release)
		synctest.Wait()
		if hung.closed != 1 || s.Stats().Hanging != 0 {
			t.Errorf("closed %d times, %d hanging after the look has returned; want 1, 0", hung.closed, s.Stats().Hanging)
		}
	})
}

func TestStopHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		job := (&fake{}).job("a")
		job.Look = func(context.Context, check.Memory) *check.Result {
			<-release
			return &check.Result{Definition: definition}
		}
		s := New(Options{})
		mustSet(t, s, Plan{Jobs: []Job{job}, Places: 1})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop(a look that never returns) = %v; want %v", err, context.DeadlineExceeded)
		}
		close(release)
	})
}
