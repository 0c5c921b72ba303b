package postgresreplicationlag

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/postgres"
)

// answer reads a recorded answer, "situation/server", and names the server
// after itself.
func answer(t testing.TB, name string) *facts {
	t.Helper()
	situation, server, _ := strings.Cut(name, "/")
	data, err := os.ReadFile(recording(situation, server))
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(server, data)
	if err != nil {
		t.Fatalf("parse(%s) = %v", name, err)
	}
	return f
}

// recorded is a check that has asked already.
type recorded struct {
	answers []*facts
	want    expectation
}

func (c *recorded) Prepare() (check.Setup, error) { return check.Setup{}, nil }
func (c *recorded) Close() error                  { return nil }
func (c *recorded) Run(_ context.Context, r *check.Report) error {
	judge(r, c.answers, c.want)
	return nil
}

// judged is the verdict on recorded answers, and its problem rows.
func judged(want expectation, limits []check.Limit, answers ...*facts) (*check.Result, string) {
	l := &check.Look{Definition: Definition, Check: &recorded{answers: answers, want: want}, Limits: limits}
	r := l.Run(context.Background())
	lines := []string{r.State.String()}
	for _, row := range r.Rows {
		if row.State != check.OK {
			lines = append(lines, row.State.String()+" "+row.Text)
		}
	}
	return r, strings.Join(lines, "\n")
}

var nothingSaid = expectation{standbys: unsaid}

func TestDefinition(t *testing.T) {
	if err := Definition.Validate(); err != nil {
		t.Error(err)
	}
}

