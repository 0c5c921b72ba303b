package workermemory

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/procs/proctest"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
)

const command = "./plugins/workermemory/check_worker_memory"

// ours keeps a look to the workers of this process: other tests on the
// machine have some too. Tests that use it do not run in parallel.
func ours() string { return fmt.Sprintf("--parent=%d", os.Getpid()) }

// lookAsNobody runs the binary as a user who may do nothing.
func lookAsNobody(t *testing.T, binary string, args ...string) lookat.Document {
	t.Helper()
	result := testbed.RunAs(t, "nobody", append([]string{binary, "--output", "json"}, args...), nil)
	d := lookat.Document{Exit: result.Exit}
	if err := json.Unmarshal([]byte(result.Stdout), &d.Document); err != nil {
		t.Fatalf("check_worker_memory %q: %v in %q, stderr %q", args, err, result.Stdout, result.Stderr)
	}
	return d
}

// TestRealWorkers looks, as nobody, at real processes of another user where
// the test is root.
func TestRealWorkers(t *testing.T) {
	bed := testbed.New(t)
	binary := bed.Build(command)
	bed.Worker(testbed.WorkerOptions{Name: "embed", Argv: testbed.ZulipWorker("embed_links"), MiB: 120, Account: "daemon"})
	bed.Worker(testbed.WorkerOptions{Name: "first", Argv: testbed.ZulipWorker("email_senders"), MiB: 40, Account: "daemon"})
	second := bed.Worker(testbed.WorkerOptions{Name: "second", Argv: testbed.ZulipWorker("email_senders"), MiB: 20, Account: "daemon"})
	shard := bed.Worker(testbed.WorkerOptions{Name: "shard", Argv: append(testbed.ZulipWorker("user_activity"), "--worker_num", "2"), MiB: 5, Account: "daemon"})

	d := lookAsNobody(t, binary, ours(), "--expect", "4")
	if d.Exit != 0 || !strings.HasPrefix(d.Text, "4 workers hold ") || !strings.Contains(d.Text, "the largest is embed_links with 12") {
		t.Errorf("exit %d, %s; want 0 and four workers", d.Exit, d.Text)
	}
	for worker, mib := range map[string]float64{"embed_links": 120, "email_senders": 40, "email_senders#2": 20, "user_activity_shard2": 5} {
		v, ok := d.Value("rss", worker)
		if !ok || v < mib*(1<<20) || v > (mib+12)*(1<<20) {
			t.Errorf("rss of %s = %v, %t; want %v MiB and a little", worker, v, ok, mib)
		}
	}
	_, permitted := d.Value("pss", "embed_links")
	notes := strings.Join(d.Notes, "\n")
	if refused := os.Geteuid() == 0; permitted == refused || strings.Contains(notes, "PSS is not known") != refused {
		t.Errorf("PSS there %t, notes %q; want it only of our own user's processes, and said so otherwise", permitted, notes)
	}
	if d := lookAsNobody(t, binary, ours(), "-c", "100MB"); d.State != "CRITICAL" || !strings.HasPrefix(d.Text, "embed_links: resident memory 12") {
		t.Errorf("above a limit: %s %s; want CRITICAL of embed_links", d.State, d.Text)
	}

	second.Kill()
	shard.Stop()
	if d := lookAsNobody(t, binary, ours(), "--expect", "4"); d.State != "CRITICAL" || !strings.HasPrefix(d.Text, "running workers 2 (below 4)") {
		t.Errorf("two workers ended: %s %s; want CRITICAL, two running", d.State, d.Text)
	}
}

