package sendreceive_test

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/sendreceive"
)

type reporter struct{ outcome *sendreceive.Outcome }

func (c reporter) Prepare() (check.Setup, error) { return check.Setup{}, nil }
func (c reporter) Close() error                  { return nil }
func (c reporter) Run(_ context.Context, r *check.Report) error {
	c.outcome.Report(r, "")
	return nil
}

func judge(o sendreceive.Outcome) *check.Result {
	c := reporter{&o}
	d := &check.Definition{
		Name: "test", Title: "TEST", Interval: time.Minute, Timeout: time.Second, New: func(*pflag.FlagSet) check.Check { return c },
		Metrics:  []*check.Metric{sendreceive.EndToEnd, sendreceive.Registration, sendreceive.Acceptance},
		Findings: []*check.Finding{sendreceive.NotDelivered, sendreceive.LeftBehind},
	}
	return (&check.Look{Definition: d, Check: c}).Run(context.Background())
}

func TestOutcome(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	accepted := sendreceive.Outcome{Registered: true, Registration: ms(40), Accepted: true, Acceptance: ms(120)}
	with := func(change func(*sendreceive.Outcome)) sendreceive.Outcome {
		o := accepted
		change(&o)
		return o
	}
	tests := []struct {
		name    string
		outcome sendreceive.Outcome
		state   check.State
		text    string // of the worst row
		summary string
		values  int
	}{
		{"delivered", with(func(o *sendreceive.Outcome) { o.Delivered, o.EndToEnd = true, ms(210) }),
			check.OK, "end to end 210 ms, accepted in 120 ms", "delivered in 210 ms (accepted in 120 ms)", 3},
		{"at the limit", with(func(o *sendreceive.Outcome) { o.Delivered, o.EndToEnd = true, 3*time.Second }),
			check.OK, "end to end 3 s, accepted in 120 ms", "delivered in 3 s (accepted in 120 ms)", 3},
		{"3.9 s are not 3 s", with(func(o *sendreceive.Outcome) { o.Delivered, o.EndToEnd = true, ms(3900) }),
			check.Warning, "end to end 3.9 s (above 3 s), accepted in 120 ms", "delivered in 3.9 s (accepted in 120 ms)", 3},
		{"critical before warning", with(func(o *sendreceive.Outcome) { o.Delivered, o.EndToEnd, o.Remark = true, ms(12400), "after a detour" }),
			check.Critical, "end to end 12.4 s (above 12 s), accepted in 120 ms, after a detour", "delivered in 12.4 s (accepted in 120 ms, after a detour)", 3},
		{"given up", with(func(o *sendreceive.Outcome) { o.GaveUp, o.Waited = true, ms(13250) }),
			check.Critical, "accepted in 120 ms, but not delivered within 13.2 s", "", 2},
		{"given up with trouble", with(func(o *sendreceive.Outcome) {
			o.GaveUp, o.Waited, o.Trouble, o.Remark = true, ms(13250), errors.New("no"), "after a detour"
		}), check.Critical, "accepted in 120 ms, but not delivered within 13.2 s, after a detour; last error while waiting: no", "", 2},
		{"given up before", with(func(o *sendreceive.Outcome) { o.GaveUp, o.Because = true, "hopeless" }),
			check.Critical, "accepted in 120 ms, but not delivered: hopeless", "", 2},
		{"nothing reached", sendreceive.Outcome{}, check.Unknown, "nothing was looked at", "", 0},
	}
	for _, tt := range tests {
		r := judge(tt.outcome)
		text := ""
		if len(r.Rows) > 0 {
			text = r.Rows[0].Text
		}
		if r.State != tt.state || text != tt.text || r.Summary != tt.summary || len(r.Values) != tt.values {
			t.Errorf("%s: %s, %q, summary %q, %d values\nwant %s, %q, %q, %d", tt.name, r.State, text, r.Summary, len(r.Values), tt.state, tt.text, tt.summary, tt.values)
		}
	}
}

func TestToken(t *testing.T) {
	a, b := sendreceive.Token(), sendreceive.Token()
	if a == b || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(a) {
		t.Errorf("Token() = %q, then %q; want 32 hexadecimal digits, never twice the same", a, b)
	}
}