// TestJudgeRecorded holds recorded answers of real servers against what must
// be said of them. A text that begins with "!" must not be there.
func TestJudgeRecorded(t *testing.T) {
	one := expectation{standbys: 1}
	for _, tc := range []struct {
		answers string
		want    expectation
		state   check.State
		texts   []string
	}{
		{"idle/primary idle/standby", one, check.OK, nil},
		{"idle/primary", expectation{standbys: 2}, check.Critical, []string{"primary: standbys connected 1 (below 2)"}},
		{"idle/primary", expectation{standbys: 0}, check.Warning, []string{"primary: standbys connected 1 (above 0)"}},
		{"idle/primary", expectation{standbys: unsaid, names: []string{"standby", "other"}}, check.Critical, []string{"standby other is not connected to primary"}},
		{"idle/standby", expectation{standbys: 2}, check.OK, nil}, // a number is for primaries
		{"idle/standby", expectation{standbys: unsaid, role: rolePrimary}, check.Critical, []string{"standby is a standby, a primary is expected here"}},
		{"two-standbys/primary", expectation{standbys: 2, names: []string{"frozen", "c?t"}}, check.OK, nil},
		{"paused/standby", nothingSaid, check.Warning, []string{"standby: replay is paused, ", " wait for it, the newest transaction replayed is "}},
		{"receiver-frozen-and-link-cut/primary", nothingSaid, check.Critical, []string{"primary frozen: silent for ", "primary cut: silent for ", "!lag"}},
		{"receiver-frozen/frozen", nothingSaid, check.Critical, []string{"frozen: primary silent for ", "!lag"}},
		{"dropped/primary", nothingSaid, check.Critical, []string{"primary: nobody is connected to slot frozen, its standby is gone; it keeps ", "!say --standbys"}},
		{"slot-unreserved/primary", nothingSaid, check.Critical, []string{"slot standby (inactive) will be lost at the next checkpoint"}},
		{"slot-lost/primary", nothingSaid, check.Critical, []string{"slot standby is lost"}},
		{"slot-lost/primary", expectation{standbys: 0, ignoredSlots: []string{"stand*"}}, check.OK, nil},
		{"standby-after-the-loss-of-its-slot/standby", nothingSaid, check.Critical, []string{"standby is standby and receives nothing: it is connected to no primary"}},
		{"primary-stopped/standby", nothingSaid, check.Critical, []string{"receives nothing: it is connected to no primary, the newest transaction replayed is "}},
		{"split-brain/primary split-brain/standby", nothingSaid, check.Critical, []string{"CRITICAL\nCRITICAL split brain: primary (timeline 1) and standby (timeline 2) are both writable"}},
		{"strayed-standby/standby strayed-standby/third", nothingSaid, check.Critical, []string{"third is on timeline 1 and cannot follow standby on timeline 2"}},
		{"followed/standby followed/cascade", one, check.OK, nil},
		{"cascade/standby", nothingSaid, check.OK, nil},
		{"different-systems/third idle/primary", nothingSaid, check.Critical, []string{"third and primary are no copies of each other: system identifiers "}},
		{"other-takers/primary", nothingSaid, check.Critical, []string{"commits wait (synchronous_standby_names is standby)", "say --standbys 0 if it stands alone", "(2 other takers of the log are connected)"}},
		{"other-takers/primary", one, check.Critical, []string{"standbys connected 0 (below 1)"}},
		{"logical-slot/primary", expectation{standbys: 0}, check.Critical, []string{"nobody is connected to slot feed, its subscriber is gone"}},
		{"logical-subscriber/primary", expectation{standbys: 0}, check.OK, nil},
		{"synchronous/primary", one, check.OK, nil},
		{"timeouts-off/primary", one, check.Warning, []string{"a dead standby cannot be told from an idle one"}},
		{"alone-and-nothing-said/primary", nothingSaid, check.Unknown, []string{"say --standbys 0 if it stands alone"}},
		{"alone-and-nothing-said/primary", expectation{standbys: 0}, check.OK, nil},
		{"alone-and-nothing-said/primary", expectation{standbys: unsaid, role: roleStandby}, check.Critical, []string{"is writable (timeline 1), a standby is expected here", "!say --standbys"}},
		{"12-healthy/primary 12-healthy/standby", one, check.OK, []string{"!lag"}},
		{"12-subscribed/primary", one, check.OK, nil},
		{"14-healthy/primary 14-healthy/standby", one, check.OK, []string{"!lag"}},
		{"14-subscribed/primary", one, check.OK, nil},
		{"15-healthy/primary 15-healthy/standby", one, check.OK, []string{"!lag"}},
		{"15-subscribed/primary", one, check.OK, nil},
		{"17-healthy/primary 17-healthy/standby", one, check.OK, []string{"!lag"}},
		{"17-subscribed/primary", one, check.OK, nil},
		{"18-healthy/primary 18-healthy/standby", one, check.OK, []string{"!lag"}},
		{"18-subscribed/primary", one, check.OK, nil},
		{"15-cannot-be-applied/primary", one, check.Critical, []string{"primary: subscription feed has no worker, nothing is applied"}},
		{"18-cannot-be-applied/primary", one, check.Critical, []string{"primary: subscription feed has no worker, nothing is applied"}},
		{"delayed-pair/primary delayed-pair/standby", one, check.OK, nil},
		{"delayed-pair/standby", nothingSaid, check.OK, nil},
		{"delayed-pair/primary", one, check.Critical, []string{"primary standby: replay lag "}},
		{"delayed-pair/primary", expectation{standbys: 1, delays: []delay{{"s*", 3600}}}, check.OK, nil},
		{"circle/standby circle/other", nothingSaid, check.Critical, []string{"standby and other receive from each other in a circle"}},
		{"archive-alone/standby", nothingSaid, check.Warning, []string{"WARNING standby is standby and restores from its archive", "!receives nothing"}},
		{"archive-alone/standby", expectation{standbys: unsaid, archive: true}, check.OK, nil},
		{"plain-role/primary", one, check.Unknown, []string{"read the standbys of primary: role plain may not see how they are: GRANT pg_read_all_stats TO plain"}},
		{"plain-role/standby", nothingSaid, check.Unknown, []string{"read the WAL receiver of standby: role plain may not see how they are: GRANT pg_read_all_stats TO plain"}},
	} {
		var answers []*facts
		for _, name := range strings.Fields(tc.answers) {
			answers = append(answers, answer(t, name))
		}
		_, got := judged(tc.want, nil, answers...)
		state, _, _ := strings.Cut(got, "\n")
		wrong := state != tc.state.String()
		for _, text := range tc.texts {
			unwanted, not := strings.CutPrefix(text, "!")
			wrong = wrong || strings.Contains(got, unwanted) == not
		}
		if wrong {
			t.Errorf("%s with %+v:\n%s\nwant %s with %q", tc.answers, tc.want, got, tc.state, tc.texts)
		}
	}
}

// TestSynchronousNeeded reads every form of synchronous_standby_names.
func TestSynchronousNeeded(t *testing.T) {
	for names, want := range map[string]int{
		"": 0, " ": 0, "db2": 1, "*": 1, "db2, db3": 1, "FIRST 2 (db2, db3)": 2, "first 1(db2)": 1, "2 (db2, db3)": 2, "3(*)": 3,
		"ANY 2 (db2, db3, db4)": 2, "any 12  ( db2 )": 12, `"any 2 (odd"`: 1, `"(", db2`: 1,
	} {
		if got := synchronousNeeded(names); got != want {
			t.Errorf("synchronousNeeded(%q) = %d; want %d", names, got, want)
		}
	}
}

