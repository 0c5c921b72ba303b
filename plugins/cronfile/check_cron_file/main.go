// Check_cron_file passes on the verdicts that jobs leave in one-line files, while they are fresh. Run it with -h for examples,
// options and limits.
package main

import (
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/plugins/cronfile"
)

func main() { plugin.Main(cronfile.Definition) }
