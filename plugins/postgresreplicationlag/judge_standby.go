package postgresreplicationlag

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// judgeStandby judges a standby from its own side. Its slots are not judged:
// a standby may hold inactive copies of its primary's.
func judgeStandby(r *check.Report, f view) (summary string) {
	behind := judgeOwnLag(r, f)
	if f.Paused {
		r.Find(replayPaused, fmt.Sprintf("%s: replay is paused, %s wait for it%s: %s", f.name, check.FormatBytes(behind), newest(f), pausedBy(f)), f.name)
	}
	if f.ApplyDelay > 0 {
		allowDelay(r, f.name, "", f.ApplyDelay)
		r.Note("%s: replays with a delay of %s on purpose (recovery_min_apply_delay)", f.name, seconds(f.ApplyDelay))
	}
	judgeConflicts(r, f)
	summary = f.name + " is standby"
	if f.Receiver != nil || !f.restores() { // nobody says how much there is in an archive
		summary += fmt.Sprintf(", %s to replay", check.FormatBytes(behind))
	}
	if cascade := judgeSenders(r, f); cascade.count > 0 {
		summary += ", feeds " + cascade.String()
	}
	return summary + judgeReceiver(r, f)
}

// pausedBy says why replay is paused, as far as that can be told: a standby
// shows no difference between a call of pg_wal_replay_pause and settings that
// are too small for what its primary has been started with.
func pausedBy(f view) string {
	for _, p := range f.seen {
		if !p.writable() || p.System != f.System {
			continue
		}
		var lower []string
		for _, name := range slices.Sorted(maps.Keys(f.Sizes)) {
			if here, there := f.Sizes[name], p.Sizes[name]; here < there {
				lower = append(lower, fmt.Sprintf("%s is %d and there %d", name, here, there))
			}
		}
		if lower != nil {
			return fmt.Sprintf("settings are lower than on %s, raise them and restart this standby: %s", p.name, strings.Join(lower, ", "))
		}
		return "by somebody"
	}
	return "by somebody, or by a setting that is lower than its primary's, which its log names"
}

// judgeOwnLag reports what a standby knows to be behind: what it has
// received, and what its primary says there is, and has not replayed.
func judgeOwnLag(r *check.Report, f view) (behind float64) {
	if f.Received == nil && (f.Receiver == nil || f.Receiver.End == nil) {
		return 0 // nothing is known; the missing receiver is a finding
	}
	// Until something new comes, the position received is the beginning of the
	// segment in which streaming began, before what has been replayed.
	have := f.position()
	end := f.end()
	if f.Receiver != nil && f.Receiver.End != nil {
		r.Observe(flushLag, have.Behind(end), f.name, "")
	}
	behind = f.Replayed.Behind(end)
	r.Observe(replayLag, behind, f.name, "")
	if late, ok := ownLag(f); ok {
		r.Observe(lag, late, f.name, "")
	}
	return behind
}

// judgeReceiver judges a standby's link to its primary.
func judgeReceiver(r *check.Report, f view) (summary string) {
	w := f.Receiver
	switch {
	case w == nil && f.restores():
		return judgeArchive(r, f)
	case w == nil:
		r.Find(noReceiver, fmt.Sprintf("%s is standby and receives nothing: it is connected to no primary%s", f.name, newest(f)), f.name)
		return ", receives nothing"
	case w.Status == nil && !f.Granted:
		r.Fail(missingGrant(f, "read the WAL receiver of"))
		return ""
	case w.Status == nil || *w.Status != "streaming":
		r.Find(receiverState, fmt.Sprintf("%s is standby and does not stream from its primary%s: %s", f.name, source(w), word(w.Status)), f.name)
	case w.begins():
		r.Find(receiverBegins, fmt.Sprintf("%s is standby and has received nothing yet: no message%s since it connected %s ago, if that stays so its log says why",
			f.name, source(w), seconds(*w.Age)), f.name)
	}
	limit := messageLimit(f.ReceiverTimeout)
	if limit == 0 {
		r.Find(noTimeout, f.name+": wal_receiver_timeout is 0, a dead link cannot be told from an idle one", f.name)
	}
	if w.Age == nil {
		return ""
	}
	r.Observe(messageAge, max(*w.Age, 0), f.name)
	setLimit(r, messageAge, f.name, limit)
	if text := source(w); text != "" {
		r.Detail("receiving"+text, f.name)
	}
	if w.begins() {
		return ", receives nothing yet"
	}
	return fmt.Sprintf(", heard%s %s ago", source(w), seconds(*w.Age))
}

// restores reports whether a standby without a connection is fed by its
// archive: as --archive says, or as it looks when it has a restore_command, has
// received nothing since its start, names no slot of a primary and was never
// seen with a connection. Whether primary_conninfo is set, only pg_monitor may
// see.
func (f view) restores() bool {
	return f.Archive && (f.want.archive || f.Received == nil && f.Slot == "" && !f.past.Streamed)
}

// judgeArchive judges a standby that is fed by restore_command alone. Nothing
// tells an idle primary from an archive that gets nothing any more, so that
// only the age of what was replayed counts.
func judgeArchive(r *check.Report, f view) (summary string) {
	if !f.want.archive {
		r.Find(archiveRecovery, f.name+" is standby and restores from its archive, it is connected to no primary: say --archive if that is meant", f.name)
	}
	var replayed time.Time
	if f.ReplayedAge != nil {
		replayed = r.Now().Add(-time.Duration(*f.ReplayedAge * float64(time.Second)))
	}
	r.ObserveTime(lastReplay, replayed, f.name)
	if f.ApplyDelay > 0 {
		allowDelayedArchive(r, f.name, f.ApplyDelay)
	}
	summary = ", restores from its archive" + newest(f)
	if f.past.At > 0 {
		moved := check.FormatBytes(f.past.Position.Behind(f.position())) + " restored since the look " + seconds(f.memory.now-f.past.At) + " ago"
		r.Detail(moved, f.name)
		summary += ", " + moved
	}
	return summary
}

// begins reports whether the receiver has just connected and nothing has come
// yet. It calls itself "streaming" from its start, also when its primary
// refuses: one whose log is gone there is started anew every few seconds
// (wal_retrieve_retry_interval) and dies of the first answer. A healthy idle
// link may be without a message for half of wal_receiver_timeout, also right
// after an ordinary restart, hence no more than a warning; what is older than
// settled is judged by its age.
func (w *receiver) begins() bool {
	const settled = 10 // seconds
	return w.Heard != nil && !*w.Heard && w.Age != nil && *w.Age < settled
}

// source says where a standby receives from.
func source(w *receiver) string {
	if w.Host == nil || *w.Host == "" {
		return ""
	}
	if w.Port == nil || (*w.Host)[0] == '/' {
		return " from " + *w.Host
	}
	return " from " + net.JoinHostPort(*w.Host, strconv.Itoa(*w.Port))
}

// newest says how old the newest replayed transaction is: the most that can
// be said of how long replay has stood still. Without writes it is older.
func newest(f view) string {
	if f.ReplayedAge == nil {
		return ""
	}
	return fmt.Sprintf(", the newest transaction replayed is %s old", seconds(*f.ReplayedAge))
}
