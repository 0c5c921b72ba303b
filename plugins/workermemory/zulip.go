package workermemory

import (
	"strings"

	zulipworkers "github.com/belfry-monitoring/belfry/common/zulip/workers"
)

// threads is the label of the one process that serves all queues of Zulip.
const threads = zulipworkers.Threads

// zulipWorker names the queue worker of Zulip that a command line starts.
func zulipWorker(args []string) (label string, ok bool) {
	w, ok := zulipworkers.Parse(args)
	return w.Label, ok
}

func isPython(program string) bool { return zulipworkers.IsPython(program) }

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