// TestSynchronousTooFew: with one of two synchronous standbys commits hang, as
// they do without any.
func TestSynchronousTooFew(t *testing.T) {
	f := answer(t, "synchronous/primary")
	for names, want := range map[string]string{
		"standby": "OK", "ANY 1 (standby, other)": "OK",
		"FIRST 2 (standby, other)": "CRITICAL\nCRITICAL primary: only 1 of 2 synchronous standbys that commits need are connected, commits wait (synchronous_standby_names is FIRST 2 (standby, other))",
	} {
		f.Synchronous = names
		if _, got := judged(nothingSaid, nil, f); got != want {
			t.Errorf("one synchronous standby and %q: %s; want %s", names, got, want)
		}
	}
}

// TestReceiverBegins: a receiver that has heard nothing yet calls itself
// streaming; one that hears nothing for long is judged by its age.
func TestReceiverBegins(t *testing.T) {
	f := answer(t, "idle/standby")
	f.Receiver.Host, f.Receiver.Port = ptr("10.0.0.1"), ptr(5432)
	for _, tc := range []struct {
		heard bool
		age   float64
		want  string
	}{
		{true, 0.5, "OK"},
		{false, 0.5, "WARNING\nWARNING standby is standby and has received nothing yet: no message from 10.0.0.1:5432 since it connected 500 ms ago, if that stays so its log says why"},
		{false, 30, "OK"}, // an idle link, with the limit of 40 s
		{false, 41, "CRITICAL\nCRITICAL standby: primary silent for 41 s (above 40 s), receiving from 10.0.0.1:5432"},
	} {
		f.ReceiverTimeout, f.Receiver.Heard, f.Receiver.Age = 60, ptr(tc.heard), ptr(tc.age)
		if _, got := judged(nothingSaid, nil, f); got != tc.want {
			t.Errorf("receiver, heard %t, %g s old: %s; want %s", tc.heard, tc.age, got, tc.want)
		}
	}
}

// TestSameServer: a server that is given by two addresses is no split brain
// with itself, and hides none.
func TestSameServer(t *testing.T) {
	first, again, promoted := answer(t, "split-brain/primary"), answer(t, "split-brain/primary"), answer(t, "split-brain/standby")
	again.name = "service"
	first.Started, again.Started, promoted.Started = "1795219943.123456", "1795219943.123456", "1795219944"
	r, got := judged(nothingSaid, nil, first, again)
	if want := "UNKNOWN primary and service are one and the same server: give it once"; !strings.Contains(got, want) || strings.Contains(got, "split brain") {
		t.Errorf("one server by two addresses: %s: %s; want %s", r.State, got, want)
	}
	_, got = judged(nothingSaid, nil, first, again, promoted)
	if want := "split brain: primary (timeline 1) and standby (timeline 2) are both writable"; !strings.Contains(got, want) {
		t.Errorf("split brain with one server given twice: %s; want %s", got, want)
	}
}

// TestSlotInvalid: from version 17 on a slot says why it is lost, and the log
// is not always gone.
func TestSlotInvalid(t *testing.T) {
	f := answer(t, "slot-lost/primary")
	for reason, want := range map[string]string{
		"wal_removed":  "primary: slot standby is lost, log that its standby needs has been removed: make the standby anew, then the slot",
		"idle_timeout": "primary: slot standby is invalid (idle_timeout): drop it and make it anew, and its standby if that cannot go on",
	} {
		f.Slots[0].Reason = ptr(reason)
		if _, got := judged(nothingSaid, nil, f); got != "CRITICAL\nCRITICAL "+want {
			t.Errorf("slot lost by %s: %s; want %s", reason, got, want)
		}
	}
}

// TestNoAnswer: faults are reported elsewhere and nothing is made up.
func TestNoAnswer(t *testing.T) {
	named := expectation{standbys: 1, names: []string{"standby"}}
	if r, got := judged(named, nil, nil); r.State != check.Unknown || strings.Contains(got, "standby") {
		t.Errorf("without an answer: %s; want nothing looked at", got)
	}
	// The standby may be connected to the server that failed.
	if _, got := judged(named, nil, answer(t, "idle/standby"), nil); strings.Contains(got, "not connected") {
		t.Errorf("a standby and a failed server: %s; want no missing standby", got)
	}
	if _, got := judged(named, nil, answer(t, "alone-and-nothing-said/primary"), nil); !strings.Contains(got, "standby standby is not connected to primary") {
		t.Errorf("a primary without its standby and a failed server: %s; want the standby missing", got)
	}
}

