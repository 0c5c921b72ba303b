package plugin

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/plugin/reparse"
)

var (
	depth = &check.Metric{Family: "test", Key: "depth", Labels: []string{"queue"}, Help: "Depth.", Warning: "10", Critical: "20"}
	total = &check.Metric{Family: "test", Key: "total", Help: "Total."}
	share = &check.Metric{Family: "test", Key: "share", Unit: check.Ratio, Help: "Share.", Warning: "80%"}
	bytes = &check.Metric{Family: "test", Key: "bytes", Unit: check.Bytes, Kind: check.Counter, Help: "Bytes."}
	ended = &check.Metric{Family: "test", Key: "ended", Kind: check.Since, Help: "End.", Warning: "25h", Critical: "~:49h"}
	gone  = &check.Finding{Key: "gone", Help: "something is gone", State: check.Warning}
)

type scripted func(context.Context, *check.Report) error

func (s scripted) Prepare() (check.Setup, error) { return check.Setup{Target: "tower"}, nil }
func (s scripted) Close() error                  { return nil }
func (s scripted) Run(ctx context.Context, r *check.Report) error {
	return s(ctx, r)
}

func definition(run scripted) *check.Definition {
	return &check.Definition{
		Name: "test", Title: "TEST", Summary: "looks", Examples: []string{"check_test -w 5"}, Peer: "none", Privileges: []string{"none"},
		Interval: time.Minute, Timeout: 2 * time.Second, Aliases: []string{"check_probe"},
		Metrics: []*check.Metric{depth, total, share, bytes, ended}, Findings: []*check.Finding{gone},
		Parts: []check.Part{{Name: "one", Help: "the first"}},
		New:   func(*pflag.FlagSet) check.Check { return run },
	}
}

func run(t *testing.T, f scripted, args ...string) (int, string) {
	t.Helper()
	var out strings.Builder
	p := &Plugin{Definition: definition(f), Name: "check_test", Args: args, Stdout: &out, Now: func() time.Time {
		return time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	}}
	code := p.Run(context.Background())
	return code, out.String()
}

func TestTextShape(t *testing.T) {
	fine := func(_ context.Context, r *check.Report) error {
		r.Observe(total, 61)
		r.Observe(depth, 5, "a")
		r.Observe(depth, 7.25, "b queue")
		r.Observe(share, 0.07)
		r.Observe(bytes, 1e15)
		r.ObserveTime(ended, r.Now().Add(-90*time.Minute))
		r.Summarize("2 queues, 61 messages")
		r.Note("a note")
		return nil
	}
	bad := func(_ context.Context, r *check.Report) error {
		r.Observe(depth, 5, "a")
		r.Observe(depth, 30, "b|=';")
		r.Find(gone, "it | is gone")
		return nil
	}
	tests := []struct {
		name string
		run  scripted
		args []string
		code int
		want string
	}{
		{"fine", fine, nil, 0, "TEST OK: 2 queues, 61 messages | total=61 share=7%;80;;0 bytes=1000000000000000c;;;0 ended=5400s;90000;~:176400;0 'depth a'=5;10;20 'depth b_queue'=7.25;10;20\n"},
		{"fine, verbose", fine, []string{"-v"}, 0, "TEST OK: 2 queues, 61 messages | total=61 share=7%;80;;0 bytes=1000000000000000c;;;0 ended=5400s;90000;~:176400;0 'depth a'=5;10;20 'depth b_queue'=7.25;10;20\n" +
			"\\_ [OK] a: depth 5\n\\_ [OK] b queue: depth 7.25\n\\_ [OK] share 7 %\n\\_ [OK] ended 90 min\nnote: a note\n"},
		{"bad", bad, nil, 2, "TEST CRITICAL: b!=';: depth 30 (above 20), 1 more problem of 3 | 'depth a'=5;10;20 'depth b!___'=30;10;20\n" +
			"\\_ [CRITICAL] b!=';: depth 30 (above 20)\n\\_ [WARNING] it ! is gone\n\\_ [OK] 1 within limits\n"},
		{"glued options", fine, []string{"-w2", "-c~:3", "-v"}, 2, ""},
		{"range with minus", fine, []string{"-w", "-5:5"}, 1, ""},
		{"severity", bad, []string{"--severity", "gone=critical", "-c", "depth=100", "-w", "100"}, 2, ""},
		{"single problem", func(_ context.Context, r *check.Report) error {
			return check.Faultf(check.Dial, "connect to", "10.0.0.5:5432", "timed out after 3s")
		}, nil, 2,
			"TEST CRITICAL: connect to 10.0.0.5:5432: timed out after 3s\n"},
	}
	for _, tt := range tests {
		code, out := run(t, tt.run, tt.args...)
		if code != tt.code || tt.want != "" && out != tt.want {
			t.Errorf("%s: exit %d and\n%s\nwant %d and\n%s", tt.name, code, out, tt.code, tt.want)
		}
		if _, err := reparse.Parse([]byte(out)); err != nil {
			t.Errorf("%s: a core would misread %q: %v", tt.name, out, err)
		}
	}
}

// Two thousand queues with long names fit into what a core reads at once, and
// what was left out is said.
func TestTextIsBounded(t *testing.T) {
	name := strings.Repeat("é", 100)
	code, out := run(t, func(_ context.Context, r *check.Report) error {
		r.Observe(total, 1)
		for i := range 2000 {
			r.Observe(depth, float64(30+i), name+strings.Repeat("x", i%90)+string(rune('a'+i%26))+time.Duration(i).String())
		}
		return nil
	}, "-v")
	parsed, err := reparse.Parse([]byte(out))
	if err != nil || code != 2 {
		t.Fatalf("exit %d, %v; want 2 and parseable output", code, err)
	}
	if parsed.Perfdata[0].Label != "total" {
		t.Errorf("first performance data is %q; want total", parsed.Perfdata[0].Label)
	}
	if last := parsed.Long[len(parsed.Long)-1]; !strings.Contains(last, "more rows") {
		t.Errorf("last line %q; want it to say how many rows are left out", last)
	}
}

func FuzzTextReparses(f *testing.F) {
	f.Add("queue", 5.0, "text", "where")
	f.Add("a|b=';,::\x00\xff", math.Inf(1), "x | y=1\n\\_ [OK]", "\u202e")
	f.Add("", math.NaN(), strings.Repeat("ü|", 3000), "'")
	f.Fuzz(func(t *testing.T, label string, value float64, text, where string) {
		var out strings.Builder
		p := &Plugin{Definition: definition(func(_ context.Context, r *check.Report) error {
			r.Observe(depth, value, label)
			r.Observe(depth, 3, label+"2")
			r.Observe(share, value)
			r.Find(gone, text)
			r.Fail(check.Faultf(check.Data, text, where, "%s", label), where)
			r.Note("%s", text)
			return nil
		}), Name: "check_test", Args: []string{"-vvv"}, Stdout: &out}
		code := p.Run(context.Background())
		parsed, err := reparse.Parse([]byte(out.String()))
		if err != nil || code < 0 || code > 3 {
			t.Fatalf("exit %d, a core would misread %q: %v", code, out.String(), err)
		}
		for _, v := range parsed.Perfdata {
			key, _, _ := strings.Cut(v.Label, " ")
			if definition(nil).MetricByKey(key) == nil {
				t.Fatalf("label %q does not map back to a metric", v.Label)
			}
		}
	})
}
