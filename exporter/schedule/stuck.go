package schedule

import (
	"fmt"
	"time"
)

// Stuck says why a look that must have begun or ended by now has not, more
// than slack ago: a defect of the scheduler or of a face, or a machine that
// does not get to it. Looks that are slow, hang or wait their turn are not
// that: each has its deadline, and its own job says so. Where the scheduler's
// own locks are stuck, it does not return.
func (s *Scheduler) Stuck(now time.Time, slack time.Duration) error {
	s.bound.stats()
	for _, r := range *s.runners.Load() {
		if what := r.stuck(now, slack); what != "" {
			return fmt.Errorf("check %s of target %s %s", r.job.Definition.Name, r.job.Target, what)
		}
	}
	return nil
}

func (r *runner) stuck(now time.Time, slack time.Duration) string {
	s := r.state.Load()
	if !r.looks.Load() || r.ctx.Err() != nil {
		return "" // it waits for the removed job before it, or has been removed itself
	}
	switch {
	case s.running:
		if late := now.Sub(s.busySince) - r.job.Timeout; late > slack {
			return fmt.Sprintf("has not come back from its look, %s after its deadline", late.Round(time.Second))
		}
	case s.waiting:
		// Each look that has a place gives it back at its deadline.
		since := s.busySince
		if moved := r.scheduler.moved.Load(); moved != nil && moved.After(since) {
			since = *moved
		}
		if waits := now.Sub(since); waits > time.Duration(r.scheduler.longest.Load())+slack {
			return fmt.Sprintf("waits for its turn, and no look has begun or ended for %s", waits.Round(time.Second))
		}
	default:
		if late := now.Sub(s.next); late > slack {
			return fmt.Sprintf("was due %s ago and has not looked", late.Round(time.Second))
		}
	}
	return ""
}
