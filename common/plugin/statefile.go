package plugin

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// writeStateFile writes epoch|code|STATE|text on one line, as Zulip's cron
// checks do, so that a check runs as the user who may look and another reads
// its verdict.
func writeStateFile(path string, r *check.Result, now time.Time) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return check.Faultf(check.Config, "write the state file", path, "not a regular file, and it would be replaced")
	}
	text := cut(FirstLine(r), maxLine)
	line := fmt.Sprintf("%d|%d|%s|%s\n", now.Unix(), r.State, r.State, text)
	if err := safefile.Replace(path, []byte(line), 0o644); err != nil {
		return &check.Fault{Reason: check.Config, Stage: "write the state file", Peer: path, Err: err}
	}
	return nil
}

// stateFileOf finds --state-file on a command line that could not be read to
// its end, because of an option before it; empty where there is none.
func stateFileOf(args []string) string {
	const name = "--state-file"
	path := ""
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, name+"="):
			path = strings.TrimPrefix(arg, name+"=")
		case arg == name && i+1 < len(args):
			path = args[i+1]
		}
	}
	if strings.HasPrefix(path, "$_") {
		return "" // a macro that Nagios did not find
	}
	return path
}