// TestRealCrashLoop: a worker that is another process at each look, beside one
// that runs on. In the quiet window nothing is said of it.
func TestRealCrashLoop(t *testing.T) {
	bed := testbed.New(t)
	binary := bed.Build(command)
	state := bed.MkdirFor("nobody", "state", 0o700)
	bed.Worker(testbed.WorkerOptions{Name: "steady", Argv: testbed.ZulipWorker("email_senders"), MiB: 5})
	loops := bed.Worker(testbed.WorkerOptions{Name: "loops", Argv: testbed.ZulipWorker("embed_links"), MiB: 5})
	look := func(args ...string) lookat.Document {
		t.Helper()
		return lookAsNobody(t, binary, append([]string{ours(), "--no-pss", "--skip", "oom_kills", "--state-dir", state}, args...)...)
	}
	quietTime := []string{"--quiet-window", "00:00-24:00 UTC"}
	for i := range 4 {
		if i > 0 {
			loops.Stop()
			loops.Start()
		}
		look(quietTime...)
		if d := look(); i < 3 && d.State != "OK" {
			t.Errorf("after %d restarts: %s %s; want OK", i, d.State, d.Text)
		}
	}
	if d := look(); d.State != "CRITICAL" || !strings.HasPrefix(d.Text, "embed_links: restarts lately 3 (above 2), pid ") || strings.Contains(d.Text, "more problem") {
		t.Errorf("a crash loop: %s %s; want CRITICAL of embed_links alone", d.State, d.Text)
	}
	if d := look(quietTime...); d.State != "OK" {
		t.Errorf("in the quiet window: %s %s; want OK", d.State, d.Text)
	}
}

// TestRealNone: every worker ended, and the check's own command line and that
// of the shell that starts it hold the pattern.
func TestRealNone(t *testing.T) {
	t.Parallel()
	binary := testbed.Build(t, command)
	mark := fmt.Sprintf("belfry-none-%d", os.Getpid())
	for _, argv := range [][]string{
		{binary, "--pattern", mark, "-v"},
		{"/bin/sh", "-c", binary + " --pattern " + mark + " -v; exit $?"},
		{"/bin/sh", "-c", "cp " + binary + " /tmp/" + mark + " && /tmp/" + mark + " --pattern " + mark + "; code=$?; rm /tmp/" + mark + "; exit $code"},
	} {
		result := testbed.RunAs(t, "nobody", argv, []string{"PATH=/usr/bin:/bin"})
		if result.Exit != 2 || !strings.HasPrefix(result.Stdout, `WORKER MEMORY CRITICAL: no worker runs: looked for a process that matches "`+mark) {
			t.Errorf("%q: exit %d, %s%s; want 2, none found", argv, result.Exit, result.Stdout, result.Stderr)
		}
	}
}

// TestManyRunsAtOnce: runs side by side do not take each other for workers.
func TestManyRunsAtOnce(t *testing.T) {
	t.Parallel()
	binary := testbed.Build(t, command)
	mark := fmt.Sprintf("belfry-beside-%d", os.Getpid())
	var wg sync.WaitGroup
	results := make([]testbed.Result, 12)
	for i := range results {
		wg.Go(func() {
			results[i] = testbed.RunAs(t, "nobody", []string{binary, "--pattern", mark}, nil)
		})
	}
	wg.Wait()
	for _, r := range results {
		if r.Exit != 2 || !strings.Contains(r.Stdout, "no worker runs") {
			t.Errorf("exit %d, %s; want none found by any of %d runs", r.Exit, r.Stdout, len(results))
		}
	}
}

