// Check_postgres_replication_lag is a monitoring plugin that looks how far
// PostgreSQL standbys are behind, and whether they are still there.
//
// It asks one or several servers, primaries and standbys alike, over one
// connection and with one query each:
//
//	check_postgres_replication_lag -H db1 --standbys 1 -U monitor --password-file /etc/belfry/pg-password
//	check_postgres_replication_lag -H db1 -H db2:5433 --standby db2 -U monitor -w 16MiB -c 80MiB
//	check_postgres_replication_lag -H db2 --expect standby -U monitor
//	check_postgres_replication_lag -H /run/postgresql --standbys 0
//
// The role needs pg_read_all_stats and nothing else. Exit codes: 0 OK, 1
// WARNING, 2 CRITICAL, 3 UNKNOWN. The option -h shows everything else.
package main

import (
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/plugins/postgresreplicationlag"
)

func main() { plugin.Main(postgresreplicationlag.Definition) }
