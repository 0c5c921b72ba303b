// Package workers knows the command lines of Zulip's queue workers. It holds
// no verdicts.
package workers

import (
	"path"
	"strings"
)

// Threads is the label of the one process that serves all queues on a small
// host (manage.py process_queue --multi_threaded, below 3.5 GiB of memory).
const Threads = "multi_threaded"

// Worker is what a command line starts.
type Worker struct {
	// Label names it as supervisor does, without "zulip_events_": the queue,
	// with its number where several processes share it.
	Label string
	// Queues are those that it consumes from; none where the command line
	// does not name them (--all).
	Queues []string
}

// Parse reads a command line; ok is false for what is no queue worker. Forms,
// from Zulip's puppet/zulip/templates/supervisor/zulip.conf.template.erb:
//
//	manage.py process_queue --queue_name=X --skip-checks [--worker_num N]
//	manage.py process_queue --multi_threaded X Y Z --skip-checks
//
// Only an interpreter that runs manage.py is one: an editor, a shell or grep
// may have the same words on its command line.
func Parse(args []string) (w Worker, ok bool) {
	at := commandAt(args)
	if at < 0 {
		return Worker{}, false
	}
	queue, number, many := "", "", false
	var named []string // behind --multi_threaded
	rest := args[at+1:]
	for i, arg := range rest {
		next := ""
		if i+1 < len(rest) {
			next = rest[i+1]
		}
		name, value, given := strings.Cut(arg, "=")
		if !given {
			value = next
		}
		switch {
		case name == "--queue_name":
			queue = value
		case name == "--worker_num":
			number = value
		case name == "--multi_threaded", name == "--all":
			many = true
		case many && !strings.HasPrefix(arg, "-"):
			named = append(named, arg)
		}
	}
	switch {
	case many:
		return Worker{Label: Threads, Queues: named}, true
	case queue == "" || strings.HasPrefix(queue, "-"):
		return Worker{}, false
	case number == "" || number == "0" || strings.Trim(number, "0123456789") != "":
		return Worker{Label: queue, Queues: []string{queue}}, true
	case queue == "missedmessage_mobile_notifications" || queue == "user_activity":
		shard := queue + "_shard" + number // has a queue of its own
		return Worker{Label: shard, Queues: []string{shard}}, true
	}
	return Worker{Label: queue + "_worker" + number, Queues: []string{queue}}, true
}

// commandAt returns the place of process_queue behind manage.py in a command
// line that an interpreter runs, or -1.
func commandAt(args []string) int {
	for i := 1; i < len(args); i++ {
		if args[i] != "process_queue" || !strings.Contains(path.Base(args[i-1]), "manage.py") {
			continue
		}
		if i == 1 || IsPython(args[0]) {
			return i
		}
	}
	return -1
}

// IsPython knows /srv/zulip-venv/bin/python3.11, pypy3 and Nix's
// .python3-wrapped.
func IsPython(program string) bool {
	base := strings.TrimPrefix(path.Base(program), ".")
	return strings.HasPrefix(base, "python") || strings.HasPrefix(base, "pypy")
}
