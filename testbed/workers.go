package testbed

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// WorkerOptions say what a worker process looks like.
type WorkerOptions struct {
	Name    string   // in messages, and its directory in the bed; must be new in the bed
	Argv    []string // as the process list shows it; default: ZulipWorker("email_senders")
	MiB     int      // resident memory it holds, beside 2 to 4 MiB of its own
	Account string   // system user it runs as when we are root; default "nobody"
}

// ZulipWorker is the command line of the process that serves a queue of Zulip, as supervisor starts it.
func ZulipWorker(queue string) []string {
	return []string{"python3", "/home/zulip/deployments/current/manage.py", "process_queue", "--queue_name=" + queue, "--skip-checks"}
}

// ZulipWorkerThreads is the command line of the one process that serves all queues of a small Zulip.
func ZulipWorkerThreads() []string {
	return []string{"python3", "/home/zulip/deployments/current/manage.py", "process_queue", "--multi_threaded", "--skip-checks"}
}

// Worker starts a real process that looks like a worker in the process list (command "python3") and holds memory.
func (b *Bed) Worker(options WorkerOptions) *Server {
	b.t.Helper()
	if options.Argv == nil {
		options.Argv = ZulipWorker("email_senders")
	}
	if options.Account == "" {
		options.Account = "nobody"
	}
	binary := b.Build("./testbed/internal/worker")
	s := b.serverOf(options.Account, options.Name)
	// The kernel takes a process's short name from the file that was executed.
	s.path = filepath.Join(s.Dir, "python3")
	if err := os.Symlink(binary, s.path); err != nil {
		b.fail("lay out worker %s: %v", options.Name, err)
	}
	s.argv = options.Argv
	s.env = b.environ(s.Dir, "TESTBED_WORKER_MIB="+strconv.Itoa(options.MiB))
	s.ready = func() error {
		kib, err := residentKiB(s.PID())
		if err == nil && kib < options.MiB<<10 {
			err = fmt.Errorf("%d KiB resident; want %d MiB", kib, options.MiB)
		}
		return err
	}
	s.Start()
	return s
}

// residentKiB is the VmRSS of a process.
func residentKiB(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		}
	}
	return 0, fmt.Errorf("process %d has no memory", pid)
}
