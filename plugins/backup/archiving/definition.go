// Package archiving looks at the archive of PostgreSQL's log (WAL), without
// which a base backup restores only to its own end: whether the archiver
// fails, how much waits for it and for how long, and whether what it is told
// to do archives anything.
package archiving

import "github.com/belfry-monitoring/belfry/common/check"

const family = "backup"

// label names the server.
const label = "server"

var (
	waitingSince = &check.Metric{
		Family: family, Key: "archive_waiting_since", Title: "oldest segment waits for", Kind: check.Since, Labels: []string{label},
		Warning: "10min", Critical: "30min",
		Help: "When the oldest file of the log that waits to be archived began to wait; without the right to list them, when a look first saw the archive stand still with one waiting.",
	}
	waiting = &check.Metric{
		Family: family, Key: "archive_waiting", Title: "segments waiting to be archived", Labels: []string{label},
		Warning: "100", Critical: "1000",
		Help: "Files of the log that wait to be archived (archive_status/*.ready); without the right to list them, the full segments after pg_stat_archiver.last_archived_wal.",
	}
	growth = &check.Metric{
		Family: family, Key: "archive_growth", Title: "waiting segments, growth an hour", Labels: []string{label},
		Help: "Change of the number of waiting files since the look before, per hour.",
	}
	archived = &check.Metric{
		Family: family, Key: "archived", Title: "last segment archived", Kind: check.Since, Labels: []string{label},
		Help: "pg_stat_archiver.last_archived_time. A server on which nobody writes archives nothing, so that it has no limit of its own.",
	}
	archivedCount = &check.Metric{
		Family: family, Key: "archived_segments", Title: "segments archived", Kind: check.Counter, Labels: []string{label},
		Help: "pg_stat_archiver.archived_count.",
	}
	failures = &check.Metric{
		Family: family, Key: "archive_failures", Title: "failures of the archiver", Kind: check.Counter, Labels: []string{label},
		Help: "pg_stat_archiver.failed_count, of all time: it stays when archiving works again.",
	}

	failing = &check.Finding{
		Key: "archive_failing", State: check.Critical, Labels: []string{label},
		Help: "the archiver's last attempt failed, and something waits to be archived",
	}
	off = &check.Finding{
		Key: "archive_off", State: check.Critical, Labels: []string{label},
		Help: "archive_mode is off: no log is archived",
	}
	nowhere = &check.Finding{
		Key: "archive_nowhere", State: check.Critical, Labels: []string{label},
		Help: "archive_command archives nothing, whatever the statistics say",
	}
	never = &check.Finding{
		Key: "archive_never", State: check.Warning, Labels: []string{label},
		Help: "nothing was ever archived, and nothing waits to be: archiving is not proven",
	}
)

// Metrics are those of a look at archiving, for the definition of a check.
func Metrics() []*check.Metric {
	return []*check.Metric{waitingSince, waiting, growth, archived, archivedCount, failures}
}

// Findings are those of a look at archiving.
func Findings() []*check.Finding { return []*check.Finding{failing, off, nowhere, never} }
