package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/command"
	"github.com/belfry-monitoring/belfry/common/plugin"
)

func recorded(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// parsed makes the sets of an output of pgbackrest info.
func parsed(t testing.TB, output string, wanted []string, repo int) ([]set, error) {
	t.Helper()
	var stanzas []stanza
	if _, err := command.DecodeJSON([]byte(output), &stanzas); err != nil {
		return nil, err
	}
	return setsOf(stanzas, wanted, repo, func(message string) error {
		return check.Faultf(check.Data, "list", "tool", "%s", message)
	})
}

// fixed is a source that has what it has.
type fixed struct {
	option string
	l      *listing
	err    error
}

func (f *fixed) name() string                                   { return "fixed" }
func (f *fixed) given() string                                  { return f.option }
func (f *fixed) prepare() (string, error)                       { return "fixed", nil }
func (f *fixed) list(context.Context, moment) (*listing, error) { return f.l, f.err }

func newFixed(l *listing) *backupCheck {
	c := newBackup(pflag.NewFlagSet("", pflag.ContinueOnError))
	c.sources = []source{&fixed{l: l}}
	return c
}

// look judges a listing at a time.
func look(t testing.TB, l *listing, now time.Time) *check.Result {
	t.Helper()
	limits := &check.Look{Definition: Definition, Check: newFixed(l), Now: func() time.Time { return now }}
	return limits.Run(context.Background())
}

func firstLine(r *check.Result) string {
	line, _, _ := strings.Cut(string(plugin.Text(r, 0)), "\n")
	line, _, _ = strings.Cut(line, " | ")
	return line
}

// TestPgBackRest judges recorded outputs of pgBackRest 2.45.
func TestPgBackRest(t *testing.T) {
	t.Parallel()
	edit := func(name string, pairs ...string) string {
		got := strings.NewReplacer(pairs...).Replace(recorded(t, name))
		if got == recorded(t, name) {
			t.Fatalf("nothing of %q is in %s", pairs, name)
		}
		return got
	}
	ended := time.Unix(1795220995, 0) // of the newest in pgbackrest-info.json
	for _, test := range []struct {
		name   string
		output string
		wanted []string
		repo   int
		now    time.Time
		want   string // line 1
	}{
		{"good", recorded(t, "pgbackrest-info.json"), nil, 0, ended.Add(3*time.Hour + 12*time.Minute),
			"BACKUP OK: flectra: last backup 3 h 12 min ago (diff, 65.9 MiB), 3 backups"},
		{"good, chosen", recorded(t, "pgbackrest-info.json"), []string{"flectra"}, 1, ended,
			"BACKUP OK: flectra: last backup 0 s ago (diff, 65.9 MiB), 3 backups"},
		{"old", recorded(t, "pgbackrest-info.json"), nil, 0, ended.Add(26 * time.Hour),
			"BACKUP WARNING: flectra: last good backup's age 26 h (above 25 h), 20261121-002944F_20261121-002953D ended 2026-11-21 00:29 UTC, 65.9 MiB after 65.8 MiB"},
		{"very old", recorded(t, "pgbackrest-info.json"), nil, 0, ended.Add(50*time.Hour + 3*time.Minute),
			"BACKUP CRITICAL: flectra: last good backup's age 2 d 2 h (above 2 d 1 h), 20261121-002944F_20261121-002953D ended 2026-11-21 00:29 UTC, 65.9 MiB after 65.8 MiB"},
		{"in the future", recorded(t, "pgbackrest-info.json"), nil, 0, ended.Add(-63 * time.Second),
			"BACKUP UNKNOWN: flectra: last good backup's age: 2026-11-21T00:29:55Z lies 63 s in the future"},
		{"shrunk", edit("pgbackrest-info.json", `"size":69049112`, `"size":12345678`), nil, 0, ended,
			"BACKUP WARNING: flectra: size against the one before 17.9 % (below 50 %), 20261121-002944F_20261121-002953D ended 2026-11-21 00:29 UTC, 11.8 MiB after 65.8 MiB"},
		{"running", edit("pgbackrest-info.json", `"held":false`, `"held":true`), nil, 0, ended.Add(time.Hour),
			"BACKUP OK: flectra: last backup 60 min ago (diff, 65.9 MiB), 3 backups, another is being made"},
		{"newest has errors", recorded(t, "pgbackrest-error.json"), nil, 0, time.Unix(1795229000, 0),
			"BACKUP CRITICAL: main: 20261121-024249F ended 2026-11-21 02:42 UTC: it has page checksum errors: the database itself is damaged ('pgbackrest info --set' names the files); the last good one is 20261121-023401F_20261121-023438I ended 2026-11-21 02:34 UTC"},
		{"old version without error field", edit("pgbackrest-info.json", `"error":false,`, ``), nil, 0, ended,
			"BACKUP OK: flectra: last backup 0 s ago (diff, 65.9 MiB), 3 backups"},
		{"error null", edit("pgbackrest-info.json", `"error":false`, `"error":null`), nil, 0, ended,
			"BACKUP OK: flectra: last backup 0 s ago (diff, 65.9 MiB), 3 backups"},
		{"all have errors", edit("pgbackrest-info.json", `"error":false`, `"error":true`), nil, 0, ended,
			"BACKUP CRITICAL: flectra: no good backup: 20261121-002944F_20261121-002953D ended 2026-11-21 00:29 UTC: it has page checksum errors: the database itself is damaged ('pgbackrest info --set' names the files)"},
		{"full one lost", edit("pgbackrest-info-2.json", `"label": "20261121-002249F",`, `"label": "20261120-000000F",`, `"label":"20261121-002249F",`, `"label":"20261120-000000F",`), nil, 0, ended,
			"BACKUP CRITICAL: main: 20261121-002249F_20261121-002253I ended 2026-11-21 00:22 UTC: it builds on 20261121-002249F, which the repository does not have: it cannot be restored; the last good one is 20261120-000000F ended 2026-11-21 00:22 UTC"},
		{"no backup", recorded(t, "pgbackrest-no-backup.json"), nil, 0, ended,
			"BACKUP CRITICAL: main: no backup: pgbackrest says: no valid backups"},
		{"first one running", edit("pgbackrest-no-backup.json", `"held":false`, `"held":true`), nil, 0, ended,
			"BACKUP CRITICAL: main: no backup: pgbackrest says: no valid backups, one is being made"},
		{"nothing configured", "[]", nil, 0, ended,
			"BACKUP CRITICAL: pgbackrest: no backup: pgbackrest knows no stanza: nothing is configured or stanza-create was never run"},
		{"missing stanza", recorded(t, "pgbackrest-missing-stanza.json"), []string{"nope"}, 0, ended,
			"BACKUP CRITICAL: nope: pgbackrest says: missing stanza path (status 1): the repository has nothing of it: moved away, not mounted, or stanza-create was never run"},
		{"one of two stanzas", recorded(t, "pgbackrest-info.json"), []string{"flectra", "zulip"}, 0, ended,
			"BACKUP CRITICAL: zulip: pgbackrest knows no such stanza"},
		{"two stanzas", strings.TrimSuffix(strings.TrimSpace(recorded(t, "pgbackrest-info.json")), "]") + "," + strings.TrimPrefix(recorded(t, "pgbackrest-info-2.json"), "["), nil, 0, ended.Add(time.Hour),
			"BACKUP OK: 2 sets of backups, oldest main: last backup 66 min 59 s ago (incr, 55.9 MiB), 2 backups"},
		{"one of two repositories", recorded(t, "pgbackrest-two-repos.json"), nil, 0, time.Unix(1795229000, 0),
			"BACKUP CRITICAL: main repo1: 20261121-024249F ended 2026-11-21 02:42 UTC: it has page checksum errors: the database itself is damaged ('pgbackrest info --set' names the files); the last good one is 20261121-023401F_20261121-023438I ended 2026-11-21 02:34 UTC, 1 more problem of 4"},
		{"the other repository", recorded(t, "pgbackrest-two-repos.json"), nil, 2, time.Unix(1795229000, 0),
			"BACKUP CRITICAL: main repo2: pgbackrest says: missing stanza path (status 1): the repository has nothing of it: moved away, not mounted, or stanza-create was never run"},
		{"no such repository", recorded(t, "pgbackrest-two-repos.json"), nil, 3, ended, "stanza main: it has no repository 3"},
		{"corrupt", recorded(t, "pgbackrest-corrupt.json"), nil, 0, ended,
			"BACKUP UNKNOWN: main: list tool: [FormatError] unable to load info file '/var/lib/pgbackrest/backup/main/backup.info' or '/var/lib/pgbackrest/backup/main/backup.info.copy': FormatError: key/value found outside of section at line 1: garbage FormatError: key/value found outside of section at line 1: garbage HINT: backup.info cannot be opened and is required to perform a backup. HINT: has a stanza-create been performed?"},
		{"unreachable", recorded(t, "pgbackrest-unreachable.json"), []string{"main"}, 0, ended,
			"BACKUP UNKNOWN: list tool: [HostConnectError] unable to get address for 'b.127.0.0.1': [-2] Name or service not known"},
		{"stanza says it, not the repository", edit("pgbackrest-info.json", `"status":{"code":0,"lock"`, `"status":{"code":5,"lock"`), nil, 0, ended,
			"BACKUP CRITICAL: flectra: pgbackrest says: ok (status 5): the repositories hold backups of different databases"},
		{"upgraded", edit("pgbackrest-info.json", `"db":[`, `"db":[{"id":2,"repo-key":1,"system-id":18446744073709551615,"version":"16"},`), nil, 0, ended,
			"BACKUP CRITICAL: flectra: no backup: 3 of a former database, none of the present one (PostgreSQL 16, system 18446744073709551615)"},
		{"before repositories had keys", edit("pgbackrest-info.json", `"repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],`, ``, `,"repo-key":1`, ``), nil, 0, ended,
			"BACKUP OK: flectra: last backup 0 s ago (diff, 65.9 MiB), 3 backups"},
		{"no status", edit("pgbackrest-info.json", `"status":{"code":0,"lock"`, `"state":{"code":0,"lock"`), nil, 0, ended, "stanza flectra: it has no status"},
		{"no status code", edit("pgbackrest-info.json", `"code":0,"lock"`, `"lock"`), nil, 0, ended, "stanza flectra: it has no status"},
		{"no status of the repository", edit("pgbackrest-info.json", `"key":1,"status":{"code":0,"message":"ok"}`, `"key":1`), nil, 0, ended, "stanza flectra: repository 1 has no status"},
		{"no end", edit("pgbackrest-info.json", `,"stop":1795220995`, ``), nil, 0, ended, `backup "20261121-002944F_20261121-002953D": stop 0 is no time`},
		{"milliseconds", edit("pgbackrest-info.json", `"stop":1795220995`, `"stop":1795220995000000`), nil, 0, ended, `stop 1795220995000000 is no time`},
		{"twice", strings.TrimSuffix(strings.TrimSpace(recorded(t, "pgbackrest-info.json")), "]") + "," + strings.TrimPrefix(recorded(t, "pgbackrest-info.json"), "["), nil, 0, ended, "stands there twice"},
		{"no name", `[{"status":{"code":0}}]`, nil, 0, ended, "has no name"},
		{"null", `[null]`, nil, 0, ended, "has no name"},
		{"object", `{}`, nil, 0, ended, "unexpected JSON"},
	} {
		sets, err := parsed(t, test.output, test.wanted, test.repo)
		var got string
		if err != nil {
			got = err.Error()
			if strings.HasPrefix(test.want, "BACKUP") || !strings.Contains(got, test.want) {
				t.Errorf("%s: error %q; want %q", test.name, got, test.want)
			}
			continue
		}
		r := look(t, &listing{sets: sets}, test.now)
		if got = firstLine(r); got != test.want && !cutTo(got, test.want) {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

// cutTo tells whether a line is the beginning of the wanted one, cut where
// texts are.
func cutTo(got, want string) bool {
	head, cut := strings.CutSuffix(got, "...")
	return cut && len(head) > 2*check.MaxText && strings.HasPrefix(want, head)
}

// TestSystemID: 64 bits do not fit a float.
func TestSystemID(t *testing.T) {
	t.Parallel()
	var stanzas []stanza
	if err := json.Unmarshal([]byte(recorded(t, "pgbackrest-info.json")), &stanzas); err != nil {
		t.Fatal(err)
	}
	if got := stanzas[0].DB[0].SystemID; got != 7710409982631294448 {
		t.Errorf("system-id = %d; want 7710409982631294448", got)
	}
}

func TestToolFault(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		exit *command.ExitError
		want check.Reason
	}{
		{&command.ExitError{Code: 41, Stderr: "ERROR: [041]: unable to open file '/etc/shadow' for read: [13] Permission denied"}, check.Permission},
		{&command.ExitError{Code: 55, Stderr: "ERROR: [055]: unable to open missing file '/nope' for read"}, check.Config},
		{&command.ExitError{Code: 32, Stderr: "ERROR: [032]: key '3' is not valid for 'repo' option"}, check.Config},
		{&command.ExitError{Code: 125, Stderr: "ERROR: [125]: remote-0 process terminated"}, check.Data},
		{&command.ExitError{Code: -1, Signal: "killed"}, check.Data},
	} {
		err := toolFault(&check.Fault{Reason: check.Data, Stage: "run", Err: test.exit})
		if got := check.ReasonOf(err); got != test.want || got.State() != check.Unknown || !errors.Is(err, test.exit) && !strings.Contains(err.Error(), test.exit.Error()) {
			t.Errorf("toolFault(%v) = %v of reason %s; want %s", test.exit, err, got, test.want)
		}
	}
}

func TestArgs(t *testing.T) {
	t.Parallel()
	quiet := []string{"info", "--output=json", "--log-level-console=off", "--log-level-file=off", "--log-level-stderr=error"}
	for _, test := range []struct{ flags, want []string }{
		{nil, nil},
		{[]string{"--stanza=main", "--config=/etc/x.conf", "--repo=2"}, []string{"--config=/etc/x.conf", "--stanza=main", "--repo=2"}},
		{[]string{"--stanza=main", "--stanza=other"}, nil},
		{[]string{"--stanza=--delta"}, []string{"--stanza=--delta"}},
	} {
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		p := newPgBackRest(fs)
		if err := fs.Parse(test.flags); err != nil {
			t.Fatal(err)
		}
		if got, want := p.args(), append(slices.Clone(quiet), test.want...); !slices.Equal(got, want) {
			t.Errorf("args() of %q = %q; want %q", test.flags, got, want)
		}
	}
}

func FuzzPgBackRest(f *testing.F) {
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) == 0 {
		f.Fatalf("no recordings: %v", err)
	}
	for _, name := range names {
		f.Add(recorded(f, filepath.Base(name)), 0)
	}
	f.Add(`[{"name":"a","status":{"code":0},"repo":[{"key":1,"status":{"code":0}},{"key":1,"status":{"code":0}}]}]`, 1)
	f.Fuzz(func(t *testing.T, output string, repo int) {
		sets, err := parsed(t, output, nil, repo)
		if err != nil {
			return
		}
		r := look(t, &listing{sets: sets}, time.Unix(1795229000, 0))
		for _, row := range r.Rows {
			if row.Reason == check.Internal {
				t.Errorf("%q is judged with a defect: %s", output, row.Text)
			}
		}
		good := 0
		for _, s := range sets {
			for _, b := range s.backups {
				if b.problem == "" {
					good++
				}
			}
		}
		if r.State == check.OK && good == 0 {
			t.Errorf("%q is OK without a good backup: %s", output, fmt.Sprint(r.Rows))
		}
	})
}
