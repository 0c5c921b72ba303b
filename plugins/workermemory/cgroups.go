package workermemory

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/belfry-monitoring/belfry/common/cgroup"
	"github.com/belfry-monitoring/belfry/common/check"
)

// limited is a control group with a memory limit, and the workers in it or
// below.
type limited struct {
	cgroup.Group
	pids []int
}

func (l *limited) has(pid int) bool { return slices.Contains(l.pids, pid) }

// maxGroups bounds how many groups are told of.
const maxGroups = 50

// controlGroups finds the groups with a memory limit that the workers are in.
func controlGroups(f *cgroup.FS, list []worker, fail func(error)) []limited {
	var found []limited
	for _, w := range list {
		groups, err := f.Of(w.main.PID)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			fail(err)
		}
		for _, g := range groups {
			i := slices.IndexFunc(found, func(l limited) bool { return l.Path == g.Path })
			if i < 0 {
				if len(found) == maxGroups {
					continue
				}
				i, found = len(found), append(found, limited{Group: g})
			}
			found[i].pids = append(found[i].pids, w.main.PID)
		}
	}
	return found
}

// judgeGroups reports the groups, and the kills in them since earlier looks.
func (c *workerMemory) judgeGroups(r *check.Report, groups []limited, before map[string]*killLog, boot string) map[string]*killLog {
	next := make(map[string]*killLog, len(groups))
	for _, m := range []*check.Metric{cgroupShare, cgroupSwap, cgroupOOMKills, cgroupThrottled} {
		r.Absent(m)
	}
	for _, g := range groups {
		r.Observe(cgroupShare, g.Share(), g.Path)
		r.Detail(fmt.Sprintf("%s of %s", check.FormatBytes(float64(g.Used)), check.FormatBytes(float64(g.Limit))), g.Path)
		r.Observe(cgroupSwap, float64(g.Swap), g.Path)
		if g.ThrottledKnown {
			r.Observe(cgroupThrottled, float64(g.Throttled), g.Path)
		}
		if !g.OOMKillsKnown {
			continue
		}
		r.Observe(cgroupOOMKills, float64(g.OOMKills), g.Path)
		log, recent, known := before[g.Path].advance(r.Now(), boot, g.OOMKills, c.oomWindow)
		next[g.Path] = log
		if known && recent.count > 0 {
			r.Find(cgroupOOM, fmt.Sprintf("%s: the kernel has killed %s in the last %s because of its limit of %s", g.Path,
				processes(recent.count), check.FormatDuration(max(r.Now().Sub(recent.since), time.Second).Round(time.Second)),
				check.FormatBytes(float64(g.Limit))), g.Path)
		}
	}
	return next
}
