package testbed

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/belfry-monitoring/belfry/testbed/certs"
)

func TestPostgresTLS(t *testing.T) {
	t.Parallel()
	bed := New(t)
	files := tlsFiles(t)
	pg := bed.Postgres(PostgresOptions{
		TLS: files, HBA: []string{"hostssl all monitor 127.0.0.1/32 scram-sha-256", "hostnossl all monitor 127.0.0.1/32 reject"},
	})
	secure := pg.DSN(RoleMonitor, "postgres") + "?sslmode=verify-full&sslrootcert=" + files.CA
	for dsn, works := range map[string]bool{secure: true, pg.DSN(RoleMonitor, "postgres") + "?sslmode=disable": false} {
		conn, err := pgx.Connect(t.Context(), dsn)
		if (err == nil) != works {
			t.Errorf("connect to %s: %v; want success %v", dsn, err, works)
		}
		if conn != nil {
			if err := conn.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
	standby := bed.Standby(pg, StandbyOptions{NoSlot: true, Via: net.JoinHostPort(pg.Host, strconv.Itoa(pg.Port))})
	standby.Configure(map[string]string{"wal_receiver_status_interval": "1s"})
	var slots int
	var interval string
	pg.QueryRow("SELECT count(*) FROM pg_replication_slots", &slots)
	standby.QueryRow("SHOW wal_receiver_status_interval", &interval)
	if slots != 0 || interval != "1s" {
		t.Errorf("%d slots, status interval %s; want none, 1s", slots, interval)
	}
}

// tlsFiles makes a certificate for 127.0.0.1 and its authority.
func tlsFiles(t *testing.T) *TLSFiles {
	t.Helper()
	set, err := certs.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := set.Write(dir); err != nil {
		t.Fatal(err)
	}
	return &TLSFiles{Cert: filepath.Join(dir, "ok.crt"), Key: filepath.Join(dir, "ok.key"), CA: filepath.Join(dir, "ca.crt")}
}

func TestPostgresPair(t *testing.T) {
	t.Parallel()
	bed := New(t)
	primary := bed.Postgres(PostgresOptions{})
	standby := bed.Standby(primary, StandbyOptions{})

	primary.Exec("CREATE TABLE t (n int)")
	primary.Exec("INSERT INTO t VALUES ($1)", 7)
	standby.CatchUp(primary)
	var n int
	standby.QueryRow("SELECT n FROM t", &n)
	if n != 7 {
		t.Errorf("the standby's row = %d; want 7", n)
	}

	for _, tc := range []struct {
		role string
		sees bool
	}{{RoleMonitor, true}, {RolePlain, false}} {
		conn, err := pgx.Connect(t.Context(), primary.DSN(tc.role, "postgres"))
		if err != nil {
			t.Fatal(err)
		}
		var sees bool
		err = conn.QueryRow(t.Context(), "SELECT state IS NOT NULL FROM pg_stat_replication WHERE application_name = 'standby'").Scan(&sees)
		if err != nil || sees != tc.sees {
			t.Errorf("%s sees the state of the standby = %v, %v; want %v", tc.role, sees, err, tc.sees)
		}
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}

	standby.FreezeBackend("walreceiver")
	if s, err := readStat(standby.Backend("walreceiver")); err != nil || s.state != 'T' {
		t.Errorf("state of the frozen walreceiver = %c, %v; want T", s.state, err)
	}
	primary.Exec("INSERT INTO t VALUES (8)")
	standby.Thaw()
	standby.CatchUp(primary)

	standby.Stop()
	if standby.Running() {
		t.Error("the standby runs after Stop")
	}
	standby.Start()
	standby.WaitStreaming()
	standby.Promote()
	standby.Exec("INSERT INTO t VALUES (9)")
	primary.Kill()
	primary.Start()
	primary.QueryRow("SELECT count(*) FROM t", &n)
	if n != 2 {
		t.Errorf("rows of the primary after a crash = %d; want 2", n)
	}

	primary.RebuildFrom(standby, "")
	primary.CatchUp(standby)
	primary.QueryRow("SELECT count(*) FROM t", &n)
	if n != 3 {
		t.Errorf("rows of the old primary, rebuilt as a standby of the new one = %d; want 3", n)
	}
}
