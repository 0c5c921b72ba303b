package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
)

// reconnecting is what may be said until a standby has come back.
func reconnecting() []want {
	return []want{
		critical(replication, `refused|starting up|shutting down|receives nothing|standbys 0|slot|connection reset|closed early|end of file|EOF`),
		warning(replication, `has received nothing yet|does not stream yet|has not said yet|connected`),
	}
}

// replicating is what happens to PostgreSQL.
func replicating() []situation {
	const timeouts = "timeouts of replication are a fifth of the defaults, so silence is found after 8 s"
	return []situation{
		{
			name: "standby stopped", what: "the standby is stopped, and started again",
			do: func(d *day) { d.standby.Stop() }, undo: func(d *day) { d.standby.Start() },
			want: []want{critical(replication, "db2.*refused")}, passing: reconnecting(), fast: true,
		},
		{
			name: "replay paused", what: "somebody pauses replay on the standby",
			do: func(d *day) { d.standby.Exec("SELECT pg_wal_replay_pause()") }, undo: func(d *day) { d.standby.Exec("SELECT pg_wal_replay_resume()") },
			want: []want{warning(replication, "db2.*replay is paused")}, fast: true,
		},
		{
			name: "standby frozen", what: "the standby gets SIGSTOP, then SIGCONT", compressed: timeouts,
			do: func(d *day) { d.standby.Freeze() }, undo: func(d *day) { d.standby.Thaw() },
			want: []want{critical(replication, "db2.*(timed out|silent)")}, passing: reconnecting(), hold: 12 * time.Second,
		},
		{
			name: "link cut", what: "packets between the two are lost, no connection is closed", compressed: timeouts,
			do: func(d *day) { d.link[d.primary].Freeze() }, undo: func(d *day) { d.link[d.primary].Thaw() },
			want: []want{critical(replication, "silent for|nobody is connected to slot db2|receives nothing")}, passing: reconnecting(), hold: 16 * time.Second,
		},
		{
			name: "link refused", what: "a firewall between the two resets and refuses connections",
			do: func(d *day) {
				d.must(d.link[d.primary].Set(faultproxy.Refused()))
				d.link[d.primary].Cut(faultproxy.RST)
			},
			undo: func(d *day) { d.must(d.link[d.primary].Set(faultproxy.Pass())) },
			want: []want{critical(replication, "nobody is connected to slot db2|receives nothing")}, passing: reconnecting(),
		},
		{
			name: "primary restarted", what: "the primary is stopped in an orderly way, and started again",
			do: func(d *day) { d.primary.Stop() }, undo: func(d *day) { d.primary.Start() },
			want: []want{critical(replication, "db1.*refused")}, passing: reconnecting(),
		},
		{
			name: "primary crashed", what: "all processes of the primary are killed, and it recovers",
			do: func(d *day) { d.primary.Kill() }, undo: func(d *day) { d.primary.Start() },
			want: []want{critical(replication, "db1.*refused")}, passing: reconnecting(),
		},
		{
			name: "minor upgrade of PostgreSQL", what: "the standby is restarted, then the primary, as a package does",
			do: func(d *day) {
				d.standby.Stop()
				d.standby.Start()
				d.standby.WaitStreaming()
				d.primary.Stop()
				d.primary.Start()
				d.standby.WaitStreaming()
			},
			passing: reconnecting(),
		},
		{
			name: "connections exhausted", what: "a program holds all connections of the primary",
			do: exhaust, undo: (*day).undoAll,
			want: []want{critical(replication, "db1.*(too many|connection slots)")},
		},
		{
			name: "long transaction", what: "a transaction stays open on the primary and a query on the standby holds up nothing",
			do: func(d *day) {
				for _, p := range []*testbed.Postgres{d.primary, d.standby} {
					d.must(d.keepOpen(p, testbed.RoleSuperuser, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM messages"))
				}
			},
			undo: (*day).undoAll,
		},
		{
			name: "passwords rotated", what: "the monitor's passwords at PostgreSQL and RabbitMQ are changed; later their files",
			do: func(d *day) {
				d.primary.Exec("ALTER ROLE monitor PASSWORD 'rotated'")
				d.broker.Ctl("change_password", testbed.UserMonitor, "rotated")
			},
			undo: func(d *day) {
				d.rewrite("postgres", "rotated\n")
				d.rewrite("rabbitmq", "rotated\n")
			},
			want: []want{unknown(replication, "password"), unknown(queues, "password|refused|401"), unknown(consumers, "password|refused|401")},
		},
		{
			name: "disk of the WAL full", what: "the primary's pg_wal is on a file system that gets full; it crashes, room is made, it is started",
			do: fillLog, undo: emptyLog, settle: 60 * time.Second,
			want: []want{critical(replication, "db1.*(refused|not accepting|recovery|starting up)")}, passing: reconnecting(),
		},
	}
}

func (d *day) must(err error) {
	if err != nil {
		d.fail(err)
	}
}

// await waits until a situation is what its name says.
func (d *day) await(what string, there func() bool) {
	for end := time.Now().Add(30 * time.Second); !there(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			d.fail(fmt.Errorf("waited 30 s for %s", what))
		}
	}
}

// rewrite changes what a secret's file holds for both accounts.
func (d *day) rewrite(name, content string) {
	for _, account := range []string{pluginAccount, exporterAccount} {
		d.bed.WriteFileFor(account, filepath.Join("secrets-"+account, name), content, 0o600)
	}
}

// atEnd remembers what undoAll has to do.
func (d *day) atEnd(f func()) { d.undoing = append(d.undoing, f) }

func (d *day) undoAll() {
	for _, f := range d.undoing {
		f()
	}
	d.undoing = nil
}

// keepOpen connects as the role, runs the statements and stays.
func (d *day) keepOpen(p *testbed.Postgres, role string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.DSN(role, "postgres"))
	if err != nil {
		return err
	}
	d.atEnd(func() { _ = conn.Close(context.Background()) })
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// exhaust connects until the server refuses.
func exhaust(d *day) {
	d.jobs.quiet.Store(true)
	d.atEnd(func() { d.jobs.quiet.Store(false) })
	for range 100 {
		if d.keepOpen(d.primary, testbed.RolePlain) != nil {
			return
		}
	}
	d.fail(fmt.Errorf("%s accepts connections without end", d.primary.Name))
}

func (d *day) logDir() string { return filepath.Join(d.db1.DataDir, "pg_wal") }

// ballast is the file that fills a file system.
const ballast = "ballast"

// fill writes until the file system is full.
func (d *day) fill(dir string) {
	f, err := os.Create(filepath.Join(dir, ballast))
	d.must(err)
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}

// fillLog moves the log to a small file system, fills that and writes until
// the server can no more.
func fillLog(d *day) {
	d.db1.Stop()
	d.bed.Tmpfs(d.logDir(), 300<<10)
	d.db1.Start()
	d.fill(d.logDir())
	// The users' writes would get there, too, but not soon.
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, d.db1.DSN(testbed.RoleSuperuser, "postgres"))
	d.must(err)
	defer conn.Close(ctx)
	for err == nil {
		_, err = conn.Exec(ctx, "INSERT INTO messages (content) SELECT repeat(md5(random()::text), 4) FROM generate_series(1, 20000)")
	}
}

