package backup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/faults"
)

// tool writes a script that stands for pgbackrest.
func tool(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pgbackrest")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// fresh is an output of pgbackrest info whose newest backup ended an hour ago.
func fresh(t *testing.T) string {
	t.Helper()
	return strings.ReplaceAll(recorded(t, "pgbackrest-info.json"), `"stop":1795220995`, fmt.Sprintf(`"stop":%d`, time.Now().Add(-time.Hour).Unix()))
}

func printing(text string) string { return "cat <<'EOF'\n" + text + "\nEOF" }

func TestFaultsOfTools(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "pgbackrest")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	row := func(name, path string, state check.State, reason check.Reason, text string) faults.Row {
		return faults.Row{Name: name, Args: []string{"--pgbackrest-path", path}, Want: faults.Want{State: state, Reason: reason, Text: text}}
	}
	floods := row("floods", tool(t, `exec yes`), check.Unknown, check.Data, "more than 4 MiB of output")
	floods.Timeout = 10 * time.Second
	faults.Table(t, Definition, faults.Tools(), []faults.Row{
		floods,
		row("missing", "/nonexistent/pgbackrest", check.Unknown, check.Config, "no such file: install the tool or give its path"),
		row("not executable", plain, check.Unknown, check.Permission, "not executable for this user"),
		row("hangs", tool(t, `echo "P00 INFO: waiting" >&2; sleep 600`), check.Critical, check.Timeout, "no answer after"),
		row("hangs with its answer half said", tool(t, `printf '[{"name":'; sleep 600`), check.Critical, check.Timeout, "no answer after"),
		row("exit 0 with an error", tool(t, `echo "ERROR: [082]: WAL segment was not archived"`), check.Unknown, check.Data, `it begins "ERROR: [082]: WAL segment was not archived"`),
		row("exit 0 with an error inside", tool(t, printing(recorded(t, "pgbackrest-unreachable.json"))), check.Unknown, check.Data, "[HostConnectError]"),
		row("exit 0 with a denial inside", tool(t, printing(recorded(t, "pgbackrest-denied.json"))), check.Unknown, check.Permission, "permission denied (user "),
		row("exit 0 with nothing", tool(t, `exit 0`), check.Unknown, check.Data, "nothing printed where JSON is due"),
		row("JSON ends early", tool(t, printing(fresh(t)[:700])), check.Unknown, check.Data, "not the output of 'pgbackrest info --output=json'"),
		row("text before the JSON", tool(t, printing("WARN: configuration file contains invalid option 'x'\n"+fresh(t))), check.OK, "", "flectra: last backup 6"),
		row("text after the JSON", tool(t, printing(fresh(t)+"\nSegmentation fault")), check.Unknown, check.Data, "there is more after the JSON"),
		row("fails", tool(t, `echo "ERROR: [055]: unable to open missing file '/etc/x.conf' for read" >&2; exit 55`), check.Unknown, check.Config, "exit code 55: ERROR: [055]"),
		row("fails, denied", tool(t, `echo "ERROR: [041]: unable to open file '/etc/shadow' for read: [13] Permission denied" >&2; exit 41`), check.Unknown, check.Permission, "permission denied (user "),
		row("killed", tool(t, `kill -KILL $$`), check.Unknown, check.Data, "ended by a signal (killed)"),
	})
}

