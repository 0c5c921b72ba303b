package postgresreplicationlag

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
)

// begin starts a transaction that holds what the statement takes until the
// returned function is called.
func begin(t *testing.T, server *testbed.Postgres, database, statement string) (end func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN(testbed.RoleSuperuser, database))
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"BEGIN ISOLATION LEVEL REPEATABLE READ", statement} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // the server may have ended it
	}
}

// TestSubscriberBlocked: a worker that waits for a lock is there, enabled,
// connected and makes no error. Other writes of the publisher are no lag.
func TestSubscriberBlocked(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	server := bed.Postgres(testbed.PostgresOptions{Config: map[string]string{"wal_level": "logical", "wal_receiver_status_interval": "1s"}})
	subscribe(t, server, "")
	server.Exec("CREATE TABLE filler (text text)")
	with := remembering(bed, "state")
	alone := func(args ...string) []string { return with(append(args, "--standbys", "0")...) }
	server.Exec("INSERT INTO item VALUES (1)")
	await(t, "subscribed", alone(), list(server), check.OK, "stands alone")
	v := lookAs(t, server, testbed.RolePlain, alone()...)
	if err := v.mismatch(check.OK); err != nil {
		t.Errorf("plain role: %v", err)
	}
	if _, ok := v.Value("subscription_age", address(server), "feed"); !ok {
		t.Errorf("plain role sees nothing of the subscription: %+v", v.Values)
	}
	end := begin(t, server, "copy", "LOCK TABLE item")
	server.Exec("INSERT INTO item VALUES (2)")
	await(t, "subscriber blocked", alone("-w", "slot_lag=2,subscription_age=2"), list(server), check.Warning,
		"feed: subscriber's lag ", "feed: publisher silent for ", "!nobody is connected")
	end()
	await(t, "subscriber free", alone("-w", "slot_lag=2"), list(server), check.OK)
	// Writes that the subscriber does not get.
	for range 10 {
		write(server, 100_000)
		if err := lookAt(t, alone("-w", "slot_lag=10"), server).mismatch(check.OK); err != nil {
			t.Fatalf("writes of others: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// TestConflicts: queries that replay cancels are counted and judged by what is
// new.
func TestConflicts(t *testing.T) {
	t.Parallel()
	p := startPair(t, map[string]string{"max_standby_streaming_delay": "0"})
	with := remembering(p.bed, "state")
	args := with("-w", "conflict_rate=0.5", "--standbys", "1")
	p.primary.Exec("CREATE TABLE wanted (n int)")
	p.standby.CatchUp(p.primary)
	await(t, "no conflict", args, list(p.primary, p.standby), check.OK)
	end := begin(t, p.standby, "postgres", "SELECT * FROM wanted")
	defer end()
	p.primary.Exec("DROP TABLE wanted")
	p.standby.CatchUp(p.primary)
	await(t, "conflict", args, list(p.primary, p.standby), check.Warning, address(p.standby)+": queries cancelled per minute 1 (above 0.5)")
	await(t, "no more conflicts", args, list(p.primary, p.standby), check.OK)
	wantValue(t, 1, list(p.standby), "conflicts", address(p.standby), "lock")
}
