// Belfry_bench measures the plugins against what a user would pick instead
// and against the least program that does the same, in one run, and writes
// the ratios. "make bench" runs it; docs/benchmarks.md holds the results.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

func main() {
	rounds := flag.Int("rounds", 100, "runs of each command")
	slow := flag.Int("slow-rounds", 15, "rounds of those that are compared with slow tools")
	bin := flag.String("bin", "bin", "directory of the built binaries")
	out := flag.String("out", "docs/benchmarks.md", "where to write the results")
	flag.Parse()
	if err := run(*rounds, *slow, *bin, *out); err != nil {
		fmt.Fprintln(os.Stderr, "belfry_bench:", err)
		os.Exit(1)
	}
}

func run(rounds, slow int, bin, out string) error {
	var table report
	var failed error
	err := testbed.Run("", os.Stderr, func(bed *testbed.Bed) {
		b := &bench{bed: bed, bin: bin, rounds: rounds, slow: slow, table: &table}
		for _, measure := range []func() error{b.start, b.sizes, b.postgres, b.rabbitmq, b.memory} {
			if failed = measure(); failed != nil {
				return
			}
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	table.write(io.MultiWriter(os.Stdout, f), rounds, slow)
	return f.Close()
}

// report is the table of results.
type report struct{ sections []section }

type section struct {
	title, head string
	rows        []string
}

func (r *report) section(title, head string) *section {
	r.sections = append(r.sections, section{title: title, head: head})
	return &r.sections[len(r.sections)-1]
}

func (s *section) row(format string, args ...any) {
	s.rows = append(s.rows, fmt.Sprintf(format, args...))
}

func (r *report) write(w io.Writer, rounds, slow int) {
	fmt.Fprintf(w, "# Benchmarks\n\nWritten by `make bench` on %s: Linux/%s, %d processors, %s. Medians of %d runs, those beside slow tools of %d; "+
		"the commands of a row run in turn in the same minutes, so that the ratios stand where the times do not.\n",
		time.Now().UTC().Format("2006-01-02"), runtime.GOARCH, runtime.NumCPU(), runtime.Version(), rounds, slow)
	for _, s := range r.sections {
		fmt.Fprintf(w, "\n## %s\n\n%s\n", s.title, s.head)
		for _, row := range s.rows {
			fmt.Fprintln(w, row)
		}
	}
}

// within says whether a ratio keeps its goal.
func within(got, goal float64) string {
	if got <= goal {
		return "yes"
	}
	return "**no**"
}

// beyond says whether a ratio reaches its goal.
func beyond(got, goal float64) string {
	if got >= goal {
		return "yes"
	}
	return "**no**"
}
