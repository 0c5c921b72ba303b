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
	Restarts  []time.Time `json:"r,omitempty"`
}

// base is a worker's name without the number that tells apart processes of
// one name: when the oldest restarts, all numbers move.
func base(label string) string {
	name, _, _ := strings.Cut(label, "#")
	return name
}

// follow compares the workers with those of the look before, and adds to each
// the restarts that this look sees, unless the time is a quiet one.
func follow(before map[string]bodies, list []worker, boot string, now time.Time, window time.Duration, silent quiet.Windows) map[string]bodies {
	next := make(map[string]bodies)
	for _, w := range list {
		b := next[base(w.label)]
		b.Seen = now
		b.Processes = append(b.Processes, identity(boot, w.main))
		next[base(w.label)] = b
	}
	for name, b := range before {
		found, here := next[name]
		b.Restarts = slices.DeleteFunc(slices.Clone(b.Restarts), func(at time.Time) bool { return now.Sub(at) > window || at.After(now) })
		switch {
		case here:
			gone := without(b.Processes, found.Processes)
			fresh := without(found.Processes, b.Processes)
			if !silent.Covers(now) {
				for range min(gone, fresh) {
					b.Restarts = append(b.Restarts, now)
				}
			}
			if over := len(b.Restarts) - maxEvents; over > 0 {
				b.Restarts = b.Restarts[over:]
			}
			found.Restarts = b.Restarts
			next[name] = found
		case now.Sub(b.Seen) <= keepGone && now.Sub(b.Seen) >= 0 && len(next) < maxKept:
			next[name] = b // it may come back as another process
		}
	}
	return next
}

// without counts what is in the list and not in the other.
func without(list, other []string) int {
	n := 0
	for _, s := range list {
		if !slices.Contains(other, s) {
			n++
		}
	}
	return n
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
		if count > 0 {
			r.Observe(recentRestarts, float64(count), name)
		}
	}
}
