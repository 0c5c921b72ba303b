// Package workermemory is the check worker_memory: how much memory worker
// processes hold, Zulip's queue workers unless told otherwise, how many there
// are, and whether the kernel has killed processes for want of memory.
package workermemory

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/cgroup"
	"github.com/belfry-monitoring/belfry/common/check"
)

// Definition is the check worker_memory.
var Definition = &check.Definition{
	Name:    "worker_memory",
	Title:   "WORKER MEMORY",
	Summary: "looks at the memory of worker processes, Zulip's queue workers unless told otherwise, its growth, their number, restarts and OOM kills",
	Examples: []string{
		"check_worker_memory",
		"check_worker_memory --expect 15 -w 600MB -c 800MB,machine_share=90%",
		"check_worker_memory -c 'rss{worker=embed_links}=1200MB'",
		"check_worker_memory --pattern '^(odoo|flectra): Worker' --expect 4: -c 1600MiB",
		"check_worker_memory --group 'http=^odoo: WorkerHTTP' --group 'cron=^odoo: WorkerCron' -c 'rss{worker=http/*}=1600MiB,group_rss{group=cron}=2GiB'",
		"check_worker_memory --quiet-window 'Sun 06:00-06:10'",
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
	Metrics: []*check.Metric{
		rss, timeToLimit, growth, pss, swap, workers, recentRestarts, totalRSS, totalPSS, totalSwap, machineShare,
		groupWorkers, groupRSS, groupSwap, cgroupShare, cgroupSwap, cgroupOOMKills, cgroupThrottled, oomKills, recentOOMKills,
	},
	Findings: []*check.Finding{noWorkers, cgroupOOM, oomKill},
	Parts: []check.Part{
		{Name: partWorkers, Help: "number and memory of the worker processes"},
		{Name: partCgroups, Help: "memory limits of the control groups that the workers are in"},
		{Name: partOOM, Help: "processes that the kernel has killed for want of memory"},
	},
	New: newCheck,
}

const (
	pluginName  = "check_worker_memory" // what Definition.Plugin returns
	partWorkers = "workers"
	partCgroups = "cgroups"
	partOOM     = "oom_kills"
)

var (
	rss = &check.Metric{
		Family: "worker_memory", Key: "rss", Title: "resident memory", Unit: check.Bytes, Labels: []string{"worker"},
		Warning: "600MB", Critical: "800MB",
		Help: "Resident memory of the worker, pages shared with others included.",
	}
	timeToLimit = &check.Metric{
		Family: "worker_memory", Key: "time_to_limit", Title: "time until the limit", Unit: check.Seconds, Labels: []string{"worker"},
		Warning: "4h:",
		Help:    "Time until a worker that grows steadily reaches the critical limit of its resident memory or the limit of its control group.",
	}
	growth = &check.Metric{
		Family: "worker_memory", Key: "hourly_growth", Title: "growth in an hour", Unit: check.Bytes, Labels: []string{"worker"},
		Help: "Growth in an hour of the resident and swapped memory of a worker that grows steadily, by least squares over up to a day; only of such workers.",
	}
	recentRestarts = &check.Metric{
		Family: "worker_memory", Key: "recent_restarts", Title: "restarts lately", Labels: []string{"worker"},
		Help: "Restarts of the worker within the restart window that looks have seen, where there were any; one of all workers together does not count before the third.",
	}
	groupWorkers = &check.Metric{
		Family: "worker_memory", Key: "group_workers", Title: "running workers", Labels: []string{"group"},
		Help: "Worker processes of the group that run.",
	}
	groupRSS = &check.Metric{
		Family: "worker_memory", Key: "group_rss", Title: "resident memory of all", Unit: check.Bytes, Labels: []string{"group"},
		Help: "Resident memory of all workers of the group.",
	}
	groupSwap = &check.Metric{
		Family: "worker_memory", Key: "group_swap", Title: "swapped memory of all", Unit: check.Bytes, Labels: []string{"group"},
		Help: "Memory of all workers of the group that is swapped out.",
	}
	cgroupShare = &check.Metric{
		Family: "worker_memory", Key: "cgroup_share", Title: "share of the control group's limit", Unit: check.Ratio, Labels: []string{"cgroup"},
		Warning: "85%", Critical: "95%",
		Help: "Memory of a control group that workers are in, without file cache and slab that can be taken back, as a share of its limit (memory.max, or memory.high where it is lower).",
	}
	cgroupSwap = &check.Metric{
		Family: "worker_memory", Key: "cgroup_swap", Title: "swapped memory of the control group", Unit: check.Bytes, Labels: []string{"cgroup"},
		Help: "Memory of the control group that is swapped out (memory.swap.current).",
	}
	cgroupOOMKills = &check.Metric{
		Family: "worker_memory", Key: "cgroup_oom_kills", Title: "OOM kills in the control group", Kind: check.Counter, Labels: []string{"cgroup"},
		Help: "Processes that the kernel has killed because of the control group's limit since the group was made (memory.events).",
	}
	cgroupThrottled = &check.Metric{
		Family: "worker_memory", Key: "cgroup_throttled", Title: "times above memory.high", Kind: check.Counter, Labels: []string{"cgroup"},
		Help: "How often the control group went above memory.high and was slowed down since it was made (memory.events).",
	}
	pss = &check.Metric{
		Family: "worker_memory", Key: "pss", Title: "proportional memory", Unit: check.Bytes, Labels: []string{"worker"},
		Help: "Proportional set size of the worker: its own pages and its part of shared ones.",
	}
	swap = &check.Metric{
		Family: "worker_memory", Key: "swap", Title: "swapped memory", Unit: check.Bytes, Labels: []string{"worker"},
		Help: "Memory of the worker that is swapped out (VmSwap).",
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
	cgroupOOM = &check.Finding{
		Key: "cgroup_oom_kill", State: check.Warning, Labels: []string{"cgroup"},
		Help: "The kernel has killed processes because of the limit of a control group that workers are in, within the OOM window.",
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
	fs.StringArrayVar(&c.givenGroups, "group", nil, "NAME=REGEX instead of --pattern: workers of several kinds, each with limits of its own: a process belongs to the first group that matches its command line. Repeat for several")
	fs.StringArrayVar(&c.groupExpect, "group-expect", nil, "NAME=NUMBER, as --expect, for a --group. Repeat for several")
	fs.DurationVar(&c.restartWindow, "restart-window", 30*time.Minute, "count restarts over this long")
	fs.StringArrayVar(&c.quietWindow, "quiet-window", nil, "when workers are restarted as planned, '[DAYS] HH:MM-HH:MM [ZONE]': 'Sun 06:00-06:10'; processes that start then are no restarts, and workers may be missing for 2 minutes. Repeat for several")
	fs.StringVar(&c.cgroupRoot, "cgroup", cgroup.DefaultRoot, "`path` where control groups are mounted, /host/sys/fs/cgroup in a container")
	fs.BoolVar(&c.noPSS, "no-pss", false, "do not read PSS even where it is permitted: the kernel walks each process for it")
	fs.StringVar(&c.root, "proc", "/proc", "`path` of the proc file system, /host/proc in a container")
	return c
}
