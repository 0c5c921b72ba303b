package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// tool writes a shell script that stands for a tool.
func tool(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunAnswers(t *testing.T) {
	t.Setenv("BELFRY_TEST_INHERITED", "yes")
	path := tool(t, `printf '%s,' "$@"; echo; pwd; env | sort; read line || echo "no input"; echo warning >&2`)
	out, err := Command{Path: path, Args: []string{"a b", "$HOME", "*", ""}, Env: []string{"TZ=UTC"}}.Run(context.Background())
	if err != nil {
		t.Fatalf("Run() = %v; want no error", err)
	}
	got := string(out.Stdout)
	for _, want := range []string{"a b,$HOME,*,,\n/\n", "LC_ALL=C\n", "TZ=UTC\n", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n", "no input\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("output %q; want %q in it", got, want)
		}
	}
	if strings.Contains(got, "BELFRY_TEST_INHERITED") || strings.Contains(got, "HOME=") {
		t.Errorf("output %q; want nothing of our own environment in it", got)
	}
	if out.Log != "warning\n" {
		t.Errorf("log = %q; want %q", out.Log, "warning\n")
	}
	if out.Stderr != "warning" {
		t.Errorf("standard error = %q; want %q", out.Stderr, "warning")
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	lost := filepath.Join(dir, "lost")
	binary := filepath.Join(dir, "binary")
	for path, content := range map[string]string{plain: "x", lost: "#!/nonexistent/sh\n", binary: "\x00\x01\x02"} {
		mode := os.FileMode(0o755)
		if path == plain {
			mode = 0o644
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name   string
		c      Command
		reason check.Reason
		state  check.State
		text   string // in the error
	}{
		{"relative", Command{Path: "true"}, check.Config, check.Unknown, "no absolute path"},
		{"missing", Command{Path: "/nonexistent/tool"}, check.Config, check.Unknown, "/nonexistent/tool: no such file"},
		{"not executable", Command{Path: plain}, check.Permission, check.Unknown, "not executable for this user"},
		{"directory", Command{Path: dir}, check.Permission, check.Unknown, "not executable for this user"},
		{"interpreter missing", Command{Path: lost}, check.Config, check.Unknown, "its interpreter does not exist"},
		{"no program", Command{Path: binary}, check.Config, check.Unknown, "no program"},
		{"exit code", Command{Stage: "list with", Path: tool(t, `echo "P00 INFO: hello" >&2; echo "ERROR: [041]: cannot | read" >&2; exit 41`)},
			check.Data, check.Unknown, "exit code 41: ERROR: [041]: cannot ! read"},
		{"exit code, silent", Command{Path: tool(t, `exit 7`)}, check.Data, check.Unknown, "exit code 7, no error text"},
		{"signal", Command{Path: tool(t, `kill -KILL $$`)}, check.Data, check.Unknown, "ended by a signal (killed)"},
		{"hangs", Command{Path: tool(t, `echo waiting for the lock >&2; sleep 600`), Limit: 300 * time.Millisecond},
			check.Timeout, check.Critical, "no answer after"},
		{"ignores signals", Command{Path: tool(t, `trap '' TERM INT HUP PIPE; while :; do sleep 600; done`), Limit: 300 * time.Millisecond},
			check.Timeout, check.Critical, "no answer after"},
		{"floods", Command{Path: tool(t, `trap '' PIPE; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done`), Max: 64 << 10},
			check.Data, check.Unknown, "more than 64 KiB of output"},
		{"floods standard error", Command{Path: tool(t, `i=0; while [ $i -lt 20000 ]; do echo "line $i of progress"; i=$((i+1)); done >&2; echo "fatal: the end" >&2; exit 1`), Limit: 20 * time.Second},
			check.Data, check.Unknown, "exit code 1: fatal: the end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := test.c.Run(context.Background())
			var fault *check.Fault
			if !errors.As(err, &fault) || fault.Reason != test.reason || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("Run() = %v; want a fault of reason %s with %q in it", err, test.reason, test.text)
			}
			if fault.Reason.State() != test.state {
				t.Errorf("state = %s; want %s", fault.Reason.State(), test.state)
			}
		})
	}
}

func TestRunGivesOutputBesideTheExitCode(t *testing.T) {
	t.Parallel()
	out, err := Command{Path: tool(t, `echo answer; exit 2`)}.Run(context.Background())
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 2 || out == nil || string(out.Stdout) != "answer\n" {
		t.Errorf("Run() = %v, %v; want the output and exit code 2", out, err)
	}
}

func TestRunStopsWithTheLook(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	_, err := Command{Path: tool(t, `sleep 600`), Limit: time.Hour}.Run(ctx)
	if check.ReasonOf(err) != check.Timeout || ctx.Err() != nil {
		t.Errorf("Run() = %v, look over: %v; want a timeout before the look is over", err, ctx.Err())
	}
	ended, end := context.WithCancel(context.Background())
	end()
	_, err = Command{Path: tool(t, `sleep 600`)}.Run(ended)
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("Run() in a look that has ended = %v; want it interrupted", err)
	}
}

// TestRunKillsTheGroup: what a hanging tool has started ends with it.
func TestRunKillsTheGroup(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	script := fmt.Sprintf(`sleep 600 & echo $! > %[1]s; (trap '' TERM; exec sleep 601) & echo $! >> %[1]s; wait`, pids)
	_, err := Command{Path: tool(t, script), Limit: 500 * time.Millisecond}.Run(context.Background())
	if check.ReasonOf(err) != check.Timeout {
		t.Fatalf("Run() = %v; want a timeout", err)
	}
	assertGone(t, pids, 2)
}

// TestRunDoesNotWaitForLeftovers: a process that a tool left behind with its
// standard output open holds up nobody, and does not stay.
func TestRunDoesNotWaitForLeftovers(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	out, err := Command{Path: tool(t, fmt.Sprintf(`echo answer; sleep 600 & echo $! > %s`, pids)), Limit: 5 * time.Minute}.Run(context.Background())
	if err != nil || string(out.Stdout) != "answer\n" {
		t.Fatalf("Run() = %v, %v; want the answer", out, err)
	}
	assertGone(t, pids, 1)
}

func assertGone(t *testing.T, pids string, count int) {
	t.Helper()
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	if len(fields) != count {
		t.Fatalf("pids = %q; want %d", fields, count)
	}
	for _, field := range fields {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(10 * time.Second); running(pid); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("process %d lives; want it killed with its tool", pid)
			}
		}
	}
}

// running is false for a zombie, which a slow init leaves for a while.
func running(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}
