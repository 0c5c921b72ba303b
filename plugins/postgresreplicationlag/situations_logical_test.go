package postgresreplicationlag

import (
	"context"
	"errors"
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

// TestSubscriberCopies: while a table is copied, its worker is no substitute for
// the one that applies changes, and its publisher has no standby by it and no
// slot that somebody has left.
func TestSubscriberCopies(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	publisher := bed.Postgres(testbed.PostgresOptions{Name: "publisher", Config: map[string]string{"wal_level": "logical"}})
	subscriber := bed.Postgres(testbed.PostgresOptions{Name: "subscriber"})
	for _, s := range list(publisher, subscriber) {
		s.Exec("CREATE TABLE item (n int PRIMARY KEY)")
		s.Exec("CREATE TABLE copied (n int PRIMARY KEY)")
	}
	publisher.Exec("INSERT INTO copied VALUES (1)")
	publisher.Exec("CREATE PUBLICATION feed FOR TABLE item")
	subscriber.Exec("CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END'")
	subscriber.Exec("CREATE TRIGGER wait BEFORE INSERT ON copied FOR EACH ROW EXECUTE FUNCTION wait()")
	subscriber.Exec("ALTER TABLE copied ENABLE ALWAYS TRIGGER wait")
	subscriber.Exec("CREATE SUBSCRIPTION feed CONNECTION '" + publisher.DSN(testbed.RoleSuperuser, "postgres") + "' PUBLICATION feed")
	alone := []string{"--standbys", "0"}
	await(t, "applies", alone, list(subscriber), check.OK)

	end := begin(t, subscriber, "postgres", "SELECT pg_advisory_lock(7)")
	publisher.Exec("ALTER PUBLICATION feed ADD TABLE copied")
	subscriber.Exec("ALTER SUBSCRIPTION feed REFRESH PUBLICATION")
	testbed.WaitFor(t, limit, "the copy", func() error {
		var inactive int
		publisher.QueryRow("SELECT count(*) FROM pg_replication_slots s JOIN pg_stat_replication r ON application_name = slot_name WHERE NOT active AND slot_name ~ '_sync_'", &inactive)
		if inactive != 1 {
			return errors.New("nobody copies")
		}
		return nil
	})
	expect(t, "publisher of a copied table", alone, list(publisher), check.OK, "!standby", "!nobody")
	v := lookAs(t, publisher, testbed.RolePlain, alone...)
	if err := v.mismatch(check.OK); err != nil {
		t.Errorf("plain role: %v", err)
	}
	expect(t, "table copied", alone, list(subscriber), check.OK)
	subscriber.Exec("INSERT INTO item VALUES (1)")
	publisher.Exec("INSERT INTO item VALUES (1)") // cannot be applied
	await(t, "table copied and nothing applied", alone, list(subscriber), check.Critical, "subscription feed has no worker, nothing is applied")
	subscriber.Exec("DELETE FROM item")
	end()
	await(t, "copied", alone, list(subscriber), check.OK)
	await(t, "publisher again", alone, list(publisher), check.OK)
}

// TestPublisherHangs: a worker that waits for its publisher to let it in has
// the age of its own start, and starts again and again.
func TestPublisherHangs(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	publisher := bed.Postgres(testbed.PostgresOptions{Name: "publisher", Config: map[string]string{"wal_level": "logical"}})
	subscriber := bed.Postgres(testbed.PostgresOptions{Name: "subscriber"})
	publisher.Exec("CREATE PUBLICATION feed FOR ALL TABLES")
	subscriber.Exec("CREATE SUBSCRIPTION feed CONNECTION '" + publisher.DSN(testbed.RoleSuperuser, "postgres") + "' PUBLICATION feed")
	await(t, "hears", []string{"--standbys", "0"}, list(subscriber), check.OK)
	subscriber.Exec("ALTER SUBSCRIPTION feed DISABLE")
	await(t, "disabled", []string{"--standbys", "0"}, list(subscriber), check.Warning, "feed is disabled")
	publisher.Freeze()
	subscriber.Exec("ALTER SUBSCRIPTION feed ENABLE")
	await(t, "publisher hangs", []string{"--standbys", "0"}, list(subscriber), check.Warning, "subscription feed has received nothing yet: no message from its publisher since its worker was started ")
	publisher.Thaw()
	await(t, "publisher back", []string{"--standbys", "0"}, list(subscriber), check.OK)
}
