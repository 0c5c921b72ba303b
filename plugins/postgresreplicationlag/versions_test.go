package postgresreplicationlag

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
)

// execIn runs SQL as the superuser in a database.
func execIn(t *testing.T, server *testbed.Postgres, database string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN(testbed.RoleSuperuser, database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// subscribe makes the table item of the database postgres and a copy of it in
// the database copy, fed by the subscription feed through the slot feed.
func subscribe(t *testing.T, server *testbed.Postgres, options string) {
	t.Helper()
	execIn(t, server, "postgres", "CREATE DATABASE copy", "CREATE TABLE item (n int PRIMARY KEY)", "CREATE PUBLICATION feed FOR TABLE item",
		"SELECT pg_create_logical_replication_slot('feed', 'pgoutput')")
	execIn(t, server, "copy", "CREATE TABLE item (n int PRIMARY KEY)",
		"CREATE SUBSCRIPTION feed CONNECTION '"+server.DSN(testbed.RoleSuperuser, "postgres")+"' PUBLICATION feed WITH (create_slot = false, copy_data = false"+options+")")
}

// TestVersions goes through what matters most on a real pair of each version,
// with memory between the looks. The subscription leads from the primary to
// itself.
func TestVersions(t *testing.T) {
	t.Parallel()
	for _, version := range []int{12, 14, 15, 17, 18} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			bed := testbed.New(t)
			primary := bed.Postgres(testbed.PostgresOptions{BinDir: bed.PostgresVersion(version), Config: map[string]string{"wal_level": "logical", "wal_retrieve_retry_interval": "200ms"}})
			standby := bed.Standby(primary, testbed.StandbyOptions{})
			primary.Exec("CREATE TABLE filler (text text)")
			both := list(primary, standby)
			name := fmt.Sprintf("%d ", version)
			with := remembering(bed, "state")

			await(t, name+"healthy", with("--standbys", "1"), both, check.OK, " is primary, 1 standby, ", " is standby, ", "!lag")
			subscribe(t, primary, "")
			await(t, name+"subscribed", with(), both, check.OK)
			execIn(t, primary, "copy", "INSERT INTO item VALUES (7)")
			primary.Exec("INSERT INTO item VALUES (7)") // cannot be applied
			await(t, name+"cannot be applied", with(), both, check.Critical, "subscription feed has no worker, nothing is applied")
			if version >= countsErrors {
				primary.Exec("SELECT pg_stat_reset_subscription_stats(NULL)")
				await(t, name+"fails", with(), both, check.Critical)
				await(t, name+"fails again", with("--severity", "subscription_down=ok", "--severity", "slot_inactive=ok"), both, check.Warning, "subscription feed has failed since")
			}
			execIn(t, primary, "copy", "ALTER SUBSCRIPTION feed DISABLE")
			await(t, name+"disabled", with("--ignore-slot", "feed"), both, check.Warning, "subscription feed is disabled")
			execIn(t, primary, "copy", "DELETE FROM item", "ALTER SUBSCRIPTION feed ENABLE")
			await(t, name+"mended", with(), both, check.OK)

			standby.Exec("SELECT pg_wal_replay_pause()")
			write(primary, 100_000)
			await(t, name+"paused", with("-w", "lag=1"), both, check.Warning, "replay is paused", address(primary)+" standby: lag ", address(standby)+": lag ")
			standby.Exec("SELECT pg_wal_replay_resume()")
			await(t, name+"resumed", with("-w", "lag=1"), both, check.OK)
			wantValue(t, 0, both, "lag", address(standby), "")

			standby.Stop()
			await(t, name+"stopped", with(), both, check.Critical, "connection refused", "nobody is connected to slot standby")
			standby.Start()
			standby.Promote()
			expect(t, name+"promoted", with(), both, check.Critical, "split brain: ")
		})
	}
}
