// Belfry_day goes through a day of situations: a PostgreSQL pair, RabbitMQ
// with workers, backups and a stand-in Zulip are started, used, restarted,
// upgraded, filled, frozen and broken, and at each moment all checks are asked
// as plugins and in the exporter. It records every false OK, false alarm,
// wrong cause and disagreement of the two, and ends with 1 if there is one.
// "make day" runs it; it needs root, to fill real file systems.
//
//	belfry_day -situation 'standby|failover'     some of the day (regular expression)
//	belfry_day -write docs/situations.md         the day, and its table into that file
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

func main() {
	bin := flag.String("bin", "bin", "directory of the built binaries")
	only := flag.String("situation", "", "regular expression: only the situations whose name it matches")
	fast := flag.Bool("fast", false, "only a slice of the day that takes about two minutes")
	write := flag.String("write", "", "write the table into this file, docs/situations.md; of situations that are not played it keeps the rows")
	names := flag.Bool("list", false, "print the names of the situations")
	flag.Parse()
	chosen, err := choose(script(), *only, *fast)
	if err == nil && *names {
		for _, s := range chosen {
			fmt.Printf("%-30s %s\n", s.name, s.what)
		}
		return
	}
	if err == nil && os.Getuid() != 0 {
		err = errors.New("it needs root: file systems are mounted and filled, processes run as other users")
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = run(ctx, *bin, chosen, *write)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "belfry_day:", err)
		os.Exit(1)
	}
}

// choose returns the situations of the day that are asked for.
func choose(all []situation, only string, fast bool) ([]situation, error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("-situation: %w", err)
	}
	chosen := slices.DeleteFunc(all, func(s situation) bool { return !pattern.MatchString(s.name) || fast && !s.fast })
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-situation %q: no situation has such a name, see -list", only)
	}
	return chosen, nil
}

// errInterrupted ends the day before its end.
var errInterrupted = errors.New("interrupted")

func run(ctx context.Context, bin string, chosen []situation, write string) error {
	started := time.Now()
	say := func(format string, args ...any) {
		fmt.Printf("%6.1fs  "+format+"\n", append([]any{time.Since(started).Seconds()}, args...)...)
	}
	var verdict error
	err := testbed.Run("", os.Stderr, func(bed *testbed.Bed) {
		d := newDay(bed, bin, say)
		defer d.stopJobs()
		for _, act := range d.acts() {
			if ctx.Err() != nil {
				verdict = errInterrupted
				return
			}
			if verdict = act(); verdict != nil {
				return
			}
		}
		var outcomes []outcome
		for i := range chosen {
			o := d.play(ctx, &chosen[i])
			if d.broken.Load() {
				verdict = fmt.Errorf("%s could not be played to its end", chosen[i].name)
				break
			}
			if ctx.Err() != nil {
				verdict = errInterrupted
				break
			}
			outcomes = append(outcomes, o)
			say("%s, in %.0f s: %s", o.name, o.took.Seconds(), verdictOf(o))
			for _, defect := range o.defects {
				say("    %s", defect)
			}
		}
		verdict = errors.Join(verdict, finish(outcomes, write))
	})
	return errors.Join(err, verdict)
}

func verdictOf(o outcome) string {
	if len(o.defects) == 0 {
		return "as wanted"
	}
	return fmt.Sprintf("%d defects", len(o.defects))
}

// finish prints what came of the day, and writes the table.
func finish(outcomes []outcome, write string) error {
	counts := make(map[string]int)
	for _, o := range outcomes {
		for _, defect := range o.defects {
			counts[defect.kind]++
		}
	}
	fmt.Printf("\n%s\n", table(outcomes))
	summary := fmt.Sprintf("%d situations: %d false OKs, %d false alarms, %d wrong states, %d wrong causes, %d disagreements, %d without answer",
		len(outcomes), counts[falseOK], counts[falseAlarm], counts[wrongState], counts[wrongCause], counts[disagreement], counts[noAnswer])
	fmt.Println(summary)
	if write != "" {
		earlier, err := os.ReadFile(write)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.WriteFile(write, []byte(page(string(earlier), outcomes, script())), 0o644); err != nil {
			return err
		}
	}
	if len(counts) > 0 {
		return errors.New("not everything was as it must be: see above")
	}
	return nil
}
