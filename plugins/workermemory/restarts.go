package workermemory

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs"
	"github.com/belfry-monitoring/belfry/common/quiet"
)

// moment is how long workers may be missing in a quiet window.
const moment = 2 * time.Minute

// pause is a planned restart that is under way.
type pause struct {
	Since  time.Time `json:"t"` // the first look that missed a worker
	Before time.Time `json:"b"` // the look before that
}

// pause reports that workers are missing because they are being restarted as
// planned: since a look in a quiet window, for a moment, and all of them were
// still there at the look before it began.
func (k *kept) pause(gone []lost, previous, now time.Time, silent quiet.Windows) bool {
	underWay := k.Pause != nil && now.Sub(k.Pause.Since) <= moment
	if len(gone) == 0 || previous.IsZero() || !silent.Covers(now) && !underWay {
		k.Pause = nil
		return false
	}
	if k.Pause == nil {
		k.Pause = &pause{Since: now, Before: previous}
	}
	for _, g := range gone {
		if g.at.Before(k.Pause.Before) {
			return false
		}
	}
	ago := now.Sub(k.Pause.Since)
	return ago >= 0 && ago <= moment
}

const (
	// allAtOnce is how long a restart of all workers may take, one after the
	// other; as long nothing is said of one that has restarted.
	allAtOnce = 3 * time.Minute
	// loop is how many restarts of one worker are no coincidence, whatever
	// the others do.
	loop = 3
	// maxEvents bounds the restarts that are kept of one worker.
	maxEvents = 30
)

// identity names a process until the end of time: the boot, its number and
// when it started.
func identity(boot string, p procs.Process) string {
	return boot + " " + strconv.Itoa(p.PID) + " " + strconv.FormatInt(p.Started.Milliseconds(), 36)
}

// bodies are the processes that were a worker when it was last seen, and its
// restarts as looks saw them.
type bodies struct {
	Seen      time.Time   `json:"t"`
	Processes []string    `json:"p"`
	Restarts  []time.Time `json:"r,omitempty"` // when the new process started
	// Lost is when a process was found gone and none was there in its place
	// yet: its successor comes later.
	Lost []time.Time `json:"l,omitempty"`
	// Row is how many looks in a row have each seen a restart: with looks far
	// apart, those of a crash loop are never within one window.
	Row int `json:"n,omitempty"`
}

// base is a worker's name without the number that tells apart processes of
// one name: when the oldest restarts, all numbers move.
func base(label string) string {
	name, _, _ := strings.Cut(label, "#")
	return name
}

// follow compares the workers with those of the look before, and adds to each
// the restarts that this look sees, unless the new process started at a quiet
// time.
func follow(before map[string]bodies, list []worker, boot string, now time.Time, window time.Duration, silent quiet.Windows) map[string]bodies {
	next := make(map[string]bodies)
	started := make(map[string]time.Time)
	for _, w := range list {
		id, b := identity(boot, w.main), next[base(w.label)]
		b.Seen = now
		b.Processes = append(b.Processes, id)
		next[base(w.label)] = b
		started[id] = now.Add(-w.main.Age)
	}
	recent := func(times []time.Time) []time.Time {
		return slices.DeleteFunc(slices.Clone(times), func(at time.Time) bool { return now.Sub(at) > window || at.After(now) })
	}
	for name, b := range before {
		b.Restarts, b.Lost = recent(b.Restarts), recent(b.Lost)
		found, here := next[name]
		switch {
		case here:
			b.replaced(without(b.Processes, found.Processes), without(found.Processes, b.Processes), started, now, silent)
			b.Seen, b.Processes = found.Seen, found.Processes
			next[name] = b
		case now.Sub(b.Seen) <= keepGone && now.Sub(b.Seen) >= 0 && len(next) < maxKept:
			next[name] = b // it may come back as another process
		}
	}
	return next
}

// replaced takes in which processes are gone and which are new since the look
// before.
func (b *bodies) replaced(gone, fresh []string, started map[string]time.Time, now time.Time, silent quiet.Windows) {
	for range gone {
		b.Lost = append(b.Lost, now)
	}
	counted := false
	for _, id := range fresh {
		if len(b.Lost) == 0 {
			break // one more than there were
		}
		// Who was there long before the other was gone, and before the last
		// look, is no successor: a look could not read or did not match it.
		since := b.Lost[0]
		if b.Seen.Before(since) {
			since = b.Seen
		}
		b.Lost = b.Lost[1:]
		if at := started[id]; !at.Before(since.Add(-allAtOnce)) && !silent.Covers(at) {
			b.Restarts, counted = append(b.Restarts, at), true
		}
	}
	b.Row++
	if !counted {
		b.Row = 0
	}
	b.Restarts = b.Restarts[max(len(b.Restarts)-maxEvents, 0):]
	b.Lost = b.Lost[max(len(b.Lost)-maxEvents, 0):]
}

// without returns what is in the list and not in the other.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// judgeRestarts reports how often each worker that has restarted did so within
// the window.
// A restart of all of them together is somebody's doing, such as an upgrade,
// and counts for nothing unless it comes again and again; whether it was one
// shows when the last of them is back.
func judgeRestarts(r *check.Report, followed map[string]bodies, list []worker, now time.Time) {
	r.Absent(recentRestarts)
	oldest := time.Duration(0)
	for _, w := range list {
		oldest = max(oldest, w.main.Age)
	}
	seen := make(map[string]bool)
	for _, w := range list {
		name := base(w.label)
		if seen[name] {
			continue
		}
		seen[name] = true
		b, count := followed[name], 0
		for _, at := range b.Restarts {
			if ago := now.Sub(at); len(b.Restarts) >= loop || ago >= allAtOnce && oldest > ago+allAtOnce {
				count++
			}
		}
		if b.Row >= loop {
			count = max(count, b.Row)
		}
		if count > 0 {
			r.Observe(recentRestarts, float64(count), name)
		}
	}
}
