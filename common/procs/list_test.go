package procs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs/proctest"
)

func tree(t *testing.T, name string) *FS {
	t.Helper()
	root := filepath.Join(t.TempDir(), "proc")
	if err := proctest.Lay(root, name); err != nil {
		t.Fatal(err)
	}
	return New(root)
}

func containing(text string) func(CommandLine) bool {
	return func(c CommandLine) bool { return strings.Contains(c.String(), text) }
}

func TestListRecorded(t *testing.T) {
	t.Parallel()
	zulip := 1001
	nobody := 65534
	tests := []struct {
		name, tree string
		query      Query
		pids       string
		invisible  bool
	}{
		{name: "a process for each queue; the shells that carry the pattern are none", tree: "multiprocess",
			query: Query{Match: containing("manage.py process_queue")}, pids: "21 22 23 24 25 26 27 28 29 30 31 32 33 34 35"},
		{name: "of a user", tree: "multiprocess", query: Query{UID: &zulip, Match: containing("email_senders")}, pids: "21 25"},
		{name: "of another user", tree: "multiprocess", query: Query{UID: &nobody, Match: containing("email_senders")}, pids: ""},
		{name: "below a parent", tree: "multiprocess",
			query: Query{Match: containing("email_senders"), Under: func(_ int, c CommandLine) bool { return strings.Contains(c.String(), "supervisord") }}, pids: "21 25"},
		{name: "below a pid", tree: "multiprocess", query: Query{Under: func(pid int, _ CommandLine) bool { return pid == 25 }}, pids: ""},
		{name: "everything but ourselves and above", tree: "multithreaded", query: Query{}, pids: "20 22 23"},
		{name: "names on the command line", tree: "stopped", query: Query{Match: containing("process_queue")}, pids: "21 22 23"},
		{name: "zombies: their parent alone", tree: "zombies", query: Query{Match: containing("manage.py")}, pids: "16"},
		{name: "hidden", tree: "hidepid-invisible", query: Query{}, pids: "", invisible: true},
	}
	for _, tt := range tests {
		listing, err := tree(t, tt.tree).List(t.Context(), tt.query)
		if err != nil {
			t.Errorf("%s: List: %v", tt.name, err)
			continue
		}
		if got := pids(listing); got != tt.pids || listing.Invisible != tt.invisible || len(listing.Failed) > 0 {
			t.Errorf("%s: List = %q, invisible %t, failed %v; want %q, %t, none", tt.name, got, listing.Invisible, listing.Failed, tt.pids, tt.invisible)
		}
	}
}

func pids(l *Listing) string {
	var b strings.Builder
	for i, p := range l.Processes {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, p.PID)
	}
	return b.String()
}

func TestListReadsWholeProcess(t *testing.T) {
	t.Parallel()
	f := tree(t, "multiprocess")
	listing, err := f.List(t.Context(), Query{Match: containing("embed_links")})
	if err != nil || len(listing.Processes) != 1 {
		t.Fatalf("List = %+v, %v; want one process", listing, err)
	}
	p := listing.Processes[0]
	if p.PID != 26 || p.Parent != 19 || p.UID != 1001 || p.RSS < 141<<20 || p.RSS > 160<<20 || p.Swap != 0 || p.ForkedOnly {
		t.Errorf("process = %+v; want pid 26 of 1001 below 19 with 141 to 160 MiB", p)
	}
	if p.Age < 3*time.Second || p.Age > 10*time.Second {
		t.Errorf("age = %s; want the 6 s that the recording waited, or a little less", p.Age)
	}
	pss, err := f.PSS(p.PID)
	if err != nil || pss == 0 || pss > p.RSS {
		t.Errorf("PSS = %d, %v; want more than nothing and at most the RSS %d", pss, err, p.RSS)
	}
	if _, err := f.PSS(99); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("PSS of no process: %v; want fs.ErrNotExist", err)
	}
	if f.Reading() != 0 {
		t.Errorf("Reading() = %d after the look; want 0", f.Reading())
	}
}

