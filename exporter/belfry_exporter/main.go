// Command belfry_exporter runs Belfry's checks at their intervals and serves
// their results to Prometheus.
//
//	belfry_exporter
//	belfry_exporter --discover
//	belfry_exporter --config.file /etc/belfry/exporter.yml
//	belfry_exporter --config.file /etc/belfry/exporter.yml --config.check
//
// Without a configuration it monitors what it finds on this machine;
// --discover prints that as a configuration.
//
// The configuration names the checks:
//
//	checks:
//	- check: postgres_replication_lag
//	  target: main
//	  interval: 30s
//	  options:
//	    host: [10.0.0.5, 10.0.0.6]
//	    user: belfry
//	    password-file: /etc/belfry/postgres.password
//	  critical: [replay_lag=64MiB]
//
// Options are those of the plugin check_postgres_replication_lag, by the same
// names; limits are written as its -w and -c. SIGHUP and POST /-/reload read
// the file anew; a file that is wrong changes nothing.
//
// It serves /metrics, /api/v1/checks, /-/healthy, /-/ready and a page of all
// checks on port 19742. The environment does not reach the checks.
package main

import (
	"os"

	"github.com/belfry-monitoring/belfry/exporter"
	"github.com/belfry-monitoring/belfry/plugins"
)

func main() { os.Exit(exporter.Main(plugins.Catalog())) }
