package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

// dump writes a dump in plain SQL over the one before.
func dump(t *testing.T, dir string, rows int, age time.Duration) {
	t.Helper()
	path := filepath.Join(dir, "zulip.sql")
	text := "--\n-- PostgreSQL database dump\n--\n\n" + strings.Repeat("1\tabcd\n", rows) + "--\n-- PostgreSQL database dump complete\n--\n\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
		t.Fatal(err)
	}
}

// verdict waits for the first look after a start and returns its state and
// first problem.
func verdict(t *testing.T, e *testbed.Exporter) string {
	t.Helper()
	for range 600 {
		text, err := e.Get("/api/v1/checks")
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Checks []struct {
				State, Text string
				Pending     bool
			}
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if len(answer.Checks) == 1 && !answer.Checks[0].Pending {
			return answer.Checks[0].State + ": " + answer.Checks[0].Text
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("no look within 30 s")
	return ""
}

// await waits until ok, which is polled.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: not within 30 s", what)
}

// An exporter that is killed or stopped, started again and finds a dump that
// was written over the last one compares it with what it saw before: without
// --state-dir, the same dump is fine.
func TestRestart(t *testing.T) {
	bed := testbed.New(t)
	for _, tt := range []struct {
		name  string
		args  string // after --state-dir=DIR; "none" for no directory
		end   func(*testbed.Exporter, string)
		state string
	}{
		{"killed after a writing", "--state-interval=1s", func(e *testbed.Exporter, dir string) {
			await(t, "the memory is written", func() bool {
				names, _ := filepath.Glob(filepath.Join(dir, "exporter-backup-*.json"))
				return len(names) == 1
			})
			e.Kill()
		}, "WARNING"},
		{"stopped before a writing", "--state-interval=24h", func(e *testbed.Exporter, _ string) { e.Stop() }, "WARNING"},
		{"killed before a writing", "--state-interval=24h", func(e *testbed.Exporter, _ string) { e.Kill() }, "OK"},
		{"stopped without a directory", "none", func(e *testbed.Exporter, _ string) { e.Stop() }, "OK"},
	} {
		name := strings.ReplaceAll(tt.name, " ", "-")
		dumps, state := bed.MkdirFor("root", name+"-dumps", 0o755), bed.MkdirFor("nobody", name+"-state", 0o700)
		args := []string{"--state-dir=" + state, tt.args}
		if tt.args == "none" {
			args = nil
		}
		dump(t, dumps, 20000, 24*time.Hour)
		e := bed.Exporter(testbed.ExporterOptions{
			Name: name, Args: args,
			Config: fmt.Sprintf("spread: 0s\nchecks: [{check: backup, target: dumps, interval: 10m, options: {path: %q}}]\n", dumps),
		})
		if got := verdict(t, e); !strings.HasPrefix(got, "OK: ") {
			t.Errorf("%s: the first dump is %s; want OK", tt.name, got)
		}
		tt.end(e, state)
		dump(t, dumps, 1000, time.Hour)
		e.Start()
		if got := verdict(t, e); !strings.HasPrefix(got, tt.state+": ") || (tt.state == "WARNING") != strings.Contains(got, "size against the one before") {
			t.Errorf("%s: the smaller dump after the restart is %s; want %s", tt.name, got, tt.state)
		}
		e.Stop()
		if left, _ := filepath.Glob(filepath.Join(state, ".*.tmp")); len(left) > 0 {
			t.Errorf("%s: left behind %q", tt.name, left)
		}
	}
}
