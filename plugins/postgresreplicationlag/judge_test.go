package postgresreplicationlag

import (
	"context"
	"os"
	"strings"
	"testing"

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
		{"publisher-of-a-copied-table/publisher", expectation{standbys: 0}, check.OK, nil},
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
