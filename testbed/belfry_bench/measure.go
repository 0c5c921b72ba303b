package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strings"
	"time"
)

// command is a program that is measured as a whole process.
type command struct {
	name string
	argv []string
	env  []string
	// fine are the exit codes that mean that it did its work; 0 if empty.
	fine []int
}

// figures are what the runs of one command took.
type figures struct{ wall, cpu []time.Duration }

// pair runs the commands in turn, so that what else the machine does hits all
// alike, after one round that is not counted.
func pair(rounds int, commands ...command) ([]figures, error) {
	all := make([]figures, len(commands))
	for round := range rounds + 1 {
		for i, c := range commands {
			wall, state, err := once(c)
			if err != nil {
				return nil, err
			}
			if round == 0 {
				continue
			}
			f := &all[i]
			f.wall = append(f.wall, wall)
			f.cpu = append(f.cpu, state.UserTime()+state.SystemTime())
		}
	}
	return all, nil
}

func once(c command) (time.Duration, *os.ProcessState, error) {
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Env = c.env
	started := time.Now()
	out, err := cmd.Output()
	wall := time.Since(started)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, nil, fmt.Errorf("%s: %w", c.name, err)
	}
	if !c.ok(cmd.ProcessState.ExitCode()) {
		return 0, nil, fmt.Errorf("%s: exit %d: %.300s%.300s", c.name, cmd.ProcessState.ExitCode(), out, stderr(exit))
	}
	return wall, cmd.ProcessState, nil
}

// resident is the median peak of resident memory over five runs, in bytes, as
// time(1) measures it: what a process starts from counts for it, and time is
// smaller than this program.
func resident(c command) (int64, error) {
	var peaks []int64
	for range 5 {
		cmd := exec.Command("/usr/bin/time", append([]string{"--quiet", "-f", "peak %M"}, c.argv...)...)
		cmd.Env = c.env
		var errs strings.Builder
		cmd.Stderr = &errs
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			return 0, fmt.Errorf("%s: %w", c.name, err)
		}
		var kib int64
		if _, err := fmt.Sscanf(errs.String()[strings.LastIndex(errs.String(), "peak"):], "peak %d", &kib); err != nil || !c.ok(cmd.ProcessState.ExitCode()) {
			return 0, fmt.Errorf("%s: exit %d, %q", c.name, cmd.ProcessState.ExitCode(), errs.String())
		}
		peaks = append(peaks, kib*1024)
	}
	return median(peaks), nil
}

func (c command) ok(code int) bool {
	if len(c.fine) == 0 {
		return code == 0
	}
	for _, f := range c.fine {
		if f == code {
			return true
		}
	}
	return false
}

func stderr(exit *exec.ExitError) []byte {
	if exit == nil {
		return nil
	}
	return exit.Stderr
}

func median[T ~int64](values []T) T {
	sorted := append([]T(nil), values...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	return sorted[len(sorted)/2]
}

// ratio is the median of a over that of b.
func ratio(a, b []time.Duration) float64 {
	return float64(median(a)) / float64(median(b))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
