package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/belfry-monitoring/belfry/testbed"
)

// jobs are what goes on all day beside the situations: users who write, and
// cron. Each takes it as it comes when its server is away.
type jobs struct {
	wg     sync.WaitGroup
	cancel context.CancelFunc
	quiet  atomic.Bool // nobody writes and publishes
	noCron atomic.Bool // cron does not write the list of backups
	target atomic.Pointer[testbed.Postgres]
}

func (d *day) startJobs() error {
	d.say("users who write messages, cron")
	ctx, cancel := context.WithCancel(context.Background())
	d.jobs.cancel = cancel
	d.jobs.target.Store(d.primary)
	for _, job := range []struct {
		every time.Duration
		run   func(context.Context) error
	}{
		{300 * time.Millisecond, d.writeMessage},
		{500 * time.Millisecond, d.publisher()},
		{2 * time.Second, func(context.Context) error { return d.cron() }},
	} {
		d.jobs.wg.Go(func() {
			for ticker := time.NewTicker(job.every); ; {
				select {
				case <-ctx.Done():
					ticker.Stop()
					return
				case <-ticker.C:
				}
				step, cancel := context.WithTimeout(ctx, 5*time.Second)
				_ = job.run(step) // its server may be away: that is what the day is about
				cancel()
			}
		})
	}
	return nil
}

func (d *day) stopJobs() {
	if d.jobs.cancel != nil {
		d.jobs.cancel()
		d.jobs.wg.Wait()
	}
	for _, link := range d.link {
		_ = link.Close()
	}
	if d.zulip != nil {
		_ = d.zulip.Close()
	}
}

// writeMessage is what a user does to the database.
func (d *day) writeMessage(ctx context.Context) error {
	if d.jobs.quiet.Load() {
		return nil
	}
	p := d.jobs.target.Load()
	conn, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres sslmode=disable", p.SocketDir, p.Port))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "INSERT INTO messages (content) SELECT repeat(md5(random()::text), 10) FROM generate_series(1, 20)")
	return err
}

// publisher is Zulip: it puts a few messages into each queue.
func (d *day) publisher() func(context.Context) error {
	var conn *amqp.Connection
	var channel *amqp.Channel
	return func(ctx context.Context) (err error) {
		if d.jobs.quiet.Load() {
			return nil
		}
		if conn == nil || conn.IsClosed() {
			if conn, err = amqp.DialConfig(d.broker.AMQPURL(testbed.UserZulip, "/"), amqp.Config{Heartbeat: 10 * time.Second, Dial: amqp.DefaultDial(3 * time.Second)}); err != nil {
				return err
			}
			if channel, err = conn.Channel(); err != nil {
				return err
			}
		}
		for _, p := range processes() {
			if err := channel.PublishWithContext(ctx, "", p.queue, false, false, amqp.Publishing{Body: []byte("{}"), DeliveryMode: amqp.Persistent}); err != nil {
				conn.Close()
				return err
			}
		}
		return nil
	}
}

// cron writes what pgBackRest says to where others can read it.
func (d *day) cron() error {
	if d.jobs.noCron.Load() {
		return nil
	}
	return d.tryList()
}

func (d *day) tryList() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := d.backrest.Command(ctx, "info", "--output=json").Output()
	if err == nil {
		err = os.WriteFile(d.listFile+".tmp", out, 0o644)
	}
	if err == nil {
		err = os.Rename(d.listFile+".tmp", d.listFile)
	}
	return err
}

func (d *day) writeList() {
	if err := d.tryList(); err != nil {
		d.fail(err)
	}
}

func (d *day) signalExporter() {
	if err := syscall.Kill(d.exporter.PID(), syscall.SIGHUP); err != nil {
		d.fail(err)
	}
}
