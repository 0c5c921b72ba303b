package postgresreplicationlag

import (
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
)

// TestSubscriptions judges every state of a subscription.
func TestSubscriptions(t *testing.T) {
	for _, tc := range []struct {
		name string
		s    subscription
		want string
	}{
		{"works", subscription{Enabled: ptr(true), PID: ptr(7), Age: ptr(30.1)}, "OK"},
		{"works and has heard something", subscription{Enabled: ptr(true), PID: ptr(7), Age: ptr(1.0), Heard: ptr(true)}, "OK"},
		{"has heard nothing yet", subscription{Enabled: ptr(true), PID: ptr(7), Age: ptr(20.0), Heard: ptr(false)}, "WARNING\nWARNING primary: subscription feed has received nothing yet: no message from its publisher since its worker was started 20 s ago"},
		{"down", subscription{Enabled: ptr(true)}, "CRITICAL\nCRITICAL primary: subscription feed has no worker, nothing is applied: the server's log says why"},
		{"disabled", subscription{Enabled: ptr(false)}, "WARNING\nWARNING primary: subscription feed is disabled, nothing is applied: by somebody, or by an error (disable_on_error)"},
		{"not known whether enabled", subscription{}, "CRITICAL\nCRITICAL primary: subscription feed has no worker"},
		{"silent", subscription{Enabled: ptr(true), PID: ptr(7), Age: ptr(41.0)}, "WARNING\nWARNING primary feed: publisher silent for 41 s (above 40 s)"},
		{"silent for long", subscription{Enabled: ptr(true), PID: ptr(7), Age: ptr(301.0)}, "CRITICAL\nCRITICAL primary feed: publisher silent for 5 min 1 s (above 5 min)"},
	} {
		f := answer(t, "alone-and-nothing-said/primary")
		f.ReceiverTimeout = 60
		tc.s.Name, tc.s.label, tc.s.ID = "feed", "feed", "1"
		f.Subscriptions = []subscription{tc.s}
		if _, got := judged(expectation{standbys: 0}, nil, f); !strings.HasPrefix(got, tc.want) {
			t.Errorf("subscription that %s: %s; want %s", tc.name, got, tc.want)
		}
	}
	l := remembered(expectation{standbys: 0})
	for i, one := range []struct {
		errors float64
		state  check.State
		text   string
	}{
		{5, check.OK, ""}, {5, check.OK, ""}, {17, check.Warning, "primary: subscription feed has failed since the look 60 s ago, 12 more errors"}, {17, check.OK, ""},
		{2, check.OK, ""}, // the statistics were reset
	} {
		f := answer(t, "alone-and-nothing-said/primary")
		f.Subscriptions = []subscription{{ID: "1", Name: "feed", label: "feed", PID: ptr(7), errors: &one.errors}}
		l.look(t, 60*float64(i), one.state, one.text, f)
	}
}

// TestConflictRate: cancelled queries are judged by what is new, and one of
// them between two quick looks is no rate.
func TestConflictRate(t *testing.T) {
	l := remembered(nothingSaid)
	for _, one := range []struct {
		second, lock, snapshot float64
		state                  check.State
		text                   string
	}{
		{0, 100, 50, check.OK, ""}, {60, 100, 50, check.OK, ""}, {62, 101, 50, check.OK, "standby: queries cancelled per minute 1"},
		{122, 103, 52, check.Warning, "standby: queries cancelled per minute 4 (above 1)"}, {722, 103, 57, check.OK, "standby: queries cancelled per minute 0.5"},
		{782, 0, 1, check.OK, ""},
	} {
		f := answer(t, "idle/standby")
		f.Receiver.Age, f.Receiver.Heard = ptr(1.0), ptr(true)
		f.Conflicts = map[string]float64{"lock": one.lock, "snapshot": one.snapshot}
		l.look(t, one.second, one.state, one.text, f)
	}
}