func ptr[T any](v T) *T { return &v }

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

func lsn(t *testing.T, text string) *postgres.LSN {
	t.Helper()
	l, err := postgres.ParseLSN(text)
	if err != nil {
		t.Fatal(err)
	}
	return &l
}

// TestBytes: limits of 16 and 80 MiB, across a multiple of 4 GiB too, behind
// the end of the log and not behind what was sent; a position that is ahead,
// because it was read later, is none.
func TestBytes(t *testing.T) {
	for _, tc := range []struct {
		replay string
		state  check.State
	}{
		{"2/1000000", check.OK}, {"2/0", check.OK}, {"1/FFFFFFFF", check.Warning}, {"1/FC000000", check.Warning}, {"1/FBFFFFFF", check.Critical},
		{"2/1000010", check.OK}, {"0/1000000", check.Critical},
	} {
		f := answer(t, "idle/primary")
		f.Written = lsn(t, "2/1000000")
		f.Senders[0].Replay = lsn(t, tc.replay)
		f.Senders[0].Flush, f.Senders[0].Write = f.Written, f.Written
		if r, got := judged(nothingSaid, nil, f); r.State != tc.state {
			t.Errorf("replayed %s of %s: %s; want %s", tc.replay, f.Written, got, tc.state)
		}
		s := answer(t, "idle/standby")
		s.Received, s.Receiver.End, s.Replayed = f.Written, f.Written, lsn(t, tc.replay)
		if r, got := judged(nothingSaid, nil, s); r.State != tc.state {
			t.Errorf("standby replayed %s of %s: %s; want %s", tc.replay, f.Written, got, tc.state)
		}
	}
}

// TestStandbyBytes: what a standby knows to be behind includes what its
// primary has and it has not received.
func TestStandbyBytes(t *testing.T) {
	f := answer(t, "idle/standby")
	f.Receiver.End = ptr(*f.Received + 100<<20)
	_, got := judged(nothingSaid, nil, f)
	if want := "replay lag 100 MiB (above 80 MiB), receiving from 127.0.0.1"; !strings.Contains(got, "standby: replay lag 100 MiB (above 80 MiB)") || !strings.Contains(got, "standby: flush lag 100 MiB") {
		t.Errorf("100 MiB not received: %s; want %q", got, want)
	}
	// Nothing new since streaming began: what was received counts from the
	// beginning of a segment, which may be large.
	f = answer(t, "idle/standby")
	f.Replayed, f.Receiver.End = ptr(*f.Received+100<<20), ptr(*f.Received+100<<20)
	if r, got := judged(nothingSaid, nil, f); r.State != check.OK {
		t.Errorf("received before replayed, link up: %s; want OK", got)
	}
	// Row 12 of the table of situations: received lies before replayed.
	f = answer(t, "standby-after-the-loss-of-its-slot/standby")
	f.Received = lsn(t, "0/3000000")
	f.Replayed = lsn(t, "0/30A3BB8")
	if r, got := judged(nothingSaid, nil, f); r.State != check.Critical || strings.Contains(got, "lag") {
		t.Errorf("received before replayed: %s; want CRITICAL for the link only", got)
	}
	// Never connected since its start, fed by restore_command.
	f.Received = nil
	if r, got := judged(nothingSaid, nil, f); r.State != check.Critical || strings.Contains(got, "lag") {
		t.Errorf("nothing received: %s; want CRITICAL for the link only", got)
	}
}

// TestStarting: a position that is not known yet is no 0.
func TestStarting(t *testing.T) {
	f := answer(t, "idle/primary")
	s := &f.Senders[0]
	s.Write, s.Flush, s.Replay, s.Age, s.State = nil, nil, nil, nil, ptr("startup")
	r, got := judged(nothingSaid, nil, f)
	if want := "WARNING primary: standby is connected (state startup) and has not said yet how far it is"; r.State != check.Warning || !strings.Contains(got, want) {
		t.Errorf("starting standby: %s; want %q", got, want)
	}
	for _, v := range r.Values {
		if v.Metric == replayLag {
			t.Errorf("replay lag of a starting standby = %v; want none", v.Number)
		}
	}
	f = answer(t, "idle/primary")
	f.Senders[0].State = ptr("catchup")
	if r, got := judged(nothingSaid, nil, f); r.State != check.Warning || !strings.Contains(got, "standby is connected and does not stream yet: state catchup") {
		t.Errorf("standby that catches up: %s; want a warning", got)
	}
	f = answer(t, "idle/standby")
	f.Receiver.Status = ptr("waiting")
	if r, got := judged(nothingSaid, nil, f); r.State != check.Critical || !strings.Contains(got, "does not stream from its primary from 127.0.0.1") || !strings.Contains(got, ": state waiting") {
		t.Errorf("receiver that waits: %s; want critical", got)
	}
}

