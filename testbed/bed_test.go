package testbed

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func diff[V comparable](got, want map[string]V) error {
	if !maps.Equal(got, want) {
		return fmt.Errorf("got %v; want %v", got, want)
	}
	return nil
}

// ownerVariable makes this test binary, started again, the owner of a bed that waits to be killed.
const ownerVariable = "TESTBED_TEST_OWNER"

func TestKilledOwnerLeavesNothing(t *testing.T) {
	if os.Getenv(ownerVariable) != "" {
		ownBedForEver(t)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), ownerVariable+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	var family []stat
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "ready" {
		var pid int
		if _, err := fmt.Sscanf(lines.Text(), "dir %s", &dir); err == nil {
			continue
		}
		if _, err := fmt.Sscanf(lines.Text(), "pid %d", &pid); err != nil {
			t.Errorf("the owner says %q", lines.Text())
			continue
		}
		if s, err := readStat(pid); err == nil { // the backend of the last query may end meanwhile
			family = append(family, s)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if dir == "" || len(family) < 7 {
		t.Fatalf("the owner started %d processes in %q; want 7 or more\n%s", len(family), dir, stderr.String())
	}
	WaitFor(t, 20*time.Second, "the end of all processes", func() error { return anyAlive(family) })
	WaitFor(t, 20*time.Second, "the removal of the directory", func() error {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %v", dir, err)
		}
		return nil
	})
}

// ownBedForEver starts what is hardest to end: a PostgreSQL with a frozen child, whose children hide their environment,
// and a process that has left its parent and its session.
func ownBedForEver(t *testing.T) {
	bed := New(t)
	pg := bed.Postgres(PostgresOptions{})
	pg.FreezeBackend("checkpointer")
	pidFile := filepath.Join(pg.Dir, "stray")
	// It reads what it is given: a program that ends before is a broken pipe to PostgreSQL.
	pg.Exec(fmt.Sprintf("COPY (SELECT) TO PROGRAM 'cat >/dev/null; setsid sleep 600 >/dev/null 2>&1 & echo $! >%s'", pidFile))
	stray, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("dir", bed.Dir())
	for _, process := range tree(pg.PID()) {
		fmt.Println("pid", process.pid)
	}
	fmt.Print("pid ", string(stray))
	fmt.Println("ready")
	select {}
}

func TestTwoBeds(t *testing.T) {
	t.Parallel()
	a, b := New(t), New(t)
	first, second := a.Postgres(PostgresOptions{}), b.Postgres(PostgresOptions{})
	if first.Port == second.Port || first.Dir == second.Dir {
		t.Errorf("two beds share port %d or directory %s", first.Port, first.Dir)
	}
	first.Exec("CREATE TABLE only_here ()")
	var n int
	second.QueryRow("SELECT count(*) FROM pg_class WHERE relname = 'only_here'", &n)
	if n != 0 {
		t.Error("the second bed sees the first one's table")
	}
}

func TestFreeze(t *testing.T) {
	t.Parallel()
	bed := New(t)
	s := bed.serverOf("nobody", "family")
	s.argv = []string{"/bin/sh", "-c", "sleep 600 & sleep 600 & wait"}
	s.env = bed.environ(s.Dir)
	s.ready = func() error {
		if n := len(tree(s.PID())); n != 3 {
			return fmt.Errorf("%d processes; want 3", n)
		}
		return nil
	}
	s.Start()
	s.Freeze()
	family := tree(s.PID())
	for _, process := range family {
		if process.state != 'T' {
			t.Errorf("state of process %d after Freeze = %c; want T", process.pid, process.state)
		}
	}
	s.Thaw()
	WaitFor(t, 10*time.Second, "Thaw", func() error {
		for _, process := range tree(s.PID()) {
			if process.state == 'T' {
				return fmt.Errorf("process %d is still stopped", process.pid)
			}
		}
		return nil
	})
	s.Freeze()
	s.Stop()
	if s.Running() {
		t.Error("runs after Stop")
	}
	if err := bed.close(); err != nil {
		t.Error(err)
	}
	if err := anyAlive(family); err != nil {
		t.Errorf("after the end of the bed: %v", err)
	}
}

func TestRunReturnsFailures(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bed")
	if os.Getuid() == 0 {
		dir = "" // t.TempDir is closed to the servers' users
	}
	cleaned := false
	err := Run(dir, io.Discard, func(bed *Bed) {
		dir = bed.Dir()
		bed.t.Cleanup(func() { cleaned = true })
		s := bed.serverOf("nobody", "broken")
		s.argv = []string{"/bin/sh", "-c", "echo cannot read my configuration >&2; exit 3"}
		s.env = bed.environ(s.Dir)
		s.ready = func() error { return errors.New("connection refused") }
		s.Start()
		t.Error("Start returned after a failed start")
	})
	if err == nil || !strings.Contains(err.Error(), "cannot read my configuration") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("Run = %v; want the server's log and the error of the last try", err)
	}
	if !cleaned {
		t.Error("the clean-up did not run")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory of the bed is still there: %v", err)
	}
}

func TestRunRefusesForeignDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := Run(dir, io.Discard, func(*Bed) { t.Error("the bed opened in a directory that holds something") })
	if err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("Run = %v; want a refusal", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestRunAs(t *testing.T) {
	t.Parallel()
	got := RunAs(t, "nobody", []string{"/bin/sh", "-c", `echo "$X $(pwd) [$HOME]"; id -u >&2; exit 3`}, []string{"X=y"})
	if want := "y / []\n"; got.Stdout != want || got.Exit != 3 {
		t.Errorf("exit %d, stdout %q; want 3, %q", got.Exit, got.Stdout, want)
	}
	if os.Getuid() == 0 && got.Stderr == "0\n" {
		t.Error("ran as root")
	}
	if got := RunAs(t, "nobody", []string{"/bin/sh", "-c", "kill -KILL $$"}, nil); got.Exit != 128+int(syscall.SIGKILL) {
		t.Errorf("exit of a killed program = %d; want 137", got.Exit)
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	path := Build(t, "./testbed/internal/worker")
	if got := RunAs(t, "nobody", []string{path}, nil); got.Exit != 2 || !strings.Contains(got.Stderr, "TESTBED_WORKER_MIB") {
		t.Errorf("the built binary as nobody: exit %d, stderr %q; want 2 and what is missing", got.Exit, got.Stderr)
	}
}

func TestParseStat(t *testing.T) {
	tests := []struct {
		line string
		want stat
		bad  bool
	}{
		{"4711 (postgres: a) b) S 12 4711 4711 0 -1 4194560 1 2 0 0 1 2 0 0 20 0 1 0 987654 1 2\n", stat{4711, 12, 'S', 987654}, false},
		{"1 (init) S 0 1 1 0 -1 4194560 1 2 0 0 1 2 0 0 20 0 1 0", stat{}, true},
		{"", stat{}, true},
		{")(", stat{}, true},
	}
	for _, tc := range tests {
		if got, err := parseStat(tc.line); got != tc.want || (err != nil) != tc.bad {
			t.Errorf("parseStat(%q) = %+v, %v; want %+v, error %v", tc.line, got, err, tc.want, tc.bad)
		}
	}
}

func TestTmpfs(t *testing.T) {
	if os.Getuid() != 0 {
		return // nobody else can mount
	}
	dir := ""
	t.Run("filled", func(t *testing.T) {
		bed := New(t)
		dir = bed.MkdirFor("nobody", "small", 0o750)
		kept := bed.WriteFileFor("nobody", filepath.Join(dir, "kept"), "x", 0o600)
		bed.Tmpfs(dir, 64)
		if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("writing 1 MiB to 64 KiB = %v; want %v", err, syscall.ENOSPC)
		}
		bed.Remount(dir, true)
		if err := os.Remove(filepath.Join(dir, "ballast")); !errors.Is(err, syscall.EROFS) {
			t.Errorf("removing from a read-only file system = %v; want %v", err, syscall.EROFS)
		}
		bed.Remount(dir, false)
		if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file that was there before: %v, %v; want it with its mode", info, err)
		}
	})
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s after the bed: %v; want it gone with its file system", dir, err)
	}
}
