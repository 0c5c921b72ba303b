// Package plugins holds the catalog of checks: the literal list from which
// every face is made. A new check is one folder and one line here.
package plugins

import (
	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/plugins/backup"
	"github.com/belfry-monitoring/belfry/plugins/cronfile"
	"github.com/belfry-monitoring/belfry/plugins/postgresreplicationlag"
	"github.com/belfry-monitoring/belfry/plugins/rabbitmqconsumers"
	"github.com/belfry-monitoring/belfry/plugins/rabbitmqqueues"
	"github.com/belfry-monitoring/belfry/plugins/sendreceivetime"
	"github.com/belfry-monitoring/belfry/plugins/workermemory"
)

// Catalog lists all checks by name.
func Catalog() []*check.Definition {
	return []*check.Definition{
		backup.Definition,
		cronfile.Definition,
		postgresreplicationlag.Definition,
		rabbitmqconsumers.Definition,
		rabbitmqqueues.Definition,
		sendreceivetime.Definition,
		workermemory.Definition,
	}
}

// Folder is the name of a check's folder: its name without underscores.
func Folder(d *check.Definition) string {
	folder := make([]byte, 0, len(d.Name))
	for i := range len(d.Name) {
		if d.Name[i] != '_' {
			folder = append(folder, d.Name[i])
		}
	}
	return string(folder)
}
