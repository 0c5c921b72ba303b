package testbed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"
)

// Server is one started process of a bed with all its children, and the common part of every kind of server.
type Server struct {
	Name string // in messages; also its directory in the bed
	Dir  string // private directory: configuration, log, data

	bed     *Bed
	account string // system user it runs as when we are root
	path    string // executed file; default argv[0]
	argv    []string
	env     []string
	workDir string
	stopBy  syscall.Signal // ends it in an orderly way
	ready   func() error   // one try to use it

	mu   sync.Mutex
	cmd  *exec.Cmd
	dead chan struct{} // closed when the process has ended and was waited for
}

// serverOf lays out a server's directory, owned by its account; name must be new in the bed.
func (b *Bed) serverOf(account, name string) *Server {
	b.t.Helper()
	dir := b.MkdirFor(account, name, 0o755)
	return &Server{Name: name, Dir: dir, bed: b, account: account, workDir: dir, stopBy: syscall.SIGTERM}
}

func (s *Server) logFile() string { return filepath.Join(s.Dir, "log") }

// LogTail returns the last lines of the server's log.
func (s *Server) LogTail() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	// RabbitMQ colours its log.
	return tail(regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(string(text), ""), 60)
}

// Start starts the server, again after a Stop or Kill, and waits until it can be used.
func (s *Server) Start() {
	s.bed.t.Helper()
	if err := s.launch(); err != nil {
		s.bed.fail("start %s: %v", s.Name, err)
	}
	if s.ready == nil {
		return
	}
	if err := poll(startLimit, s.ended(), s.ready); err != nil {
		s.bed.fail("%s did not come up (it has %v for that): %v\n%s", s.Name, startLimit, err, s.LogTail())
	}
}

// launch starts the process and does not wait until it is ready.
func (s *Server) launch() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil && alive(s.cmd.Process.Pid) {
		return errors.New("it is running")
	}
	credential, err := credentialOf(s.account)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	path := s.path
	if path == "" {
		path = s.argv[0]
	}
	cmd := exec.Command(path)
	cmd.Args, cmd.Env, cmd.Dir = s.argv, s.env, s.workDir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential}
	if err := cmd.Start(); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: run testbed/install.sh", err)
	} else if err != nil {
		return err
	}
	dead := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(dead)
	}()
	if s.cmd == nil {
		s.bed.mu.Lock()
		s.bed.servers = append(s.bed.servers, s)
		s.bed.mu.Unlock()
	}
	s.cmd, s.dead = cmd, dead
	return nil
}

// ended is closed when the process has ended.
func (s *Server) ended() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

func (s *Server) awaitDeath() {
	if dead := s.ended(); dead != nil {
		<-dead
	}
}

// PID is the process id of the server's main process.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// Running tells whether the main process lives, be it frozen.
func (s *Server) Running() bool { pid := s.PID(); return pid != 0 && alive(pid) }

// Stop ends the server in an orderly way and waits until all its processes are dead. After 30 s it
// kills it, and children that outlive it after 2 s more.
func (s *Server) Stop() {
	s.bed.t.Helper()
	s.end(s.stopBy)
}

// Kill ends the server as a crash does (SIGKILL for all its processes) and waits until they are dead.
func (s *Server) Kill() {
	s.bed.t.Helper()
	s.end(syscall.SIGKILL)
}

func (s *Server) end(by syscall.Signal) {
	s.bed.t.Helper()
	family := tree(s.PID())
	if len(family) == 0 {
		return
	}
	if by == syscall.SIGKILL {
		s.signal(family, by)
	} else {
		s.signal(family[:1], by)
		s.signal(family, syscall.SIGCONT) // a frozen process does not hear
	}
	_ = poll(30*time.Second, nil, func() error { return anyAlive(family[:1]) })
	// The children of many servers end on their own after it; those of a shell or of Nagios do not.
	_ = poll(2*time.Second, nil, func() error { return anyAlive(family) })
	s.signal(family, syscall.SIGKILL)
	if err := poll(10*time.Second, nil, func() error { return anyAlive(family) }); err != nil {
		s.bed.fail("stop %s: %v", s.Name, err)
	}
	s.awaitDeath()
}

func anyAlive(family []stat) error {
	for _, process := range family {
		if process.sameAlive() {
			return fmt.Errorf("process %d is still alive", process.pid)
		}
	}
	return nil
}

// signal sends to those that still are who they were.
func (s *Server) signal(family []stat, sig syscall.Signal) {
	for _, process := range family {
		if process.sameAlive() {
			_ = syscall.Kill(process.pid, sig) // it may have ended just now
		}
	}
}

// Freeze stops all processes of the server with SIGSTOP: the kernel still accepts connections for it, nobody answers.
func (s *Server) Freeze() {
	s.bed.t.Helper()
	family := tree(s.PID())
	if len(family) == 0 {
		s.bed.fail("freeze %s: it is not running", s.Name)
	}
	s.signal(family, syscall.SIGSTOP)
	s.awaitFrozen(family)
}

func (s *Server) awaitFrozen(family []stat) {
	s.bed.t.Helper()
	err := poll(10*time.Second, nil, func() error {
		for _, process := range family {
			if now, err := readStat(process.pid); err == nil && now.started == process.started && now.state != 'T' && now.state != 'Z' {
				return fmt.Errorf("process %d is in state %c", process.pid, now.state)
			}
		}
		return nil
	})
	if err != nil {
		s.bed.fail("freeze %s: %v", s.Name, err)
	}
}

// Thaw lets the server and whatever of it was frozen go on.
func (s *Server) Thaw() {
	s.bed.t.Helper()
	s.signal(tree(s.PID()), syscall.SIGCONT)
}
