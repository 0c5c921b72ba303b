package postgresreplicationlag

import (
	"slices"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/postgres"
)

// lagOf is the observed lag in seconds.
func lagOf(r *check.Result, labels ...string) any {
	for _, v := range r.Values {
		if v.Metric == lag && slices.Equal(v.Labels, labels) {
			return v.Number
		}
	}
	return nil
}

// TestLagOfPrimary goes through what pg_stat_replication was seen to say, one
// look a minute: seconds of lag where they are known, and only there.
func TestLagOfPrimary(t *testing.T) {
	type look struct {
		end, replay string
		lag         any // replay_lag, nil for NULL
		age         float64
		want        any
	}
	for name, all := range map[string][]look{
		"idle":                        {{"0/100", "0/100", 0.003, 0.3, 0.0}, {"0/100", "0/100", nil, 9.9, 0.0}, {"0/100", "0/100", nil, 1.0, 0.0}},
		"old value after catching up": {{"0/200", "0/100", 10.08, 1.1, 10.08}, {"0/200", "0/200", 11.29, 0.5, 0.0}},
		"first look, nothing known":   {{"0/200", "0/100", nil, 0.1, nil}, {"0/300", "0/150", nil, 0.1, 60.0}},
		"write after a quiet night":   {{"0/100", "0/100", nil, 1.0, 0.0}, {"0/200", "0/100", nil, 0.1, 0.0}},
		"paused":                      {{"0/100", "0/100", nil, 1.0, 0.0}, {"0/200", "0/100", 0.043, 3.0, 0.043}, {"0/300", "0/100", 3.0, 0.1, 60.0}, {"0/300", "0/100", 121.0, 1.0, 121.0}},
		"busy and late": {
			{"0/100", "0/80", 1.0, 0.1, 1.0}, {"0/200", "0/90", 1.0, 0.1, 60.0}, {"0/300", "0/100", 1.0, 0.1, 60.0}, {"0/400", "0/150", 1.0, 0.1, 120.0}, {"0/500", "0/500", 1.0, 0.1, 0.0},
		},
		"silent, nothing behind": {{"0/100", "0/100", nil, 1.0, 0.0}, {"0/100", "0/100", nil, 50.0, nil}},
		"silent and behind":      {{"0/100", "0/100", nil, 1.0, 0.0}, {"0/200", "0/100", 0.003, 45.0, nil}, {"0/300", "0/100", 0.003, 105.0, 60.0}},
		"restored, another log":  {{"0/900", "0/900", nil, 1.0, 0.0}, {"0/300", "0/200", nil, 1.0, nil}},
	} {
		l := remembered(nothingSaid)
		for i, one := range all {
			f := answer(t, "idle/primary")
			f.SenderTimeout, f.StatusInterval = 60, 10
			s := &f.Senders[0]
			f.Written, s.Age, s.Lag = lsn(t, one.end), &one.age, nil
			s.Write, s.Flush, s.Replay = f.Written, f.Written, lsn(t, one.replay)
			if v, ok := one.lag.(float64); ok {
				s.Lag = &v
			}
			if got := lagOf(l.run(60*float64(i), f), "primary", "standby"); got != one.want {
				t.Errorf("%s, look %d: lag = %v; want %v", name, i, got, one.want)
			}
		}
	}
}

