// Package backup checks that backups are made: when the newest finished, good
// one ended, how large it is against the one before, and how many there are.
package backup

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/plugins/backup/archiving"
)

// The parts of a look.
const (
	partBackups   = "backups"
	partArchiving = "archiving"
)

// label names a set of backups: the backups of one thing in one place, such
// as a stanza in one repository, or the dumps in one directory.
const label = "set"

// contentLabel names what is backed up, over all its sets: database, uploads.
const contentLabel = "content"

var (
	completed = &check.Metric{
		Family: "backup", Key: "completed", Title: "last good backup's age", Kind: check.Since, Labels: []string{label},
		Help:    "When the newest finished, good backup ended.",
		Warning: "25h", Critical: "49h",
	}
	fullCompleted = &check.Metric{
		Family: "backup", Key: "full_completed", Title: "last good full backup's age", Kind: check.Since, Labels: []string{label},
		Help: "When the newest finished, good full backup ended, on which incremental ones are based.",
	}
	relativeSize = &check.Metric{
		Family: "backup", Key: "relative_size", Title: "size against the one before", Unit: check.Ratio, Labels: []string{label},
		Help:    "Size of the newest good backup against that of the good one of the same form before it.",
		Warning: "50:",
	}
	relativeToMedian = &check.Metric{
		Family: "backup", Key: "relative_to_median", Title: "size against the median", Unit: check.Ratio, Labels: []string{label},
		Help:    "Size of the newest good backup against the median of up to seven good ones of the same form before it; at least three.",
		Warning: "50:",
	}
	running = &check.Metric{
		Family: "backup", Key: "running", Title: "running", Kind: check.Since, Labels: []string{label},
		Help:    "When the backup that is being made began, or was first seen.",
		Warning: "24h",
	}
	largestGap = &check.Metric{
		Family: "backup", Key: "largest_gap", Title: "largest gap", Unit: check.Seconds, Labels: []string{label},
		Help: "Longest time between the ends of two good backups that follow one another, within --gap-window.",
	}
	oldestKept = &check.Metric{
		Family: "backup", Key: "oldest", Title: "oldest good backup's age", Kind: check.Since, Labels: []string{label},
		Help: "When the oldest good backup that is kept ended: how far back one can restore.",
	}
	copies = &check.Metric{
		Family: "backup", Key: "copies", Title: "good backups in all places", Labels: []string{contentLabel},
		Help: "Finished, good backups of a --content in all sets.",
	}
	places = &check.Metric{
		Family: "backup", Key: "places", Title: "places with a recent backup", Labels: []string{contentLabel},
		Help: "Places (hosts, buckets, file systems) whose newest good backup of a --content is not older than --recent.",
	}
	count = &check.Metric{
		Family: "backup", Key: "backups", Title: "good backups", Labels: []string{label},
		Help: "Finished, good backups that are kept.",
	}
	size = &check.Metric{
		Family: "backup", Key: "size", Unit: check.Bytes, Labels: []string{label},
		Help: "Size of the newest good backup: of the database for pgBackRest and wal-g, of the file or object for a dump, of what was saved for others.",
	}
	took = &check.Metric{
		Family: "backup", Key: "duration", Unit: check.Seconds, Labels: []string{label},
		Help: "How long the newest good backup took, where that is known.",
	}
	listed = &check.Metric{
		Family: "backup", Key: "listed", Title: "age of the list of backups", Kind: check.Since,
		Help:    "When the list of backups was written that was read from a file; the oldest of several.",
		Warning: "2h", Critical: "26h",
	}

	noBackup = &check.Finding{
		Key: "no_backup", State: check.Critical, Labels: []string{label},
		Help: "there is no finished, good backup",
	}
	badBackup = &check.Finding{
		Key: "bad_backup", State: check.Critical, Labels: []string{label},
		Help: "the newest backup ended with errors or is incomplete",
	}
	onlyUnfinished = &check.Finding{
		Key: "only_unfinished", State: check.Critical, Labels: []string{label},
		Help: "the only dump there is still being written, because each one replaces the last",
	}
	badRepository = &check.Finding{
		Key: "bad_repository", State: check.Critical, Labels: []string{label},
		Help: "the backup tool says that its repository is not in order",
	}
	notOffsite = &check.Finding{
		Key: "not_offsite", State: check.Warning, Labels: []string{label},
		Help: "this machine can write or delete a backup that --expect-offsite means",
	}
	offsiteUnproven = &check.Finding{
		Key: "offsite_unproven", State: check.Unknown, Labels: []string{label},
		Help: "it cannot be seen whether this machine can write or delete a backup that --expect-offsite means",
	}
)

// Definition is the check.
var Definition = &check.Definition{
	Name:    "backup",
	Title:   "BACKUP",
	Summary: "tells when the newest finished, good backup ended, how large it is against the one before, and how many there are",
	Aliases: []string{"check_postgres_backup", "check_postgresql_backup"},
	Examples: []string{
		"check_backup --stanza main",
		"check_backup --path '/var/backups/zulip/*.sql.gz' -w 25h -c 49h",
		"check_backup --path /var/backups/postgresql --verify -t 10m",
		"check_backup --restic-repo /srv/restic --restic-password-file /etc/belfry/restic --content 'uploads=*:/home/zulip/uploads'",
		"check_backup --json-file /var/lib/belfry-postgres/pgbackrest.json --stanza main -w listed=30min",
		"check_backup --path '/var/backups/zulip/zulip-backup-*.tar.gz' --verify --zulip-parts database --zulip-parts settings --zulip-parts uploads -t 10m",
		"check_backup --s3-url 's3://backups/zulip/*.sql.gz' --s3-region eu-central-1 --s3-credentials-file /etc/belfry/s3",
		"check_backup --stanza main -H db1 -U monitor --password-file /etc/belfry/pg-password",
		"check_backup --only archiving -H /run/postgresql -U monitor",
	},
	Peer:     "command",
	Interval: 5 * time.Minute,
	Timeout:  30 * time.Second,
	Privileges: []string{
		"pgBackRest: read its configuration and repository, mostly by membership in the group of the repository (postgres); or only " +
			"a file that the repository's user writes from cron, for --json-file.",
		"restic, Borg: read the repository and its password; Barman: be its user; wal-g: read the storage; or only a file that " +
			"their own user writes from cron, for --restic-json-file and the like. Nothing is locked or written.",
		"Dumps: read them, because a dump that was cut off is known by its contents; with --stat-only only their directory.",
		"S3: a key that may list the bucket (s3:ListBucket), for a storage of wal-g also read basebackups_005 (s3:GetObject), and no more.",
		"Archiving: a role that may log in to PostgreSQL, without pg_monitor: CREATE ROLE monitor LOGIN PASSWORD '...'; " +
			"GRANT EXECUTE ON FUNCTION pg_ls_archive_statusdir() TO monitor; (in the database postgres, which it logs in to).",
	},
	Metrics: append([]*check.Metric{
		completed, fullCompleted, relativeSize, relativeToMedian, count, largestGap, oldestKept, running, size, took, listed, copies, places,
	}, archiving.Metrics()...),
	Findings: append([]*check.Finding{noBackup, badBackup, onlyUnfinished, badRepository, notOffsite, offsiteUnproven}, archiving.Findings()...),
	Parts: []check.Part{
		{Name: partBackups, Help: "the backups themselves"},
		{Name: partArchiving, Help: "the archive of PostgreSQL's log, where --archiving, --host or --service ask for it"},
	},
	New: func(fs *pflag.FlagSet) check.Check { return newBackup(fs) },
}
