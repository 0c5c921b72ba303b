package postgresreplicationlag

import (
	"fmt"

	"github.com/belfry-monitoring/belfry/common/check"
)

// judgeSlots judges a primary's replication slots and counts those that are
// not as they should be.
func judgeSlots(r *check.Report, f view) (problems int) {
	for _, s := range f.Slots {
		if s.Restart != nil {
			r.Observe(slotRetained, s.Restart.Behind(f.position()), f.name, s.Name)
		}
		// A temporary slot ends with its connection.
		if s.Temporary || f.want.ignores(s.Name) {
			continue
		}
		if !s.Active && s.Restart == nil && s.Status == nil {
			r.Note("%s: slot %s was never used and keeps nothing", f.name, s.Name)
			continue
		}
		if finding, text := slotProblem(f.facts, s); finding != nil {
			r.Find(finding, text, f.name, s.Name)
			problems++
			continue
		}
		judgeConfirmed(r, f, s)
	}
	return problems
}

// judgeConfirmed judges how far the subscriber of a logical slot is. One that
// waits for a lock is connected and answers, and applies nothing.
func judgeConfirmed(r *check.Report, f view, s slot) {
	if s.Type != "logical" || s.Confirmed == nil {
		return
	}
	behind := s.Confirmed.Behind(f.position())
	r.Observe(slotUnconfirmed, behind, f.name, s.Name)
	if f.copies(s) {
		r.Note("%s: a table is copied, slot %s waits for the end of that", f.name, s.Name)
		return
	}
	if behind == 0 {
		r.Observe(slotLag, 0, f.name, s.Name)
	} else if late, ok := f.past.waiting(f.memory, *s.Confirmed); ok {
		r.Observe(slotLag, late, f.name, s.Name)
	}
}

func slotProblem(f *facts, s slot) (*check.Finding, string) {
	taker := "standby"
	if s.Type == "logical" {
		taker = "subscriber"
	}
	kept := "keeps nothing"
	if s.Restart != nil {
		kept = "keeps " + check.FormatBytes(s.Restart.Behind(f.position())) + " of the log"
	}
	switch {
	case s.Status != nil && *s.Status == "lost" && s.Reason != nil && *s.Reason != "wal_removed":
		return slotLost, fmt.Sprintf("%s: slot %s is invalid (%s): drop it and make it anew, and its %s if that cannot go on", f.name, s.Name, *s.Reason, taker)
	case s.Status != nil && *s.Status == "lost":
		return slotLost, fmt.Sprintf("%s: slot %s is lost, log that its %s needs has been removed: make the %s anew, then the slot", f.name, s.Name, taker, taker)
	case s.Status != nil && *s.Status == "unreserved":
		return slotUnreserved, fmt.Sprintf("%s: slot %s (%s) will be lost at the next checkpoint, it %s: start its %s, or raise max_slot_wal_keep_size",
			f.name, s.Name, activity(s), kept, taker)
	case !s.Active && !f.copies(s):
		return slotInactive, fmt.Sprintf("%s: nobody is connected to slot %s, its %s is gone; it %s", f.name, s.Name, taker, kept)
	}
	return nil, ""
}

func activity(s slot) string {
	if s.Active {
		return "active"
	}
	return "inactive"
}
