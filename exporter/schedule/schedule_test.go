package schedule

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

func TestEachJobKeepsItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		fakes := make([]*fake, 20)
		var jobs []Job
		for i := range fakes {
			fakes[i] = &fake{}
			jobs = append(jobs, fakes[i].job(fmt.Sprint("t", i)))
		}
		mustSet(t, s, plan(jobs...))
		defer mustStop(t, s)
		begin := time.Now()
		time.Sleep(time.Hour)
		synctest.Wait()
		moments := make(map[time.Time]bool)
		for i, f := range fakes {
			if first := f.starts[0].Sub(begin); first >= 10*time.Second {
				t.Errorf("job %d: first look after %v; want it within the spread of 10s", i, first)
			}
			for n := 2; n < len(f.starts); n++ {
				if gap := f.starts[n].Sub(f.starts[n-1]); gap != time.Minute {
					t.Errorf("job %d: look %d came %v after the last; want 1m", i, n, gap)
				}
			}
			if gap := f.starts[1].Sub(f.starts[0]); gap < 30*time.Second || gap > 90*time.Second {
				t.Errorf("job %d: second look came %v after the first; want half an interval to one and a half", i, gap)
			}
			moments[f.starts[5]] = true
		}
		if len(moments) < 18 {
			t.Errorf("20 jobs look at %d moments; want them spread", len(moments))
		}
	})
}

func TestHangingLookDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hung := &fake{run: func(_ context.Context, r *check.Report) error {
			r.Observe(depth, 5, "seen before it hung")
			<-release
			return nil
		}}
		well := &fake{}
		s := New(Options{})
		p := plan(hung.job("hung"), well.job("well"))
		p.Places = 1
		mustSet(t, s, p)
		synctest.Wait()
		before := runtime.NumGoroutine()

		time.Sleep(30 * time.Second)
		synctest.Wait()
		snap := snapshotOf(t, s, "hung")
		if snap.Result.State != check.Unknown || !snap.Result.TimedOut || snap.HangingSince.IsZero() {
			t.Errorf("hung after its deadline: %s, timed out %v, since %v; want UNKNOWN, timed out, with its start", describe(snap), snap.Result.TimedOut, snap.HangingSince)
		}
		const want = "no result within 10 s: the look of 2000-01-01T00:00:0"
		if text := snap.Result.Rows[0].Text; !strings.HasPrefix(text, want) || !strings.Contains(text, "still runs") {
			t.Errorf("hung says %q; want it to begin with %q and say that the look still runs", text, want)
		}

		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if got := runtime.NumGoroutine(); got > before+1 {
			t.Errorf("%d goroutines after 20 intervals; want at most %d, one more than before the hang", got, before+1)
		}
		if got := hung.looks(); got != 1 {
			t.Errorf("the hung check was started %d times; want 1", got)
		}
		if snap := snapshotOf(t, s, "well"); snap.Result.State != check.OK || snap.Age > time.Minute || snap.Runs[check.OK] < 19 {
			t.Errorf("the other check: %s, age %v, %d looks; want OK, at most 1m, one look a minute", describe(snap), snap.Age, snap.Runs[check.OK])
		}
		snap = snapshotOf(t, s, "hung")
		if !snap.Stale || snap.Result.State != check.Unknown || len(snap.Result.Values) != 0 || snap.Result.Reason != check.Timeout || snap.Abandoned != 1 {
			t.Errorf("hung for long: %s, reason %s, %d abandoned; want UNKNOWN without values, stale, timeout, 1", describe(snap), snap.Result.Reason, snap.Abandoned)
		}
		if got := s.Stats(); got != (Stats{Jobs: 2, Places: 1, Hanging: 1}) {
			t.Errorf("Stats() = %+v; want 2 jobs, 1 place, 1 hanging and none running", got)
		}

		hung.run = nil
		close(release)
		synctest.Wait()
		if got := snapshotOf(t, s, "hung").HangingSince; !got.IsZero() {
			t.Errorf("HangingSince after the look has returned = %v; want none", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if snap := snapshotOf(t, s, "hung"); snap.Result.State != check.OK || snap.Stale {
			t.Errorf("after the hang: %s; want OK from a new look", describe(snap))
		}
		mustStop(t, s)
	})
}

func TestLooksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var jobs []Job
		running, most := make(chan int, 1), 0
		running <- 0
		slow := func(ctx context.Context, r *check.Report) error {
			n := <-running + 1
			most = max(most, n)
			running <- n
			time.Sleep(4 * time.Second)
			running <- <-running - 1
			r.Observe(depth, 1, "a")
			return nil
		}
		for i := range 12 {
			jobs = append(jobs, (&fake{run: slow}).job(fmt.Sprint("t", i)))
		}
		s := New(Options{})
		p := plan(jobs...)
		p.Places = 3
		mustSet(t, s, p)
		defer mustStop(t, s)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if got := s.Stats(); got.Running != 3 || got.Waiting == 0 {
			t.Errorf("Stats() = %+v; want 3 running and some waiting", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := <-running; most != 3 {
			t.Errorf("%d looks ran at once (now %d); want 3", most, got)
		} else {
			running <- got
		}
		for _, snap := range s.Snapshots(time.Now()) {
			if snap.Result.State != check.OK || snap.Age > 2*time.Minute {
				t.Errorf("%s: %s, age %v; want OK of the last two minutes", snap.Target, describe(snap), snap.Age)
			}
		}
	})
}

func TestOldResultIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Finished: func(_, now *check.Result) any { return now.State.String() }})
		mustSet(t, s, plan((&fake{}).job("a")))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		mustStop(t, s) // nobody looks any more
		started := s.Snapshots(time.Now())[0].Result.Started
		for _, c := range []struct {
			age     time.Duration
			want    string
			derived any
		}{
			{0, "OK, 1 values", "OK"},
			{3 * time.Minute, "OK, 1 values", "OK"},
			{3*time.Minute + 1, "UNKNOWN, 0 values, stale", nil},
			{-time.Hour, "OK, 1 values", "OK"}, // a clock that was set back, read without a monotonic one
		} {
			snap := s.Snapshots(started.Add(c.age))[0]
			if got := describe(snap); got != c.want || snap.Derived != c.derived {
				t.Errorf("snapshot at age %v = %s, derived %v; want %s, %v", c.age, got, snap.Derived, c.want, c.derived)
			}
		}
		const want = "the newest look is of 2000-01-01T00:00:0"
		if got := s.Snapshots(started.Add(time.Hour))[0].Result.Rows[0].Text; !strings.HasPrefix(got, want) {
			t.Errorf("stale text = %q; want it to begin with %q", got, want)
		}
	})
}

// A clock that is set ahead must not make an old look young, and one that is
// set back must not either.
func TestAgeByBothClocks(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name    string
		started time.Time
		want    time.Duration
	}{
		{"both agree", now.Add(-time.Minute), time.Minute},
		{"no monotonic reading", now.Round(0).Add(-time.Minute), time.Minute},
		{"in the future", now.Add(time.Minute), 0},
	} {
		if got := age(c.started, now); got != c.want {
			t.Errorf("%s: age = %v; want %v", c.name, got, c.want)
		}
	}
}

// How late looks begin is told: nothing where there is a place, the time of
// the look before where there is one place only.
func TestDelayed(t *testing.T) {
	for places, want := range map[int]time.Duration{2: 0, 1: 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var delays []time.Duration
			s := New(Options{Delayed: func(d time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				delays = append(delays, d)
			}})
			slow := &fake{run: func(ctx context.Context, _ *check.Report) error { time.Sleep(5 * time.Second); return nil }}
			mustSet(t, s, Plan{Jobs: []Job{slow.job("a")}, Places: places})
			synctest.Wait()
			mustSet(t, s, Plan{Jobs: []Job{slow.job("a"), (&fake{}).job("b")}, Places: places}) // both at once
			time.Sleep(30 * time.Second)
			mustStop(t, s)
			mu.Lock()
			defer mu.Unlock()
			if len(delays) < 2 || delays[0] != 0 || slices.Max(delays) != want {
				t.Errorf("with places for %d looks: delays %v; want the first 0, the longest %v", places, delays, want)
			}
		})
	}
}

// Hundreds of checks, a fifth of which hang until their deadline or beyond it:
// after an hour there are as many goroutines as after minutes, none of the
// others was late, and each has looked each minute.
func TestManyHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jobs, minutes = 500, 60
		release := make(chan struct{})
		var late atomic.Int64
		s := New(Options{Delayed: func(d time.Duration) {
			if d > 0 {
				late.Add(1)
			}
		}})
		p := Plan{Places: jobs / 5, Spread: time.Minute}
		healthy := make([]*fake, 0, jobs)
		for i := range jobs {
			f := &fake{}
			switch {
			case i%50 == 0:
				f.run = func(context.Context, *check.Report) error { <-release; return nil }
			case i%5 == 0:
				f.run = func(ctx context.Context, _ *check.Report) error { <-ctx.Done(); return ctx.Err() }
			default:
				healthy = append(healthy, f)
			}
			p.Jobs = append(p.Jobs, f.job(fmt.Sprint(i)))
		}
		mustSet(t, s, p)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		before := runtime.NumGoroutine()
		time.Sleep((minutes - 5) * time.Minute)
		synctest.Wait()
		// Those that hang until their deadline are some more or less at any
		// moment.
		if got := runtime.NumGoroutine(); got > before+jobs/5 {
			t.Errorf("%d goroutines after %d minutes, %d after 5; want no more of them", got, minutes, before)
		}
		if got := late.Load(); got > 0 {
			t.Errorf("%d looks began late; want none", got)
		}
		for i, f := range healthy {
			if got := f.looks(); got < minutes-1 || got > minutes+1 {
				t.Errorf("healthy job %d has looked %d times in %d minutes", i, got, minutes)
			}
		}
		if got := s.Stats(); got.Hanging != jobs/50 {
			t.Errorf("Stats() = %+v; want %d hanging", got, jobs/50)
		}
		close(release)
		mustStop(t, s)
	})
}

func TestFirstLookOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		blocker := &fake{run: func(ctx context.Context, _ *check.Report) error { <-ctx.Done(); return ctx.Err() }}
		waiting := &fake{}
		s := New(Options{})
		// A look that takes its place for ever, as none of the library's can.
		holder := blocker.job("holder")
		holder.Look = func(context.Context, check.Memory) *check.Result {
			<-release
			return &check.Result{Definition: definition}
		}
		mustSet(t, s, Plan{Jobs: []Job{holder}, Places: 1})
		synctest.Wait()
		mustSet(t, s, Plan{Jobs: []Job{holder, waiting.job("waiting")}, Places: 1})
		synctest.Wait()
		if snap := snapshotOf(t, s, "waiting"); snap.Result != nil || s.Pending(time.Now()) != 2 {
			t.Errorf("before the first look: %s, %d pending; want pending, 2", describe(snap), s.Pending(time.Now()))
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		snap := snapshotOf(t, s, "waiting")
		if describe(snap) != "UNKNOWN, 0 values, stale" || !snap.Result.Started.IsZero() || s.Pending(time.Now()) != 0 {
			t.Errorf("when the first look is overdue: %s, started %v, %d pending; want UNKNOWN, stale, never started, 0", describe(snap), snap.Result.Started, s.Pending(time.Now()))
		}
		close(release)
		synctest.Wait()
		if snap := snapshotOf(t, s, "waiting"); describe(snap) != "OK, 1 values" {
			t.Errorf("after the first look: %s; want OK", describe(snap))
		}
		mustStop(t, s)
	})
}

func TestPanicsStayWithTheirJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		look, hook := (&fake{}).job("look"), (&fake{}).job("hook")
		look.Look = func(context.Context, check.Memory) *check.Result { panic("in the face") }
		s := New(Options{Finished: func(_, now *check.Result) any {
			if now.Target == "hook" {
				panic("in the hook")
			}
			return nil
		}})
		mustSet(t, s, plan(look, hook, (&fake{}).job("well")))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		for target, want := range map[string]string{
			"look": "panic: in the face (a defect of the exporter, please report it)",
			"hook": "panic: in the hook (a defect of the exporter, please report it)",
		} {
			snap := snapshotOf(t, s, target)
			if r := snap.Result; r.State != check.Unknown || r.Rows[0].Text != want || r.Reason != check.Internal || len(r.Trace) != 1 {
				t.Errorf("%s: %s %q, %d stacks; want UNKNOWN %q with its stack", target, r.State, r.Rows[0].Text, len(r.Trace), want)
			}
			if snap.Runs[check.Unknown] < 4 {
				t.Errorf("%s: %d looks; want it to go on", target, snap.Runs[check.Unknown])
			}
		}
		if snap := snapshotOf(t, s, "well"); snap.Result.State != check.OK {
			t.Errorf("well: %s; want OK", describe(snap))
		}
		mustStop(t, s)
	})
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0.0
		f := &fake{run: func(_ context.Context, r *check.Report) error {
			n++
			r.Observe(depth, n, "a")
			r.Observe(depth, n/2, "b")
			return nil
		}}
		s := New(Options{})
		mustSet(t, s, plan(f.job("a")))
		time.Sleep(100 * time.Minute)
		synctest.Wait()
		snap := snapshotOf(t, s, "a")
		if len(snap.History) != HistoryLength {
			t.Fatalf("%d entries; want %d", len(snap.History), HistoryLength)
		}
		last := snap.History[HistoryLength-1]
		if last.Value != n || last.State != check.Critical || last.At != snap.Result.Started {
			t.Errorf("last entry = %+v; want %v, CRITICAL, of the newest look", last, n)
		}
		if first := snap.History[0]; first.Value != n-HistoryLength+1 {
			t.Errorf("first entry = %+v; want value %v", first, n-HistoryLength+1)
		}
		if got := snap.Runs; got[check.OK] != 10 || got[check.Critical] != uint64(n)-10 {
			t.Errorf("runs by state = %v; want 10 OK and %v CRITICAL", got, n-10)
		}
		mustStop(t, s)
	})
}

func TestHeadline(t *testing.T) {
	value := func(v float64, s check.State) check.Value {
		return check.Value{Metric: depth, Judged: v, State: s}
	}
	for _, c := range []struct {
		name   string
		values []check.Value
		want   float64
	}{
		{"none", nil, math.NaN()},
		{"another metric", []check.Value{{Metric: &check.Metric{Key: "other"}, Judged: 5}}, math.NaN()},
		{"largest", []check.Value{value(1, check.OK), value(3, check.OK), value(2, check.OK)}, 3},
		{"worst before largest", []check.Value{value(9, check.OK), value(0, check.Critical), value(5, check.Warning)}, 0},
	} {
		got := headline(&check.Result{Definition: definition, Values: c.values})
		if got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: headline = %v; want %v", c.name, got, c.want)
		}
	}
}
