package testbed

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

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
}
