package backup

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/parity"

	"github.com/belfry-monitoring/belfry/common/check"
)

// stage is a real PostgreSQL with a stanza of pgBackRest, and the plugin.
type stage struct {
	*testing.T
	bed    *testbed.Bed
	pg     *testbed.Postgres
	rest   *testbed.PgBackRest
	plugin string
}

func newStage(t *testing.T) *stage {
	bed := testbed.New(t)
	pg := bed.Postgres(testbed.PostgresOptions{})
	return &stage{T: t, bed: bed, pg: pg, rest: bed.PgBackRest(pg), plugin: bed.Build("./plugins/backup/check_backup")}
}

// wants runs the plugin as a user and compares exit code and line 1.
func (s *stage) wants(account string, state check.State, text string, args ...string) {
	s.Helper()
	got := testbed.RunAs(s, account, append([]string{s.plugin}, args...), nil)
	line, _, _ := strings.Cut(got.Stdout, " | ")
	line, _, _ = strings.Cut(line, "\n")
	s.Logf("%s %s: %s", account, strings.Join(args, " "), line)
	if got.Exit != int(state) || !strings.Contains(line, text) || got.Stderr != "" {
		s.Errorf("check_backup %s as %s: exit code %d, %s%s\nwant %s with %q", strings.Join(args, " "), account, got.Exit, line, got.Stderr, state, text)
	}
}

