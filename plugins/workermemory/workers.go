package workermemory

import (
	"sort"
	"strconv"
	"time"

	"github.com/belfry-monitoring/belfry/common/procs"
)

// worker is one worker as an operator sees it. Sizes are in bytes.
type worker struct {
	label string
	// main is its process; of several that are one worker, the one that
	// holds most memory.
	main procs.Process
	// others watch over it: Django's reloader above the threads.
	others []procs.Process
}

// settled is how old a process must be before a child that has executed
// nothing counts beside its parent.
const settled = time.Second

// workersOf makes workers of the processes, oldest first: it leaves out
// children that are about to execute something else, joins a process with
// its children of the same name where together they are one worker, and
// numbers workers of the same name from the oldest: "gunicorn",
// "gunicorn#2".
func workersOf(found []procs.Process, name func(procs.CommandLine) string, joined func(procs.CommandLine) bool) []worker {
	byPID := make(map[int]int, len(found))
	labels := make([]string, len(found))
	for i, p := range found {
		byPID[p.PID], labels[i] = i, name(p.Command)
	}
	// parent is the place of a process's parent of the same name.
	parent := func(i int) (int, bool) {
		p, ok := byPID[found[i].Parent]
		return p, ok && labels[p] == labels[i]
	}
	var list []worker
	place := make(map[int]int) // of a worker's first process: the worker
	for i, p := range found {
		if up, ok := parent(i); ok && p.ForkedOnly && p.Age < settled && found[up].Command == p.Command {
			continue
		}
		first := i
		for range found { // no longer than there are processes
			up, ok := parent(first)
			if !ok || !joined(p.Command) {
				break
			}
			first = up
		}
		if w, known := place[first]; known {
			list[w].join(p)
			continue
		}
		place[first] = len(list)
		list = append(list, worker{label: labels[i], main: p})
	}
	seen := make(map[string]int)
	for i := range list {
		label := list[i].label
		if seen[label]++; seen[label] > 1 {
			list[i].label = label + "#" + strconv.Itoa(seen[label])
		}
	}
	sort.SliceStable(list, func(a, b int) bool { return list[a].label < list[b].label })
	return list
}

func (w *worker) join(p procs.Process) {
	if p.RSS > w.main.RSS {
		p, w.main = w.main, p
	}
	w.others = append(w.others, p)
}

// sums are the sizes of all workers and those that watch over them, in bytes.
type sums struct{ rss, swap uint64 }

func total(list []worker) sums {
	var s sums
	for _, w := range list {
		s.rss += w.main.RSS
		s.swap += w.main.Swap
		for _, p := range w.others {
			s.rss += p.RSS
			s.swap += p.Swap
		}
	}
	return s
}

// largest returns the worker with the most resident memory; the list is not
// empty.
func largest(list []worker) worker {
	most := list[0]
	for _, w := range list[1:] {
		if w.main.RSS > most.main.RSS {
			most = w
		}
	}
	return most
}
