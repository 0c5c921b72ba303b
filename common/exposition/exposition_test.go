package exposition_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/exposition"
	"github.com/belfry-monitoring/belfry/testbed"
)

var (
	depth   = &check.Metric{Family: "test", Key: "depth", Labels: []string{"queue"}, Help: "Depth.", Warning: "10", Critical: "20"}
	share   = &check.Metric{Family: "test", Key: "share", Unit: check.Ratio, Help: "Share.", Warning: "@~:5%"}
	sent    = &check.Metric{Family: "test", Key: "sent", Kind: check.Counter, Unit: check.Bytes, Help: "Sent."}
	ended   = &check.Metric{Family: "test", Key: "ended", Kind: check.Since, Help: "End.", Critical: "49h"}
	expires = &check.Metric{Family: "test", Key: "expires", Kind: check.Until, Help: "End.", Warning: "7d:"}
	gone    = &check.Finding{Key: "gone", Help: "it is gone", State: check.Warning}
)

type scripted func(*check.Report)

func (s scripted) Prepare() (check.Setup, error)                { return check.Setup{Target: "tower"}, nil }
func (s scripted) Close() error                                 { return nil }
func (s scripted) Run(_ context.Context, r *check.Report) error { s(r); return nil }

func text(f scripted) string {
	d := &check.Definition{Name: "test", Timeout: time.Second, Metrics: []*check.Metric{depth, share, sent, ended, expires}, Findings: []*check.Finding{gone},
		New: func(*pflag.FlagSet) check.Check { return f }}
	l := &check.Look{Definition: d, Check: f, Now: func() time.Time { return time.Unix(1795230000, 0) }}
	return string(exposition.Text(exposition.Of(l.Run(context.Background()), "test", "tower")))
}

func TestNamesAndLimits(t *testing.T) {
	got := text(func(r *check.Report) {
		r.Observe(depth, 30, "a\"b\\c\nd")
		r.Observe(depth, 31, "b")
		r.Observe(depth, 1, "c")
		r.Observe(share, 0.07)
		r.Observe(sent, 1e6)
		r.ObserveTime(ended, time.Unix(1795220000, 0))
		r.ObserveTime(expires, time.Unix(1795330000, 0))
		r.Find(gone, "gone")
	})
	for _, want := range []string{
		`belfry_check_state{check="test",target="tower"} 2`,
		`belfry_check_last_run_timestamp_seconds{check="test",target="tower"} 1.79523e+09`,
		`belfry_check_timed_out{check="test",target="tower"} 0`,
		`belfry_check_finding{check="test",target="tower",finding="gone"} 1`,
		`belfry_check_finding{check="test",target="tower",finding="clock_skew"} 0`,
		`belfry_check_beyond_limit{check="test",target="tower",metric="depth",severity="critical"} 2`,
		`belfry_test_depth{check="test",target="tower",queue="a\"b\\c\nd"} 30`,
		`belfry_test_depth_limit{check="test",target="tower",queue="a\"b\\c\nd",severity="critical",bound="max",inside="false"} 20`,
		`belfry_test_share_ratio{check="test",target="tower"} 0.07`,
		`belfry_test_share_limit_ratio{check="test",target="tower",severity="warning",bound="min",inside="true"} -Inf`,
		`belfry_test_share_limit_ratio{check="test",target="tower",severity="warning",bound="max",inside="true"} 0.05`,
		"# TYPE belfry_test_sent_bytes_total counter",
		`belfry_test_ended_timestamp_seconds{check="test",target="tower"} 1.79522e+09`,
		`belfry_test_ended_age_limit_seconds{check="test",target="tower",severity="critical",bound="max",inside="false"} 176400`,
		`belfry_test_expires_left_limit_seconds{check="test",target="tower",severity="warning",bound="min",inside="false"} 604800`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no line %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "failure_info") {
		t.Error("failure_info without a failure")
	}
	for _, none := range []string{`metric="share"`, `metric="depth",severity="warning"`} {
		if strings.Contains(got, none) {
			t.Errorf("%s, which is within its limit, in\n%s", none, got)
		}
	}
	got = text(func(r *check.Report) { r.Fail(check.Faultf(check.Auth, "log in at", "x", "refused")) })
	if want := `belfry_check_failure_info{check="test",target="tower",reason="auth"} 1`; !strings.Contains(got, want) {
		t.Errorf("no line %s in\n%s", want, got)
	}
}

// promtool has nothing to say of what a plugin writes for node_exporter's
// textfile collector.
func TestPromtoolIsContent(t *testing.T) {
	testbed.CheckMetrics(t, text(func(r *check.Report) {
		r.Observe(depth, 30, "q")
		r.Observe(share, 0.07)
		r.Observe(sent, 1e6)
		r.ObserveTime(ended, time.Unix(1795220000, 0))
		r.ObserveTime(expires, time.Unix(1795330000, 0))
		r.Fail(check.Faultf(check.Auth, "log in at", "x", "refused"))
	}))
}

// All label sets are judged, 200 of a metric exported, problems before the
// others, and what is left out is counted.
func TestLabelSetsAreBounded(t *testing.T) {
	got := text(func(r *check.Report) {
		for i := range 500 {
			r.Observe(depth, float64(i%5), fmt.Sprint("q", i))
		}
		r.Observe(depth, 30, "worst")
	})
	if n := strings.Count(got, "belfry_test_depth{"); n != exposition.MaxLabelSets {
		t.Errorf("%d label sets; want %d", n, exposition.MaxLabelSets)
	}
	for _, want := range []string{`queue="worst"} 30`, `belfry_check_dropped_label_sets{check="test",target="tower"} 301`, `belfry_check_state{check="test",target="tower"} 2`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in the output", want)
		}
	}
}

// Prometheus's own parser reads back whatever a check reports.
func FuzzTextParses(f *testing.F) {
	f.Add("queue", 5.0)
	f.Add("a\xff\x00\"\\\n", math.Inf(1))
	f.Add("", math.NaN())
	f.Fuzz(func(t *testing.T, label string, v float64) {
		got := text(func(r *check.Report) { r.Observe(depth, v, label); r.Observe(share, v) })
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(got))
		if err != nil || families["belfry_test_depth"] == nil {
			t.Fatalf("%v in\n%s", err, got)
		}
	})
}
