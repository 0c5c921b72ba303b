// Package cgroup reads what the kernel's memory controller says of the
// control groups that processes are in: limits, use and events, of version 2
// (systemd's and containers' today) and of version 1 (Debian 10, older
// container hosts). It holds no verdicts.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// DefaultRoot is where control groups are mounted.
const DefaultRoot = "/sys/fs/cgroup"

const maxFile = 64 << 10 // bytes; memory.stat has 2 KiB

// FS is one mounted tree of control groups and the /proc beside it.
type FS struct {
	proc, root string
	version    int // 1 or 2; 0: no memory controller is mounted
}

// Open finds out which version is mounted below root, DefaultRoot for "".
func Open(proc, root string) *FS {
	if root == "" {
		root = DefaultRoot
	}
	f := &FS{proc: proc, root: root}
	switch {
	case exists(filepath.Join(root, "cgroup.controllers")):
		f.version = 2
	case exists(filepath.Join(root, "memory", "memory.stat")):
		f.version, f.root = 1, filepath.Join(root, "memory")
	}
	return f
}

func exists(name string) bool {
	_, err := safefile.Read(name, maxFile)
	return err == nil
}

// Version is 2 or 1, and 0 where no memory controller is mounted.
func (f *FS) Version() int { return f.version }

// Group is a control group that limits memory. Sizes are in bytes.
type Group struct {
	Path  string // as /proc/PID/cgroup names it: /system.slice/supervisor.service
	Limit uint64 // memory.max or, where it is lower, memory.high; memory.limit_in_bytes
	// High: the limit is memory.high, above which the kernel does not kill
	// but slows the processes down and takes their memory back.
	High bool
	// Used is what the limit bounds without what the kernel takes back before
	// it kills (memory.current less inactive_file, active_file and
	// slab_reclaimable of memory.stat): the cache of a group grows up to the
	// limit and means nothing, files that were read twice included. tmpfs and
	// shared memory are not among these.
	Used uint64
	Swap uint64 // memory.swap.current; 0 where it is not counted
	// OOMKills counts the processes that were killed because of the limit
	// since the group was made (oom_kill of memory.events; of
	// memory.oom_control since Linux 4.13).
	OOMKills      uint64
	OOMKillsKnown bool
	// Throttled counts how often the group went above memory.high and was
	// slowed down (high of memory.events); version 2 only.
	Throttled      uint64
	ThrottledKnown bool
}

// Share is the part of the limit that is used, infinite for a limit of zero.
func (g *Group) Share() float64 {
	if g.Limit == 0 {
		return math.Inf(1)
	}
	return float64(g.Used) / float64(g.Limit)
}

// ErrOutside is the group of a process that the caller's own cgroup namespace
// does not show: a container that looks at the host's processes.
var ErrOutside = errors.New("the control groups of the workers lie outside of this container's cgroup namespace: start it with --cgroupns=host")

// Of returns the group of a process that has a memory limit and those above it
// that have one too, the innermost first. None is no error. A process that has
// ended is fs.ErrNotExist, one outside of the namespace ErrOutside.
func (f *FS) Of(pid int) ([]Group, error) {
	name := filepath.Join(f.proc, strconv.Itoa(pid), "cgroup")
	data, err := safefile.Read(name, maxFile)
	if errors.Is(err, syscall.ESRCH) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	at, ok := memoryPath(data, f.version)
	switch {
	case !ok:
		return nil, nil
	case strings.HasPrefix(at, "/.."):
		return nil, ErrOutside
	}
	var groups []Group
	for {
		g, limited, err := f.read(at)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENODEV):
			// ENODEV: the group was removed while it was read.
			// A container sees its own group as the root, whatever the host
			// calls it.
		case err != nil:
			return groups, err
		case limited:
			groups = append(groups, g)
		}
		if at == "/" {
			return groups, nil
		}
		at = path.Dir(at)
	}
}

// memoryPath finds the path of the group in /proc/PID/cgroup: the line of
// hierarchy 0 for version 2, the one that lists the controller for version 1
// (cgroups(7)). A path that begins with /.. lies outside of what a container
// may see.
func memoryPath(data []byte, version int) (at string, ok bool) {
	for line := range strings.Lines(string(data)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 || !strings.HasPrefix(fields[2], "/") {
			continue
		}
		match := version == 2 && fields[0] == "0" && fields[1] == ""
		if version == 1 {
			for _, controller := range strings.Split(fields[1], ",") {
				match = match || controller == "memory"
			}
		}
		switch {
		case match && strings.HasPrefix(fields[2], "/.."):
			return fields[2], true
		case match:
			// systemd marks a removed group's path.
			return path.Clean(strings.TrimSuffix(fields[2], " (deleted)")), true
		}
	}
	return "", false
}

