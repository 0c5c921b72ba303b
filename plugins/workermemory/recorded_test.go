package workermemory

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs/proctest"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
)

// lay makes the recorded tree and changes files in it.
func lay(t *testing.T, tree string, changes map[string]string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "proc")
	if err := proctest.Lay(root, tree); err != nil {
		t.Fatal(err)
	}
	for name, text := range changes {
		change(t, filepath.Join(root, name), text)
	}
	return root
}

// change writes a file of a tree; "old -> new" replaces in it, "-" removes it.
func change(t *testing.T, path, text string) {
	t.Helper()
	var err error
	if text == "-" {
		err = os.RemoveAll(path)
	} else {
		if old, replacement, ok := strings.Cut(text, " -> "); ok {
			data, readErr := os.ReadFile(path)
			if readErr != nil || !strings.Contains(string(data), old) {
				t.Fatalf("%s does not hold %q: %v", path, old, readErr)
			}
			text = strings.Replace(string(data), old, replacement, 1)
		}
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestRecorded(t *testing.T) {
	t.Parallel()
	// The recordings are of a machine with 23.5 GiB; a small one shows the shares.
	small := "MemTotal:        4000000 kB\nMemAvailable:    2000000 kB\n"
	tests := []struct {
		name    string
		tree    string
		changes map[string]string
		args    []string
		state   check.State
		reason  check.Reason
		text    string // part of line 1
		absent  string // not in line 1
	}{
		{name: "one process for each queue", tree: "multiprocess", args: []string{"--expect", "15"}, state: check.OK,
			text: "15 workers hold 1.18 GiB (5 % of the machine's memory), the largest is embed_links with 150 MiB"},
		{name: "one too many", tree: "multiprocess", args: []string{"--expect", "14"}, state: check.Warning, text: "running workers 15 (above 14)"},
		{name: "one missing", tree: "multiprocess", args: []string{"--expect", "16"}, state: check.Critical, text: "running workers 15 (below 16)"},
		{name: "within a range", tree: "multiprocess", args: []string{"--expect", "10:20"}, state: check.OK},
		{name: "at least", tree: "multiprocess", args: []string{"--expect", "16:"}, state: check.Critical, text: "running workers 15 (below 16)"},
		{name: "a leak", tree: "multiprocess", changes: map[string]string{"25/status": "VmRSS:\t  108320 -> VmRSS:\t  908320"}, state: check.Critical,
			text: "email_senders: resident memory 887 MiB (above 763 MiB), pid 25, up 4 s", absent: "more problem"},
		{name: "bare limits mean the resident memory of each", tree: "multiprocess", args: []string{"-w", "100MB", "-c", "140MB"}, state: check.Critical,
			text: "embed_links: resident memory 150 MiB (above 134 MiB), pid 26, up 4 s, 2 more problems"},
		{name: "a limit for one worker", tree: "multiprocess", args: []string{"-c", "rss{worker=user_activity_shard*}=10MB"}, state: check.Critical,
			text: "user_activity_shard"},
		{name: "a limit for a worker that is not there", tree: "multiprocess", args: []string{"-c", "rss{worker=emial}=10MB"}, state: check.Unknown,
			text: "matches nothing"},
		{name: "a leak into swap is told", tree: "multiprocess", changes: map[string]string{"25/status": "VmSwap:\t       0 kB -> VmSwap:\t  900000 kB"},
			args: []string{"-c", "rss{worker=email_senders}=100MB"}, state: check.Critical, text: "email_senders: resident memory 106 MiB (above 95.4 MiB), pid 25, up 4 s, and 879 MiB in swap"},
		{name: "a limit on a worker's swap", tree: "multiprocess", changes: map[string]string{"25/status": "VmSwap:\t       0 kB -> VmSwap:\t  900000 kB"},
			args: []string{"-w", "swap=500MB", "-c", "total_swap=2GB"}, state: check.Warning, text: "email_senders: swapped memory 879 MiB (above 477 MiB), pid 25"},
		{name: "a small machine is full", tree: "multiprocess", changes: map[string]string{"meminfo": "MemTotal: 1600000 kB\n"}, state: check.Warning,
			text: "share of the machine's memory 77.3 % (above 70 %)"},
		{name: "the machine's memory is not known", tree: "multiprocess", changes: map[string]string{"meminfo": "MemFree: 1 kB\n"}, state: check.Unknown,
			reason: check.Data, text: "meminfo: no line MemTotal"},
		{name: "one process for all queues", tree: "multithreaded", args: []string{"--expect", "1"}, state: check.OK,
			text: "multi_threaded holds"},
		{name: "it has limits of its own", tree: "multithreaded", changes: map[string]string{"meminfo": small, "23/status": "VmRSS:\t  304908 -> VmRSS:\t 1304908"}, state: check.OK,
			text: "multi_threaded holds"},
		{name: "by the machine it runs on", tree: "multithreaded", changes: map[string]string{"meminfo": "MemTotal: 2000000 kB\n", "23/status": "VmRSS:\t  304908 -> VmRSS:\t 1304908"}, state: check.Critical,
			text: "multi_threaded: resident memory 1.24 GiB (above 1.05 GiB), pid 23"},
		{name: "the operator's limits hold for it too", tree: "multithreaded", args: []string{"-w", "100MB", "-c", "200MB"}, state: check.Critical,
			text: "multi_threaded: resident memory"},
		{name: "all stopped, names on other command lines", tree: "stopped", state: check.Critical,
			text: "no worker runs: looked for a queue worker of Zulip (manage.py process_queue)"},
		{name: "none expected", tree: "stopped", args: []string{"--expect", "0:5"}, state: check.OK},
		{name: "zombies are no workers", tree: "zombies", state: check.Critical, text: "no worker runs"},
		{name: "a pattern that nothing matches", tree: "multiprocess", args: []string{"--pattern", "gunicorn: worker"}, state: check.Critical,
			text: `no worker runs: looked for a process that matches "gunicorn: worker"`},
		{name: "titles", tree: "titles", args: []string{"--pattern", "^flectra: Worker"}, state: check.OK,
			text: "2 workers hold 204 MiB (0.8 % of the machine's memory), the largest is flectra: WorkerHTTP with"},
		{name: "below a parent", tree: "titles", args: []string{"--pattern", "Worker", "--parent", "flectra --config"}, state: check.OK, text: "2 workers"},
		{name: "below another parent", tree: "titles", args: []string{"--pattern", "Worker", "--parent", "postgres"}, state: check.Critical, text: `below "postgres"`},
		{name: "of a user", tree: "multiprocess", args: []string{"--user", "1001"}, state: check.OK, text: "15 workers"},
		{name: "of another user", tree: "multiprocess", args: []string{"--user", "4242"}, state: check.Critical, text: "of user 4242"},
		{name: "hidden", tree: "hidepid-invisible", state: check.Unknown, reason: check.Permission,
			text: "none is visible, but other users' processes are hidden (/proc has hidepid=invisible,gid=33): run in group 33, or as the workers' own user with --user"},
		{name: "hidden, the reason not known", tree: "hidepid-invisible", changes: map[string]string{"27/mountinfo": "-"}, state: check.Unknown, reason: check.Permission,
			text: "other users' processes are hidden: mount /proc with gid=GROUP"},
		{name: "the worker ended while it was read", tree: "multiprocess", changes: map[string]string{"25/status": "-"}, args: []string{"--expect", "15"},
			state: check.Critical, text: "running workers 14 (below 15)"},
		{name: "a worker cannot be understood", tree: "multiprocess", changes: map[string]string{"25/status": "garbage"}, state: check.Unknown, reason: check.Data,
			text: "25/status: no line State or Uid"},
		{name: "the only worker cannot be understood", tree: "multithreaded", changes: map[string]string{"22/status": "x", "23/status": "x"}, state: check.Unknown,
			reason: check.Data, text: "23/status"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := lookat.Args(t, Definition, append([]string{"--proc", lay(t, tt.tree, tt.changes)}, tt.args...)...)
			if d.State != tt.state.String() || d.Reason != string(tt.reason) || !strings.Contains(d.Text, tt.text) ||
				tt.absent != "" && strings.Contains(d.Text, tt.absent) {
				t.Errorf("%s, reason %q: %s\nwant %s, reason %q, with %q and without %q", d.State, d.Reason, d.Text, tt.state, tt.reason, tt.text, tt.absent)
			}
		})
	}
}

// limits returns those that judged the memory of a worker.
func limits(d lookat.Document, worker string) (warning, critical string) {
	for _, v := range d.Values {
		if v.Key == rss.Key && v.Labels["worker"] == worker {
			return v.Warning, v.Critical
		}
	}
	return "", ""
}

func TestRecordedValues(t *testing.T) {
	t.Parallel()
	d := lookat.Args(t, Definition, "--proc", lay(t, "multiprocess", nil))
	for _, worker := range strings.Fields("deferred_email_senders deferred_work digest_emails email_mirror email_senders embed_links embedded_bots " +
		"missedmessage_emails missedmessage_mobile_notifications_shard1 missedmessage_mobile_notifications_shard2 outgoing_webhooks thumbnail " +
		"user_activity_interval user_activity_shard1 user_activity_shard2") {
		r, ok := d.Value("rss", worker)
		p, permitted := d.Value("pss", worker)
		if !ok || !permitted || r < 60<<20 || p < 60<<20 || p > r {
			t.Errorf("rss of %s = %v, %t, pss %v, %t; want 60 MiB and more, PSS no more than RSS", worker, r, ok, p, permitted)
		}
		if warning, critical := limits(d, worker); warning != "600000000" || critical != "800000000" {
			t.Errorf("limits of %s = %s, %s; want 600 MB, 800 MB", worker, warning, critical)
		}
	}
	if v, ok := d.Value("total_rss"); !ok || v < 15*60<<20 {
		t.Errorf("total_rss = %v, %t; want the sum", v, ok)
	}

	d = lookat.Args(t, Definition, "--proc", lay(t, "multithreaded", nil))
	r, ok := d.Value("rss", threads)
	all, _ := d.Value("total_rss")
	if !ok || all < r+20<<20 {
		t.Errorf("multi_threaded holds %v, all %v; want the reloader's memory in the sum alone", r, all)
	}
	if warning, critical := limits(d, threads); warning != "2000000000" || critical != "2500000000" {
		t.Errorf("limits of multi_threaded = %s, %s; want 2 GB and 2.5 GB on a large machine", warning, critical)
	}
	if n, _ := d.Value("workers"); n != 1 {
		t.Errorf("workers = %v; want 1: the reloader is none", n)
	}
	if _, ok := d.Value("pss", threads); ok {
		t.Error("pss is there although the recording's user could not read it")
	}
}

// TestOOMKillsOverLooks follows a machine over several looks: the kernel
// kills, the machine boots.
func TestOOMKillsOverLooks(t *testing.T) {
	t.Parallel()
	root := lay(t, "multiprocess", nil)
	env := map[string]string{"BELFRY_STATE_DIR": filepath.Join(t.TempDir(), "state")}
	looks := func(args ...string) lookat.Document { return lookat.With(t, t.Context(), Definition, args, env) }
	again := func(name string, want check.State, text, note string) {
		t.Helper()
		d := looks("--proc", root)
		if d.State != want.String() || !strings.Contains(d.Text, text) || !strings.Contains(strings.Join(d.Notes, "\n"), note) {
			t.Errorf("%s: %s %s, notes %q; want %s with %q, note %q", name, d.State, d.Text, d.Notes, want, text, note)
		}
	}
	again("first look", check.OK, "15 workers", "no previous look")
	again("nothing new", check.OK, "15 workers", "")
	change(t, filepath.Join(root, "vmstat"), "oom_kill 2\n")
	again("two kills", check.Warning, "the kernel has killed 2 processes for want of memory in the last", "")
	again("still reported", check.Warning, "the kernel has killed 2 processes", "")
	change(t, filepath.Join(root, "sys/kernel/random/boot_id"), "another")
	change(t, filepath.Join(root, "vmstat"), "oom_kill 0\n")
	again("a boot", check.OK, "15 workers", "")
	change(t, filepath.Join(root, "vmstat"), "oom_kill 1\n")
	again("a kill after the boot", check.Warning, "the kernel has killed a process", "")
	change(t, filepath.Join(root, "vmstat"), "oom_kill x\n")
	again("garbage", check.Unknown, "oom_kills: read "+root+"/vmstat: line oom_kill", "")
	change(t, filepath.Join(root, "vmstat"), "pgfault 1\n")
	again("an old kernel", check.OK, "15 workers", "the kernel does not count them")
	change(t, filepath.Join(root, "vmstat"), "oom_kill 1\n")
	again("what was known is known again", check.Warning, "the kernel has killed a process", "")

	if d := looks("--proc", root, "--skip", "oom_kills"); d.State != "OK" {
		t.Errorf("--skip oom_kills: %s %s; want OK", d.State, d.Text)
	}
	if d := looks("--proc", root, "--severity", "oom_kill=critical"); d.State != "CRITICAL" {
		t.Errorf("--severity oom_kill=critical: %s %s; want CRITICAL", d.State, d.Text)
	}
}

// TestGoneWorkerIsNamed: the row that pages says which worker is not there.
func TestGoneWorkerIsNamed(t *testing.T) {
	t.Parallel()
	root := lay(t, "multiprocess", nil)
	env := map[string]string{"BELFRY_STATE_DIR": filepath.Join(t.TempDir(), "state")}
	args := []string{"--proc", root, "--expect", "15"}
	if d := lookat.With(t, t.Context(), Definition, args, env); d.State != "OK" {
		t.Fatalf("first look: %s %s; want OK", d.State, d.Text)
	}
	change(t, filepath.Join(root, "25"), "-")
	for range 2 { // a scheduler looks again before it pages
		if d := lookat.With(t, t.Context(), Definition, args, env); d.State != "CRITICAL" || !strings.Contains(d.Text, "running workers 14 (below 15), gone since the look at ") ||
			!strings.HasSuffix(d.Text, "UTC: email_senders") {
			t.Errorf("%s %s; want the lost worker's name", d.State, d.Text)
		}
	}
}

// TestHangingRead: which process hangs is said before the look ends without
// an answer.
func TestHangingRead(t *testing.T) {
	t.Parallel()
	if listLimit+pssLimit+again+stuck >= Definition.Timeout-time.Second {
		t.Errorf("steps of %s, %s and pauses do not fit the timeout %s", listLimit, pssLimit, Definition.Timeout)
	}
	for _, tt := range []struct {
		name    string
		reading []int // at the end of the step, and a moment later
		want    int
	}{
		{"hangs", []int{42, 42}, 42},
		{"goes on", []int{42, 43}, 0},
		{"is done", []int{0, 0}, 0},
	} {
		asked := 0
		got := hanging(func() int { asked++; return tt.reading[asked-1] })
		if got != tt.want {
			t.Errorf("%s: hanging = %d; want %d", tt.name, got, tt.want)
		}
	}
	step, end := context.WithCancel(t.Context())
	found := make(chan int, 1)
	stop := watch(step, func() int { return 42 }, func(pid int) { found <- pid })
	defer stop()
	end()
	if got := <-found; got != 42 {
		t.Errorf("watch names %d; want 42", got)
	}
	if err := hangs("/proc/42"); check.ReasonOf(err).State() != check.Critical || !strings.HasPrefix(err.Error(), "read process /proc/42: no answer") {
		t.Errorf("hangs = %v; want a timeout that names the process", err)
	}
}