// TestWorkersComeAndGo looks while workers start and end; the steady one is
// always there, no look fails, and a process that is about to become a worker
// is none of its parent's name.
func TestWorkersComeAndGo(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	steady := bed.Worker(testbed.WorkerOptions{Name: "steady", Argv: testbed.ZulipWorker("race_steady"), MiB: 10})
	binary := bed.Build("./testbed/internal/worker")
	done := make(chan error, 1)
	go func() {
		for range 60 {
			cmd := exec.Command(binary)
			cmd.Args, cmd.Env = testbed.ZulipWorker("race_short"), []string{"TESTBED_WORKER_MIB=1"}
			err := cmd.Start()
			if err == nil {
				time.Sleep(5 * time.Millisecond)
				err = errors.Join(cmd.Process.Kill(), exited(cmd.Wait()))
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for looks := 0; ; looks++ {
		select {
		case err := <-done:
			if err != nil || looks < 2 {
				t.Fatalf("start and end workers: %v after %d looks", err, looks)
			}
			return
		default:
		}
		d := lookat.Args(t, Definition, "--pattern", "queue_name=race_", "--label-regex", `queue_name=(\w+)`, "--severity", "oom_kill=ok")
		if _, there := d.Value("rss", "race_steady"); d.State != "OK" || !there {
			t.Fatalf("look %d: %s %s; want OK with the worker %d among them", looks, d.State, d.Text, steady.PID())
		}
		for _, v := range d.Values {
			if w := v.Labels["worker"]; w != "" && w != "race_steady" && w != "race_short" {
				t.Errorf("look %d finds a worker %q", looks, w)
			}
		}
	}
}

// exited accepts that a process was killed.
func exited(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// TestUnreadableProcesses: what hidepid=1 refuses is no missing worker. The
// recording has mode 0 where its user was refused, which is no obstacle to
// root, so nobody looks.
func TestUnreadableProcesses(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	root := filepath.Join(bed.Dir(), "proc")
	if err := proctest.Lay(root, "hidepid-noaccess"); err != nil {
		t.Fatal(err)
	}
	d := lookAsNobody(t, bed.Build(command), "--proc", root)
	if d.Exit != 3 || d.Reason != "permission" || !strings.Contains(d.Text, "the command lines of 5 of 7 processes are refused (/proc has hidepid=noaccess,gid=33)") {
		t.Errorf("exit %d, reason %q, %s; want 3, permission, five of seven", d.Exit, d.Reason, d.Text)
	}
}

// TestHidepid looks at a real /proc with each form of hidepid. Only root can
// mount one; others have the recordings.
func TestHidepid(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	binary := bed.Build(command)
	bed.Worker(testbed.WorkerOptions{Name: "worker", Argv: testbed.ZulipWorker("email_senders"), MiB: 10, Account: "daemon"})
	for _, option := range []string{"1", "2", "4"} {
		root := bed.MkdirFor("nobody", "proc-"+option, 0o755)
		if err := syscall.Mount("proc", root, "proc", 0, "hidepid="+option+",gid=1"); err != nil {
			if os.Geteuid() == 0 {
				t.Fatalf("mount /proc with hidepid=%s: %v: run where root may mount (a container: --privileged)", option, err)
			}
			t.Logf("hidepid=%s: only root mounts: run this test as root for a real one", option)
			continue
		}
		defer func() {
			if err := syscall.Unmount(root, syscall.MNT_DETACH); err != nil {
				t.Errorf("unmount %s: %v", root, err)
			}
		}()
		d := lookAsNobody(t, binary, "--proc", root, "--user", "daemon")
		if d.Exit != 3 || d.Reason != "permission" || !strings.Contains(d.Text, "hidepid=") || !strings.Contains(d.Text, "run in group 1") {
			t.Errorf("hidepid=%s: exit %d, reason %q, %s; want 3, permission and the mount's options", option, d.Exit, d.Reason, d.Text)
		}
		// All of its own processes are seen by every user.
		d = lookAsNobody(t, binary, "--proc", root, "--user", "nobody", "--pattern", "belfry-hidden-worker")
		if d.Exit != 2 || !strings.Contains(d.Text, "no worker runs") {
			t.Errorf("hidepid=%s, own user: exit %d, %s; want 2, none", option, d.Exit, d.Text)
		}
		asWorker := testbed.RunAs(t, "daemon", []string{binary, "--proc", root, "--user", "daemon", "--pattern", "queue_name=email_senders", "-v"}, nil)
		if asWorker.Exit != 0 || !strings.Contains(asWorker.Stdout, "manage.py: resident memory 1") {
			t.Errorf("hidepid=%s, the workers' own user: exit %d, %s; want 0 and the worker", option, asWorker.Exit, asWorker.Stdout)
		}
	}
}
