package cronfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/faults"
)

func TestDefinition(t *testing.T) {
	if err := Definition.Validate(); err != nil {
		t.Error(err)
	}
}

// place is a directory that only its owner can write, as a job has it.
func place(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// said writes a file with a verdict of an age and returns its path.
func said(t *testing.T, dir, name string, age time.Duration, rest string) string {
	t.Helper()
	return put(t, dir, name, fmt.Sprintf("%d|%s\n", time.Now().Add(-age).Unix(), rest))
}

func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFaults: nothing that can stand in place of a fresh verdict is OK.
func TestFaults(t *testing.T) {
	d := place(t)
	fine := fmt.Sprintf("%d|0|OK|fine\n", time.Now().Unix())
	fifo := filepath.Join(d, "fifo")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	directory := filepath.Join(d, "directory")
	if err := os.Mkdir(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(d, "link")
	if err := os.Symlink(put(t, d, "target", fine), link); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(d, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	vanishing, vanishingDir := put(t, d, "vanishing", fine), filepath.Join(d, "vanishing-dir")
	if err := os.Mkdir(vanishingDir, 0o755); err != nil {
		t.Fatal(err)
	}
	row := func(name, path string, reason check.Reason, text string) faults.Row {
		return faults.Row{Name: name, Args: []string{"--file", path}, Want: faults.Want{State: check.Unknown, Reason: reason, Text: text}}
	}
	rows := []faults.Row{
		row("empty", put(t, d, "empty", ""), check.Data, "empty: it is empty: the job was cut off"),
		row("huge", put(t, d, "huge", fine+strings.Repeat("x", maxFile)), check.Data, "more than 65536 bytes, where one line should be"),
		row("FIFO", fifo, check.Config, "not a regular file (FIFO)"),
		row("device", "/dev/zero", check.Config, "not a regular file"),
		row("directory in its place", directory, check.Config, "look for files in "+directory+": there is none"),
		row("symlink", link, check.Config, "a symbolic link, which is not followed"),
		row("symlink to itself", loop, check.Config, "a symbolic link"),
		row("symlink in a directory", link+"*", check.Config, "a symbolic link"),
		row("missing", filepath.Join(d, "gone"), check.Config, "no such file or directory: has the job that writes it ever run?"),
		row("directory missing", filepath.Join(d, "gone", "x*"), check.Config, "look for files in "+filepath.Join(d, "gone")+": no such file or directory"),
		row("a file for a directory", filepath.Join(d, "target", "x*"), check.Config, "look for files in "+filepath.Join(d, "target")+": not a directory"),
		row("a FIFO for a directory", filepath.Join(fifo, "x*"), check.Config, "not a directory"),
		row("half written", put(t, d, "half", fine[:12]), check.Data, "has not the four fields"),
		row("binary", put(t, d, "binary", "\x00\x01\xff\xfe|\x00"), check.Data, "has not the four fields"),
		row("time of the future", put(t, d, "future", fmt.Sprintf("%d|0|OK|fine\n", time.Now().Add(time.Hour).Unix())), "", "in the future"),
		row("time 0", put(t, d, "zero", "0|0|OK|fine\n"), check.Data, "is no time"),
		row("code and state disagree", put(t, d, "disagree", strings.Replace(fine, "|0|", "|1|", 1)), check.Data, "its code 1 means WARNING and its state is OK"),
		{Name: "vanishing", Args: []string{"--file", vanishing}, Want: faults.Want{State: check.Unknown, Reason: check.Config, Text: "no such file"},
			Before: func(t *testing.T) { remove(t, vanishing) }},
		{Name: "directory vanishing", Args: []string{"--file", vanishingDir}, Want: faults.Want{State: check.Unknown, Reason: check.Config, Text: "no such file"},
			Before: func(t *testing.T) { remove(t, vanishingDir) }},
		{Name: "the second of two", Args: []string{"--file", put(t, d, "good", fine) + " " + filepath.Join(d, "gone")}, Want: faults.Want{State: check.Unknown, Reason: check.Config, Text: "gone: no such file"}},
		{Name: "unreadable", Args: []string{"--file", "/proc/self/mem"}, Want: faults.Want{State: check.Unknown}},
	}
	// Root reads everything; TestUnprivileged is about other users.
	unreadable := put(t, d, "unreadable", fine)
	if err := os.Chmod(unreadable, 0); err != nil {
		t.Fatal(err)
	}
	last := &rows[len(rows)-1]
	if os.Getuid() != 0 {
		*last = row("unreadable", unreadable, check.Permission, "permission denied")
	} else {
		last.Want.Reason = check.Config
	}
	for i := range rows {
		rows[i].Timeout = 5 * time.Second // nothing here hangs, but a file that is not whole is read again
	}
	faults.Table(t, Definition, faults.Files(), rows)
	faults.Text(t, Definition, []string{"--file", put(t, d, "odd", fmt.Sprintf("%d|2|CRITICAL|a|b 'c'=1;2 \x1b[31m\u202e\xff é\nmore | less\n", time.Now().Unix())), "-v"})
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestUnprivileged: the user nobody reads what others wrote, and says what it
// may not read.
func TestUnprivileged(t *testing.T) {
	bed := testbed.New(t)
	binary := bed.Build("./plugins/cronfile/check_cron_file")
	dir := bed.MkdirFor("nobody", "state", 0o755)
	line := fmt.Sprintf("%d|1|WARNING|large\n", time.Now().Unix())
	path := bed.WriteFileFor("root", filepath.Join(dir, "workers"), line, 0o644)
	got := testbed.RunAs(t, "nobody", []string{binary, "--file", path}, nil)
	if got.Exit != 1 || !strings.HasPrefix(got.Stdout, "CRON FILE WARNING: workers: large (said ") {
		t.Errorf("as nobody: exit %d, %q; want WARNING and the job's text", got.Exit, got.Stdout)
	}
	if os.Getuid() != 0 {
		return // only root can make what its owner may not read
	}
	secret := bed.WriteFileFor("root", filepath.Join(dir, "secret"), line, 0o600)
	closed := bed.MkdirFor("root", "closed", 0o700)
	inside := bed.WriteFileFor("root", filepath.Join(closed, "workers"), line, 0o644)
	for _, path := range []string{secret, inside, closed, filepath.Join(closed, "w*"), dir} {
		got := testbed.RunAs(t, "nobody", []string{binary, "--file", path}, nil)
		if got.Exit != 3 || !strings.Contains(got.Stdout, "permission denied") {
			t.Errorf("--file %s as nobody: exit %d, %q; want UNKNOWN and the permission", path, got.Exit, got.Stdout)
		}
	}
}
