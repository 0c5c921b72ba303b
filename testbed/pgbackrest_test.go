package testbed

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPgBackRest(t *testing.T) {
	t.Parallel()
	bed := New(t)
	pg := bed.Postgres(PostgresOptions{})
	r := bed.PgBackRest(pg)
	if got := infoOf(t, r); got.Status.Code != 2 || len(got.Backup) != 0 { // 2: no valid backups
		t.Errorf("info before a backup = %+v; want status 2 and no backup", got)
	}
	r.Backup("full")
	r.Backup("incr")
	got := infoOf(t, r)
	if got.Status.Code != 0 || len(got.Backup) != 2 || got.Backup[1].Type != "incr" {
		t.Errorf("info after two backups = %+v; want status 0, full and incr", got)
	}
}

type stanzaInfo struct {
	Status struct{ Code int }
	Backup []struct{ Type string }
}

func infoOf(t *testing.T, r *PgBackRest) stanzaInfo {
	t.Helper()
	var stanzas []stanzaInfo
	if err := json.Unmarshal([]byte(r.Info()), &stanzas); err != nil || len(stanzas) != 1 {
		t.Fatalf("pgbackrest info: %d stanzas, %v; want 1", len(stanzas), err)
	}
	return stanzas[0]
}

func TestDumps(t *testing.T) {
	t.Parallel()
	bed := New(t)
	pg := bed.Postgres(PostgresOptions{})
	pg.Exec("CREATE TABLE t AS SELECT generate_series(1, 1000) n")
	dir := bed.MkdirFor("postgres", "dumps", 0o755)
	for name, magic := range map[string]string{
		"a.sql": "--\n-- PostgreSQL database dump", "b.sql.gz": "\x1f\x8b", "c.dump": "PGDMP", "d.tar": "toc.dat\x00",
	} {
		file := filepath.Join(dir, name)
		pg.Dump("postgres", file)
		content, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(content), magic) {
			t.Errorf("%s begins with %.20q, %v; want %q", name, content, err, magic)
		}
	}
	file := filepath.Join(dir, "all.sql")
	pg.DumpAll(file)
	content, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(content), "-- PostgreSQL database cluster dump complete") {
		t.Errorf("pg_dumpall wrote no trailer: %v", err)
	}
}