// TestListDamaged breaks a recorded tree as fault tests do: what is not
// understood is never silently no process.
func TestListDamaged(t *testing.T) {
	t.Parallel()
	write := func(path, text string) func(root string) error {
		return func(root string) error { return os.WriteFile(filepath.Join(root, path), []byte(text), 0o644) }
	}
	remove := func(path string) func(root string) error {
		return func(root string) error { return os.RemoveAll(filepath.Join(root, path)) }
	}
	become := func(path string, make func(string) error) func(string) error {
		return func(root string) error {
			if err := os.RemoveAll(filepath.Join(root, path)); err != nil {
				return err
			}
			return make(filepath.Join(root, path))
		}
	}
	fifo := func(path string) error { return syscall.Mkfifo(path, 0o644) }
	dir := func(path string) error { return os.Mkdir(path, 0o755) }
	huge := strings.Repeat("x", 5<<20)
	tests := []struct {
		name      string
		damage    func(root string) error
		reason    check.Reason // of List; "" when it succeeds
		processes int
		failed    check.Reason // of the one process
		vanished  int
	}{
		{name: "ended before its status was read", damage: remove("26/status"), vanished: 1},
		{name: "ended before its stat was read", damage: remove("26/stat"), vanished: 1},
		{name: "became a zombie", damage: write("26/status", "State:\tZ (zombie)\nUid:\t1001\t1001\t1001\t1001\n"), vanished: 1},
		{name: "gave its memory back", damage: write("26/status", "State:\tR (running)\nUid:\t1001\t1001\t1001\t1001\n"), vanished: 1},
		{name: "status is garbage", damage: write("26/status", "\x00\xff"), failed: check.Data},
		{name: "stat is empty", damage: write("26/stat", ""), failed: check.Data},
		{name: "status is huge", damage: write("26/status", huge), failed: check.Data},
		{name: "status is a FIFO", damage: become("26/status", fifo), failed: check.Data},
		{name: "status is a directory", damage: become("26/status", dir), failed: check.Data},
		{name: "command line is a FIFO", damage: become("26/cmdline", fifo)},
		{name: "command line is huge", damage: write("26/cmdline", "embed_links\x00"+huge), processes: 1},
		{name: "uptime is missing", damage: remove("uptime"), reason: check.Config},
		{name: "uptime is a FIFO", damage: become("uptime", fifo), reason: check.Config},
		{name: "uptime is huge", damage: write("uptime", huge), reason: check.Data},
		{name: "uptime is empty", damage: write("uptime", ""), reason: check.Data},
		{name: "root is gone", damage: remove(""), reason: check.Config},
		{name: "root is a file", damage: become("", func(p string) error { return os.WriteFile(p, nil, 0o644) }), reason: check.Config},
		{name: "root is a FIFO", damage: become("", fifo), reason: check.Config},
		{name: "root is an empty directory", damage: become("", dir), reason: check.Config},
	}
	for _, tt := range tests {
		f := tree(t, "multiprocess")
		if err := tt.damage(f.Root()); err != nil {
			t.Fatal(err)
		}
		listing, err := f.List(t.Context(), Query{Match: containing("embed_links")})
		if (err != nil) != (tt.reason != "") || err != nil && check.ReasonOf(err) != tt.reason {
			t.Errorf("%s: List: %v; want reason %q", tt.name, err, tt.reason)
		}
		if err != nil {
			continue
		}
		var failed check.Reason
		if len(listing.Failed) == 1 {
			failed = check.ReasonOf(listing.Failed[0])
		}
		if len(listing.Processes) != tt.processes || failed != tt.failed || listing.Vanished != tt.vanished {
			t.Errorf("%s: %d processes, failed %v, %d vanished; want %d, %q, %d",
				tt.name, len(listing.Processes), listing.Failed, listing.Vanished, tt.processes, tt.failed, tt.vanished)
		}
	}
}

func TestListEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New("").List(ctx, Query{}); check.ReasonOf(err) != check.Timeout {
		t.Errorf("List after the end of its context: %v; want a timeout", err)
	}
}

func TestMachine(t *testing.T) {
	t.Parallel()
	f := New("")
	m, err := f.Memory()
	if err != nil || m.Total < 64<<20 || m.Available == 0 || m.Available > m.Total {
		t.Errorf("Memory() = %+v, %v; want this machine's", m, err)
	}
	if up, err := f.Uptime(); err != nil || up <= 0 {
		t.Errorf("Uptime() = %s, %v; want more than nothing", up, err)
	}
	if _, known, err := f.OOMKills(); err != nil || !known {
		t.Errorf("OOMKills() known %t, %v; want known (Linux 4.13 and newer)", known, err)
	}
	if id := f.BootID(); len(id) != 36 {
		t.Errorf("BootID() = %q; want a UUID", id)
	}
	if pid, ok := f.Self(); !ok || pid != os.Getpid() {
		t.Errorf("Self() = %d, %t; want %d", pid, ok, os.Getpid())
	}
	if _, err := New(t.TempDir()).Memory(); check.ReasonOf(err) != check.Config || !strings.Contains(err.Error(), "meminfo") {
		t.Errorf("Memory() without the file: %v; want reason config and its name", err)
	}
}