// TestLagOfStandby: the same from the other end, with the age of the newest
// replayed commit and of the last message.
func TestLagOfStandby(t *testing.T) {
	type look struct {
		end, replayed string
		commit        float64
		message       float64
		want          any
	}
	for name, all := range map[string][]look{
		"idle":                      {{"0/100", "0/100", 5, 1, 0.0}, {"0/100", "0/100", 432, 29, 0.0}},
		"busy":                      {{"0/200", "0/190", 0.4, 0.1, 0.4}, {"0/400", "0/380", 0.2, 0.1, 0.2}},
		"first look, late or idle":  {{"0/200", "0/100", 18.9, 0.1, nil}},
		"write after a quiet night": {{"0/100", "0/100", 28800, 20, 0.0}, {"0/200", "0/100", 28860, 0.1, 0.0}, {"0/200", "0/200", 60, 20, 0.0}},
		"paused":                    {{"0/100", "0/100", 5, 1, 0.0}, {"0/200", "0/100", 65, 1, 0.0}, {"0/300", "0/100", 125, 1, 60.0}},
		"silent, nothing behind":    {{"0/100", "0/100", 5, 1, 0.0}, {"0/100", "0/100", 65, 61, nil}},
		"silent and behind":         {{"0/200", "0/100", 5, 1, 5.0}, {"0/200", "0/100", 65, 61, 60.0}},
	} {
		l := remembered(nothingSaid)
		for i, one := range all {
			f := answer(t, "idle/standby")
			f.ReceiverTimeout = 60
			f.Received, f.Replayed, f.ReplayedAge = lsn(t, one.end), lsn(t, one.replayed), &one.commit
			f.Receiver.End, f.Receiver.Age, f.Receiver.Heard = f.Received, &one.message, ptr(true)
			if got := lagOf(l.run(60*float64(i), f), "standby", ""); got != one.want {
				t.Errorf("%s, look %d: lag = %v; want %v", name, i, got, one.want)
			}
		}
	}
	// Its primary is gone: nobody knows.
	l := remembered(nothingSaid)
	if got := lagOf(l.run(0, answer(t, "primary-stopped/standby")), "standby", ""); got != nil {
		t.Errorf("lag without a receiver = %v; want none", got)
	}
}

// TestLagBounded: two weeks of looks at a standby that stands still take no more
// room than half a day's, and keep the first.
func TestLagBounded(t *testing.T) {
	l := remembered(nothingSaid)
	var r *check.Result
	for i := range 3000 {
		f := answer(t, "idle/primary")
		f.Written = ptr(*f.Written + postgres.LSN(1000*i))
		f.Senders[0].Age, f.Senders[0].Lag = ptr(0.1), nil
		r = l.run(60*float64(i), f)
	}
	if got, want := lagOf(r, "primary", "standby"), 60*2998.0; got != want {
		t.Errorf("lag after 3000 looks = %v; want %v", got, want)
	}
	if n := len(l.memory.data); n > 64<<10 {
		t.Errorf("memory after 3000 looks: %d bytes; want less than 64 KiB", n)
	}
}

// TestDelayLimits: a delay comes on top of the limits that are declared.
func TestDelayLimits(t *testing.T) {
	for metric, want := range map[*check.Metric][2]float64{lag: {lagSecondsWarning, lagSecondsCritical}, lastReplay: {lastReplayWarning, lastReplayCritical}} {
		for i, text := range []string{metric.Warning, metric.Critical} {
			if r, err := check.ParseRange(text, check.Seconds); err != nil || r.End != want[i] {
				t.Errorf("declared limit of %s = %v, %v; want %v", metric.Key, r, err, want[i])
			}
		}
	}
	f := answer(t, "archive-alone/standby")
	f.ApplyDelay, f.ReplayedAge = 3600, ptr(7000.0)
	if r, got := judged(expectation{standbys: unsaid, archive: true}, nil, f); r.State != check.OK {
		t.Errorf("fed by an archive and an hour late on purpose: %s; want OK", got)
	}
	f.ReplayedAge = ptr(7300.0)
	if r, got := judged(expectation{standbys: unsaid, archive: true}, nil, f); r.State != check.Warning {
		t.Errorf("fed by an archive and more than an hour later than meant: %s; want WARNING", got)
	}
}

// TestLagLimits: an operator's limit on a lag that cannot be told is no typo
// that is passed over, and one where there is no standby is none.
func TestLagLimits(t *testing.T) {
	limits, err := check.ParseLimits(Definition, check.Critical, []string{"lag=5min"})
	if err != nil {
		t.Fatal(err)
	}
	f := answer(t, "idle/primary")
	f.Senders[0].Replay, f.Senders[0].Lag = ptr(*f.Written-1), nil
	if r, got := judged(nothingSaid, limits, f); r.State != check.Unknown {
		t.Errorf("-c lag=5min, and lag unknown: %s; want UNKNOWN", got)
	}
	if r, got := judged(expectation{standbys: 0}, limits, answer(t, "alone-and-nothing-said/primary")); r.State != check.OK {
		t.Errorf("-c lag=5min on a primary that stands alone: %s; want OK", got)
	}
}

