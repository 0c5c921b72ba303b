package postgresreplicationlag

import (
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
)

// TestSilenceWithDefaults takes the numbers that were measured with default
// timeouts: an idle pair's replies are up to 10.02 s old and its messages up to
// 30.06 s; a frozen one's grow without end and must be seen before 45 s.
func TestSilenceWithDefaults(t *testing.T) {
	for _, tc := range []struct {
		reply, message float64
		state          check.State
	}{
		{0.3, 0.3, check.OK}, {10.02, 30.06, check.OK}, {30.1, 35, check.OK}, {-0.02, -0.02, check.OK},
		{40.1, 0, check.Critical}, {0, 40.1, check.Critical}, {45, 45, check.Critical}, {60, 0, check.Critical},
	} {
		p, s := answer(t, "idle/primary"), answer(t, "idle/standby")
		for _, f := range []*facts{p, s} {
			f.SenderTimeout, f.ReceiverTimeout, f.StatusInterval = 60, 60, 10
		}
		p.Senders[0].Age, s.Receiver.Age = &tc.reply, &tc.message
		if r, got := judged(nothingSaid, nil, p, s); r.State != tc.state {
			t.Errorf("reply %v s and message %v s old: %s; want %s", tc.reply, tc.message, got, tc.state)
		}
	}
}

// The operator's limit beats what follows from the server's timeouts.
func TestSilenceOperatorsLimit(t *testing.T) {
	f := answer(t, "idle/primary")
	f.Senders[0].Age = ptr(50.0)
	limits, err := check.ParseLimits(Definition, check.Critical, []string{"reply_age=2min"})
	if err != nil {
		t.Fatal(err)
	}
	if r, got := judged(nothingSaid, limits, f); r.State != check.OK {
		t.Errorf("50 s with -c reply_age=2min: %s; want OK", got)
	}
}

func TestLimits(t *testing.T) {
	for _, tc := range []struct{ sender, status, want float64 }{
		{60, 10, 40}, {60, 0, 40}, {60, 60, 40}, {300, 10, 40}, {300, 30, 120}, {300, 0, 200}, {15, 1, 10}, {4, 10, 4}, {0, 10, 40}, {0, 60, 240}, {0, 0, 0},
	} {
		if got := replyLimit(tc.sender, tc.status); got != tc.want {
			t.Errorf("replyLimit(%v, %v) = %v; want %v", tc.sender, tc.status, got, tc.want)
		}
	}
	for timeout, want := range map[float64]float64{60: 40, 15: 10, 300: 200, 5: 4.5, 0: 0} {
		if got := messageLimit(timeout); got != want {
			t.Errorf("messageLimit(%v) = %v; want %v", timeout, got, want)
		}
	}
	for _, m := range []*check.Metric{replyAge, messageAge} {
		if r, err := check.ParseRange(m.Critical, check.Seconds); err != nil || r.End != silence || r.End != messageLimit(60) || r.End != replyLimit(60, 10) {
			t.Errorf("default limit of %s = %v, %v; want that of the default timeouts, %v", m.Key, r, err, silence)
		}
	}
}
