package postgresreplicationlag

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
)

// TestIdle: an idle pair never looks late, also after half of every timeout.
func TestIdle(t *testing.T) {
	t.Parallel()
	p := startPair(t, quick)
	both := list(p.primary, p.standby)
	args := append(remembering(p.bed, "state")("--standbys", "1"), "-c", "lag=10")
	write(p.primary, 200_000)
	p.standby.CatchUp(p.primary)
	await(t, "just written", args, both, check.OK, "1 standby, 0 B behind", "0 B to replay")
	for end := time.Now().Add(14 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err := lookAt(t, args, both...).mismatch(check.OK); err != nil {
			t.Fatalf("idle: %v", err)
		}
	}
	keep(t, "idle", both...)
	// The first write after that is not late by as much.
	write(p.primary, 1_000_000)
	if err := lookAt(t, args, both...).mismatch(check.OK); err != nil {
		t.Fatalf("write after a quiet time: %v", err)
	}
}

// TestPaused: rows 4 to 6 of the table of situations.
func TestPaused(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	p.standby.Exec("SELECT pg_wal_replay_pause()")
	write(p.primary, 200_000)
	await(t, "paused", nil, list(p.standby), check.Warning, "replay is paused, ", " wait for it, the newest transaction replayed is ")
	write(p.primary, 20<<20)
	await(t, "paused and late", nil, list(p.primary, p.standby), check.Warning,
		" standby: replay lag ", " (above 16 MiB), at 127.0.0.1", address(p.standby)+": replay lag ", "replay is paused", ": by somebody\n")
	expect(t, "paused and too late", []string{"-c", "10MiB"}, list(p.standby), check.Critical, ": replay lag ", " (above 10 MiB)")
	p.standby.Exec("SELECT pg_wal_replay_resume()")
	await(t, "resumed", nil, list(p.primary, p.standby), check.OK, "0 B behind", "0 B to replay")
}

// TestPausedBySizes: a primary that was started with more than its standby has
// pauses replay there, and who resumes it shuts the standby down.
func TestPausedBySizes(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	p.primary.Configure(map[string]string{"max_connections": "150", "max_worker_processes": "20"})
	p.primary.Stop()
	p.primary.Start()
	await(t, "paused by sizes", nil, list(p.primary, p.standby), check.Warning,
		address(p.standby)+": replay is paused, ", ": settings are lower than on "+address(p.primary)+", raise them and restart this standby: max_connections is 40 and there 150, max_worker_processes is 8 and there 20")
	expect(t, "paused by sizes, asked alone", nil, list(p.standby), check.Warning, ": by somebody, or by a setting that is lower than its primary's, which its log names")
	p.standby.ExecLast("SELECT pg_wal_replay_resume()")
	await(t, "resumed by sizes", nil, list(p.primary, p.standby), check.Critical, "connect to "+address(p.standby)+": connection refused")
}

// TestSilent: rows 7 to 10, and the same with a network that swallows
// everything and closes nothing. Every lag column says 0 or what it last said,
// and both ends say "streaming".
func TestSilent(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	primary := bed.Postgres(testbed.PostgresOptions{Config: quick})
	proxy := faultproxy.Start(t, address(primary), faultproxy.Pass())
	frozen := bed.Standby(primary, testbed.StandbyOptions{Name: "frozen"})
	cut := bed.Standby(primary, testbed.StandbyOptions{Name: "cut", Via: proxy.Addr(), NoSlot: true})
	await(t, "two standbys", []string{"--standbys", "2"}, list(primary, frozen, cut), check.OK)

	frozen.FreezeBackend("walreceiver")
	proxy.Freeze()
	primary.Exec("CREATE TABLE filler AS SELECT generate_series(1, 1000)")
	await(t, "receiver frozen and link cut", nil, list(primary), check.Critical,
		" frozen: silent for ", " cut: silent for ", " (above 10 s), at 127.0.0.1", "!is gone")
	await(t, "receiver frozen", nil, list(frozen), check.Critical, "primary silent for ", "(above 10 s), receiving from 127.0.0.1", "!receives nothing")
	await(t, "link cut", nil, list(cut), check.Critical, "primary silent for ", "(above 10 s), receiving from 127.0.0.1")
	// The primary drops both at wal_sender_timeout. The slot of one stays; of
	// the other only --standbys knows.
	await(t, "dropped", []string{"--standbys", "2"}, list(primary), check.Critical,
		"nobody is connected to slot frozen, its standby is gone; it keeps ", "standbys connected 0 (below 2)")
	expect(t, "dropped without a slot", []string{"--ignore-slot", "frozen"}, list(primary), check.Unknown,
		"is primary and has no standby: say --standbys 0 if it stands alone")

	frozen.Thaw()
	proxy.Thaw()
	await(t, "thawed", []string{"--standbys", "2"}, list(primary, frozen, cut), check.OK)
}

