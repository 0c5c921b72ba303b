package postgresreplicationlag

import (
	"math"

	"github.com/belfry-monitoring/belfry/common/check"
)

// The default limits of lag, in seconds, which a delay comes on top of. A long
// query on a standby may hold replay up for max_standby_streaming_delay, 30 s by
// default.
const (
	lagSecondsWarning  = 60
	lagSecondsCritical = 300

	lastReplayWarning  = 3600
	lastReplayCritical = 86400
)

// senderLag is how many seconds a standby is behind, as far as the server that
// feeds it can tell.
//
// pg_stat_replication.replay_lag alone is no answer: it is null on an idle
// primary, keeps an old value for some time after a standby has caught up, and
// stays what it was when the standby falls silent. Beside it stands what can be
// proved: log that an earlier look has seen and that is not replayed yet is at
// least as old as that look.
func senderLag(f view, s sender) (lag float64, ok bool) {
	silent := s.Age == nil || *s.Age > quiet(replyLimit(f.SenderTimeout, f.StatusInterval))
	lag, proved := f.past.waiting(f.memory, *s.Replay)
	switch {
	case s.Replay.Behind(f.position()) == 0:
		return 0, !silent // a standby that is not heard may be gone
	case silent:
		return lag, proved && lag > 0
	case s.Lag != nil:
		return max(lag, *s.Lag), true
	}
	return lag, proved
}

// ownLag is how many seconds a standby is behind, as far as it can tell.
//
// The age of the newest replayed commit (pg_last_xact_replay_timestamp) is no
// answer: on an idle primary it grows although nothing is behind, and the first
// write after a quiet night would be hours late. It is the most that the lag
// can be, though, so that a small one is taken. Beside it stands what can be
// proved, see senderLag. A standby that does not hear its primary does not
// know.
func ownLag(f view) (lag float64, ok bool) {
	w := f.Receiver
	silent := w == nil || w.Age == nil || w.begins() || *w.Age > quiet(messageLimit(f.ReceiverTimeout))
	lag, proved := f.past.waiting(f.memory, *f.Replayed)
	switch {
	case f.Replayed.Behind(f.end()) == 0:
		return 0, !silent
	case silent:
		return lag, proved && lag > 0
	case f.ReplayedAge != nil && *f.ReplayedAge <= f.ApplyDelay+small:
		return max(lag, *f.ReplayedAge, 0), true
	}
	return lag, proved
}

// small is how many seconds of age of the newest commit are taken for the lag.
const small = 10

// quiet is the limit of silence, or the default one where there is none.
func quiet(limit float64) float64 {
	if limit == 0 {
		return silence
	}
	return limit
}

// allowDelay makes the limits of a standby that replays late on purpose: its
// delay comes on top of those in seconds, and the bytes that wait for it are
// not judged. What it has on disk is judged like any other's.
func allowDelay(r *check.Report, server, standby string, delay float64) {
	match := map[string]string{"server": server, "standby": standby}
	for severity, beyond := range map[check.State]float64{check.Warning: lagSecondsWarning, check.Critical: lagSecondsCritical} {
		r.Limit(check.Limit{Metric: lag, Match: match, Severity: severity, Range: check.Range{End: delay + beyond}},
			check.Limit{Metric: replayLag, Match: match, Severity: severity, Range: check.Range{End: math.Inf(1)}})
	}
}

// allowDelayedArchive is allowDelay for a standby that is fed by its archive.
func allowDelayedArchive(r *check.Report, server string, delay float64) {
	for severity, beyond := range map[check.State]float64{check.Warning: lastReplayWarning, check.Critical: lastReplayCritical} {
		r.Limit(check.Limit{Metric: lastReplay, Match: map[string]string{"server": server}, Severity: severity, Range: check.Range{End: delay + beyond}})
	}
}

// delayOf is by how many seconds a standby replays late on purpose: as
// --delayed says, or as the standby itself says where it was asked too and
// receives through a slot that leads to it.
func delayOf(f view, s sender) float64 {
	for _, d := range f.want.delays {
		if check.Glob(d.glob, s.Name) {
			return d.seconds
		}
	}
	for _, slot := range f.Slots {
		if slot.PID == nil || *slot.PID != s.PID {
			continue
		}
		var found []*facts
		for _, other := range f.seen {
			if w := other.Receiver; w != nil && other.System == f.System && w.Slot != nil && *w.Slot == slot.Name {
				found = append(found, other)
			}
		}
		if len(found) == 1 { // else slots of that name are on several servers
			return found[0].ApplyDelay
		}
	}
	return 0
}
