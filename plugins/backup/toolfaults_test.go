package backup

import (
	"strconv"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed/faults"
)

// TestFaultsOfOtherTools goes through what a tool can do instead of
// answering, for each of the tools. An age made an hour ago is 60 to 69 min
// by the time that its row is looked at.
func TestFaultsOfOtherTools(t *testing.T) {
	t.Parallel()
	unexecutable := listFile(t, "x")
	restic := `[{"time":"` + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + `","paths":["/x"],"hostname":"vm","id":"3b707c00","short_id":"3b707c00"}]`
	for _, one := range []struct {
		name string
		args func(path string) []string
		good string
		want string
	}{
		{"restic", func(path string) []string { return []string{"--restic-repo", "/srv/x", "--restic-path", path} }, restic, "vm:/x: last backup 6"},
		{"borg", func(path string) []string { return []string{"--borg-repo", "/srv/x", "--borg-path", path} },
			`{"archives":[{"name":"x-1","hostname":"vm","start":"` + time.Now().Add(-time.Hour).UTC().Format("2006-01-02T15:04:05.000000") + `"}]}`, "vm:x: last backup 6"},
		{"barman", func(path string) []string { return []string{"--barman-server", "main", "--barman-path", path} },
			`{"main":[{"backup_id":"x","status":"DONE","end_time_timestamp":"` + strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10) + `"}]}`, "main: last backup 6"},
		{"wal-g", func(path string) []string { return []string{"--wal-g", "--wal-g-path", path} },
			`[{"backup_name":"base_1","finish_time":"` + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + `"}]`, "wal-g: last backup 6"},
	} {
		t.Run(one.name, func(t *testing.T) {
			row := func(name, path string, state check.State, reason check.Reason, text string) faults.Row {
				return faults.Row{Name: name, Args: one.args(path), Want: faults.Want{State: state, Reason: reason, Text: text}}
			}
			rows := []faults.Row{
				row("missing", "/nonexistent/tool", check.Unknown, check.Config, "no such file: install the tool or give its path"),
				row("not executable", unexecutable, check.Unknown, check.Permission, "not executable for this user"),
				row("fails", tool(t, `echo "Fatal: something is wrong" >&2; exit 1`), check.Unknown, check.Data, "exit code 1: Fatal: something is wrong"),
				row("hangs", tool(t, `sleep 600`), check.Critical, check.Timeout, "no answer after"),
				row("floods", tool(t, `while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done`), check.Unknown, check.Data, "of output, stopped it"),
				row("exit 0 with an error", tool(t, `echo "ERROR: something is wrong"`), check.Unknown, check.Data, `it begins "ERROR: something is wrong"`),
				row("text before the JSON", tool(t, printing("WARNING: something\n"+one.good)), check.OK, "", one.want),
				row("text after the JSON", tool(t, printing(one.good+"\nSegmentation fault")), check.Unknown, check.Data, "there is more after the JSON"),
				row("JSON ends early", tool(t, printing(one.good[:len(one.good)-1])), check.Unknown, check.Data, "the JSON ends early"),
				row("killed", tool(t, `kill -KILL $$`), check.Unknown, check.Data, "ended by a signal (killed)"),
				row("denied", tool(t, `echo "open /srv/x/config: permission denied, Permission denied" >&2; exit 2`), check.Unknown, check.Permission, "permission denied (user "),
			}
			if one.name != "wal-g" { // that says so when there is no backup
				rows = append(rows, row("nothing", tool(t, `exit 0`), check.Unknown, check.Data, "nothing printed where JSON is due"))
			} else {
				rows = append(rows, row("nothing", tool(t, `exit 0`), check.Critical, "", "no backup: wal-g lists none"))
			}
			faults.Table(t, Definition, faults.Tools(), rows)
		})
	}
}
