package workermemory

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed/faults"
)

// TestFaults: nothing that goes wrong in /proc is OK, and only a machine
// without workers is critical.
func TestFaults(t *testing.T) {
	args := func(tree string, changes map[string]string) []string {
		return []string{"--proc", lay(t, tree, changes)}
	}
	fifo := func(name string) []string {
		root := lay(t, "multithreaded", map[string]string{name: "-"})
		if err := syscall.Mkfifo(filepath.Join(root, name), 0o644); err != nil {
			t.Fatal(err)
		}
		return []string{"--proc", root}
	}
	empty := t.TempDir()
	huge := string(make([]byte, 5<<20))
	hung := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(hung, 0o644); err != nil {
		t.Fatal(err)
	}
	// limited is a tree whose workers are in a control group, a file of which is changed.
	limited := func(file, text string) []string {
		groups := t.TempDir()
		for name, content := range map[string]string{
			"cgroup.controllers": "memory\n", "memory.max": "1000000000\n", "memory.current": "500000000\n",
			"memory.stat": "inactive_file 1\n", "memory.events": "oom_kill 0\n",
		} {
			change(t, filepath.Join(groups, name), content)
		}
		change(t, filepath.Join(groups, file), text)
		root := lay(t, "multithreaded", map[string]string{"22/cgroup": "0::/\n", "23/cgroup": "0::/\n"})
		return []string{"--proc", root, "--cgroup", groups}
	}
	fifoGroup := limited("memory.current", "-")
	if err := syscall.Mkfifo(filepath.Join(fifoGroup[3], "memory.current"), 0o644); err != nil {
		t.Fatal(err)
	}
	gone := lay(t, "multithreaded", nil)
	faults.Table(t, Definition, faults.Proc(), []faults.Row{
		{Name: "unreadable", Args: args("hidepid-invisible", nil), Want: faults.Want{State: check.Unknown, Reason: check.Permission, Text: "hidepid=invisible"}},
		{Name: "vanishing", Args: args("multithreaded", map[string]string{"22/status": "-", "23/status": "-"}), Want: faults.Want{State: check.Critical, Text: "no worker runs"}},
		{Name: "vanishing whole", Args: []string{"--proc", gone}, Before: func(t *testing.T) {
			if err := os.RemoveAll(gone); err != nil {
				t.Fatal(err)
			}
		}, Want: faults.Want{State: check.Unknown, Reason: check.Config, Text: "meminfo: no such file"}},
		{Name: "empty", Args: []string{"--proc", empty}, Want: faults.Want{State: check.Unknown, Reason: check.Config, Text: "meminfo: no such file"}},
		{Name: "empty meminfo", Args: args("multithreaded", map[string]string{"meminfo": ""}), Want: faults.Want{State: check.Unknown, Reason: check.Data, Text: "no line MemTotal"}},
		{Name: "empty status", Args: args("multithreaded", map[string]string{"23/status": ""}), Want: faults.Want{State: check.Unknown, Reason: check.Data, Text: "23/status"}},
		{Name: "empty vmstat", Args: args("multithreaded", map[string]string{"vmstat": ""}), Want: faults.Want{State: check.Unknown, Reason: check.Data, Text: "vmstat: it is empty"}},
		{Name: "vmstat missing", Args: args("multithreaded", map[string]string{"vmstat": "-"}), Want: faults.Want{State: check.Unknown, Reason: check.Config, Text: "vmstat: no such file"}},
		{Name: "huge meminfo", Args: args("multithreaded", map[string]string{"meminfo": huge}), Want: faults.Want{State: check.Unknown, Reason: check.Data, Text: "more than"}},
		{Name: "huge status", Args: args("multithreaded", map[string]string{"23/status": huge}), Want: faults.Want{State: check.Unknown, Reason: check.Data, Text: "longer than"}},
		{Name: "garbage in stat", Args: args("multithreaded", map[string]string{"23/stat": "\x00\xff)"}), Want: faults.Want{State: check.Unknown, Reason: check.Data, Text: "23/stat"}},
		{Name: "FIFO for meminfo", Args: fifo("meminfo"), Want: faults.Want{State: check.Unknown, Reason: check.Config, Text: "FIFO"}},
		{Name: "FIFO for a command line", Args: fifo("23/cmdline"), Want: faults.Want{State: check.OK}},
		{Name: "FIFO for the root", Args: []string{"--proc", hung}, Want: faults.Want{State: check.Unknown, Reason: check.Config}},
		{Name: "a file for the root", Args: []string{"--proc", "/etc/passwd"}, Want: faults.Want{State: check.Unknown, Reason: check.Config}},
		{Name: "a control group", Args: limited("memory.swap.current", "0\n"), Want: faults.Want{State: check.OK}},
		{Name: "garbage in a control group's limit", Args: limited("memory.max", "many\n"), Want: faults.Want{State: check.Unknown, Reason: check.Data, Text: "memory.max: \"many\" is no number"}},
		{Name: "a control group's use is empty", Args: limited("memory.current", ""), Want: faults.Want{State: check.Unknown, Reason: check.Data, Text: "memory.current"}},
		{Name: "a control group's use is huge", Args: limited("memory.current", huge), Want: faults.Want{State: check.Unknown, Reason: check.Data, Text: "more than"}},
		{Name: "a control group is removed", Args: limited("memory.current", "-"), Want: faults.Want{State: check.OK}},
		{Name: "FIFO for a control group's use", Args: fifoGroup, Want: faults.Want{State: check.Unknown, Reason: check.Config, Text: "FIFO"}},
		{Name: "a file for the control groups", Args: append(args("multithreaded", nil), "--cgroup", "/etc/passwd"), Want: faults.Want{State: check.Unknown, Reason: check.Config, Text: "look for control groups in /etc/passwd: no memory controller is mounted there"}},
		{Name: "wrong pattern", Args: []string{"--pattern", "["}, Want: faults.Want{State: check.Unknown, Reason: check.Config, Text: "missing closing ]"}},
	})
	faults.Text(t, Definition, args("multiprocess", nil))
	faults.Text(t, Definition, args("stopped", nil))
}