// TestFrozenSender: the same from the other end.
func TestFrozenSender(t *testing.T) {
	t.Parallel()
	p := startPair(t, quick)
	p.primary.FreezeBackend("walsender")
	await(t, "sender frozen", nil, list(p.primary), check.Critical, " standby: silent for ", " (above 10 s)")
	await(t, "sender frozen at the standby", nil, list(p.standby), check.Critical, address(p.standby)+": primary silent for ")
	p.primary.Thaw()
	await(t, "sender thawed", []string{"--standbys", "1"}, list(p.primary, p.standby), check.OK)
}

// TestFrozenReplay: the process that replays hangs, the link lives, and what
// waits is too little for limits in bytes.
func TestFrozenReplay(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	with := remembering(p.bed, "state")
	both := list(p.primary, p.standby)
	await(t, "replays", with("-w", "lag=2"), both, check.OK)
	p.standby.FreezeBackend("startup")
	write(p.primary, 1000)
	await(t, "replay frozen", with("-w", "lag=2"), both, check.Warning, address(p.primary)+" standby: lag ", address(p.standby)+": lag ", "!replay lag")
	p.standby.Thaw()
	await(t, "replay thawed", with("-w", "lag=2"), both, check.OK)
}

// TestStandbyStopped: rows 11 and 12, to the loss of the slot.
func TestStandbyStopped(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	primary := bed.Postgres(testbed.PostgresOptions{Config: map[string]string{"max_slot_wal_keep_size": "16MB"}})
	proxy := faultproxy.Start(t, address(primary), faultproxy.Pass())
	p := &pair{bed: bed, primary: primary, standby: bed.Standby(primary, testbed.StandbyOptions{Via: proxy.Addr()})}
	primary.Exec("CREATE TABLE filler (text text)")
	p.standby.CatchUp(primary)
	p.standby.Stop()
	await(t, "standby stopped", nil, list(p.primary, p.standby), check.Critical,
		fmt.Sprintf("connect to %s: connection refused", address(p.standby)), "nobody is connected to slot standby", "its standby is gone; it keeps ")
	expect(t, "standby stopped, slot ignored", []string{"--ignore-slot", "stand*", "--standbys", "0"}, list(p.primary), check.OK, "stands alone, as expected")

	for range 4 {
		write(p.primary, 1_000_000)
		p.primary.Exec("SELECT pg_switch_wal()")
	}
	expect(t, "slot unreserved", nil, list(p.primary), check.Critical, "slot standby (inactive) will be lost at the next checkpoint, it keeps ", "start its standby")
	p.primary.Exec("CHECKPOINT")
	expect(t, "slot lost", nil, list(p.primary), check.Critical, "slot standby is lost, log that its standby needs has been removed: make the standby anew")
	// Over a slow network it is mostly about to connect, when it says that it
	// is streaming, with nothing to replay.
	if err := proxy.Set(faultproxy.OneByteEvery(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	p.standby.Start()
	await(t, "standby after the loss of its slot", nil, list(p.standby), check.Critical, "receives nothing: it is connected to no primary")
	await(t, "standby that tries again", nil, list(p.standby), check.Warning, "is standby and has received nothing yet: no message from 127.0.0.1:")
	for range 30 {
		v := lookAt(t, nil, p.standby)
		begins, refused := v.mismatch(check.Warning, "has received nothing yet"), v.mismatch(check.Critical, "receives nothing: it is connected to no primary")
		if begins != nil && refused != nil {
			t.Fatalf("standby after the loss of its slot: %v", refused)
		}
	}
}

// TestPrimaryStopped: rows 13 to 16.
func TestPrimaryStopped(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	write(p.primary, 10_000)
	p.standby.CatchUp(p.primary)
	p.primary.Stop()
	await(t, "primary stopped", nil, list(p.standby), check.Critical,
		"is standby and receives nothing: it is connected to no primary, the newest transaction replayed is ")
	expect(t, "primary stopped, both asked", nil, list(p.primary, p.standby), check.Critical,
		fmt.Sprintf("connect to %s: connection refused", address(p.primary)), address(p.standby)+" is standby and receives nothing", "1 more problem")
	p.primary.Start()
	await(t, "primary back", []string{"--standbys", "1", "--standby", "standby"}, list(p.primary, p.standby), check.OK)
	p.primary.Freeze()
	expect(t, "primary frozen", []string{"-t", "2s"}, list(p.primary, p.standby), check.Critical, fmt.Sprintf("start TLS with %s: timed out after ", address(p.primary)))
	p.primary.Thaw()
}

// TestNoHotStandby: a standby that lets nobody in is no standby that is fine.
func TestNoHotStandby(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	p.standby.Stop()
	run(t, p.standby, "postgres", "-D", p.standby.DataDir, "-c", "hot_standby=off")
	await(t, "no hot standby", nil, list(p.primary, p.standby), check.Critical,
		fmt.Sprintf("log in to %s: the database system is not accepting connections (Hot standby mode is disabled.)", address(p.standby)),
		"!nobody is connected")
}

// TestPromoted: row 17 and the split brain after it.
func TestPromoted(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	third := p.bed.Standby(p.primary, testbed.StandbyOptions{Name: "third"})
	both := list(p.primary, p.standby)
	expect(t, "expected roles", []string{"--expect", "standby"}, list(p.standby), check.OK)
	expect(t, "wrong role", []string{"--expect", "primary"}, list(p.standby), check.Critical, "is a standby, a primary is expected here")
	p.standby.Promote()
	split := fmt.Sprintf("split brain: %s (timeline 1) and %s (timeline 2) are both writable", address(p.primary), address(p.standby))
	expect(t, "split brain", nil, both, check.Critical, "CRITICAL: "+split, "nobody is connected to slot standby")
	expect(t, "promoted, asked alone", nil, list(p.standby), check.Unknown, "is primary and has no standby")
	expect(t, "promoted, expected to be a standby", []string{"--expect", "standby"}, list(p.standby), check.Critical,
		"is writable (timeline 2), a standby is expected here: was it promoted?")
	write(p.primary, 10_000)
	write(p.standby, 10_000)
	third.CatchUp(p.primary)
	expect(t, "split brain with a third", nil, list(p.standby, p.primary, third), check.Critical, "split brain: ", "!cannot follow")
	expect(t, "strayed standby", nil, list(p.standby, third), check.Critical,
		fmt.Sprintf("%s is on timeline 1 and cannot follow %s on timeline 2", address(third), address(p.standby)))

	other := p.bed.Postgres(testbed.PostgresOptions{Name: "other"})
	for _, role := range []string{testbed.RoleMonitor} { // one password for all servers of a look
		other.Exec("ALTER ROLE " + role + " PASSWORD '" + p.primary.Password(role) + "'")
	}
	expect(t, "different systems", []string{"--severity", "no_standby=ok"}, list(third, other), check.Critical,
		fmt.Sprintf("%s and %s are no copies of each other: system identifiers ", address(third), address(other)))
}

// TestFollowsPromotion: a standby that follows a promotion is on the new
// timeline at once, although its control file is not.
func TestFollowsPromotion(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	cascade := p.bed.Standby(p.standby, testbed.StandbyOptions{Name: "cascade"})
	expect(t, "cascade", []string{"--standbys", "1", "--standby", "cascade"}, list(p.primary, p.standby, cascade), check.OK,
		address(p.standby)+" is standby, 0 B to replay, feeds 1 standby, 0 B behind")
	p.primary.Stop()
	p.standby.Promote()
	await(t, "followed", []string{"--standbys", "1"}, list(p.standby, cascade), check.OK, address(p.standby)+" is primary, 1 standby")
	wantValue(t, 2, list(cascade), "timeline", address(cascade))
}

// TestRoles: what a role without the grant cannot see is never fine.
func TestRoles(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	for _, tc := range []struct {
		server *testbed.Postgres
		text   string
	}{
		{p.primary, "read the standbys of " + address(p.primary) + ": role plain may not see how they are: GRANT pg_read_all_stats TO plain"},
		{p.standby, "read the WAL receiver of " + address(p.standby) + ": role plain may not see how they are: GRANT pg_read_all_stats TO plain"},
	} {
		v := lookAs(t, tc.server, testbed.RolePlain)
		if err := v.mismatch(check.Unknown, tc.text); err != nil {
			t.Errorf("plain role on %s: %v", tc.server.Name, err)
		}
		t.Log(v.line())
		keepAs(t, "plain role", tc.server, testbed.RolePlain)
	}
	v := lookAs(t, p.primary, testbed.RoleSuperuser)
	if err := v.mismatch(check.OK); err != nil {
		t.Errorf("superuser: %v", err)
	}
	// No standby and no slot: nothing is hidden, so nothing is missing.
	p.standby.Stop()
	p.primary.Exec("SELECT pg_drop_replication_slot('standby')")
	v = lookAs(t, p.primary, testbed.RolePlain, "--standbys", "0")
	if err := v.mismatch(check.OK, "stands alone"); err != nil {
		t.Errorf("plain role on a primary that stands alone: %v", err)
	}
	expect(t, "alone and nothing said", nil, list(p.primary), check.Unknown, "say --standbys 0 if it stands alone, or how many there must be")
	expect(t, "alone and one expected", []string{"--standbys", "1"}, list(p.primary), check.Critical, "standbys connected 0 (below 1)")
}

// run starts one of the server's tools until the test ends, and shows what it
// said if the test fails.
func run(t *testing.T, server *testbed.Postgres, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := server.Command(ctx, name, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		err := cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %v: %s", name, err, said.String())
		}
	})
}