// sleeper starts a real process with the mark on its command line and waits
// until it shows: Start returns a moment before the kernel has laid it out.
func sleeper(t *testing.T, mark string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.Args[0] = mark
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // it was killed
	})
	for {
		listing, err := New("").List(t.Context(), Query{Match: containing(mark)})
		if err != nil {
			t.Fatal(err)
		}
		if len(listing.Processes) > 0 {
			return cmd
		}
		time.Sleep(time.Millisecond)
	}
}

func TestListRealProcesses(t *testing.T) {
	t.Parallel()
	mark := "belfry-procs-real-" + fmt.Sprint(os.Getpid())
	cmd := sleeper(t, mark)
	query := Query{Match: containing(mark)}
	listing, err := New("").List(t.Context(), query)
	if err != nil || pids(listing) != fmt.Sprint(cmd.Process.Pid) {
		t.Fatalf("List = %+v, %v; want pid %d", listing, err, cmd.Process.Pid)
	}
	p := listing.Processes[0]
	if p.Parent != os.Getpid() || p.UID != os.Geteuid() || p.RSS == 0 || p.ForkedOnly || p.Age > time.Minute {
		t.Errorf("process = %+v; want our child, young, with memory", p)
	}
	if pss, err := New("").PSS(p.PID); err != nil || pss == 0 {
		t.Errorf("PSS = %d, %v; want our child's", pss, err)
	}
	if _, err := New("").PSS(1); os.Geteuid() != 0 && check.ReasonOf(err) != check.Permission {
		t.Errorf("PSS of another user's process: %v; want reason permission", err)
	}

	// Killed and not yet collected, it is a zombie.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for {
		if listing, err = New("").List(t.Context(), query); err != nil || len(listing.Processes) == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err != nil || len(listing.Failed) > 0 {
		t.Errorf("List of a zombie = %+v, %v; want nothing", listing, err)
	}
}

// TestListNeverOurselves: a child that carries the pattern is found, this
// process and its parents are not, whatever the pattern.
func TestListNeverOurselves(t *testing.T) {
	t.Parallel()
	listing, err := New("").List(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range listing.Processes {
		if p.PID == os.Getpid() || p.PID == os.Getppid() {
			t.Errorf("List holds %d %q; want neither ourselves nor our parent", p.PID, p.Command)
		}
	}
}

// TestListWhileProcessesComeAndGo looks again and again while processes start
// and end; none of it is an error, and what lives throughout is always found.
func TestListWhileProcessesComeAndGo(t *testing.T) {
	t.Parallel()
	mark := "belfry-procs-race-" + fmt.Sprint(os.Getpid())
	steady := sleeper(t, mark+"-steady")
	done := make(chan error, 1)
	go func() {
		for range 300 {
			cmd := exec.Command("true")
			cmd.Args[0] = mark + "-short"
			if err := cmd.Run(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	f := New("")
	for looks := 0; ; looks++ {
		select {
		case err := <-done:
			if err != nil || looks == 0 {
				t.Fatalf("start short processes: %v after %d looks", err, looks)
			}
			return
		default:
		}
		listing, err := f.List(t.Context(), Query{Match: containing(mark)})
		if err != nil || len(listing.Failed) > 0 {
			t.Fatalf("List = %+v, %v; want no error from processes that end", listing, err)
		}
		found := false
		for _, p := range listing.Processes {
			found = found || p.PID == steady.Process.Pid
		}
		if !found {
			t.Fatalf("look %d: List = %q; want pid %d among them", looks, pids(listing), steady.Process.Pid)
		}
	}
}

func BenchmarkList(b *testing.B) {
	f := New("")
	for b.Loop() {
		if _, err := f.List(b.Context(), Query{Match: containing("manage.py process_queue")}); err != nil {
			b.Fatal(err)
		}
	}
	pids, err := f.pids(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(pids)), "us/process")
}
