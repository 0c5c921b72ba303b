// Command check_worker_memory looks at the memory of worker processes:
// Zulip's queue workers, or those that --pattern, --user and --parent choose.
// It is critical when a worker holds more than 800 MB of resident memory
// (warning 600 MB; the one process that serves all queues of a small Zulip has
// limits of its own), when the workers fill 85 % of the machine's memory
// (warning 70 %), when there are fewer than --expect says and when there is
// none, when one of Zulip's workers restarts again and again, and when a
// control group that they are in is filled to 95 % of its limit. It warns when
// a worker grows steadily and reaches its limit within four hours, when one has
// restarted alone twice, and when the kernel has killed a process for want of memory.
//
//	check_worker_memory --expect 15
//	check_worker_memory --quiet-window 'Sun 06:00-06:10'
//	check_worker_memory --pattern '^(odoo|flectra): Worker' -c 1600MiB
//
// It needs no privileges unless /proc is mounted with hidepid. Exit codes: 0
// OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
package main

import (
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/plugins/workermemory"
)

func main() { plugin.Main(workermemory.Definition) }
