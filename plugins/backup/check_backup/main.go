// check_backup tells when the newest finished, good backup ended, how large it
// is against the one before, and how many there are.
//
//	check_backup --stanza main                                    pgBackRest
//	check_backup --path '/var/backups/zulip/*.sql.gz'             dumps
//	check_backup --path /var/backups/postgresql --verify -t 10m   read to the end
//
// The newest backup with errors or without its end is CRITICAL, and so is none
// at all; a tool that fails and files that may not be read are UNKNOWN. Exit
// codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. Run it with -h for all options.
package main

import (
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/plugins/backup"
)

func main() { plugin.Main(backup.Definition) }