// read returns the group at a path, and whether it has a limit.
func (f *FS) read(at string) (g Group, limited bool, err error) {
	dir := filepath.Join(f.root, filepath.FromSlash(at))
	g.Path = at
	if f.version == 1 {
		limited, err = g.version1(dir)
	} else {
		limited, err = g.version2(dir)
	}
	return g, limited, err
}

func (g *Group) version2(dir string) (limited bool, err error) {
	if g.Limit, limited, err = number(dir, "memory.max"); err != nil {
		return false, err
	}
	high, throttled, err := number(dir, "memory.high")
	if err := missingIsFine(err); err != nil {
		return false, err
	}
	if throttled && (!limited || high < g.Limit) {
		g.Limit, g.High, limited = high, true, true
	}
	if !limited {
		return false, nil
	}
	if g.Used, _, err = number(dir, "memory.current"); err != nil {
		return false, err
	}
	if err := g.withoutCache(dir, "inactive_file", "active_file", "slab_reclaimable"); err != nil {
		return false, err
	}
	events, err := keyed(dir, "memory.events")
	if err != nil {
		return false, err
	}
	g.OOMKills, g.OOMKillsKnown = events["oom_kill"], has(events, "oom_kill")
	g.Throttled, g.ThrottledKnown = events["high"], has(events, "high")
	// The kernel may have been started without the accounting of swap.
	g.Swap, _, err = number(dir, "memory.swap.current")
	return true, missingIsFine(err)
}

// noLimit is from where on a limit of version 1 is none: the largest number of
// whole pages that a signed 64-bit integer holds, or near it.
const noLimit = math.MaxInt64 - 1<<20

func (g *Group) version1(dir string) (limited bool, err error) {
	if g.Limit, _, err = number(dir, "memory.limit_in_bytes"); err != nil || g.Limit >= noLimit {
		return false, err
	}
	if g.Used, _, err = number(dir, "memory.usage_in_bytes"); err != nil {
		return false, err
	}
	if err := g.withoutCache(dir, "total_inactive_file", "total_active_file"); err != nil {
		return false, err
	}
	control, err := keyed(dir, "memory.oom_control")
	if err := missingIsFine(err); err != nil {
		return false, err
	}
	g.OOMKills, g.OOMKillsKnown = control["oom_kill"], has(control, "oom_kill")
	both, _, err := number(dir, "memory.memsw.usage_in_bytes")
	if plain, _, plainErr := number(dir, "memory.usage_in_bytes"); err == nil && plainErr == nil && both > plain {
		g.Swap = both - plain
	}
	return true, missingIsFine(err)
}

func has(values map[string]uint64, key string) bool { _, ok := values[key]; return ok }

func missingIsFine(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// withoutCache takes what can be taken back off what is used.
func (g *Group) withoutCache(dir string, keys ...string) error {
	stat, err := keyed(dir, "memory.stat")
	if err != nil {
		return err
	}
	for _, key := range keys {
		g.Used -= min(stat[key], g.Used)
	}
	return nil
}

// number reads a file of one number; known is false for the word max.
func number(dir, name string) (n uint64, known bool, err error) {
	file := filepath.Join(dir, name)
	data, err := safefile.Read(file, maxFile)
	if err != nil {
		return 0, false, err
	}
	if n, known, err = parseNumber(data); err != nil {
		err = &check.Fault{Reason: check.Data, Stage: "read", Peer: file, Err: err}
	}
	return n, known, err
}

func parseNumber(data []byte) (n uint64, known bool, err error) {
	text := strings.TrimSpace(string(data))
	if text == "max" {
		return 0, false, nil
	}
	if n, err = strconv.ParseUint(text, 10, 64); err != nil {
		return 0, false, fmt.Errorf("%.40q is no number", text)
	}
	return n, true, nil
}

// keyed reads a file of lines "key number"; what is no number is left out.
func keyed(dir, name string) (map[string]uint64, error) {
	data, err := safefile.Read(filepath.Join(dir, name), maxFile)
	if err != nil {
		return nil, err
	}
	return parseKeyed(data), nil
}

func parseKeyed(data []byte) map[string]uint64 {
	values := make(map[string]uint64)
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); ok && err == nil {
			values[key] = n
		}
	}
	return values
}