// TestOtherTakers: what takes the log and replays nothing is no standby.
func TestOtherTakers(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	// The backup's checkpoint must not take away the segment that pg_receivewal begins with.
	primary := bed.Postgres(testbed.PostgresOptions{Config: map[string]string{"wal_level": "logical", "wal_keep_size": "1GB"}})
	primary.Configure(map[string]string{"synchronous_standby_names": "standby"})
	run(t, primary, "pg_receivewal", "-D", bed.MkdirFor("postgres", "received", 0o700), "--status-interval", "1", "--no-loop")
	run(t, primary, "pg_basebackup", "-D", bed.MkdirFor("postgres", "backup", 0o700), "-X", "none", "--max-rate", "32k", "-c", "fast")
	await(t, "other takers", nil, list(primary), check.Critical, "(2 other takers of the log are connected)",
		"no synchronous standby is connected, commits wait (synchronous_standby_names is standby)")
	wantValue(t, 0, list(primary), "standbys", address(primary))
	primary.Configure(map[string]string{"synchronous_standby_names": ""})
	await(t, "other takers, alone", []string{"--standbys", "0"}, list(primary), check.OK, "stands alone, as expected")

	primary.Exec("SELECT pg_create_physical_replication_slot('spare')")
	expect(t, "slot never used", []string{"--standbys", "0"}, list(primary), check.OK)
	primary.Exec("SELECT pg_create_logical_replication_slot('feed', 'test_decoding')")
	expect(t, "logical slot", []string{"--standbys", "0"}, list(primary), check.Critical, "nobody is connected to slot feed, its subscriber is gone; it keeps ")
	run(t, primary, "pg_recvlogical", "-d", "postgres", "--slot", "feed", "--start", "-f", "-", "--status-interval", "1")
	await(t, "logical subscriber", []string{"--standbys", "0"}, list(primary), check.OK)
}