// TestDelayedStuck: a standby that is an hour late on purpose is fine as long as
// it is that, and not when it stands still behind its delay.
func TestDelayedStuck(t *testing.T) {
	run := func(stuck bool) (states []check.State) {
		l := remembered(expectation{standbys: 1, delays: []delay{{"standby", 3600}}})
		for minute := range 200 {
			p, s := answer(t, "idle/primary"), answer(t, "idle/standby")
			at := func(minute int) *postgres.LSN { return ptr(*p.Written + postgres.LSN(10<<20*max(minute, 0))) }
			end, replayed := at(minute), at(minute-60)
			if stuck && minute > 100 {
				replayed = at(40)
			}
			p.Written, p.Senders[0].Write, p.Senders[0].Flush, p.Senders[0].Replay = end, end, end, replayed
			p.Senders[0].Age, p.Senders[0].Lag, p.SenderTimeout = ptr(0.1), nil, 60
			s.Received, s.Receiver.End, s.Replayed, s.ApplyDelay = end, end, replayed, 3600
			s.Receiver.Age, s.Receiver.Heard, s.ReceiverTimeout, s.ReplayedAge = ptr(0.1), ptr(true), 60, ptr(3600.0)
			if stuck {
				s.ReplayedAge = ptr(3600.0 + 60*float64(max(minute-100, 0)))
			}
			states = append(states, l.run(60*float64(minute), p, s).State)
		}
		return states
	}
	if got := run(false); slices.Max(got) != check.OK {
		t.Errorf("an hour late on purpose: %v; want always OK", got)
	}
	got := run(true)
	if slices.Max(got[:101]) != check.OK || got[103] != check.Warning || got[107] != check.Critical {
		t.Errorf("stuck behind its delay after 100 minutes: %v; want WARNING after 103 and CRITICAL after 107", got)
	}
}

// TestDelayBySlot: a delay that the standby itself says goes by its slot, and
// by none where slots of that name are on several servers.
func TestDelayBySlot(t *testing.T) {
	primary, delayed := answer(t, "delayed-pair/primary"), answer(t, "delayed-pair/standby")
	if got := delayOf(view{facts: primary, seen: []*facts{primary, delayed}}, primary.Senders[0]); got != delayed.ApplyDelay || got == 0 {
		t.Errorf("delay of a standby that was asked too = %g; want %g", got, delayed.ApplyDelay)
	}
	other := *delayed
	other.ApplyDelay = 0
	if got := delayOf(view{facts: primary, seen: []*facts{primary, delayed, &other}}, primary.Senders[0]); got != 0 {
		t.Errorf("delay of a standby whose slot has a namesake = %g; want 0", got)
	}
}

// TestLimitOfSlots: a limit of the operator on subscribers is no typo on a
// standby that holds a copy of its primary's logical slot.
func TestLimitOfSlots(t *testing.T) {
	limits := []check.Limit{{Metric: slotLag, Severity: check.Warning, Range: check.Range{End: 60}}, {Metric: slotUnconfirmed, Severity: check.Warning, Range: check.Range{End: 1e9}}}
	f := answer(t, "idle/standby")
	f.Receiver.Age, f.Receiver.Heard = ptr(1.0), ptr(true)
	f.Slots = []slot{{Name: "feed", Type: "logical", Restart: f.Replayed, Confirmed: f.Replayed}}
	if r, got := judged(nothingSaid, limits, f); r.State != check.OK {
		t.Errorf("copied slot of a standby, with limits on slots: %s; want OK", got)
	}
	f = answer(t, "publisher-of-a-copied-table/publisher")
	f.Slots = f.Slots[1:]
	if r, got := judged(expectation{standbys: 0}, limits[:1], f); r.State != check.OK {
		t.Errorf("slot of a copied table, with a limit on subscribers: %s; want OK", got)
	}
	f.Senders = f.Senders[:1]
	if r, got := judged(expectation{standbys: 0, ignoredSlots: []string{"pg_*_sync_*"}}, limits, f); r.State != check.OK {
		t.Errorf("ignored slot, with limits on slots: %s; want OK", got)
	}
}
