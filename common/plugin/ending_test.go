package plugin

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

// closing is a check whose Close is a function.
type closing struct {
	scripted
	close func() error
}

func (c closing) Close() error { return c.close() }

func fine(_ context.Context, r *check.Report) error { r.Observe(total, 1); return nil }

// A verdict that is out is not changed by what Close does.
func TestCloseChangesNothing(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, f := range map[string]func() error{
		"panics": func() error { panic("close") },
		"hangs":  func() error { <-release; return nil },
		"fails":  func() error { return errors.New("no") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := definition(nil)
			d.New = func(*pflag.FlagSet) check.Check { return closing{fine, f} }
			var out strings.Builder
			code := (&Plugin{Definition: d, Stdout: &out}).Run(context.Background())
			if want := "TEST OK: 1 value | total=1\n"; code != 0 || out.String() != want {
				t.Errorf("Close %s: exit %d, %q; want 0, %q", name, code, out.String(), want)
			}
		})
	}
}

// The methods of a check are never called at the same time.
func TestCloseWaitsForRun(t *testing.T) {
	release := make(chan struct{})
	closed := false
	d := definition(nil)
	d.New = func(*pflag.FlagSet) check.Check {
		return closing{func(context.Context, *check.Report) error { <-release; return nil }, func() error { closed = true; return nil }}
	}
	var out strings.Builder
	(&Plugin{Definition: d, Args: []string{"-t", "0.1"}, Stdout: &out}).Run(context.Background())
	if closed {
		t.Errorf("Close was called while Run ran: %q", out.String())
	}
	close(release)
}

// A reader of the state file must not go on with the verdict before.
func TestStateFileOfARefusal(t *testing.T) {
	panicking := func(context.Context, *check.Report) error { return (*check.Fault)(nil) }
	for _, tt := range []struct {
		look scripted
		args []string
		want string
	}{
		{fine, []string{"-w", "20:10"}, "1795230000|3|UNKNOWN|range \"20:10\": start is above end"},
		{fine, []string{"--nonsense"}, "1795230000|3|UNKNOWN|unknown flag: --nonsense"},
		{panicking, nil, "1795230000|3|UNKNOWN|panic: runtime error"},
	} {
		path := filepath.Join(t.TempDir(), "state")
		// Behind the option that is wrong, too.
		for _, args := range [][]string{append([]string{"--state-file", path}, tt.args...), append(tt.args, "--state-file", path), append(tt.args, "--state-file="+path)} {
			if err := os.WriteFile(path, []byte("1|0|OK|fine\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			code, _ := run(t, tt.look, args...)
			if got, _ := os.ReadFile(path); code != 3 || !strings.HasPrefix(string(got), tt.want) {
				t.Errorf("%q: exit %d, state file %q; want 3, %q", args, code, got, tt.want)
			}
		}
	}
	for args, want := range map[string]string{
		"--nonsense": "", "--nonsense --state-file": "", "--nonsense --state-file=$_SERVICESTATE_FILE$": "", "--state-file a -x --state-file=b": "b",
	} {
		if got := stateFileOf(strings.Fields(args)); got != want {
			t.Errorf("stateFileOf(%s) = %q; want %q", args, got, want)
		}
	}
}

// A state file in the place of a device or FIFO would replace it.
func TestStateFileReplacesOnlyFiles(t *testing.T) {
	dir := t.TempDir()
	fifo, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.Symlink("/dev/null", link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, link, dir} {
		before, _ := os.Lstat(path)
		code, out := run(t, fine, "--state-file", path)
		after, err := os.Lstat(path)
		if err != nil || before.Mode() != after.Mode() || code != 3 || !strings.Contains(out, "not a regular file") {
			t.Errorf("--state-file %s: exit %d, %q, mode %v then %v; want 3, refused, left alone", path, code, out, before.Mode(), after.Mode())
		}
	}
}

// What cannot be written must not hide on line 1 what is down.
func TestStateFileDoesNotHideAnOutage(t *testing.T) {
	down := func(context.Context, *check.Report) error {
		return check.Faultf(check.Dial, "connect to", "db:5432", "connection refused")
	}
	code, out := run(t, down, "--state-file", "/proc/nothing")
	if want := "TEST CRITICAL: connect to db:5432: connection refused, 1 more problem of 2\n"; code != 2 || !strings.HasPrefix(out, want) {
		t.Errorf("exit %d, %q; want 2, %q", code, out, want)
	}
}

// A long problem does not push the notice and the number of problems out of
// line 1.
func TestFirstLineKeepsItsEnd(t *testing.T) {
	r := &check.Result{Definition: definition(nil), State: check.Critical, Notices: []string{"TLS certificate not verified"}}
	for range 3 {
		r.Rows = append(r.Rows, check.Row{State: check.Critical, Text: strings.Repeat("ä€", 400)})
	}
	line, _, _ := strings.Cut(string(Text(r, 0)), "\n")
	if want := "..., 2 more problems of 3 (TLS certificate not verified)"; !strings.HasSuffix(line, want) || len(line) > maxLine {
		t.Errorf("%d bytes, ends in %.80q; want at most %d, %q", len(line), line[max(0, len(line)-80):], maxLine, want)
	}
}

// TestProcess is no test of its own: the tests below run this binary as a
// plugin.
func TestProcess(t *testing.T) {
	if args, ok := os.LookupEnv("BELFRY_TEST_PROCESS"); ok {
		os.Args = append([]string{"check_test"}, strings.Fields(args)...)
		Main(definition(counting))
	}
}

// process runs the shell's text with $P as the plugin.
func process(t *testing.T, args, script string) (int, string) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `P="`+os.Args[0]+` -test.run=^TestProcess$"; `+script)
	cmd.Env = append(os.Environ(), "BELFRY_TEST_PROCESS="+args, "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// Whatever becomes of its output, the process exits with the verdict; a disk
// that takes no byte is said in one line.
func TestProcessEnds(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name, args, script string
		code               int
		want               string
	}{
		{"closed stdout", "", `exec $P >&-`, 0, ""},
		{"full stdout", "", `exec $P >/dev/full`, 0, ""},
		{"reader gone", "", `{ sleep 0.2; $P; echo "code $?" >&2; } | true; sleep 1`, 0, "code 0\n"},
		{"no byte for the memory", "--state-dir " + dir, `ulimit -f 0; exec $P`, 1, "TEST WARNING: this look is not kept for the next one: write " + dir},
		{"no byte for the state file", "--state-dir " + t.TempDir() + " --state-file " + dir + "/state", `ulimit -f 0; exec $P`, 3,
			"TEST UNKNOWN: write the state file " + dir + "/state: file too large"},
	} {
		code, out := process(t, tt.args, tt.script)
		if code != tt.code || !strings.HasPrefix(out, tt.want) || tt.want == "" && out != "" {
			t.Errorf("%s: exit %d, %q; want %d, %q", tt.name, code, out, tt.code, tt.want)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
