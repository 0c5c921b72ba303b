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

// controlled is the control groups that limit the workers, and why they may be
// incomplete.
type controlled struct {
	groups []limited
	err    error
}

// controlGroups finds the groups with a memory limit that the workers are in.
// What may not be read is left out; what cannot be understood is a fault, and
// so is a tree that was asked for and does not show them.
func controlGroups(r *check.Report, f *cgroup.FS, list []worker, asked bool) controlled {
	var errs []error
	failed := ""
	fail := func(err error) {
		switch {
		case err.Error() == failed: // the same file for the next worker
		case errors.Is(err, cgroup.ErrOutside) && asked:
			errs = append(errs, check.Faultf(check.Config, "", "", "%w", err))
		case errors.Is(err, fs.ErrPermission), errors.Is(err, cgroup.ErrOutside):
			r.Note("control groups are not known: %v", err)
		default:
			errs = append(errs, err)
		}
		failed = err.Error()
	}
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
	return controlled{found, errors.Join(errs...)}
}

// judgeGroups reports the groups, and the kills in them since earlier looks.
func (c *workerMemory) judgeGroups(r *check.Report, groups []limited, before map[string]*killLog, boot string) map[string]*killLog {
	next := make(map[string]*killLog, len(groups))
	for _, m := range []*check.Metric{cgroupShare, cgroupSwap, cgroupOOMKills, cgroupThrottled} {
		r.Absent(m)
	}
	for _, g := range groups {
		r.Observe(cgroupShare, g.Share(), g.Path)
		detail := fmt.Sprintf("%s of %s", check.FormatBytes(float64(g.Used)), check.FormatBytes(float64(g.Limit)))
		if g.High {
			detail += " (memory.high: beyond it the kernel slows the workers down)"
		}
		r.Detail(detail, g.Path)
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
			r.Find(cgroupOOM, fmt.Sprintf("%s: the kernel has killed %s in the last %s because of its memory limit", g.Path,
				processes(recent.count), check.FormatDuration(max(r.Now().Sub(recent.since), time.Second).Round(time.Second))), g.Path)
		}
	}
	// Without workers in it a group is not found; what is known of it must not
	// be lost, because what killed them may be what is to be told.
	for path, log := range before {
		if _, here := next[path]; !here && log != nil && len(next) < maxGroups && r.Now().Sub(log.Last) <= keepGone {
			next[path] = log
		}
	}
	return next
}
