package schedule

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/belfry-monitoring/belfry/common/check"
)

// The words of the last looks are kept, cut to a length; those before are
// forgotten, their states are not.
func TestHistoryTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		f := &fake{run: func(_ context.Context, r *check.Report) error {
			looks++
			r.Observe(depth, float64(looks%2*20), "a")
			return nil
		}}
		s := New(Options{Text: func(r *check.Result) string {
			return fmt.Sprintf("%s look %d %s", r.State, looks, strings.Repeat("é", looks*10))
		}})
		defer mustStop(t, s)
		mustSet(t, s, plan(f.job("a")))
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		history := snapshotOf(t, s, "a").History
		if len(history) != HistoryLength {
			t.Fatalf("%d looks in the history; want %d", len(history), HistoryLength)
		}
		for i, e := range history {
			n := looks - len(history) + 1 + i
			want := fmt.Sprintf("look %d ", n)
			if kept := i >= len(history)-TextsKept; kept != strings.Contains(e.Text, want) || len(e.Text) > MaxPastText || !utf8.ValidString(e.Text) {
				t.Errorf("look %d of %d has the text %q (%d bytes); kept: %v", i, len(history), e.Text, len(e.Text), kept)
			}
			if (e.State == check.Critical) != (n%2 == 1) {
				t.Errorf("look %d is %s", n, e.State)
			}
		}
	})
}

func TestSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var value atomic.Int64
		f := &fake{run: func(_ context.Context, r *check.Report) error {
			r.Observe(depth, float64(value.Load()), "a")
			return nil
		}}
		s := New(Options{})
		defer mustStop(t, s)
		mustSet(t, s, plan(f.job("a")))
		time.Sleep(5*time.Minute + 30*time.Second)
		synctest.Wait()
		snap := snapshotOf(t, s, "a")
		if want := snap.History[0].At; !snap.Since.Equal(want) {
			t.Errorf("Since = %v; want the first look, %v", snap.Since, want)
		}
		value.Store(20)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		snap = snapshotOf(t, s, "a")
		if want := snap.History[len(snap.History)-3].At; snap.Result.State != check.Critical || !snap.Since.Equal(want) {
			t.Errorf("Since = %v, %s; want the first CRITICAL look, %v", snap.Since, snap.Result.State, want)
		}
	})
}

func TestSnapshotOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		defer mustStop(t, s)
		var jobs []Job
		for _, target := range []string{"c", "a", "b", ""} {
			jobs = append(jobs, (&fake{}).job(target))
		}
		mustSet(t, s, plan(jobs...))
		for _, target := range []string{"a", "b", "c", "", "d"} {
			snap, ok := s.Snapshot("fake", target, time.Now())
			if ok != (target != "d") || snap.Target != target && ok {
				t.Errorf("Snapshot(fake, %q) = %q, %v", target, snap.Target, ok)
			}
		}
		if _, ok := s.Snapshot("fake2", "a", time.Now()); ok {
			t.Error("Snapshot(fake2, a) = true; want none")
		}
	})
}

// How much memory the history of a check takes: all looks with other words of
// full length, and with words as short as most.
func BenchmarkHistoryMemory(b *testing.B) {
	for _, length := range []int{0, 60, MaxPastText} {
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			const checks = 2000
			for b.Loop() {
				histories := make([][]Entry, checks)
				before := heap()
				for i := range histories {
					for n := range HistoryLength {
						histories[i] = remember(histories[i], Entry{Text: cutText(strings.Repeat(string(rune('a'+n%26)), length))})
					}
				}
				b.ReportMetric(float64(heap()-before)/checks, "bytes/check")
				runtime.KeepAlive(histories)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
