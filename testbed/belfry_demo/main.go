// Belfry_demo shows the product alive: a PostgreSQL pair, RabbitMQ with busy
// queues, worker processes, backups and a stand-in Zulip; all checks as
// plugins under a real Nagios and inside the exporter under a real
// Prometheus. It prints where to look and what each check says, runs until
// Ctrl-C, and removes everything. "make demo" runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

func main() {
	once := flag.Bool("once", false, "end as soon as every check has its verdict, with 1 if one is not OK")
	bin := flag.String("bin", "bin", "directory of the built binaries")
	pictures := flag.String("screenshots", "", "break some of it, write pictures of the status page to this directory, and end")
	dir := flag.String("dir", "", "where everything lives while it runs, seen in the pictures; it must not exist (default a temporary directory)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := error(nil)
	if *pictures != "" {
		err = photograph(ctx, *bin, *dir, *pictures)
	} else {
		err = run(ctx, *bin, *dir, *once)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "belfry_demo:", err)
		os.Exit(1)
	}
}

// errInterrupted ends the demonstration while it is still being set up.
var errInterrupted = errors.New("interrupted")

func run(ctx context.Context, bin, dir string, once bool) error {
	started := time.Now()
	say := func(format string, args ...any) {
		fmt.Printf("%5.1fs  "+format+"\n", append([]any{time.Since(started).Seconds()}, args...)...)
	}
	var verdict error
	err := testbed.Run(dir, os.Stderr, func(bed *testbed.Bed) {
		s := newStage(bed, bin, say)
		for _, act := range s.acts() {
			if ctx.Err() != nil {
				verdict = errInterrupted
				return
			}
			if verdict = act(); verdict != nil {
				return
			}
		}
		rows, settled := s.await(ctx, 90*time.Second)
		s.addresses()
		printTable(os.Stdout, rows)
		switch {
		case ctx.Err() != nil:
		case !settled:
			verdict = errors.New("not every check has a verdict, or Nagios and the exporter differ: see the table")
		case once:
			verdict = problems(rows)
		default:
			s.watch(ctx, os.Stdout)
		}
		say("stopping the servers")
	})
	if err == nil {
		err = verdict
	}
	if err == nil {
		say("stopped, nothing is left")
	}
	return err
}
