// Package workermemory is the check worker_memory: how much memory worker
// processes hold, Zulip's queue workers unless told otherwise, how many there
// are, and whether the kernel has killed processes for want of memory.
package workermemory

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Definition is the check worker_memory.
var Definition = &check.Definition{
	Name:    "worker_memory",
	Title:   "WORKER MEMORY",
	Summary: "looks at the memory of worker processes, Zulip's queue workers unless told otherwise, their number, and OOM kills",
	Examples: []string{
		"check_worker_memory",
		"check_worker_memory --expect 15 -w 600MB -c 800MB,machine_share=90%",
		"check_worker_memory -c 'rss{worker=embed_links}=1200MB'",
		"check_worker_memory --pattern '^(odoo|flectra): Worker' --expect 4: -c 1600MiB",
		"check_worker_memory --pattern . --user www-data --label-regex 'pool (\\w+)'",
	},
	Peer:     "proc",
	Interval: time.Minute,
	Timeout:  10 * time.Second,
	Privileges: []string{
		"None where /proc shows all processes (the default): any local user may read command lines and resident memory.",
		"Where /proc is mounted with hidepid: the group of its gid option, or the workers' own user with --user.",
		"For PSS the workers' own user or root; without, PSS is left out.",
	},
	Metrics:  []*check.Metric{rss, pss, workers, totalRSS, totalPSS, totalSwap, machineShare, oomKills, recentOOMKills},
	Findings: []*check.Finding{noWorkers, oomKill},
	Parts: []check.Part{
		{Name: partWorkers, Help: "number and memory of the worker processes"},
		{Name: partOOM, Help: "processes that the kernel has killed for want of memory"},
	},
	New: newCheck,
}

const (
	pluginName  = "check_worker_memory" // what Definition.Plugin returns
	partWorkers = "workers"
	partOOM     = "oom_kills"
)

var (
	rss = &check.Metric{
		Family: "worker_memory", Key: "rss", Title: "resident memory", Unit: check.Bytes, Labels: []string{"worker"},
		Warning: "600MB", Critical: "800MB",
		Help: "Resident memory of the worker, pages shared with others included.",
	}
	pss = &check.Metric{
		Family: "worker_memory", Key: "pss", Title: "proportional memory", Unit: check.Bytes, Labels: []string{"worker"},
		Help: "Proportional set size of the worker: its own pages and its part of shared ones.",
	}
	workers = &check.Metric{
		Family: "worker_memory", Key: "workers", Title: "running workers",
		Help: "Worker processes that run.",
	}
	totalRSS = &check.Metric{
		Family: "worker_memory", Key: "total_rss", Title: "resident memory of all workers", Unit: check.Bytes,
		Help: "Resident memory of all workers and the processes that watch over them, shared pages counted for each.",
	}
	totalPSS = &check.Metric{
		Family: "worker_memory", Key: "total_pss", Title: "proportional memory of all workers", Unit: check.Bytes,
		Help: "Proportional set size of all workers and the processes that watch over them.",
	}
	totalSwap = &check.Metric{
		Family: "worker_memory", Key: "total_swap", Title: "swapped memory of all workers", Unit: check.Bytes,
		Help: "Memory of all workers and the processes that watch over them that is swapped out.",
	}
	machineShare = &check.Metric{
		Family: "worker_memory", Key: "machine_share", Title: "share of the machine's memory", Unit: check.Ratio,
		Warning: "70%", Critical: "85%",
		Help: "Resident memory of all workers as a share of the machine's memory.",
	}
	oomKills = &check.Metric{
		Family: "worker_memory", Key: "oom_kills", Title: "OOM kills since boot", Kind: check.Counter,
		Help: "Processes that the kernel has killed on this machine since boot for want of memory.",
	}
	recentOOMKills = &check.Metric{
		Family: "worker_memory", Key: "recent_oom_kills", Title: "recent OOM kills",
		Help: "Processes that the kernel has killed on this machine for want of memory within the OOM window, as far as looks reach back.",
	}
)

var (
	noWorkers = &check.Finding{
		Key: "no_workers", State: check.Critical,
		Help: "No worker process runs, and --expect does not say that this is fine.",
	}
	oomKill = &check.Finding{
		Key: "oom_kill", State: check.Warning,
		Help: "The kernel has killed processes for want of memory within the OOM window.",
	}
)

func newCheck(fs *pflag.FlagSet) check.Check {
	c := &workerMemory{}
	fs.StringVar(&c.pattern, "pattern", "", "workers are the processes whose command line this regular expression (RE2) matches somewhere (default Zulip's queue workers: manage.py process_queue)")
	fs.StringVar(&c.user, "user", "", "only processes of this effective user, a `name` or number")
	fs.StringVar(&c.parent, "parent", "", "only processes that descend from this `pid`, or from one whose command line this regular expression matches")
	fs.StringVar(&c.expect, "expect", "", "`number` of workers that must run, 15, or a range, 4: or 10:20; fewer is critical, more a warning")
	fs.StringVar(&c.labelRegex, "label-regex", "", "with --pattern: regular expression whose first group names the worker in its command line (default the process's title or program)")
	fs.DurationVar(&c.oomWindow, "oom-window", time.Hour, "report an OOM kill for this long after the look that saw it")
	fs.BoolVar(&c.noPSS, "no-pss", false, "do not read PSS even where it is permitted: the kernel walks each process for it")
	fs.StringVar(&c.root, "proc", "/proc", "`path` of the proc file system, /host/proc in a container")
	return c
}
