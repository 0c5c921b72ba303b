// Package procs is the room of /proc: which processes run, what memory they
// hold, and what the kernel says of the machine's memory. Everything is read
// below a root that can be set, so that a container can look at its host's
// /proc and tests need no privileges.
//
// A look at 500 processes has to cost a few milliseconds, so one file is read
// of each process and two more of those that match. The files are parsed
// here, not by prometheus/procfs: loading that library takes 0.4 ms (regular
// expressions compiled at start, a fifth of a plugin's life), its stat parser
// scans all 52 fields with fmt, and its reads wait on a FIFO for ever.
package procs

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// DefaultRoot is where the kernel's process table is mounted.
const DefaultRoot = "/proc"

// FS is one /proc. Its methods may be called one at a time; Reading may be
// called beside them.
type FS struct {
	root    string
	buf     []byte
	reading atomic.Int64
}

// New returns the /proc below root, DefaultRoot for "". Nothing is opened.
func New(root string) *FS {
	if root == "" {
		root = DefaultRoot
	}
	return &FS{root: filepath.Clean(root)}
}

// Root returns the path that everything is read below.
func (f *FS) Root() string { return f.root }

// Reading returns the process whose file is being read at this moment, 0 for
// none. The kernel lets a reader wait while a process in uninterruptible
// sleep holds its memory map, and no deadline ends that read; who watches the
// clock can name the culprit.
func (f *FS) Reading() int { return int(f.reading.Load()) }

// CommandLine is a process's /proc/PID/cmdline: its arguments, each ended by
// a zero byte, or the title that the process has written over them.
type CommandLine string

// Args returns the arguments; the padding that titles leave behind is cut.
func (c CommandLine) Args() []string {
	trimmed := strings.TrimRight(string(c), "\x00")
	if trimmed == "" {
		return nil
	}
	return strings.Split(trimmed, "\x00")
}

// String joins the arguments with blanks, as ps and pgrep -f see them.
func (c CommandLine) String() string {
	return strings.TrimRight(strings.ReplaceAll(string(c), "\x00", " "), " ")
}

// Process is one running process. Sizes are in bytes.
type Process struct {
	PID, Parent int
	UID         int // effective
	Command     CommandLine
	RSS, Swap   uint64
	// Started is the time since boot at which it started; with the PID it
	// names one process until the next boot.
	Started time.Duration
	Age     time.Duration
	// ForkedOnly: it was forked and has not executed a program since, so its
	// command line is its parent's. Before it executes one, every child is
	// like that for a moment.
	ForkedOnly bool
}

// Query says which processes are wanted. The caller's own process, those that
// it descends from and other processes of the same program are never
// returned: their command lines may hold the pattern that is looked for.
type Query struct {
	Match func(CommandLine) bool             // nil: every process that has a command line
	UID   *int                               // effective user id; nil: any
	Under func(pid int, of CommandLine) bool // nil: any; else one of its ancestors must match
}

// Listing is what List found.
type Listing struct {
	Processes []Process // oldest first
	Listed    int       // how many processes /proc shows
	Vanished  int       // matched, but ended while they were read
	// Unreadable processes exist, but their command line cannot be read:
	// other users' with hidepid=1, or confined ones. Those that the query's
	// UID excludes are not counted.
	Unreadable int
	// Failed says why processes that matched could not be judged; each is a
	// *check.Fault (permission, data).
	Failed []error
	// Invisible: the first process of the PID namespace, which always
	// exists, is not shown, so neither are other users' processes
	// (hidepid=2 or 4).
	Invisible bool
}

// process reads the state of one process. A process without memory is about
// to end or has: that is errGone.
func (f *FS) process(pid int) (Process, error) {
	data, err := f.read(pid, "stat")
	if err != nil {
		return Process{}, fileError(f.path(pid, "stat"), err)
	}
	stat, err := parseStat(data)
	if err != nil {
		return Process{}, &check.Fault{Reason: check.Data, Stage: "read", Peer: f.path(pid, "stat"), Err: err}
	}
	if data, err = f.read(pid, "status"); err != nil {
		return Process{}, fileError(f.path(pid, "status"), err)
	}
	status, err := parseStatus(data)
	if err != nil {
		return Process{}, &check.Fault{Reason: check.Data, Stage: "read", Peer: f.path(pid, "status"), Err: err}
	}
	if dead(stat.state) || dead(status.state) || !status.memory {
		return Process{}, errGone
	}
	return Process{
		PID: pid, Parent: stat.parent, UID: status.uid, RSS: status.rss, Swap: status.swap,
		Started: stat.started, ForkedOnly: stat.forkedOnly,
	}, nil
}

// dead reports the states of a process that has ended (proc(5)).
func dead(state byte) bool { return state == 'Z' || state == 'X' || state == 'x' }

// Self returns the caller's own process in this /proc, which is another
// number than os.Getpid where the root is that of another PID namespace.
func (f *FS) Self() (pid int, ok bool) {
	link, err := os.Readlink(filepath.Join(f.root, "self"))
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(path.Base(link))
	return pid, err == nil && pid > 0
}

// program returns the file that a process executes, "" where it may not be
// known: only the process's user and root may read it.
func (f *FS) program(pid int) string {
	name, err := os.Readlink(f.path(pid, "exe"))
	if err != nil {
		return ""
	}
	return name
}

// PSS returns the proportional set size of a process in bytes: its own pages
// and its share of those it shares. Only the process's user and root may read
// it (fault reason permission); the kernel walks the whole process for it,
// about 1.5 ms for each 100 MB. A process that has ended is
// fs.ErrNotExist.
func (f *FS) PSS(pid int) (uint64, error) {
	defer f.reading.Store(0)
	name := f.path(pid, "smaps_rollup")
	data, err := f.read(pid, "smaps_rollup")
	if gone(err) {
		return 0, fs.ErrNotExist
	}
	if err != nil {
		return 0, fileError(name, err)
	}
	pss, err := parsePSS(data)
	if err != nil {
		return 0, &check.Fault{Reason: check.Data, Stage: "read", Peer: name, Err: err}
	}
	return pss, nil
}