func TestClocksDiffer(t *testing.T) {
	f := answer(t, "idle/primary")
	f.Senders[0].Age = ptr(-312.4)
	r, got := judged(nothingSaid, nil, f)
	if want := "primary: the last reply of standby is dated 5 min 12 s ahead: the clocks of the two differ"; r.State != check.Warning || !strings.Contains(got, want) {
		t.Errorf("reply from the future: %s; want %q", got, want)
	}
}

// TestReceiverlessTimeline: without a receiver a standby's timeline is that of
// its last restart point, which may lie before a switch that it has followed.
func TestReceiverlessTimeline(t *testing.T) {
	for _, tc := range []struct {
		checkpoint uint32
		strayed    bool
	}{{1, false}, {2, false}, {3, true}} {
		p, s := answer(t, "split-brain/standby"), answer(t, "primary-stopped/standby") // the first is a primary on timeline 2
		s.System, s.CheckpointTimeline = p.System, tc.checkpoint
		if _, got := judged(nothingSaid, nil, p, s); strings.Contains(got, "cannot follow") != tc.strayed {
			t.Errorf("restart point on timeline %d, primary on 2: %s; want strayed %v", tc.checkpoint, got, tc.strayed)
		}
	}
}

func TestExpectationRefuses(t *testing.T) {
	for _, args := range [][]string{{"--standbys", "-2"}, {"--expect", "replica"}, {"--standby", ""}, {"-H", "a", "-H", "a"}} {
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		c := Definition.New(fs)
		if err := fs.Parse(args); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Prepare(); err == nil {
			t.Errorf("Prepare() with %q = nil; want an error", args)
		}
	}
}

// cell is a memory for one check.
type cell struct {
	data []byte
	at   time.Time
}

func (c *cell) Load() ([]byte, time.Time, error)      { return c.data, c.at, nil }
func (c *cell) Store(data []byte, at time.Time) error { c.data, c.at = data, at; return nil }

// looks are looks one after the other, at times of the test.
type looks struct {
	memory cell
	want   expectation
}

func remembered(want expectation) *looks { return &looks{want: want} }

// run judges answers at a second.
func (l *looks) run(second float64, answers ...*facts) *check.Result {
	now := time.Unix(1_800_000_000, 0).Add(time.Duration(second * float64(time.Second)))
	one := &check.Look{
		Definition: Definition, Check: &recorded{answers: answers, want: l.want}, Memory: &l.memory,
		Now: func() time.Time { return now },
	}
	return one.Run(context.Background())
}

// look is run, with what must come of it.
func (l *looks) look(t *testing.T, second float64, state check.State, text string, answers ...*facts) *check.Result {
	t.Helper()
	r := l.run(second, answers...)
	var lines []string
	for _, row := range r.Rows {
		lines = append(lines, row.State.String()+" "+row.Text)
	}
	if got := strings.Join(lines, "\n"); r.State != state || !strings.Contains(got, text) {
		t.Errorf("look at second %g: %s\n%s\nwant %s with %q", second, r.State, got, state, text)
	}
	return r
}

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