// asNobody gives up the rights of root over files until the test ends. It is
// for rows that run alone: it holds for the whole process.
func asNobody(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if err := syscall.Seteuid(65534); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Seteuid(0); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFaultsOfFiles(t *testing.T) {
	dir := testbed.New(t).MkdirFor("", "files", 0o755) // where others can go
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(content), mode)
		}
		if err == nil {
			err = os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour))
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := string(dumpFile(t, "plain.sql"))
	fifo := filepath.Join(dir, "fifo.sql")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(dir, "gone.sql")
	if err := os.Symlink("nowhere", gone); err != nil {
		t.Fatal(err)
	}
	huge := write("huge.sql", plain[:3000], 0o644)
	tail := plain[len(plain)-300:]
	if f, err := os.OpenFile(huge, os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	} else {
		_, err = f.WriteAt([]byte(tail), 1<<40)
		if err == nil {
			err = os.Chtimes(huge, time.Time{}, time.Now().Add(-time.Hour))
		}
		if err != nil || f.Close() != nil {
			t.Fatal(err)
		}
	}
	write("closed/zulip.sql", plain, 0o644)
	closed := filepath.Join(dir, "closed")
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Chmod(closed, 0o700); err != nil { // so that it can be removed
			t.Error(err)
		}
	})
	write("fine/older.sql", plain, 0o644)
	write("fine/zulip.sql", plain, 0)
	if err := os.Chtimes(filepath.Join(dir, "fine/older.sql"), time.Time{}, time.Now().Add(-24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	unknown := func(reason check.Reason, text string) faults.Want {
		return faults.Want{State: check.Unknown, Reason: reason, Text: text}
	}
	critical := func(text string) faults.Want { return faults.Want{State: check.Critical, Text: text} }
	lone := func(t *testing.T) { asNobody(t) }
	faults.Table(t, Definition, faults.Files(), []faults.Row{
		{Name: "unreadable", Args: []string{"--path", write("unreadable.sql", plain, 0)}, Before: lone,
			Want: unknown(check.Permission, "permission denied (user ")},
		{Name: "unreadable directory", Args: []string{"--path", closed}, Before: lone, Want: unknown(check.Permission, "permission denied (user ")},
		{Name: "unreadable, by pattern", Args: []string{"--path", closed + "/*.sql"}, Before: lone, Want: unknown(check.Permission, "permission denied (user ")},
		{Name: "unreadable is the newest", Args: []string{"--path", dir + "/fine"}, Before: lone, Want: unknown(check.Permission, "read "+dir+"/fine/zulip.sql: permission denied")},
		{Name: "unreadable, by stat", Args: []string{"--path", dir + "/fine", "--stat-only"}, Before: lone, Want: faults.Want{State: check.OK, Text: "last backup 6"}},
		{Name: "vanishing", Args: []string{"--path", dir + "/gone.*"}, Want: critical("no backup: no file is there")},
		{Name: "FIFO", Args: []string{"--path", fifo}, Want: critical("no backup: no file is there")},
		{Name: "device", Args: []string{"--path", "/dev/zero"}, Want: critical("no backup: no file is there")},
		{Name: "empty", Args: []string{"--path", write("empty.sql", "", 0o644)}, Want: critical("empty.sql ended ")},
		{Name: "huge", Args: []string{"--path", huge}, Want: faults.Want{State: check.OK, Text: "(plain, 1 TiB)"}},

		{Name: "list unreadable", Args: []string{"--json-file", write("unreadable.json", fresh(t), 0)}, Before: lone,
			Want: unknown(check.Permission, "permission denied (user ")},
		{Name: "list vanished", Args: []string{"--json-file", dir + "/gone.json"}, Want: unknown(check.Config, "no such file")},
		{Name: "list is a FIFO", Args: []string{"--json-file", fifo}, Want: unknown(check.Config, "FIFO")},
		{Name: "list empty", Args: []string{"--json-file", write("empty.json", "", 0o644)}, Want: unknown(check.Data, "nothing printed where JSON is due")},
		{Name: "list huge", Args: []string{"--json-file", huge}, Want: unknown(check.Data, "more than 4 MiB")},
		{Name: "list half written", Args: []string{"--json-file", write("half.json", fresh(t)[:500], 0o644)}, Want: unknown(check.Data, "the JSON ends early")},
		{Name: "list of another user who may not look", Args: []string{"--json-file", write("denied.json", recorded(t, "pgbackrest-denied.json"), 0o644)},
			Want: unknown(check.Permission, "the user who wrote it may not look: [PathOpenError]")},
	})
}

// TestListIsOld: the list that cron no longer writes is no proof of health,
// however fresh its backups look.
func TestListIsOld(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list.json")
	if err := os.WriteFile(path, []byte(recorded(t, "pgbackrest-info.json")), 0o644); err != nil {
		t.Fatal(err)
	}
	ended := time.Unix(1795220995, 0)
	for _, test := range []struct {
		written, now time.Duration // after the end of the newest backup
		want         string
	}{
		{time.Minute, time.Hour, "BACKUP OK: flectra: last backup 60 min ago (diff, 65.9 MiB), 3 backups"},
		{time.Minute, 3 * time.Hour, "BACKUP WARNING: age of the list of backups 2 h 59 min (above 2 h)"},
		{time.Minute, 27 * time.Hour, "BACKUP CRITICAL: age of the list of backups 26 h 59 min (above 26 h), 1 more problem of 3"},
		{4 * time.Hour, time.Hour, "BACKUP UNKNOWN: age of the list of backups: 2026-11-21T04:29:55Z lies 3 h in the future"},
	} {
		if err := os.Chtimes(path, time.Time{}, ended.Add(test.written)); err != nil {
			t.Fatal(err)
		}
		l, err := (&pgBackRest{jsonFile: path}).list(t.Context(), moment{})
		if err != nil {
			t.Fatal(err)
		}
		if got := firstLine(look(t, l, ended.Add(test.now))); got != test.want {
			t.Errorf("line 1 = %s; want %s", got, test.want)
		}
	}
}

// TestTextCanBeRead: what the cores read is what was said.
func TestTextCanBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nasty := filepath.Join(dir, "it's|a \"dump\"=1;2\n.sql")
	if err := os.WriteFile(nasty, dumpFile(t, "plain.sql"), 0o644); err != nil {
		t.Fatal(err)
	}
	faults.Text(t, Definition, []string{"--path", nasty, "-v"})
	faults.Text(t, Definition, []string{"--path", dir, "--path", dir + "/*|*", "--path", "/nope", "-w", "1s"})
	faults.Text(t, Definition, []string{"--pgbackrest-path", tool(t, printing(recorded(t, "pgbackrest-corrupt.json")))})
}
