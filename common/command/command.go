// Package command runs a tool that answers on its standard output: by
// absolute path and argument array, without a shell, in a clean environment,
// in a process group of its own that is killed at the deadline. It holds no
// verdicts, but names why a tool failed: not there (config), not allowed
// (permission), no answer in time (timeout), or an answer that is no use
// (data).
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// DefaultMaxOutput bounds a tool's standard output in bytes where nothing
// else is said.
const DefaultMaxOutput = 16 << 20

// DefaultLimit is how long a tool may take where nothing else is said.
const DefaultLimit = 10 * time.Second

// drain is how long after a tool's end its output is still read. Its own is
// in the pipe by then; only a process that it left behind keeps the pipe open.
const drain = 250 * time.Millisecond

// Command is one run of a tool.
type Command struct {
	Stage string        // what is tried, as it begins an error: "list the backups with"; empty: "run"
	Path  string        // of the executable, absolute
	Args  []string      // without the name; no secret, because every local user can read them
	Env   []string      // "NAME=value", beside LC_ALL=C and a fixed PATH; nothing is inherited
	Limit time.Duration // from start to end; zero: DefaultLimit
	Max   int64         // bound of standard output in bytes; zero: DefaultMaxOutput
}

// Output is what a tool said.
type Output struct {
	Stdout []byte
	Stderr string // the end of it, clean for one line, from its first error on
	Log    string // all of standard error, but of the last 16 KiB; foreign text, not clean
}

// ExitError is the end of a tool that says it failed.
type ExitError struct {
	Code   int    // exit code, -1 where a signal ended it
	Signal string // "killed"; empty for none
	Stderr string // as in Output
}

// Error reads "exit code 41: ERROR: [041]: unable to open file".
func (e *ExitError) Error() string {
	text := fmt.Sprintf("exit code %d", e.Code)
	if e.Signal != "" {
		text = "ended by a signal (" + e.Signal + ")"
	}
	if e.Stderr != "" {
		return text + ": " + e.Stderr
	}
	return text + ", no error text"
}

// errFlood ends a tool that does not stop talking.
var errFlood = errors.New("too much output")

// CheckPath tells what is wrong with the path of a tool, before it is run.
func CheckPath(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q is no absolute path: a tool is not looked for in PATH", path)
	}
	return nil
}

// Run runs the tool to its end. The error is a *check.Fault; one that wraps an
// *[ExitError] comes with the output, for tools whose exit code is an answer.
func (c Command) Run(ctx context.Context) (*Output, error) {
	if err := CheckPath(c.Path); err != nil {
		return nil, c.fault(check.Config, err)
	}
	limit, most := c.Limit, c.Max
	if limit <= 0 {
		limit = DefaultLimit
	}
	if most <= 0 {
		most = DefaultMaxOutput
	}
	step, cancel := check.Step(ctx, limit)
	defer cancel()
	run, kill := context.WithCancelCause(step)
	defer kill(nil)

	stdout := &bounded{max: most, full: func() { kill(errFlood) }}
	stderr := &ending{max: maxStderr}
	cmd := exec.CommandContext(run, c.Path, c.Args...)
	cmd.Dir = "/"
	cmd.Env = append([]string{
		"LC_ALL=C", "LANG=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}, c.Env...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = drain
	cmd.Cancel = func() error { return killGroup(cmd) }

	started := time.Now()
	if err := step.Err(); err != nil {
		return nil, c.late(ctx, started, stderr)
	}
	if err := cmd.Start(); err != nil {
		return nil, c.startFault(err)
	}
	err := cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		// The tool ended well and left a process behind that holds its pipes.
		err = killGroup(cmd)
		if errors.Is(err, syscall.ESRCH) {
			err = nil
		}
	}
	out := &Output{Stdout: stdout.buffer.Bytes(), Stderr: stderr.Text(), Log: stderr.Raw()}
	var exit *exec.ExitError
	switch {
	case errors.Is(context.Cause(run), errFlood):
		return nil, c.fault(check.Data, fmt.Errorf("more than %s of output, stopped it", check.FormatBytes(float64(most))))
	case step.Err() != nil && err != nil:
		return nil, c.late(ctx, started, stderr)
	case errors.As(err, &exit):
		return out, c.fault(check.Data, exitError(exit, out.Stderr))
	case err != nil:
		return nil, c.fault(check.Internal, err)
	}
	return out, nil
}

// killGroup ends the tool and everything that it started.
func killGroup(cmd *exec.Cmd) error {
	// Start has made the child the leader of its group, so the group's id is
	// the child's.
	return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

func (c Command) fault(reason check.Reason, err error) *check.Fault {
	stage := c.Stage
	if stage == "" {
		stage = "run"
	}
	return &check.Fault{Reason: reason, Stage: stage, Peer: c.Path, Err: err}
}

// late says that the tool had not ended in time, or that nobody waits for it
// any more.
func (c Command) late(ctx context.Context, started time.Time, stderr *ending) *check.Fault {
	after := check.FormatDuration(time.Since(started).Round(10 * time.Millisecond))
	text := "no answer after " + after
	if errors.Is(ctx.Err(), context.Canceled) {
		text = "interrupted after " + after
	}
	if said := stderr.Text(); said != "" {
		text += ": " + said
	}
	return c.fault(check.Timeout, errors.New(text))
}

// startFault says why the tool could not be started. A path that is there
// and yet "does not exist" is a script whose interpreter is missing.
func (c Command) startFault(err error) *check.Fault {
	var errno syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if syscall.Access(c.Path, 0) == nil {
			return c.fault(check.Config, errors.New("its interpreter does not exist"))
		}
		return c.fault(check.Config, errors.New("no such file: install the tool or give its path"))
	case errors.Is(err, fs.ErrPermission):
		return c.fault(check.Permission, errors.New("not executable for this user"))
	case errors.Is(err, syscall.ENOEXEC):
		return c.fault(check.Config, errors.New("no program that this machine can execute"))
	case errors.As(err, &errno):
		// Out of processes or memory: this machine's trouble, not the tool's.
		return c.fault(check.Internal, errno)
	}
	return c.fault(check.Internal, err)
}

func exitError(exit *exec.ExitError, stderr string) *ExitError {
	e := &ExitError{Code: exit.ExitCode(), Stderr: stderr}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal = status.Signal().String()
	}
	return e
}

// bounded keeps up to max bytes and then calls full and refuses. The buffer
// is a field, not embedded: its ReadFrom would get past the bound.
type bounded struct {
	buffer bytes.Buffer
	max    int64
	full   func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(b.buffer.Len())+int64(len(p)) > b.max {
		b.full()
		return 0, errFlood
	}
	return b.buffer.Write(p)
}
