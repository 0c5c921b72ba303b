package testbed

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// SupervisedOptions say what Bed.Supervised starts.
type SupervisedOptions struct {
	Name    string        // in messages, and its directory in the bed; must be new in the bed
	Argv    []string      // of the worker, as the process list shows it
	MiB     int           // resident memory it holds
	Account string        // system user it runs as when we are root; default "nobody"
	Broker  *RabbitMQ     // it consumes from
	Queue   string        // of the vhost "/", which it declares
	Pace    time.Duration // it works on each message
	Stats   string        // directory it writes Zulip's statistics to; "" for none
}

// Supervised is a worker that consumes from a queue, under a supervisor of its own, which is the server: it starts the worker
// anew whenever that ends.
type Supervised struct{ *Server }

// Supervised starts a worker of a queue, real to the broker and in the process list.
func (b *Bed) Supervised(options SupervisedOptions) *Supervised {
	b.t.Helper()
	if options.Account == "" {
		options.Account = "nobody"
	}
	binary := b.Build("./testbed/internal/worker")
	s := &Supervised{b.serverOf(options.Account, options.Name)}
	s.path = filepath.Join(s.Dir, "python3")
	if err := os.Symlink(binary, s.path); err != nil {
		b.fail("lay out worker %s: %v", options.Name, err)
	}
	s.argv = []string{"supervisord", options.Name}
	s.env = b.environ(s.Dir, "TESTBED_WORKER_SUPERVISED="+strings.Join(options.Argv, "\n"), "TESTBED_WORKER_MIB="+strconv.Itoa(options.MiB),
		"TESTBED_WORKER_AMQP="+options.Broker.AMQPURL(UserZulip, "/"), "TESTBED_WORKER_QUEUE="+options.Queue,
		"TESTBED_WORKER_PACE="+options.Pace.String(), "TESTBED_WORKER_STATS="+options.Stats)
	s.ready = func() error {
		pid := s.WorkerPID()
		if pid == 0 {
			return errors.New("its supervisor has not started it yet")
		}
		kib, err := residentKiB(pid)
		if err == nil && kib < options.MiB<<10 {
			err = errors.New("it has not taken its memory yet")
		}
		return err
	}
	s.Start()
	return s
}

// WorkerPID is the process id of the worker under the supervisor, 0 while there is none.
func (s *Supervised) WorkerPID() int {
	if family := tree(s.PID()); len(family) > 1 {
		return family[1].pid
	}
	return 0
}

func (s *Supervised) tell(signal syscall.Signal) {
	s.bed.t.Helper()
	if err := syscall.Kill(s.PID(), signal); err != nil {
		s.bed.fail("signal %s: %v", s.Name, err)
	}
}

// Restart has the supervisor end the worker and start it anew, as at a deployment.
func (s *Supervised) Restart() { s.bed.t.Helper(); s.tell(syscall.SIGHUP) }

// Stick makes the worker hold all messages it gets from now on, until it is restarted. It returns when the worker does.
func (s *Supervised) Stick() {
	s.bed.t.Helper()
	s.tell(syscall.SIGUSR1)
	WaitFor(s.bed.t, 20*time.Second, "worker "+s.Name+" to be stuck", func() error {
		_, err := os.Stat(filepath.Join(s.Dir, "stuck"))
		return err
	})
}

// Leak makes the worker's memory grow by 40 MiB a second, up to 600 MiB.
func (s *Supervised) Leak() { s.bed.t.Helper(); s.tell(syscall.SIGUSR2) }

// Crash ends the worker and, until Mend, each later one half a second after its start.
func (s *Supervised) Crash() {
	s.bed.t.Helper()
	s.bed.WriteFileFor(s.account, filepath.Join(s.Dir, "crash"), "", 0o644)
	s.tell(syscall.SIGHUP)
}

// Mend ends Crash.
func (s *Supervised) Mend() {
	s.bed.t.Helper()
	if err := os.Remove(filepath.Join(s.Dir, "crash")); err != nil {
		s.bed.fail("mend %s: %v", s.Name, err)
	}
}
