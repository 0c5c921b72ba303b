// Package cronfile is check_cron_file: it passes on the verdicts that other
// jobs leave in one-line files, as long as they are fresh.
package cronfile

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

// label names a job by its file.
const label = "file"

var (
	written = &check.Metric{
		Family: "cron_file", Key: "written", Title: "age", Kind: check.Since, Labels: []string{label},
		Help:     "When the job recorded its verdict, by the time that it wrote into the file.",
		Critical: "5min",
	}
	state = &check.Metric{
		Family: "cron_file", Key: "state", Title: "recorded state", Labels: []string{label}, Quiet: true,
		Help: "State that the job recorded: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.",
	}
	files = &check.Metric{
		Family: "cron_file", Key: "files", Title: "files with a verdict",
		Help: "Files in which a verdict was found.",
	}

	recordedCritical = &check.Finding{Key: "recorded_critical", State: check.Critical, Labels: []string{label}, Help: "the job recorded CRITICAL"}
	recordedUnknown  = &check.Finding{Key: "recorded_unknown", State: check.Unknown, Labels: []string{label}, Help: "the job recorded UNKNOWN"}
	recordedWarning  = &check.Finding{Key: "recorded_warning", State: check.Warning, Labels: []string{label}, Help: "the job recorded WARNING"}
	missing          = &check.Finding{Key: "missing", State: check.Unknown, Labels: []string{label}, Help: "no file has a name that --expect wants"}
	foreign          = &check.Finding{Key: "foreign_owner", State: check.Unknown, Labels: []string{label}, Help: "the file belongs to another user than --owner says, who may have made the verdict up"}
	gone             = &check.Finding{Key: "gone", State: check.Warning, Labels: []string{label}, Help: "a file that the pattern or directory had at an earlier look is gone; spoken of for as long as --forget says"}
	writable         = &check.Finding{Key: "writable", State: check.Warning, Labels: []string{label}, Help: "every user can write the file, or put another one in its place, and so make the verdict up"}
	moreLines        = &check.Finding{Key: "more_lines", State: check.Warning, Labels: []string{label}, Help: "the job recorded OK and then printed more: an error, mostly"}
)

// Definition is the check; every face is made from it.
var Definition = &check.Definition{
	Name:    "cron_file",
	Title:   "CRON FILE",
	Summary: "passes on the verdicts that cron jobs and timers leave in one-line files, as long as they are fresh",
	Examples: []string{
		"check_cron_file --file /var/lib/nagios_state/check_send_receive_state",
		"check_cron_file --file analytics=/var/lib/nagios_state/check-analytics-state -c 4000s",
		"check_cron_file --file '/var/lib/nagios_state/check-rabbitmq-consumers-*' --expect check-rabbitmq-consumers-notify_tornado",
		"check_cron_file --file /var/lib/nagios_state --exclude 'last_*' -c '5min,written{file=check-analytics-state}=4000s'",
	},
	Peer:       "file",
	Interval:   time.Minute,
	Timeout:    10 * time.Second,
	Privileges: []string{"any user that may read the files and the directory that they lie in"},
	Metrics:    []*check.Metric{written, state, files},
	Findings:   []*check.Finding{recordedCritical, recordedUnknown, recordedWarning, missing, foreign, gone, writable, moreLines},
	New:        func(fs *pflag.FlagSet) check.Check { return newLook(fs) },
}
