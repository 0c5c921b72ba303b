package workermemory

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/cgroup"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
)

// controlGroup makes a control group with a limit that processes can be moved
// into. Only root can: for others ok is false, and the trees of
// TestControlGroupKillsAreNotForgotten and of the room cgroup stand for it.
func controlGroup(t *testing.T, limit int) (dir string, ok bool) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Log("only root makes control groups: run this test as root for a real one")
		return "", false
	}
	const remedy = "mount the memory controller, writable, below " + cgroup.DefaultRoot + " (of a container: --privileged --cgroupns=host)"
	set := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatalf("set %s of a control group: %v: %s", file, err, remedy)
		}
	}
	make := func(at string) {
		t.Helper()
		dir = at
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatalf("make a control group: %v: %s", err, remedy)
		}
		t.Cleanup(func() {
			if err := os.Remove(at); err != nil {
				t.Errorf("remove the control group: %v", err)
			}
		})
	}
	name := fmt.Sprintf("belfry-test-%d", os.Getpid())
	switch cgroup.Open("/proc", "").Version() {
	case 1:
		make(filepath.Join(cgroup.DefaultRoot, "memory", name))
		set("memory.limit_in_bytes", strconv.Itoa(limit))
	case 2:
		dir = cgroup.DefaultRoot
		if !slices.Contains(strings.Fields(readFile(t, filepath.Join(dir, "cgroup.subtree_control"))), "memory") {
			set("cgroup.subtree_control", "+memory")
		}
		make(filepath.Join(cgroup.DefaultRoot, name))
		set("memory.max", strconv.Itoa(limit))
	default:
		t.Fatal("no control group can be made: " + remedy)
	}
	return dir, true
}

// workerIn starts a worker that takes its memory within the control group: what
// was taken before would be charged to the group of that time.
func workerIn(t *testing.T, bed *testbed.Bed, dir, queue string, mib int) *exec.Cmd {
	t.Helper()
	python := filepath.Join(t.TempDir(), "python3")
	if err := os.Symlink(bed.Build("./testbed/internal/worker"), python); err != nil {
		t.Fatal(err)
	}
	argv := append([]string{"-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(dir, "cgroup.procs"), python}, testbed.ZulipWorker(queue)[1:]...)
	cmd := exec.Command("/bin/sh", argv...)
	cmd.Env = append(os.Environ(), "TESTBED_WORKER_MIB="+strconv.Itoa(mib))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // by the kill
	})
	return cmd
}

// readTwice fills so many bytes of the control group with file cache that the
// kernel keeps longest, because it was read more than once.
func readTwice(t *testing.T, dir string, bytes int) {
	t.Helper()
	file, err := os.CreateTemp("/var/tmp", "belfry-test-") // /tmp may be memory itself
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	defer os.Remove(file.Name())
	const script = `echo $$ >"$0" && head -c "$1" /dev/zero >"$2" && sync "$2" && cat "$2" "$2" "$2" >/dev/null`
	out, err := exec.Command("/bin/sh", "-c", script, filepath.Join(dir, "cgroup.procs"), strconv.Itoa(bytes), file.Name()).CombinedOutput()
	if err != nil {
		t.Fatalf("read a file in the control group: %v: %s", err, out)
	}
}

// TestRealControlGroup fills a control group until the kernel kills in it.
func TestRealControlGroup(t *testing.T) {
	bed := testbed.New(t)
	binary := bed.Build(command)
	dir, ok := controlGroup(t, 64<<20)
	if !ok {
		return
	}
	path := "/" + filepath.Base(dir)
	workerIn(t, bed, dir, "email_senders", 20)
	state := bed.MkdirFor("nobody", "state", 0o700)
	look := func() lookat.Document {
		t.Helper()
		return lookAsNobody(t, binary, ours(), "--no-pss", "--state-dir", state)
	}
	testbed.WaitFor(t, 30*time.Second, "a look at a worker that is a third of its control group", func() error {
		d := look()
		if share, _ := d.Value("cgroup_share", path); d.State != "OK" || share < 0.3 || share > 0.6 {
			return fmt.Errorf("%s %s, share %v; want OK and a third", d.State, d.Text, share)
		}
		return nil
	})
	readTwice(t, dir, 36<<20)
	d := look()
	if share, _ := d.Value("cgroup_share", path); d.State != "OK" || share < 0.3 || share > 0.6 {
		t.Errorf("beside 36 MiB of file cache: %s %s, share %v; want OK and a third, as before", d.State, d.Text, share)
	}
	full := workerIn(t, bed, dir, "embed_links", 36)
	testbed.WaitFor(t, 30*time.Second, "a look at a full control group", func() error {
		if d := look(); d.State == "OK" || !strings.Contains(d.Text, path+": share of the control group's limit") {
			return fmt.Errorf("%s %s; want the share of the group above its limit", d.State, d.Text)
		}
		return nil
	})
	full.Process.Kill() //nolint:errcheck // awaited below
	full.Wait()         //nolint:errcheck // by the kill
	if d := look(); d.Found("cgroup_oom_kill") {
		t.Errorf("before the kernel kills: %s %s; want no finding", d.State, d.Text)
	}
	if err := workerIn(t, bed, dir, "thumbnail", 100).Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("a worker larger than its control group ended with %v; want killed", err)
	}
	if d := look(); !d.Found("cgroup_oom_kill") || !strings.Contains(fmt.Sprint(d.Rows), path+": the kernel has killed a process in the last") {
		t.Errorf("after a kill: %s %s, rows %v; want the finding with the group's name", d.State, d.Text, d.Rows)
	}
}
