package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/scene"
)

// lookAround asks every plugin once, side by side as Nagios does, and then the
// exporter.
func (d *day) lookAround(context.Context) look {
	foreign := d.foreignKills()
	l := make(look)
	settings := d.settings(pluginAccount)
	for _, s := range settings {
		l[s.Target] = map[face]sight{plugin: {state: -1}, exporter: {state: -1}}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, s := range settings {
		wg.Go(func() {
			seen := d.askPlugin(s)
			mu.Lock()
			defer mu.Unlock()
			l[s.Target][plugin] = seen
		})
	}
	wg.Wait()
	for target, seen := range d.askExporter() {
		if l[target] != nil {
			l[target][exporter] = seen
		}
	}
	if foreign || d.foreignKills() {
		for f, seen := range l[workers] {
			if seen.state == int(check.Warning) && strings.Contains(seen.line, "kernel has killed") {
				l[workers][f] = sight{state: 0, line: "(killed by somebody else on this machine) " + seen.line}
			}
		}
	}
	return l
}

func (d *day) askPlugin(s scene.Setting) sight {
	account := pluginAccount
	if s.Target == pgbackrest {
		account = exporterAccount // only the repository's owner may ask
	}
	argv := append([]string{filepath.Join(d.plugins, "check_"+s.Check)}, s.Args()...)
	result := testbed.RunAs(failure{d}, account, append(argv, "--state-dir="+d.state[account]), []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"})
	if result.Stdout == "" { // it could not be run, or did not end
		return sight{state: -1, line: d.named(result.Stderr)}
	}
	line, _, _ := strings.Cut(result.Stdout, "\n")
	line, _, _ = strings.Cut(line, " | ")
	return sight{state: result.Exit, line: d.named(line)}
}

// askExporter reads the states from /metrics, as Prometheus does, and the
// first lines from its API. A look that ends between the two requests would
// show another's text; then it asks again.
func (d *day) askExporter() (seen map[string]sight) {
	for range 5 {
		seen = make(map[string]sight)
		page, err := d.exporter.Get("/metrics")
		if err != nil {
			return seen
		}
		body, err := d.exporter.Get("/api/v1/checks")
		var answer struct {
			Checks []struct{ Target, State, Text string }
		}
		if err != nil || json.Unmarshal([]byte(body), &answer) != nil {
			return seen
		}
		for line := range strings.Lines(page) {
			if target, state, ok := stateOf(line); ok {
				seen[target] = sight{state: state}
			}
		}
		same := true
		for _, c := range answer.Checks {
			s, ok := seen[c.Target]
			same = same && ok && scene.Word(s.state) == c.State
			seen[c.Target] = sight{state: s.state, line: d.named(c.Text)}
		}
		if same {
			break
		}
	}
	return seen
}

// foreignKills reports whether the kernel has killed processes of somebody
// else on this machine for want of memory of late: its counter is one for all.
func (d *day) foreignKills() bool {
	text, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		d.say("%v", err)
		return false
	}
	count := 0
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "oom_kill %d", &count); err == nil {
			break
		}
	}
	if d.kills >= 0 && count > d.kills && !d.killing.Load() {
		d.say("somebody else's process on this machine was killed for want of memory")
		d.foreignUntil = time.Now().Add(oomWindow + 10*time.Second)
	}
	d.kills = count
	return time.Now().Before(d.foreignUntil)
}

// stateOf reads a sample of belfry_check_state.
func stateOf(line string) (target string, state int, ok bool) {
	rest, ok := strings.CutPrefix(line, "belfry_check_state{")
	if !ok {
		return "", 0, false
	}
	labels, value, ok := strings.Cut(strings.TrimSpace(rest), "} ")
	if !ok || len(value) != 1 || value[0] < '0' || value[0] > '3' {
		return "", 0, false
	}
	_, target, ok = strings.Cut(labels, `target="`)
	target, _, _ = strings.Cut(target, `"`)
	return target, int(value[0] - '0'), ok
}

// failure makes a plugin that does not end a defect of the day, not its end.
type failure struct{ d *day }

func (failure) Helper()                        {}
func (f failure) Logf(format string, a ...any) { f.d.say(format, a...) }
func (f failure) Errorf(format string, a ...any) {
	f.d.say(format, a...)
}
func (f failure) Fatalf(format string, a ...any) { f.d.say(format, a...) }
func (failure) Failed() bool                     { return false }
func (failure) Cleanup(func())                   {}