// TestSynchronous: a primary whose synchronous standby is there.
func TestSynchronous(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	for _, names := range []string{"FIRST 2 (standby, other)", "ANY 2 (standby, other)"} {
		p.primary.Configure(map[string]string{"synchronous_standby_names": names})
		await(t, "one of two synchronous", []string{"--standbys", "1"}, list(p.primary), check.Critical,
			"only 1 of 2 synchronous standbys that commits need are connected, commits wait (synchronous_standby_names is "+names+")")
	}
	p.primary.Configure(map[string]string{"synchronous_standby_names": "standby"})
	await(t, "synchronous", []string{"--standbys", "1"}, list(p.primary), check.OK)
	again := fmt.Sprintf("localhost:%d", p.primary.Port)
	v := lookAt(t, []string{"--standbys", "1", "-H", again}, p.primary, p.standby)
	if err := v.mismatch(check.Unknown, address(p.primary)+" and "+again+" are one and the same server: give it once"); err != nil {
		t.Errorf("one server by two names: %v", err)
	}
	p.primary.Configure(map[string]string{"wal_sender_timeout": "0", "wal_receiver_status_interval": "0"})
	p.standby.Configure(map[string]string{"wal_receiver_timeout": "0"})
	await(t, "timeouts off", nil, list(p.primary, p.standby), check.Warning, "wal_receiver_timeout is 0, a dead link cannot be told from an idle one",
		"wal_sender_timeout and wal_receiver_status_interval are 0")
	expect(t, "more standbys", []string{"--standbys", "0", "--severity", "no_timeout=ok"}, list(p.primary), check.Warning, "standbys connected 1 (above 0)")
	expect(t, "named and not there", []string{"--standby", "stand*", "--standby", "offsite", "--severity", "no_timeout=ok"}, list(p.primary, p.standby), check.Critical,
		"standby offsite is not connected to "+address(p.primary)+" or "+address(p.standby))
}
