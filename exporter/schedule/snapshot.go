package schedule

import (
	"fmt"
	"slices"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// StaleAfter is after how many intervals a result is no answer any more.
const StaleAfter = 3

// Snapshot is what is known of a job at one moment. What it points to must
// not be changed.
type Snapshot struct {
	Definition *check.Definition
	Target     string
	Interval   time.Duration
	Timeout    time.Duration

	// Result is the newest look as it counts now: UNKNOWN without values when
	// it is older than three intervals, or when the first look is overdue. It
	// is nil from the start of a job until its first look has returned or
	// should have: nobody can know yet. Its Started is zero when there was
	// no look at all.
	Result *check.Result
	// Derived is what Options.Finished made of Result; nil when Result is not
	// the look's own.
	Derived any
	Stale   bool // Result is not the look's own because that is too old or missing

	// Since is when the first of the looks began that all had this state, as
	// far as the job has run; zero where Stale.
	Since        time.Time
	Age          time.Duration // since the newest look began; 0 without one
	Next         time.Time     // when the next look is due
	Running      bool          // a look runs now
	HangingSince time.Time     // start of a look that ignores its deadline; zero: none

	Runs      [4]uint64 // finished looks by state
	Abandoned uint64    // of these, those that ignored their deadline
	LastOK    time.Time // start of the newest look that was OK; zero: none
	History   []Entry   // oldest first, at most HistoryLength
}

// snapshot judges the age of the result at the time now, so that a result
// goes stale also when nobody looks any more.
func (r *runner) snapshot(now time.Time) Snapshot {
	s := r.state.Load()
	snap := Snapshot{
		Definition: r.job.Definition, Target: r.job.Target, Interval: r.job.Interval, Timeout: r.job.Timeout,
		Result: s.result, Derived: s.derived, Next: s.next, Running: s.running, HangingSince: s.hangingSince,
		Since: s.since, Runs: s.runs, Abandoned: s.abandoned, LastOK: s.lastOK, History: s.history,
	}
	hanging := !s.hangingSince.IsZero()
	hangText := ""
	if hanging {
		hangText = hangingText(s.hangingSince, r.job.Timeout)
	}
	if s.result == nil {
		if !now.After(r.due) {
			return snap
		}
		snap.Stale = true
		reason, text := check.Internal, fmt.Sprintf("not looked at yet, due since %s: the exporter does not keep up", clock(r.due))
		if hanging {
			reason, text = check.Timeout, hangText
		}
		snap.Result = r.job.unknown(time.Time{}, reason, text)
		return snap
	}
	snap.Age = age(s.result.Started, now)
	snap.Stale = snap.Age > StaleAfter*r.job.Interval
	if snap.Stale {
		snap.Since = time.Time{}
	}
	switch {
	case snap.Stale && hanging:
		snap.Result, snap.Derived = r.job.unknown(s.result.Started, check.Timeout, hangText), nil
		snap.Result.TimedOut, snap.Result.Duration = true, s.result.Duration
	case snap.Stale:
		snap.Result, snap.Derived = r.job.unknown(s.result.Started, check.Internal, fmt.Sprintf(
			"the newest look is of %s, more than three intervals of %s ago: the exporter does not keep up",
			clock(s.result.Started), check.FormatDuration(r.job.Interval))), nil
	case hanging:
		snap.Result = withDeadlineText(s.result, hangText)
	}
	return snap
}

// hangingText says why nothing new is known of a target.
func hangingText(since time.Time, timeout time.Duration) string {
	return fmt.Sprintf("the look of %s ignores its deadline of %s and still runs; no other is started until it returns",
		clock(since), check.FormatDuration(timeout))
}

// withDeadlineText says on the deadline's row what became of the look.
func withDeadlineText(result *check.Result, text string) *check.Result {
	said := *result
	said.Rows = slices.Clone(result.Rows)
	for i, row := range said.Rows {
		if row.Kind == check.RowDeadline {
			said.Rows[i].Text += ": " + text
			break
		}
	}
	return &said
}

// age is the longer of what the monotonic and the wall clock say: the one
// stands still while a machine is suspended, the other may be set back.
func age(started, now time.Time) time.Duration {
	return max(now.Sub(started), now.Round(0).Sub(started.Round(0)), 0)
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Pending counts the jobs whose first look has not returned and is not
// overdue either.
func (s *Scheduler) Pending(now time.Time) int {
	n := 0
	for _, r := range *s.runners.Load() {
		if r.state.Load().result == nil && !now.After(r.due) {
			n++
		}
	}
	return n
}
