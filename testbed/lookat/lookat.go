// Package lookat runs a check's plugin inside the test's process and returns
// what it said as a document.
package lookat

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/plugin"
)

// Document is what one look said, and its exit code.
type Document struct {
	plugin.Document
	Exit int
}

// Args takes one look with the command line.
func Args(t testing.TB, d *check.Definition, args ...string) Document {
	t.Helper()
	return With(t, context.Background(), d, args, nil)
}

// With takes one look with the command line, the environment and the context.
func With(t testing.TB, ctx context.Context, d *check.Definition, args []string, env map[string]string) Document {
	t.Helper()
	return run(t, ctx, &plugin.Plugin{Definition: d, Args: args, Env: func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}})
}

// At takes one look with the command line, by another clock.
func At(t testing.TB, now func() time.Time, d *check.Definition, args ...string) Document {
	t.Helper()
	return run(t, context.Background(), &plugin.Plugin{Definition: d, Args: args, Now: now})
}

func run(t testing.TB, ctx context.Context, p *plugin.Plugin) Document {
	t.Helper()
	var out strings.Builder
	d, args := p.Definition, p.Args
	p.Name, p.Args, p.Stdout = d.Plugin(), append(append([]string(nil), args...), "--output", "json"), &out
	document := Document{Exit: p.Run(ctx)}
	if err := json.Unmarshal([]byte(out.String()), &document.Document); err != nil {
		t.Fatalf("%s %q: %v in output %q", d.Plugin(), args, err, out.String())
	}
	return document
}

// Value finds an observed value by its key and label values, in the order of
// the metric's labels.
func (d Document) Value(key string, labels ...string) (float64, bool) {
	for _, v := range d.Values {
		if v.Key == key && v.Value != nil && equal(v.Labels, labels) {
			return *v.Value, true
		}
	}
	return 0, false
}

// equal compares label values without their names: all of them, in any order.
func equal(labels map[string]string, values []string) bool {
	if len(labels) != len(values) {
		return false
	}
	left := make(map[string]int)
	for _, v := range labels {
		left[v]++
	}
	for _, v := range values {
		if left[v]--; left[v] < 0 {
			return false
		}
	}
	return true
}

// Found reports whether the look has a finding of the key.
func (d Document) Found(key string) bool {
	for _, r := range d.Rows {
		if r.Kind == "finding" && r.Key == key {
			return true
		}
	}
	return false
}
