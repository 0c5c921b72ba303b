package main

import (
	"context"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

// quiet is what must alarm nobody.
func quiet() []situation {
	return []situation{
		{
			name: "idle", what: "nobody writes, publishes or archives anything",
			compressed: "40 s for a night; timeouts of replication are a fifth of the defaults",
			do:         func(d *day) { d.jobs.quiet.Store(true) }, hold: 40 * time.Second,
			undo: func(d *day) { d.jobs.quiet.Store(false) }, fast: true,
		},
		{
			name: "steady load", what: "60 rows and 14 messages a second", hold: 12 * time.Second,
		},
		{
			name: "announcement", what: "80 messages into each queue at once, thrice",
			do: func(d *day) {
				for range 3 {
					for _, p := range processes() {
						if p.queue != "notify_tornado" {
							d.broker.Publish(testbed.Queue{Name: p.queue}, 80, time.Time{})
						}
					}
					time.Sleep(2 * time.Second)
				}
			}, fast: true,
		},
		{
			name: "burst", what: "1,000 messages for a worker that does 200 a second",
			do: func(d *day) { d.broker.Publish(testbed.Queue{Name: "email_senders"}, 1000, time.Time{}) },
		},
		{
			name: "big batch", what: "3,500 digests for a worker that does 100 a second", hold: 45 * time.Second,
			do: func(d *day) { d.broker.Publish(testbed.Queue{Name: "digest_emails"}, 3500, time.Time{}) },
		},
		{
			name: "bulk load", what: "400,000 rows in twenty transactions, 100 MB of WAL that the standby has to replay",
			do: func(d *day) {
				for range 20 {
					d.primary.Exec("INSERT INTO messages (content) SELECT repeat(md5(random()::text), 4) FROM generate_series(1, 20000)")
				}
			},
			undo: func(d *day) { d.primary.Exec("TRUNCATE messages"); d.primary.Exec("CHECKPOINT") },
		},
		{
			name: "nightly backup", what: "pgbackrest, pg_basebackup and pg_dump run, the dump waits 4 s for a lock",
			compressed: "a dump without its end counts as one that is being written for 5 s (--settle) after its last byte",
			do:         nightlyBackup, hold: 4 * time.Second, settle: 60 * time.Second,
		},
	}
}

// nightlyBackup runs until all three are finished.
func nightlyBackup(d *day) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	clone := d.primary.Command(ctx, "pg_basebackup", "-D", "-", "-Ft", "-X", "none", "--max-rate=4M")
	if err := clone.Start(); err != nil { // what it writes goes nowhere
		d.fail(err)
	}
	d.backrest.Backup("incr")
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.primary.Exec("DO $$ BEGIN LOCK TABLE messages; PERFORM pg_sleep(4); END $$")
	}()
	time.Sleep(500 * time.Millisecond)
	d.dump("zulip-2026-11-25.dump", 0)
	<-done
	if err := clone.Wait(); err != nil {
		d.fail(err)
	}
}
