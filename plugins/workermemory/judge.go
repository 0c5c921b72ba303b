package workermemory

import (
	"fmt"
	"sort"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs"
)

// lost is a worker that is not there any more.
type lost struct {
	label string
	at    time.Time // when it was last seen
}

func sortLost(gone []lost) {
	sort.Slice(gone, func(a, b int) bool {
		if !gone[a].at.Equal(gone[b].at) {
			return gone[a].at.After(gone[b].at)
		}
		return gone[a].label < gone[b].label
	})
}

// observeWorkers reports the workers' memory and number.
// Their number is not there while they are being restarted as planned.
func observeWorkers(r *check.Report, list []worker, memory procs.Memory, planned bool) {
	r.Absent(workers)
	if !planned {
		r.Observe(workers, float64(len(list)))
	}
	if planned || len(list) == 0 {
		r.Absent(rss)
		r.Absent(swap) // whether there may be none is judged by their number
	}
	for _, w := range list {
		r.Observe(rss, float64(w.main.RSS), w.label)
		r.Observe(swap, float64(w.main.Swap), w.label)
		r.Detail(describe(w), w.label)
	}
	sum := total(list)
	r.Observe(totalRSS, float64(sum.rss))
	r.Observe(totalSwap, float64(sum.swap))
	r.Observe(machineShare, float64(sum.rss)/float64(memory.Total))
	r.Summarize("%s", summary(list, sum, memory))
}

// describe is what an operator needs to find the process.
func describe(w worker) string {
	text := fmt.Sprintf("pid %d, up %s", w.main.PID, check.FormatDuration(w.main.Age.Truncate(time.Second)))
	if out := w.main.Swap; out >= 1<<20 {
		text += ", and " + check.FormatBytes(float64(out)) + " in swap"
	}
	return text
}

func summary(list []worker, sum sums, memory procs.Memory) string {
	if len(list) == 0 {
		return "no worker runs"
	}
	most := largest(list)
	share := check.Ratio.Format(round(float64(sum.rss)/float64(memory.Total), 3))
	if len(list) == 1 {
		return fmt.Sprintf("%s holds %s (%s of the machine's memory)", most.label, check.FormatBytes(float64(sum.rss)), share)
	}
	return fmt.Sprintf("%d workers hold %s (%s of the machine's memory), the largest is %s with %s",
		len(list), check.FormatBytes(float64(sum.rss)), share, most.label, check.FormatBytes(float64(most.main.RSS)))
}

// detailGone says beside the number of workers which were there before.
func detailGone(r *check.Report, gone []lost) {
	if len(gone) == 0 {
		return
	}
	r.Detail(goneText(gone))
}

func goneText(gone []lost) string {
	labels := make([]string, len(gone))
	for i, g := range gone {
		labels[i] = g.label
	}
	return fmt.Sprintf("gone since the look at %s: %s", gone[0].at.UTC().Format("15:04:05 MST"), names(labels))
}

// hiddenText says why processes may be there and not be seen, "" when all
// are seen.
func hiddenText(l *procs.Listing, hidepid, gid string) string {
	text := ""
	switch {
	case l.Invisible:
		text = "other users' processes are hidden"
	case l.Unreadable > 0:
		text = fmt.Sprintf("the command lines of %d of %d processes are refused", l.Unreadable, l.Listed)
	default:
		return ""
	}
	if hidepid != "" {
		text += " (/proc has hidepid=" + hidepid
		if gid != "" {
			text += ",gid=" + gid
		}
		text += ")"
	}
	return text
}

// remedy says how to see what hidepid hides.
func remedy(gid string) string {
	if gid != "" {
		return "run in group " + gid + ", or as the workers' own user with --user"
	}
	return "mount /proc with gid=GROUP and run in that group, or run as the workers' own user with --user"
}
