package workermemory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"

	"github.com/belfry-monitoring/belfry/common/cgroup"
	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs"
)

const (
	listLimit = 5 * time.Second
	pssLimit  = 2 * time.Second
	// again is the pause before a second look when there is no worker: a
	// process that is just being started anew has no command line.
	again = 250 * time.Millisecond
	// stuck is how long one file may take beyond the step before it hangs.
	stuck = 50 * time.Millisecond
)

// Run takes one look.
func (c *workerMemory) Run(ctx context.Context, r *check.Report) error {
	proc := procs.New(c.root)
	var memory kept
	previous, ok := r.Recall(&memory)
	if !ok {
		memory = kept{}
	}
	var list []worker
	var in controlled
	looked, idle := false, ""              // why there is nothing to judge
	r.Summarize("no OOM kill is known of") // where the workers are skipped
	r.Part(ctx, partWorkers, func(ctx context.Context) (err error) {
		looked = true
		list, in, err = c.lookAtWorkers(ctx, proc, r, &memory, previous)
		return err
	})
	r.Part(ctx, partCgroups, func(ctx context.Context) error {
		if !looked {
			listing, err := c.find(ctx, proc, r)
			if err != nil {
				return err
			}
			list = c.workers(listing)
			in = c.controlGroups(proc, r, list)
			if len(in.groups) == 0 && in.err == nil {
				idle = fmt.Sprintf("looked for control groups that limit the memory of %s: there is none, and the part %s is left out", c.what(), partWorkers)
			}
			r.Summarize("control groups that limit the memory of the workers: %d", len(in.groups))
		}
		memory.Groups = c.judgeGroups(r, in.groups, memory.Groups, proc.BootID())
		return in.err
	})
	r.Part(ctx, partOOM, func(context.Context) error {
		idle = ""
		return c.lookAtOOMKills(proc, r, &memory, list)
	})
	if idle != "" {
		r.Fail(check.Faultf(check.Config, "", "", "%s", idle))
	}
	r.Remember(memory)
	return nil
}

// workers makes workers of what was found.
func (c *workerMemory) workers(listing *procs.Listing) []worker {
	return workersOf(listing.Processes, c.name, c.joined)
}

// controlGroups finds the control groups that limit the workers.
func (c *workerMemory) controlGroups(proc *procs.FS, r *check.Report, list []worker) controlled {
	tree := cgroup.Open(proc.Root(), c.cgroupRoot)
	switch {
	case tree.Version() != 0:
		return controlGroups(r, tree, list, c.cgroupRoot != cgroup.DefaultRoot)
	case c.cgroupRoot != cgroup.DefaultRoot:
		return controlled{err: check.Faultf(check.Config, "look for control groups in", c.cgroupRoot, "no memory controller is mounted there")}
	}
	r.Note("control groups are not known: no memory controller is mounted in %s", c.cgroupRoot)
	return controlled{}
}

// lookAtWorkers reports the workers and returns them and their control groups.
// previous is when the look before was, zero for none.
func (c *workerMemory) lookAtWorkers(ctx context.Context, proc *procs.FS, r *check.Report, memory *kept, previous time.Time) ([]worker, controlled, error) {
	machine, err := proc.Memory()
	if err != nil {
		return nil, controlled{}, err
	}
	listing, err := c.find(ctx, proc, r)
	if err != nil {
		return nil, controlled{}, err
	}
	for _, err := range listing.Failed {
		r.Fail(err)
	}
	list := c.workers(listing)
	if c.ownUser() {
		listing.Invisible = false // from nobody's own processes does hidepid hide any
	}
	hidden, gid := "", ""
	if listing.Invisible || listing.Unreadable > 0 {
		var option string
		option, gid = proc.Hidepid()
		hidden = hiddenText(listing, option, gid)
	}
	gone, seen := missing(memory.Workers, list, r.Now())
	switch {
	case len(list) == 0 && hidden != "":
		return nil, controlled{}, check.Faultf(check.Permission, "look for", c.what(), "none is visible, but %s: %s", hidden, remedy(gid))
	case len(list) == 0 && len(listing.Failed) > 0:
		return nil, controlled{}, nil // there are some, and why they cannot be judged is said
	}
	planned := hidden == "" && len(listing.Failed) == 0 && memory.pause(gone, previous, r.Now(), c.silent)
	switch {
	case planned:
		r.Note("%s: workers are being restarted as planned, so their number is not judged for up to %s", goneText(gone), check.FormatDuration(moment))
	case len(list) == 0 && !c.noneIsFine && len(c.groups) == 0:
		r.Find(noWorkers, "no worker runs: looked for "+c.what())
	case hidden != "":
		r.Note("%s, so there may be more workers than are seen", hidden)
		r.Detail("but " + hidden)
	}
	memory.Workers = seen
	detailGone(r, gone)
	observeWorkers(r, list, machine, planned)
	c.judgeWorkerGroups(r, list, gone, hidden != "", planned)
	boot := proc.BootID()
	memory.Bodies = follow(memory.Bodies, list, boot, r.Now(), c.restartWindow, c.silent)
	judgeRestarts(r, memory.Bodies, list, r.Now())
	memory.Sizes = memory.Sizes.remember(list, boot)
	in := c.controlGroups(proc, r, list)
	judgeGrowth(r, list, memory.Sizes, in.groups, boot)
	if !c.noPSS {
		c.lookAtPSS(ctx, proc, r, list)
	}
	return list, in, nil
}

