package workermemory

import (
	"path"
	"strings"
)

// threads is the label of the one process that serves all queues on a small
// host (manage.py process_queue --multi_threaded, below 3.5 GiB of memory).
const threads = "multi_threaded"

// zulipWorker names the queue worker that a command line starts, as
// supervisor names it without "zulip_events_": the queue, with its number
// where several processes share it. Forms, from Zulip's
// puppet/zulip/templates/supervisor/zulip.conf.template.erb:
//
//	manage.py process_queue --queue_name=X --skip-checks [--worker_num N]
//	manage.py process_queue --multi_threaded X Y Z --skip-checks
//
// Only an interpreter that runs manage.py is one: an editor, a shell or grep
// may have the same words on its command line.
func zulipWorker(args []string) (label string, ok bool) {
	at := commandAt(args)
	if at < 0 {
		return "", false
	}
	queue, number, many := "", "", false
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
		switch name {
		case "--queue_name":
			queue = value
		case "--worker_num":
			number = value
		case "--multi_threaded", "--all":
			many = true
		}
	}
	switch {
	case many:
		return threads, true
	case queue == "" || strings.HasPrefix(queue, "-"):
		return "", false
	case number == "" || number == "0" || !isDigits(number):
		return queue, true
	case queue == "missedmessage_mobile_notifications" || queue == "user_activity":
		return queue + "_shard" + number, true
	}
	return queue + "_worker" + number, true
}

// commandAt returns the place of process_queue behind manage.py in a command
// line that an interpreter runs, or -1.
func commandAt(args []string) int {
	for i := 1; i < len(args); i++ {
		if args[i] != "process_queue" || !strings.Contains(path.Base(args[i-1]), "manage.py") {
			continue
		}
		if i == 1 || isPython(args[0]) {
			return i
		}
	}
	return -1
}

// isPython knows /srv/zulip-venv/bin/python3.11, pypy3 and Nix's
// .python3-wrapped.
func isPython(program string) bool {
	base := strings.TrimPrefix(path.Base(program), ".")
	return strings.HasPrefix(base, "python") || strings.HasPrefix(base, "pypy")
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