// TestSubscriptions judges every state of a subscription.
func TestSubscriptions(t *testing.T) {
	for _, tc := range []struct {
		name string
		s    subscription
		want string
	}{
		{"works", subscription{Enabled: ptr(true), PID: ptr(7), Age: ptr(30.1)}, "OK"},
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

// TestCircles: who receives from whom, by what the servers say.
func TestCircles(t *testing.T) {
	node := func(name, own string, port int, host string, hostPort int, feeds ...string) *facts {
		f := answer(t, "idle/standby")
		f.name, f.Address, f.Port, f.Started = name, &own, &port, name
		f.Receiver.Host, f.Receiver.Port, f.Receiver.Age, f.Receiver.Heard = &host, &hostPort, ptr(1.0), ptr(true)
		for _, address := range feeds {
			f.Senders = append(f.Senders, sender{Name: "x" + address, Address: &address, State: ptr("streaming"), Replay: f.Replayed, label: "x" + address})
		}
		return f
	}
	const p = 5432
	for _, tc := range []struct {
		name  string
		nodes []*facts
		want  string // "" for none
	}{
		{"by address", []*facts{node("a:5432", "10.0.0.1", p, "10.0.0.2", p), node("b:5432", "10.0.0.2", p, "10.0.0.1", p)}, "a:5432 and b:5432 receive from each other"},
		{"as given", []*facts{node("a:5432", "172.17.0.1", p, "b", 5433), node("b:5433", "172.17.0.2", p, "a", p)}, "a:5432 and b:5433 receive from each other"},
		{"by another name", []*facts{node("a:5432", "10.0.0.1", p, "b.lan", p, "10.0.0.2"), node("b:5432", "10.0.0.2", p, "a.lan", p, "10.0.0.1")}, "a:5432 and b:5432 receive from each other"},
		{"three, and one that leads there", []*facts{node("d:5432", "10.0.0.4", p, "10.0.0.1", p), node("a:5432", "10.0.0.1", p, "10.0.0.2", p),
			node("b:5432", "10.0.0.2", p, "10.0.0.3", p), node("c:5432", "10.0.0.3", p, "10.0.0.1", p)}, "a:5432 and b:5432 and c:5432 receive from each other"},
		{"itself", []*facts{node("a:5432", "10.0.0.1", p, "10.0.0.1", p)}, "a:5432 receives from itself"},
		{"one chain", []*facts{node("a:5432", "10.0.0.1", p, "10.0.0.9", p, "10.0.0.2"), node("b:5432", "10.0.0.2", p, "10.0.0.1", p)}, ""},
		{"one chain by names", []*facts{node("a:5432", "10.0.0.1", p, "primary.lan", p, "10.0.0.2"), node("b:5432", "10.0.0.2", p, "a.lan", p, "10.0.0.3")}, ""},
		{"side by side", []*facts{node("a:5432", "10.0.0.1", p, "10.0.0.9", p), node("b:5432", "10.0.0.2", p, "10.0.0.9", p)}, ""},
		{"one machine", []*facts{node("127.0.0.1:1", "127.0.0.1", 1, "127.0.0.1", 9, "127.0.0.1"), node("127.0.0.1:2", "127.0.0.1", 2, "127.0.0.1", 1, "127.0.0.1")}, ""},
	} {
		_, got := judged(nothingSaid, nil, tc.nodes...)
		if strings.Contains(got, "no primary feeds") != (tc.want != "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s; want %q", tc.name, got, tc.want)
		}
	}
}

// TestTimelineSwitch: whether a standby on the old timeline can follow, by what
// looks saw of the promotion.
func TestTimelineSwitch(t *testing.T) {
	for _, tc := range []struct {
		name           string
		before         string // replayed by the later primary at the last look before
		redo, position string
		want           string
	}{
		{"past it", "0/3000", "0/3100", "0/3200", " on timeline 2: its log ends at 0/3200, timeline 2 began at 0/3100 or before: pg_rewind or a new copy is needed"},
		{"before it", "0/3000", "0/3100", "0/2F00", " on timeline 2 as it is: its log ends at 0/2F00, timeline 2 began there or later, so that it can follow once it is connected to that primary"},
		{"between", "0/3000", "0/3100", "0/3050", " on timeline 2"},
	} {
		l := remembered(nothingSaid)
		s := answer(t, "followed/cascade") // a standby of that system
		p, other := answer(t, "split-brain/standby"), answer(t, "strayed-standby/third")
		s.name, s.System, other.System = p.name, p.System, p.System
		s.Receiver.Timeline = ptr(uint32(1))
		s.Replayed, s.Received, s.Receiver.End = lsn(t, tc.before), lsn(t, tc.before), lsn(t, tc.before)
		l.run(0, s)
		p.CheckpointTimeline, p.Redo, p.Written = 2, lsn(t, tc.redo), lsn(t, "0/4000")
		other.Replayed, other.Received, other.Receiver.End = lsn(t, tc.position), lsn(t, tc.position), lsn(t, tc.position)
		r := l.run(60, p, other)
		found := false
		for _, row := range r.Rows {
			found = found || row.Key == differentTimelines.Key && strings.HasSuffix(row.Text, tc.want)
		}
		if !found {
			t.Errorf("%s: %v; want a row that ends with %q", tc.name, r.Rows, tc.want)
		}
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