func emptyLog(d *day) {
	d.must(os.Remove(filepath.Join(d.logDir(), ballast)))
	if d.db1.Running() {
		d.db1.Kill()
	}
	d.bed.Untmpfs(d.logDir())
	d.db1.Start()
	d.db1.Exec("TRUNCATE messages")
}

// failingOver is what ends the day: roles change, and last everything is
// wrong.
func failingOver() []situation {
	return []situation{
		{
			name: "failover", what: "the primary is killed, the standby promoted; the old primary is rebuilt as its standby",
			do: func(d *day) {
				d.db1.Kill()
				d.db2.Promote()
				d.jobs.target.Store(d.db2)
			},
			undo: func(d *day) { d.db1.RebuildFrom(d.db2, d.link[d.db2].Addr()) },
			want: []want{critical(replication, "db1.*refused")}, passing: reconnecting(), recovery: 90 * time.Second,
		},
		{
			name: "switchover", what: "the roles are changed back: the new primary is stopped, the old one promoted, the other rebuilt",
			do: func(d *day) {
				d.db2.Stop()
				d.db1.Promote()
				d.jobs.target.Store(d.db1)
			},
			undo: func(d *day) { d.db2.RebuildFrom(d.db1, d.link[d.db1].Addr()) },
			want: []want{critical(replication, "db2.*refused")}, passing: reconnecting(), recovery: 90 * time.Second,
		},
		{
			name: "split brain", what: "the standby is promoted while the primary goes on; it is rebuilt",
			do:   func(d *day) { d.db2.Promote() },
			undo: func(d *day) { d.db2.RebuildFrom(d.db1, d.link[d.db1].Addr()) },
			want: []want{critical(replication, "split brain: db1.* and db2.* are both writable")}, passing: reconnecting(), recovery: 90 * time.Second,
		},
	}
}