// TestPgBackRestForReal goes through the life of a stanza.
func TestPgBackRestForReal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	stanza := []string{"--config", s.rest.ConfigFile, "--stanza", s.rest.Stanza}
	with := func(more ...string) []string { return append(append([]string(nil), stanza...), more...) }

	s.wants(s.rest.Account, check.Critical, "main: no backup: pgbackrest says: no valid backups", stanza...)
	s.rest.Backup("full")
	s.wants(s.rest.Account, check.OK, "main: last backup ", stanza...)
	s.wants(s.rest.Account, check.OK, "(full, ", stanza...)
	s.pg.Exec("CREATE TABLE t AS SELECT g, repeat('x', 100) FROM generate_series(1, 1000) g")
	s.rest.Backup("incr")
	s.wants(s.rest.Account, check.OK, "(incr, ", stanza...)
	s.wants(s.rest.Account, check.OK, ", 2 backups", "--config", s.rest.ConfigFile)
	s.wants(s.rest.Account, check.Critical, "nope: pgbackrest says: missing stanza path (status 1)", "--config", s.rest.ConfigFile, "--stanza", "nope")

	// Time goes by: the limits are reached.
	time.Sleep(1100 * time.Millisecond)
	s.wants(s.rest.Account, check.Warning, "main: last good backup's age ", with("-w", "1s")...)
	s.wants(s.rest.Account, check.Critical, "(above 1 s), "+time.Now().UTC().Format("2006"), with("-c", "1s")...)

	// Another user may not look, and reads what cron wrote.
	s.wants("nobody", check.Unknown, "list the backups with /usr/bin/pgbackrest: permission denied (user nobody; "+s.rest.Repo+" is postgres:postgres 0750: add the user to the group postgres, or use --json-file): [PathOpenError] ", stanza...)
	list := s.bed.WriteFileFor(s.rest.Account, "list.json", s.rest.Info(), 0o644)
	s.wants("nobody", check.OK, "(incr, ", "--json-file", list)
	s.wants("nobody", check.OK, "(incr, ", "--json-file", list, "--stanza", "main")

	// A damaged page makes the backup one with errors.
	s.damagePage()
	s.rest.Backup("full")
	s.wants(s.rest.Account, check.Critical, "it has page checksum errors: the database itself is damaged ('pgbackrest info --set' names the files); the last good one is ", stanza...)

	// The repository breaks.
	info := filepath.Join(s.rest.Repo, "backup", s.rest.Stanza)
	for _, name := range []string{"backup.info", "backup.info.copy"} {
		if err := os.WriteFile(filepath.Join(info, name), []byte("garbage\n"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	s.wants(s.rest.Account, check.Unknown, "main: list the backups with /usr/bin/pgbackrest: [FormatError] unable to load info file", stanza...)
	if err := os.Rename(s.rest.Repo, s.rest.Repo+".away"); err != nil {
		t.Fatal(err)
	}
	s.wants(s.rest.Account, check.Critical, "main: pgbackrest says: missing stanza path (status 1): the repository has nothing of it", stanza...)
	s.wants(s.rest.Account, check.Critical, "pgbackrest: no backup: pgbackrest knows no stanza", "--config", s.rest.ConfigFile)
}

// damagePage writes into a page of a table, as a disk does that loses bits.
func (s *stage) damagePage() {
	s.Helper()
	s.pg.Exec("CHECKPOINT")
	var file, checksums string
	s.pg.QueryRow("SELECT pg_relation_filepath('t')", &file)
	s.pg.QueryRow("SHOW data_checksums", &checksums)
	if checksums != "on" {
		s.pg.Stop()
		if out, err := s.pg.Command(s.Context(), "pg_checksums", "--enable", "-D", s.pg.DataDir).CombinedOutput(); err != nil {
			s.Fatalf("pg_checksums: %v\n%s", err, out)
		}
		s.pg.Start()
	}
	f, err := os.OpenFile(filepath.Join(s.pg.DataDir, file), os.O_WRONLY, 0)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("lost bits"), 5000); err != nil {
		s.Fatal(err)
	}
}

// TestDumpsForReal judges what the installed pg_dump writes, whole and cut
// off at several places, as an unprivileged user.
func TestDumpsForReal(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	s := &stage{T: t, bed: bed, pg: bed.Postgres(testbed.PostgresOptions{}), plugin: bed.Build("./plugins/backup/check_backup")}
	s.pg.Exec("CREATE TABLE t AS SELECT g AS id, md5(g::text) AS m FROM generate_series(1, 20000) g")
	s.pg.Exec("CREATE TABLE empty (id int PRIMARY KEY, body text)")
	s.pg.Exec("SELECT lo_from_bytea(0, decode(md5('x'), 'hex')) FROM generate_series(1, 5)")
	dir := bed.MkdirFor("postgres", "dumps", 0o755)
	for _, test := range []struct {
		name, format string
		tool         string
		args         []string
	}{
		{"plain.sql", "plain", "pg_dump", nil},
		{"verbose.sql", "plain", "pg_dump", []string{"--verbose"}},
		{"inserts.sql", "plain", "pg_dump", []string{"--inserts", "--clean", "--create"}},
		{"plain.sql.gz", "plain gzip", "pg_dump", []string{"-Z6"}},
		{"custom.dump", "custom", "pg_dump", []string{"-Fc"}},
		{"uncompressed.dump", "custom", "pg_dump", []string{"-Fc", "-Z0"}},
		{"schema.dump", "custom", "pg_dump", []string{"-Fc", "--schema-only"}},
		{"tar.tar", "tar", "pg_dump", []string{"-Ft"}},
		{"cluster.sql", "plain", "pg_dumpall", nil},
		{"globals.sql", "plain", "pg_dumpall", []string{"--globals-only"}},
	} {
		path := filepath.Join(dir, test.name)
		s.dump(test.tool, append(test.args, "-f", path)...)
		for _, verify := range [][]string{nil, {"--verify"}} {
			s.wants("nobody", check.OK, "("+test.format+", ", append(verify, "--path", path)...)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []int{3, 10, 50, 90, 99} {
			cut := bed.WriteFileFor("postgres", filepath.Join(dir, "cut."+test.name), string(data[:len(data)*part/100]), 0o644)
			s.aged(cut, time.Hour)
			s.wants("nobody", check.Critical, "no good backup: cut."+test.name, "--path", cut)
		}
	}
	directory := filepath.Join(dir, "directory")
	s.dump("pg_dump", "-Fd", "-j2", "-f", directory)
	s.wants("nobody", check.Unknown, "read "+directory+": permission denied (user nobody; "+directory+" is postgres:postgres 0700: let the user's group read it", "--path", directory)
	s.wants("postgres", check.OK, "(directory, ", "--path", directory)
	s.wants("postgres", check.OK, "(directory, ", "--path", directory, "--verify")
	data, err := filepath.Glob(filepath.Join(directory, "[0-9]*.dat.gz"))
	if err != nil || len(data) != 2 {
		t.Fatalf("data files %q, %v; want two tables", data, err)
	}
	if err := os.Remove(data[0]); err != nil {
		t.Fatal(err)
	}
	s.aged(directory, time.Hour)
	s.wants("postgres", check.Critical, "files of its table of contents are missing, "+strings.TrimSuffix(filepath.Base(data[0]), ".gz"), "--path", directory)

	// A pipe: pg_dump has no place to write offsets to.
	out, err := s.pg.Command(s.Context(), "pg_dump", "-Fc").Output()
	if err != nil {
		t.Fatal(err)
	}
	s.wants("nobody", check.OK, "(custom, ", "--path", bed.WriteFileFor("postgres", filepath.Join(dir, "piped.dump"), string(out), 0o644))
}

// dump runs a tool of the server, and lets others read what it writes.
func (s *stage) dump(name string, args ...string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	if out, err := s.pg.Command(ctx, name, args...).CombinedOutput(); err != nil {
		s.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// aged makes a file or a directory and what is in it that old.
func (s *stage) aged(path string, age time.Duration) {
	s.Helper()
	err := filepath.Walk(path, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, time.Time{}, time.Now().Add(-age))
	})
	if err != nil {
		s.Fatal(err)
	}
}

// TestParity: both faces say the same of a stanza and of dumps, in good and
// bad health.
func TestParity(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	info := filepath.Join(s.rest.Repo, "backup", s.rest.Stanza)
	parity.Run(t, parity.Case{
		Definition: Definition, Account: s.rest.Account, Timeout: 3 * time.Second,
		Options: map[string][]string{"stanza": {s.rest.Stanza}, "config": {s.rest.ConfigFile}},
		Steps: []parity.Step{
			{Name: "no backup", Want: check.Critical},
			{Name: "a backup", Want: check.OK, Do: func() { s.rest.Backup("full") }},
			{Name: "repository closed", Want: check.Unknown, Reason: check.Permission, Do: func() { s.mode(info, 0) }},
			{Name: "repository open", Want: check.OK, Do: func() { s.mode(info, 0o750) }},
		},
	})
	dir := s.bed.MkdirFor("", "parity", 0o755)
	plain := string(dumpFile(t, "plain.sql"))
	write := func(name, content string, age time.Duration) func() {
		return func() { s.aged(s.bed.WriteFileFor("", filepath.Join(dir, name), content, 0o644), age) }
	}
	parity.Run(t, parity.Case{
		Definition: Definition, Timeout: 2 * time.Second, Options: map[string][]string{"path": {dir}, "verify": {"true"}},
		Warning: []string{"backups=1:"},
		Steps: []parity.Step{
			{Name: "nothing", Want: check.Critical},
			{Name: "old", Want: check.Warning, Do: write("zulip-20.sql", plain, 27*time.Hour)},
			{Name: "fresh", Want: check.OK, Do: write("zulip-21.sql", plain, time.Hour)},
			{Name: "cut off", Want: check.Critical, Do: write("zulip-22.sql", plain[:9000], 30*time.Minute)},
		},
	})
}

// mode closes a directory to its owner, or opens it again.
func (s *stage) mode(path string, mode os.FileMode) {
	s.Helper()
	if err := os.Chmod(path, mode); err != nil {
		s.Fatal(err)
	}
}