// find lists the workers, once more where there is none.
func (c *workerMemory) find(ctx context.Context, proc *procs.FS, r *check.Report) (*procs.Listing, error) {
	step, cancel := check.Step(ctx, listLimit)
	defer cancel()
	defer watch(step, proc.Reading, func(pid int) { r.Fail(hangs(proc.Path(pid))) })()
	listing, err := proc.List(step, c.query)
	if err != nil || len(listing.Processes) > 0 {
		return listing, err
	}
	pause := time.NewTimer(again)
	defer pause.Stop()
	select {
	case <-step.Done():
		return listing, nil
	case <-pause.C:
	}
	return proc.List(step, c.query)
}

// watch names the process whose file hangs when the step's time is over. It
// cannot end the read: the look's own deadline does.
func watch(step context.Context, reading func() int, hangs func(pid int)) (stop func() bool) {
	return context.AfterFunc(step, func() {
		if pid := hanging(reading); pid != 0 {
			hangs(pid)
		}
	})
}

// hanging returns the process that is read for longer than one file takes.
func hanging(reading func() int) int {
	pid := reading()
	time.Sleep(stuck)
	if reading() != pid {
		return 0
	}
	return pid
}

func hangs(path string) error {
	return check.Faultf(check.Timeout, "read process", path,
		"no answer: it holds its memory map, mostly in uninterruptible sleep (state D), and ps hangs there too")
}

// ownUser reports whether only processes of the caller's own user are looked
// for.
func (c *workerMemory) ownUser() bool {
	return c.query.UID != nil && *c.query.UID == os.Geteuid()
}

// lookAtPSS reports the proportional memory where it may be read.
func (c *workerMemory) lookAtPSS(ctx context.Context, proc *procs.FS, r *check.Report, list []worker) {
	step, cancel := check.Step(ctx, pssLimit)
	defer cancel()
	defer watch(step, proc.Reading, func(pid int) { r.Fail(hangs(proc.Path(pid))) })()
	sum, all := uint64(0), len(list) > 0
	var last error
	read := func(p procs.Process) (bytes uint64, ok bool) {
		err := step.Err()
		if err == nil {
			bytes, err = proc.PSS(p.PID)
		}
		if err != nil {
			last, all = err, false
		}
		sum += bytes
		return bytes, err == nil
	}
	for _, w := range list {
		if bytes, ok := read(w.main); ok {
			r.Observe(pss, float64(bytes), w.label)
		}
		for _, p := range w.others {
			read(p)
		}
	}
	switch {
	case all:
		r.Observe(totalPSS, float64(sum))
	case errors.Is(last, fs.ErrNotExist):
		r.Note("PSS is not known of all workers: some have ended since, or the kernel does not count it (Linux 4.14 and newer do)")
	case last != nil:
		r.Note("PSS is not known of all workers, it takes their user or root: %v", last)
	}
}

// lookAtOOMKills reports what the kernel has killed.
func (c *workerMemory) lookAtOOMKills(proc *procs.FS, r *check.Report, memory *kept, list []worker) error {
	count, known, err := proc.OOMKills()
	switch {
	case errors.Is(err, fs.ErrPermission):
		r.Note("OOM kills are not known: %v", err)
		return nil
	case err != nil:
		return err
	case !known:
		r.Note("OOM kills are not known: the kernel does not count them (Linux 4.13 and newer do)")
		return nil
	}
	r.Observe(oomKills, float64(count))
	next, recent, known := memory.OOM.advance(r.Now(), proc.BootID(), count, c.oomWindow)
	memory.OOM = next
	if !known {
		r.Note("recent OOM kills are counted from this look on: there is no previous look")
		return nil
	}
	r.Observe(recentOOMKills, float64(recent.count))
	if recent.count > 0 {
		r.Find(oomKill, killText(recent, r.Now(), list))
	}
	return nil
}

// round keeps so many digits behind the point.
func round(v float64, digits int) float64 {
	factor := math.Pow10(digits)
	return math.Round(v*factor) / factor
}
