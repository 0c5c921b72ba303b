// Belfry_bench measures the plugins and the exporter against what a user would
// pick instead and against the least program that does the same, in one run,
// and writes the ratios. "make bench" runs it, "make bench PART=scale" the
// exporter's part alone; docs/benchmarks.md holds the results.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

func main() {
	rounds := flag.Int("rounds", 100, "runs of each command")
	slow := flag.Int("slow-rounds", 15, "rounds of those that are compared with slow tools")
	bin := flag.String("bin", "bin", "directory of the built binaries")
	part := flag.String("part", "all", "what to measure: plugins, scale (of the exporter) or all")
	scaleTime := flag.Duration("scale-time", 10*time.Minute, "how long the exporter is watched with each number of checks")
	out := flag.String("out", "docs/benchmarks.md", "where to write the results")
	flag.Parse()
	if err := run(*rounds, *slow, *bin, *out, *part, *scaleTime); err != nil {
		fmt.Fprintln(os.Stderr, "belfry_bench:", err)
		os.Exit(1)
	}
}

func run(rounds, slow int, bin, out, part string, scaleTime time.Duration) error {
	if part != "all" && part != "plugins" && part != "scale" {
		return fmt.Errorf("-part %s: use all, plugins or scale", part)
	}
	var table report
	var failed error
	err := testbed.Run("", os.Stderr, func(bed *testbed.Bed) {
		b := &bench{bed: bed, bin: bin, rounds: rounds, slow: slow, scaleTime: scaleTime, table: &table}
		var measures []func() error
		if part != "scale" {
			measures = append(measures, b.start, b.sizes, b.postgres, b.rabbitmq, b.memory)
		}
		if part != "plugins" {
			measures = append(measures, b.scale)
		}
		for _, measure := range measures {
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
	before, err := os.ReadFile(out)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	var text strings.Builder
	table.write(&text, rounds, slow)
	fmt.Print(text.String())
	return os.WriteFile(out, []byte(merge(string(before), text.String(), part == "all")), 0o644)
}

// report is the table of results.
type report struct{ sections []*section }

type section struct {
	title, head string
	rows        []string
}

func (r *report) section(title, head string) *section {
	s := &section{title: title, head: head}
	r.sections = append(r.sections, s)
	return s
}

func (s *section) row(format string, args ...any) {
	s.rows = append(s.rows, fmt.Sprintf(format, args...))
}

func (r *report) write(w io.Writer, rounds, slow int) {
	fmt.Fprintf(w, "# Benchmarks\n\nWritten by `make bench`. Medians of %d runs of a plugin, those beside slow tools of %d; "+
		"the commands of a row run in turn in the same minutes, so that the ratios stand where the times do not.\n", rounds, slow)
	measured := fmt.Sprintf("Measured on %s: Linux/%s, %d processors, %s, %s.", time.Now().UTC().Format("2006-01-02"),
		runtime.GOARCH, runtime.NumCPU(), runtime.Version(), load())
	for _, s := range r.sections {
		fmt.Fprintf(w, "\n## %s\n\n%s\n\n%s\n", s.title, measured, s.head)
		for _, row := range s.rows {
			fmt.Fprintln(w, row)
		}
	}
}

// load says how busy the machine was, which is what a figure is worth.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 3 {
		return "load unknown"
	}
	return "load average of the last 15 minutes " + fields[2]
}

// merge puts the sections of a new report in place of those of the same title
// in the one before; all drops those that were not measured.
func merge(before, now string, all bool) string {
	if all || before == "" {
		return now
	}
	const mark = "\n## "
	old, fresh := strings.Split(before, mark), strings.Split(now, mark)
	title := func(section string) string { t, _, _ := strings.Cut(section, "\n"); return t }
	for _, section := range fresh[1:] {
		same := func(other string) bool { return title(other) == title(section) }
		if i := slices.IndexFunc(old[1:], same); i >= 0 {
			old[i+1] = strings.TrimRight(section, "\n") + "\n"
		} else {
			old = append(old, section)
		}
	}
	return strings.Join(old, mark)
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
