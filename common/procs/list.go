package procs

import (
	"context"
	"errors"
	"io"
	"os"
	"sort"
	"strconv"
	"syscall"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// maxAncestors bounds the walk from a process to its ancestors.
const maxAncestors = 128

// List returns the processes that the query wants. Kernel threads, zombies
// and processes that end while they are read are none. The error is a
// *check.Fault: no /proc there (config), not readable (permission), not
// understood (data), the context ended (timeout).
func (f *FS) List(ctx context.Context, q Query) (*Listing, error) {
	defer f.reading.Store(0)
	pids, err := f.pids(ctx)
	if err != nil {
		return nil, err
	}
	uptime, err := f.Uptime()
	if err != nil {
		return nil, err
	}
	l := &lister{fs: f, query: q, uptime: uptime, family: make(map[int]kin), listing: &Listing{Listed: len(pids), Invisible: true}}
	for i, pid := range pids {
		if i%64 == 0 && ctx.Err() != nil {
			return nil, check.Faultf(check.Timeout, "list the processes in", f.root, "only %d of %d read in time", i, len(pids))
		}
		if pid == 1 {
			l.listing.Invisible = false
		}
		if err := l.look(pid); err != nil {
			l.listing.Failed = append(l.listing.Failed, err)
		}
	}
	found := l.listing.Processes
	sort.Slice(found, func(a, b int) bool {
		if found[a].Started != found[b].Started {
			return found[a].Started < found[b].Started
		}
		return found[a].PID < found[b].PID
	})
	return l.listing, nil
}

// pids lists the process directories.
func (f *FS) pids(ctx context.Context) ([]int, error) {
	const stage = "list the processes in"
	dir, err := os.OpenFile(f.root, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, fault(stage, f.root, err)
	}
	defer dir.Close()
	var pids []int
	for {
		names, err := dir.Readdirnames(4096)
		for _, name := range names {
			if pid, err := strconv.Atoi(name); err == nil && pid > 0 && name[0] != '+' {
				pids = append(pids, pid)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if len(pids) == 0 {
				return nil, check.Faultf(check.Config, stage, f.root, "there is none: is this a mounted /proc?")
			}
			return pids, nil
		case err != nil:
			return nil, fault(stage, f.root, err)
		case ctx.Err() != nil:
			return nil, check.Faultf(check.Timeout, stage, f.root, "only %d listed in time", len(pids))
		}
	}
}

// lister is one List.
type lister struct {
	fs      *FS
	query   Query
	listing *Listing

	uptime  time.Duration
	family  map[int]kin  // ancestors that were read
	never   map[int]bool // the caller and its ancestors; nil until needed
	program string       // name of the caller's program
}

// kin is what is kept of an ancestor.
type kin struct {
	parent  int
	command CommandLine
}

// look adds the process when it is wanted. The error says why one that is
// cannot be judged.
func (l *lister) look(pid int) error {
	command, err := l.fs.command(pid)
	switch {
	case gone(err):
		return nil
	case err != nil:
		if l.mayBe(pid) {
			l.listing.Unreadable++
		}
		return nil
	case command == "", l.query.Match != nil && !l.query.Match(command):
		return nil
	}
	p, err := l.fs.process(pid)
	switch {
	case gone(err):
		l.listing.Vanished++
		return nil
	case err != nil:
		return err
	case l.query.UID != nil && p.UID != *l.query.UID, l.own(pid):
		return nil
	}
	if l.query.Under != nil && !l.under(p.Parent) {
		return nil
	}
	p.Command = command
	p.Age = max(l.uptime-p.Started, 0)
	l.listing.Processes = append(l.listing.Processes, p)
	return nil
}

// mayBe reports whether a process that cannot be read may be of the user who
// is asked for, to whom its directory belongs.
func (l *lister) mayBe(pid int) bool {
	if l.query.UID == nil {
		return true
	}
	var st syscall.Stat_t
	if err := syscall.Stat(l.fs.path(pid, ""), &st); err != nil {
		return !gone(err)
	}
	return int(st.Uid) == *l.query.UID
}

// own reports whether the process is the caller, one that the caller descends
// from (the shell or NRPE that was given the pattern), or another process of
// the caller's program.
func (l *lister) own(pid int) bool {
	if l.never == nil {
		l.never = make(map[int]bool)
		if self, ok := l.fs.Self(); ok {
			l.program = l.fs.program(self)
			for p := self; p > 0 && len(l.never) < maxAncestors && !l.never[p]; p = l.kin(p).parent {
				l.never[p] = true
			}
		}
	}
	return l.never[pid] || l.program != "" && l.fs.program(pid) == l.program
}

// under reports whether the process or one that it descends from matches.
func (l *lister) under(pid int) bool {
	for range maxAncestors {
		if pid <= 0 {
			return false
		}
		k := l.kin(pid)
		if l.query.Under(pid, k.command) {
			return true
		}
		pid = k.parent
	}
	return false
}

// kin reads an ancestor once; one that cannot be read has no parent.
func (l *lister) kin(pid int) kin {
	if k, ok := l.family[pid]; ok {
		return k
	}
	var k kin
	if data, err := l.fs.read(pid, "stat"); err == nil {
		if s, err := parseStat(data); err == nil {
			k.parent = s.parent
		}
	}
	k.command, _ = l.fs.command(pid)
	l.family[pid] = k
	return k
}
