// Package faults runs a check against every fault that its kind of peer can
// show and holds the verdict against the design's table: CRITICAL where the
// thing looked at fails its users, UNKNOWN where only the look failed, never
// OK, never late.
package faults

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/common/plugin/reparse"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
)

// Want is the verdict that a row must have.
type Want struct {
	State  check.State
	Reason check.Reason // "" for none: a finding or a value, not a fault
	Text   string       // part of line 1; empty for any
	Why    string       // why this row differs from the table, where it does
}

// Row is one fault: a command line and what it must say.
type Row struct {
	Name string
	Args []string
	Env  map[string]string
	Want Want
	// Timeout is -t. Zero is 1 s, the shortest that leaves steps their time,
	// where the fault is silence, and 5 s where the peer answers: a machine
	// that is busy must not turn that answer into silence.
	Timeout time.Duration
	// Context may put a resolver into the look's context.
	Context func(context.Context) context.Context
	// Before prepares the fault, for rows that run alone.
	Before func(t *testing.T)
}

// late is what a result may take beyond its deadline.
const late = 500 * time.Millisecond

// Run takes one look for the row and compares.
func Run(t *testing.T, d *check.Definition, row Row) {
	t.Helper()
	if row.Before != nil {
		row.Before(t)
	}
	timeout := row.Timeout
	switch {
	case timeout != 0:
	case row.Want.Reason == check.Timeout || row.Want.Reason == check.DNS:
		timeout = time.Second
	default:
		timeout = 5 * time.Second
	}
	ctx := context.Background()
	if row.Context != nil {
		ctx = row.Context(ctx)
	}
	args := append(append([]string(nil), row.Args...), "-t", timeout.String())
	started := time.Now()
	document := lookat.With(t, ctx, d, args, row.Env)
	if took := time.Since(started); took > timeout+late {
		t.Errorf("%s: took %s with -t %s; want an answer before %s", row.Name, took, timeout, timeout+late)
	}
	if check.State(document.Exit) != row.Want.State || check.Reason(document.Reason) != row.Want.Reason || !strings.Contains(document.Text, row.Want.Text) {
		t.Errorf("%s: %s, reason %q: %s\nwant %s, reason %q, with %q", row.Name, check.State(document.Exit), document.Reason, document.Text,
			row.Want.State, row.Want.Reason, row.Want.Text)
	}
	t.Logf("%s: %s %s", row.Name, document.State, document.Text)
}

// Table runs the rows side by side, those with Before one after the other,
// and fails where one that the kind of peer requires is missing.
func Table(t *testing.T, d *check.Definition, kind Kind, rows []Row) {
	t.Helper()
	named := make(map[string]bool)
	for _, r := range rows {
		if named[r.Name] {
			t.Errorf("fault %q twice", r.Name)
		}
		named[r.Name] = true
	}
	for _, name := range kind {
		if !named[name] {
			t.Errorf("%s has no row for the fault %q", d.Plugin(), name)
		}
	}
	t.Run("together", func(t *testing.T) {
		for _, r := range rows {
			if r.Before == nil {
				t.Run(r.Name, func(t *testing.T) { t.Parallel(); Run(t, d, r) })
			}
		}
	})
	for _, r := range rows {
		if r.Before != nil {
			t.Run(r.Name, func(t *testing.T) { Run(t, d, r) })
		}
	}
}

// Kind lists the faults that a kind of peer can show.
type Kind []string

// Tools are faults of a child process.
func Tools() Kind {
	return Kind{"missing", "not executable", "hangs", "floods", "exit 0 with an error", "text before the JSON", "fails"}
}

// Files are faults of files.
func Files() Kind { return Kind{"unreadable", "vanishing", "FIFO", "empty", "huge"} }

// Proc are faults of /proc.
func Proc() Kind { return Kind{"unreadable", "vanishing", "empty"} }

// Text looks once more in text form, as Nagios would see it, and has it read
// back by the strict reader.
func Text(t *testing.T, d *check.Definition, args []string) *reparse.Output {
	t.Helper()
	var out strings.Builder
	p := &plugin.Plugin{Definition: d, Name: d.Plugin(), Args: args, Stdout: &out}
	p.Run(context.Background())
	parsed, err := reparse.Parse([]byte(out.String()))
	if err != nil {
		t.Fatalf("a core would misread %q: %v", out.String(), err)
	}
	return parsed
}
