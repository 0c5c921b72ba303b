package workermemory

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/quiet"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
)

func TestPause(t *testing.T) {
	silent, err := quiet.Parse([]string{"Sun 03:00-03:30 UTC"}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	at := func(clock string) time.Time {
		m, err := time.Parse("2006-01-02 15:04:05", "2026-11-22 "+clock)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	type look struct {
		at   string
		gone string // when each that is gone was last seen; blanks between
		want bool
	}
	tests := []struct {
		name  string
		looks []look
	}{
		{"restarted as planned", []look{{"03:01:00", "", false}, {"03:02:00", "03:01:00", true}, {"03:03:00", "03:01:00 03:02:00", true}, {"03:03:30", "", false}}},
		{"it does not come back", []look{{"03:01:00", "", false}, {"03:02:00", "03:01:00", true}, {"03:04:00", "03:01:00", true}, {"03:04:01", "03:01:00", false}, {"03:20:00", "03:01:00", false}}},
		{"a second restart", []look{{"03:01:00", "", false}, {"03:02:00", "03:01:00", true}, {"03:10:00", "", false}, {"03:11:00", "03:10:00", true}}},
		{"it was missing before", []look{{"02:59:00", "", false}, {"03:00:30", "02:00:00", false}, {"03:01:30", "02:00:00 03:00:30", false}}},
		{"outside of the window", []look{{"02:58:00", "", false}, {"02:59:00", "02:58:00", false}, {"03:30:00", "03:29:00", false}}},
		{"begun within the window, over after it", []look{{"03:28:30", "", false}, {"03:29:30", "03:28:30", true}, {"03:30:30", "03:28:30", true}, {"03:31:31", "03:28:30", false}}},
		{"missing on after the window, and another", []look{{"03:28:30", "", false}, {"03:29:30", "03:28:30", true}, {"03:33:00", "03:28:30", false}, {"03:34:00", "03:28:30 03:33:00", false}}},
		{"the clock was set back", []look{{"03:10:00", "", false}, {"03:11:00", "03:10:00", true}, {"03:05:00", "03:10:00", false}}},
	}
	for _, tt := range tests {
		var k kept
		previous := time.Time{}
		for _, l := range tt.looks {
			var gone []lost
			for _, g := range strings.Fields(l.gone) {
				gone = append(gone, lost{"w", at(g)})
			}
			if got := k.pause(gone, previous, at(l.at), silent); got != l.want {
				t.Errorf("%s: at %s with %q gone pause() = %t; want %t", tt.name, l.at, l.gone, got, l.want)
			}
			previous = at(l.at)
		}
	}
	var k kept
	if k.pause([]lost{{"w", at("03:00:00")}}, time.Time{}, at("03:01:00"), silent) {
		t.Error("without a look before, workers are missing as planned; want not")
	}
}

// TestPlannedRestart: in the quiet window a worker may be missing for a moment;
// its memory is judged as ever.
func TestPlannedRestart(t *testing.T) {
	t.Parallel()
	root := lay(t, "multiprocess", nil)
	env := map[string]string{"BELFRY_STATE_DIR": filepath.Join(t.TempDir(), "state")}
	look := func(window string, more ...string) lookat.Document {
		args := append([]string{"--proc", root, "--expect", "15", "--quiet-window", window, "-c", "rss{worker=email_senders}=800MB"}, more...)
		return lookat.With(t, t.Context(), Definition, args, env)
	}
	// A window that covers all times but a minute that is not now.
	minute := time.Now().Add(12 * time.Hour)
	always := minute.Add(time.Minute).Format("15:04") + "-" + minute.Format("15:04")
	never := minute.Format("15:04") + "-" + minute.Add(time.Minute).Format("15:04")
	for _, window := range []string{always, never} {
		if d := look(window); d.State != "OK" {
			t.Fatalf("first look with %s: %s %s; want OK", window, d.State, d.Text)
		}
	}
	change(t, filepath.Join(root, "25"), "-")
	if d := look(always); d.State != "OK" || !strings.Contains(strings.Join(d.Notes, "\n"), "email_senders: workers are being restarted as planned") {
		t.Errorf("as planned: %s %s, notes %q; want OK, and why", d.State, d.Text, d.Notes)
	}
	if d := look(never); d.State != "CRITICAL" || !strings.Contains(d.Text, "running workers 14 (below 15)") {
		t.Errorf("not planned: %s %s; want CRITICAL, 14", d.State, d.Text)
	}
	change(t, filepath.Join(root, "26/status"), "VmRSS: -> VmRSS:\t 999999 kB\nWas:")
	if d := look(always); d.State != "CRITICAL" || !strings.Contains(d.Text, "embed_links: resident memory") {
		t.Errorf("a leak in the window: %s %s; want CRITICAL of embed_links", d.State, d.Text)
	}
}

// TestGroupsRecorded: kinds of workers with limits of their own in one call.
func TestGroupsRecorded(t *testing.T) {
	t.Parallel()
	root := lay(t, "multiprocess", nil)
	senders := []string{"--proc", root, "--group", "senders=queue_name=.*email_senders", "--group", "rest=process_queue"}
	tests := []struct {
		name  string
		args  []string
		state check.State
		text  string
	}{
		{"fine", nil, check.OK, "15 workers"},
		{"as many as expected", []string{"--group-expect", "senders=2", "--group-expect", "rest=13"}, check.OK, ""},
		{"one too few", []string{"--group-expect", "senders=3", "--group-expect", "rest=13"}, check.Critical, "senders: running workers 2 (below 3)"},
		{"a group's limit for each of its workers", []string{"-c", "rss{worker=senders/*}=100MB"}, check.Critical, "senders/email_senders: resident memory 106 MiB (above 95.4 MiB), pid 25"},
		{"a group's limit for all of them", []string{"-c", "group_rss{group=senders}=100MB"}, check.Critical, "senders: resident memory of all 175 MiB (above 95.4 MiB)"},
		{"swap", []string{"-c", "total_swap=@0:0", "-w", "group_swap{group=rest}=1GB"}, check.Critical, "swapped memory of all workers 0 B"},
		{"none of a group", []string{"--group", "cron=WorkerCron"}, check.Critical, `no worker of group cron runs: looked for a process that matches "WorkerCron"`},
		{"none of a group is fine", []string{"--group", "cron=WorkerCron", "--group-expect", "cron=0:"}, check.OK, ""},
		{"a limit for no group", []string{"-c", "group_rss{group=corn}=1GB"}, check.Unknown, "matches nothing"},
	}
	for _, tt := range tests {
		d := lookat.Args(t, Definition, append(append([]string{}, senders...), tt.args...)...)
		if d.State != tt.state.String() || !strings.Contains(d.Text, tt.text) {
			t.Errorf("%s: %s %s; want %s with %q", tt.name, d.State, d.Text, tt.state, tt.text)
		}
	}
	d := lookat.Args(t, Definition, senders...)
	if _, ok := d.Value("rss", "rest/embed_links"); !ok {
		t.Errorf("%s %s: no rest/embed_links; want the queue's name behind the group's", d.State, d.Text)
	}
	// Zulip's reloader and its child are one worker here too.
	d = lookat.Args(t, Definition, "--proc", lay(t, "multithreaded", nil), "--group", "all=process_queue")
	if n, _ := d.Value("group_workers", "all"); n != 1 {
		t.Errorf("%s %s: %v workers; want 1", d.State, d.Text, n)
	}
	// A master and its children are one worker each, not one together.
	d = lookat.Args(t, Definition, "--proc", lay(t, "titles", nil), "--group", "flectra=^flectra: Worker")
	if n, _ := d.Value("group_workers", "flectra"); n != 2 {
		t.Errorf("%s %s: %v workers; want 2", d.State, d.Text, n)
	}
}

// TestControlGroupKillsAreNotForgotten: the kill that leaves no worker behind
// is told when there are some again.
func TestControlGroupKillsAreNotForgotten(t *testing.T) {
	t.Parallel()
	root := lay(t, "multithreaded", nil)
	groups := t.TempDir()
	file := func(name, text string) { change(t, filepath.Join(groups, name), text) }
	change(t, filepath.Join(groups, "cgroup.controllers"), "memory\n")
	for pid := range strings.FieldsSeq("22 23") {
		change(t, filepath.Join(root, pid, "cgroup"), "0::/\n")
	}
	file("memory.max", "1000000000\n")
	file("memory.high", "max\n")
	file("memory.current", "500000000\n")
	file("memory.stat", "inactive_file 100000000\n")
	file("memory.events", "high 0\noom_kill 0\n")
	env := map[string]string{"BELFRY_STATE_DIR": filepath.Join(t.TempDir(), "state")}
	look := func(more ...string) lookat.Document {
		return lookat.With(t, t.Context(), Definition, append([]string{"--proc", root, "--cgroup", groups}, more...), env)
	}
	d := look()
	if share, _ := d.Value("cgroup_share", "/"); d.State != "OK" || share != 0.4 {
		t.Fatalf("first look: %s %s, share %v; want OK, 0.4", d.State, d.Text, share)
	}
	status := map[string]string{}
	for pid := range strings.FieldsSeq("22 23") {
		status[pid] = readFile(t, filepath.Join(root, pid, "cmdline"))
		change(t, filepath.Join(root, pid, "cmdline"), "")
	}
	file("memory.events", "high 0\noom_kill 1\n")
	if d := look(); d.State != "CRITICAL" || !strings.Contains(d.Text, "no worker runs") {
		t.Errorf("all killed: %s %s; want CRITICAL", d.State, d.Text)
	}
	for pid, text := range status {
		change(t, filepath.Join(root, pid, "cmdline"), text)
	}
	if d := look(); d.State != "WARNING" || d.Text != "/: the kernel has killed a process in the last 1 s because of its memory limit" {
		t.Errorf("when they run again: %s %s; want WARNING of the kill", d.State, d.Text)
	}
	if d := look("--only", "cgroups", "-w", "cgroup_oom_kills=9", "--severity", "cgroup_oom_kill=ok"); d.State != "OK" || d.Text != "control groups that limit the memory of the workers: 1" {
		t.Errorf("control groups alone: %s %s; want OK, and what was looked at", d.State, d.Text)
	}
	file("memory.high", "410000000\n")
	if d := look("--only", "cgroups"); d.State != "CRITICAL" || !strings.Contains(d.Text, "/: share of the control group's limit 97.6 % (above 95 %), 381 MiB of 391 MiB (memory.high: beyond it the kernel slows the workers down)") {
		t.Errorf("near memory.high: %s %s; want CRITICAL, and what that means", d.State, d.Text)
	}
}

// Where no group limits the workers, a look at the groups alone judges nothing.
func TestNoControlGroup(t *testing.T) {
	t.Parallel()
	root, groups := lay(t, "multithreaded", nil), t.TempDir()
	change(t, filepath.Join(groups, "cgroup.controllers"), "memory\n")
	const says = "looked for control groups that limit the memory of a queue worker of Zulip (manage.py process_queue): there is none"
	if d := lookat.Args(t, Definition, "--proc", root, "--cgroup", groups, "--only", "cgroups"); d.State != "UNKNOWN" || !strings.HasPrefix(d.Text, says) {
		t.Errorf("groups alone: %s %s; want UNKNOWN, %s", d.State, d.Text, says)
	}
	for _, parts := range [][]string{{"--only", "cgroups,oom_kills"}, {"--skip", "oom_kills"}} {
		if d := lookat.Args(t, Definition, append(parts, "--proc", root, "--cgroup", groups)...); d.State != "OK" {
			t.Errorf("%q: %s %s; want OK", parts, d.State, d.Text)
		}
	}
}

// TestControlGroupsOutsideOfTheNamespace: a container with a cgroup namespace
// of its own is not told the host's groups, and must not pass for a machine
// without limits.
func TestControlGroupsOutsideOfTheNamespace(t *testing.T) {
	t.Parallel()
	root := lay(t, "multithreaded", nil)
	for pid := range strings.FieldsSeq("22 23") {
		change(t, filepath.Join(root, pid, "cgroup"), "4:memory:/../belfry\n0::/../belfry\n")
	}
	groups := t.TempDir()
	change(t, filepath.Join(groups, "cgroup.controllers"), "memory\n")
	const says = "lie outside of this container's cgroup namespace: start it with --cgroupns=host"
	if d := lookat.Args(t, Definition, "--proc", root, "--cgroup", groups); d.State != "UNKNOWN" || d.Reason != "config" || !strings.Contains(d.Text, says) {
		t.Errorf("asked for: %s, reason %s: %s; want UNKNOWN, config, %q", d.State, d.Reason, d.Text, says)
	}
	if d := lookat.Args(t, Definition, "--proc", root); d.State != "OK" || !strings.Contains(strings.Join(d.Notes, "\n"), says) {
		t.Errorf("not asked for: %s: %s, notes %q; want OK, and a note that they %s", d.State, d.Text, d.Notes, says)
	}
}
