package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// onTheMachine is what happens to the machine and to Belfry itself.
func onTheMachine() []situation {
	kept := "not kept for the next one"
	var lost []want
	for _, target := range []string{replication, queues, pgbackrest, list, dumps, workers} { // those that remember something
		lost = append(lost, warning(target, kept).only(plugin))
	}
	return []situation{
		{
			name: "worker killed for want of memory", what: "a worker in a cgroup of 100 MiB leaks, and the kernel kills it; supervisor starts it anew",
			compressed: "--oom-window 20s instead of 1 h",
			do:         oomKill, undo: func(d *day) { d.undoAll(); time.Sleep(oomWindow); d.killing.Store(false) },
			want:    []want{warning(workers, "kernel has killed a process")},
			passing: append(restarting(), warning(workers, "control group|cgroup"), critical(workers, "control group|cgroup")), recovery: 90 * time.Second,
		},
		{
			name: "exporter restarted", what: "the exporter is stopped, and started again", down: true,
			do: func(d *day) { d.exporter.Stop() }, undo: func(d *day) { d.exporter.Start() }, fast: true,
		},
		{
			name: "wrong configuration", what: "the exporter is to reload a file that is wrong, and goes on with the old one",
			do: func(d *day) { d.reload("checks: [{check: nonsense}]\n") }, undo: func(d *day) { d.configure(nil) },
		},
		{
			name: "configuration changed", what: "a lower limit is configured and reloaded, and taken back",
			do:   func(d *day) { d.limit([]string{"rss=10MB", "recent_restarts=1000"}, workers) },
			undo: func(d *day) { d.configure(nil) },
			want: []want{critical(workers, "resident memory .*above 9.54 MiB")},
		},
		{
			name: "state directory full", what: "the file system of the plugins' --state-dir is full; the exporter keeps in memory what it needs",
			do: func(d *day) {
				for _, dir := range d.state {
					d.fill(dir)
				}
			},
			undo: func(d *day) {
				for _, dir := range d.state {
					d.must(os.Remove(filepath.Join(dir, ballast)))
				}
			},
			want: lost,
		},
		{
			name: "state directory read-only", what: "the file system of the plugins' --state-dir is mounted read-only, as after an error of the disk",
			do: func(d *day) { d.remount(true) }, undo: func(d *day) { d.remount(false) },
			want: lost,
		},
	}
}

func (d *day) remount(readOnly bool) {
	for _, dir := range d.state {
		d.bed.Remount(dir, readOnly)
	}
}

// oomKill puts a worker into a cgroup of its own that is too small for it.
func oomKill(d *day) {
	w := d.work["missedmessage_emails"]
	d.killing.Store(true)
	group, limit := fmt.Sprintf("/sys/fs/cgroup/memory/belfry-day-%d", os.Getpid()), "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil { // version 2
		group, limit = fmt.Sprintf("/sys/fs/cgroup/belfry-day-%d", os.Getpid()), "memory.max"
	}
	d.must(os.Mkdir(group, 0o755))
	d.atEnd(func() { d.must(os.Remove(group)) })
	d.must(os.WriteFile(filepath.Join(group, limit), []byte("100M"), 0o644))
	pid := w.WorkerPID()
	d.must(os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644))
	w.Leak()
}
