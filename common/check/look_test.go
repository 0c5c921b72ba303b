package check

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

type funcCheck struct {
	run     func(*Report) error
	ctxRun  func(context.Context, *Report) error
	setup   Setup
	prepare error
}

func (c *funcCheck) Prepare() (Setup, error) { return c.setup, c.prepare }
func (c *funcCheck) Close() error            { return nil }
func (c *funcCheck) Run(ctx context.Context, r *Report) error {
	if c.ctxRun != nil {
		return c.ctxRun(ctx, r)
	}
	return c.run(r)
}

// look runs a function as a check at a fixed time and returns the result.
func look(t *testing.T, adjust func(*Look), run func(*Report) error) *Result {
	t.Helper()
	d, c := testDefinition(run)
	l := &Look{Definition: d, Check: c, Now: func() time.Time { return now }}
	if adjust != nil {
		adjust(l)
	}
	return l.Run(context.Background())
}

var now = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func summary(r *Result) string {
	rows := []string{r.State.String()}
	for _, row := range r.Rows {
		rows = append(rows, row.State.String()+" "+row.Text)
	}
	return strings.Join(rows, "; ")
}

func TestLookJudges(t *testing.T) {
	limits := func(severity State, values ...string) func(*Look) {
		return func(l *Look) {
			got, err := ParseLimits(l.Definition, severity, values)
			if err != nil {
				t.Fatal(err)
			}
			l.Limits = got
		}
	}
	tests := []struct {
		name   string
		adjust func(*Look)
		run    func(*Report) error
		want   string
	}{
		{"nothing", nil, func(*Report) error { return nil }, "UNKNOWN; UNKNOWN nothing was looked at"},
		{"informative only", nil, func(r *Report) error { r.Observe(plain, 1e9); return nil }, "OK"},
		{"within", nil, func(r *Report) error { r.Observe(depth, 10, "q", "/"); return nil }, "OK; OK q /: depth 10"},
		{"worst first", nil, func(r *Report) error {
			r.Observe(depth, 11, "a", "/")
			r.Observe(depth, 200, "b", "/")
			r.Observe(depth, 30, "c", "/")
			return nil
		}, "CRITICAL; CRITICAL b /: depth 200 (above 20); CRITICAL c /: depth 30 (above 20); WARNING a /: depth 11 (above 10)"},
		{"NaN", nil, func(r *Report) error { r.Observe(share, math.NaN()); return nil }, "WARNING; WARNING share not a number (limit 80)"},
		{"unknown does not hide critical", nil, func(r *Report) error {
			r.Observe(depth, 30, "c", "/")
			r.Fail(Faultf(Data, "read", "x", "no"), "d")
			return nil
		}, "CRITICAL; CRITICAL c /: depth 30 (above 20); UNKNOWN d: read x: no"},
		{"unknown beats warning", nil, func(r *Report) error {
			r.Observe(depth, 11, "c", "/")
			return Faultf(Permission, "read", "x", "denied")
		}, "UNKNOWN; UNKNOWN read x: denied; WARNING c /: depth 11 (above 10)"},
		{"fault of a peer", nil, func(*Report) error {
			return fmt.Errorf("wrapped: %w", Faultf(Dial, "connect to", "1.2.3.4:5", "refused"))
		},
			"CRITICAL; CRITICAL wrapped: connect to 1.2.3.4:5: refused"},
		{"joined faults", nil, func(*Report) error {
			return errors.Join(Faultf(Auth, "log in at", "x", "no"), Faultf(TLS, "greet", "y", "no"))
		},
			"CRITICAL; CRITICAL greet y: no; UNKNOWN log in at x: no"},
		{"finding", nil, func(r *Report) error { r.Find(gone, "it | is\ngone"); return nil }, "CRITICAL; CRITICAL it ! is gone"},
		{"finding with other severity", func(l *Look) { l.Severities = map[string]State{"gone": OK} },
			func(r *Report) error { r.Find(gone, "gone"); return nil }, "OK; OK gone"},
		{"since", nil, func(r *Report) error {
			r.ObserveTime(ended, now.Add(-26*time.Hour))
			r.Detail("the one of 01:00")
			return nil
		},
			"WARNING; WARNING ended 26 h (above 25 h), the one of 01:00"},
		{"since, a little ahead", nil, func(r *Report) error { r.ObserveTime(ended, now.Add(59*time.Second)); return nil }, "OK; OK ended 0 s"},
		{"since, far ahead", nil, func(r *Report) error { r.ObserveTime(ended, now.Add(2*time.Hour)); return nil },
			"UNKNOWN; UNKNOWN ended: 2026-11-21T05:00:00Z lies 2 h in the future; OK ended 0 s"},
		{"since, never", nil, func(r *Report) error { r.ObserveTime(ended, time.Time{}); return nil }, "UNKNOWN; UNKNOWN ended: there is no time"},
		{"until", nil, func(r *Report) error { r.ObserveTime(expiry, now.Add(6*24*time.Hour)); return nil },
			"CRITICAL; CRITICAL expiry 6 d (below 7 d)"},
		{"until, over", nil, func(r *Report) error { r.ObserveTime(expiry, now.Add(-time.Hour)); return nil },
			"CRITICAL; CRITICAL expiry -60 min (below 7 d)"},
		{"more labels beat fewer", limits(Warning, "depth{queue=a}=100", "depth=50"), func(r *Report) error {
			r.Observe(depth, 60, "a", "/")
			r.Observe(depth, 15, "b", "/")
			return nil
		}, "CRITICAL; CRITICAL a /: depth 60 (above 20); OK b /: depth 15"},
		{"the later of equals", limits(Critical, "depth=5", "depth=500"), func(r *Report) error { r.Observe(depth, 60, "a", "/"); return nil },
			"WARNING; WARNING a /: depth 60 (above 10)"},
		{"operator beats profile", limits(Critical, "depth=500"), func(r *Report) error {
			r.Observe(depth, 60, "a", "/")
			return nil
		}, "WARNING; WARNING a /: depth 60 (above 10)"},
		{"limit that matches nothing", limits(Warning, "depth{queue=typo}=1"), func(r *Report) error { r.Observe(depth, 1, "a", "/"); return nil },
			"UNKNOWN; UNKNOWN warning limit depth{queue=typo}=1 matches nothing that was observed; OK a /: depth 1"},
		{"limit on what is rightly absent", limits(Warning, "share=1"), func(r *Report) error { r.Observe(plain, 1); r.Absent(share); return nil }, "OK"},
		{"a failed look does not blame the limit", limits(Warning, "depth{queue=x}=1"), func(r *Report) error { return Faultf(Dial, "connect to", "x", "refused") },
			"CRITICAL; CRITICAL connect to x: refused"},
		{"a critical finding does not blame the limit", limits(Warning, "depth{queue=x}=1"), func(r *Report) error { r.Find(gone, "gone"); return nil },
			"CRITICAL; CRITICAL gone"},
		{"wrong labels", nil, func(r *Report) error { r.Observe(depth, 1, "a"); return nil }, "UNKNOWN; UNKNOWN observe depth: 1 label values for 2 labels"},
		{"twice", nil, func(r *Report) error { r.Observe(depth, 1, "a", "/"); r.Observe(depth, 2, "a", "/"); return nil },
			"UNKNOWN; UNKNOWN observe depth: twice for a, /; OK a /: depth 1"},
		{"undeclared metric", nil, func(r *Report) error { r.Observe(&Metric{Key: "alien"}, 1); return nil },
			"UNKNOWN; UNKNOWN observe alien: the definition of test does not list this metric"},
		{"parts fail alone", nil, func(r *Report) error {
			r.Part(context.Background(), "one", func(context.Context) error { panic("broken") })
			r.Part(context.Background(), "two", func(context.Context) error { r.Observe(depth, 1, "a", "/"); return nil })
			return nil
		}, "UNKNOWN; UNKNOWN one: panic: broken: this is a defect of the check, please report it; OK a /: depth 1"},
		{"skipped part", func(l *Look) { l.Skip = []string{"one"} }, func(r *Report) error {
			r.Part(context.Background(), "one", func(context.Context) error { return errors.New("no") })
			r.Part(context.Background(), "two", func(context.Context) error { r.Observe(plain, 1); return nil })
			return nil
		}, "OK"},
		{"a panic", nil, func(*Report) error { panic(errors.New("broken map")) },
			"UNKNOWN; UNKNOWN panic: broken map: this is a defect of the check, please report it"},
		{"a panic side by side", nil, func(*Report) error {
			return Go(context.Background(), func(context.Context) error { panic("inner") }, func(context.Context) error { return nil })
		}, "UNKNOWN; UNKNOWN panic: inner: this is a defect of the check, please report it"},
		{"an error without reason", nil, func(*Report) error { return errors.New("odd answer") }, "UNKNOWN; UNKNOWN odd answer"},
	}
	for _, tt := range tests {
		if got := summary(look(t, tt.adjust, tt.run)); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestLookPrepareFails(t *testing.T) {
	d, c := testDefinition(nil)
	c.(*funcCheck).prepare = errors.New("--host is missing")
	r := (&Look{Definition: d, Check: c}).Run(context.Background())
	if got, want := summary(r), "UNKNOWN; UNKNOWN --host is missing"; got != want || r.Reason != Config {
		t.Errorf("Run() = %s, reason %s; want %s, reason config", got, r.Reason, want)
	}
}

func TestLookProfileLimits(t *testing.T) {
	d, c := testDefinition(func(r *Report) error { r.Observe(depth, 60, "a", "/"); return nil })
	profile, err := ParseLimits(d, Critical, []string{"depth{queue=a}=50"})
	if err != nil {
		t.Fatal(err)
	}
	c.(*funcCheck).setup.Limits = profile
	r := (&Look{Definition: d, Check: c}).Run(context.Background())
	if got, want := summary(r), "CRITICAL; CRITICAL a /: depth 60 (above 50)"; got != want {
		t.Errorf("with a profile: %s; want %s", got, want)
	}
	operator, _ := ParseLimits(d, Critical, []string{"70"})
	r = (&Look{Definition: d, Check: c, Limits: operator}).Run(context.Background())
	if got, want := summary(r), "WARNING; WARNING a /: depth 60 (above 10)"; got != want {
		t.Errorf("with the operator's limit: %s; want %s", got, want)
	}
}

func TestLookAbandons(t *testing.T) {
	release := make(chan struct{})
	d, c := testDefinition(func(r *Report) error {
		r.Observe(depth, 30, "a", "/")
		<-release // ignores its context
		r.Observe(depth, 1, "late", "/")
		r.Remember("late")
		return nil
	})
	memory := &slot{}
	r := (&Look{Definition: d, Check: c, Timeout: 50 * time.Millisecond, Memory: memory}).Run(context.Background())
	if got, want := summary(r), "CRITICAL; CRITICAL a /: depth 30 (above 20); UNKNOWN no result within 50 ms"; got != want || !r.TimedOut || r.Abandoned == nil {
		t.Errorf("Run() = %s, timed out %v; want %s, timed out and abandoned", got, r.TimedOut, want)
	}
	close(release)
	<-r.Abandoned
	if len(r.Values) != 1 || memory.data != nil {
		t.Errorf("after the deadline: %d values, memory %q; want what was seen in time only", len(r.Values), memory.data)
	}
}

func TestLookTimeoutState(t *testing.T) {
	critical := Critical
	d, c := testDefinition(nil)
	c.(*funcCheck).ctxRun = func(ctx context.Context, r *Report) error { <-ctx.Done(); return ctx.Err() }
	l := &Look{Definition: d, Check: c, Timeout: 30 * time.Millisecond}
	r := l.Run(context.Background())
	if got, want := summary(r), "UNKNOWN; UNKNOWN no result within 30 ms"; got != want || r.Abandoned != nil {
		t.Errorf("Run() = %s, abandoned %v; want %s, returned", got, r.Abandoned != nil, want)
	}
	l.TimeoutState = &critical
	if got, want := summary(l.Run(context.Background())), "CRITICAL; CRITICAL no result within 30 ms"; got != want {
		t.Errorf("Run() with --timeout-state critical = %s; want %s", got, want)
	}
}

func TestLookInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	d, c := testDefinition(nil)
	c.(*funcCheck).ctxRun = func(run context.Context, r *Report) error { cancel(); <-run.Done(); return run.Err() }
	r := (&Look{Definition: d, Check: c}).Run(ctx)
	if got, want := summary(r), "UNKNOWN; UNKNOWN interrupted: context canceled"; got != want {
		t.Errorf("Run() = %s; want %s", got, want)
	}
}

// slot is a memory for tests.
type slot struct {
	data []byte
	at   time.Time
	err  error
}

func (s *slot) Load() ([]byte, time.Time, error) { return s.data, s.at, s.err }
func (s *slot) Store(data []byte, at time.Time) error {
	if s.err != nil {
		return s.err
	}
	s.data, s.at = data, at
	return nil
}

func TestLookMemory(t *testing.T) {
	memory := &slot{}
	counting := func(r *Report) error {
		var n int
		if _, ok := r.Recall(&n); ok {
			r.Observe(plain, float64(n))
		} else {
			r.Observe(plain, -1)
		}
		r.Remember(n + 1)
		return nil
	}
	with := func(l *Look) { l.Memory = memory }
	for i, want := range []float64{-1, 1, 2} {
		if got := look(t, with, counting).Values[0].Number; got != want {
			t.Errorf("look %d recalls %v; want %v", i, got, want)
		}
	}
	memory.data = []byte(`{"torn`)
	r := look(t, with, counting)
	if r.Values[0].Number != -1 || r.State != OK || len(r.Notes) != 1 {
		t.Errorf("after corruption: %v, %s, notes %q; want a new baseline, OK and a note", r.Values[0].Number, r.State, r.Notes)
	}
	memory.err = fmt.Errorf("write it: %w", &os.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC})
	r = look(t, with, counting)
	if r.State != Warning || r.Found("memory_lost") != 1 {
		t.Errorf("on a full disk: %s; want WARNING with memory_lost", summary(r))
	}
	r = look(t, with, func(r *Report) error { r.Remember(strings.Repeat("x", MaxMemory)); return nil })
	if r.State != Unknown {
		t.Errorf("remembering too much: %s; want UNKNOWN", summary(r))
	}
}

// A clock that jumped between two looks is a new baseline: no check may make
// a rate of it.
func TestPreviousLook(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		ago  time.Duration
		note string // of why it is not used
	}{
		{"a minute ago", time.Minute, ""},
		{"at the same time", 0, ""},
		{"as long ago as may be", MaxMemoryAge, ""},
		{"a moment to come", -time.Nanosecond, "previous look not used, starting anew: it is of 2026-11-25T12:00:00Z, which is yet to come: the clock was set back"},
		{"a year to come", -365 * 24 * time.Hour, "previous look not used, starting anew: it is of 2027-11-25T12:00:00Z, which is yet to come: the clock was set back"},
		{"before there was time", now.Sub(time.Unix(0, 0)), "previous look not used, starting anew: it is of 1970-01-01T00:00:00Z, more than 90 d ago"},
	} {
		memory := &slot{data: []byte("7"), at: now.Add(-tt.ago)}
		clock := func(l *Look) { l.Memory, l.Now = memory, func() time.Time { return now } }
		r := look(t, clock, func(r *Report) error {
			var n int
			at, ok := r.Recall(&n)
			if elapsed := r.Now().Sub(at); ok != (tt.note == "") || ok && (n != 7 || elapsed != tt.ago) || !ok && n != 0 {
				t.Errorf("%s: Recall = %d, %s ago, %v; want it known: %v", tt.name, n, elapsed, ok, tt.note == "")
			}
			r.Observe(plain, 1)
			r.Remember(8)
			return nil
		})
		if got := strings.Join(r.Notes, "; "); got != tt.note {
			t.Errorf("%s: notes %q; want %q", tt.name, got, tt.note)
		}
		if string(memory.data) != "8" || !memory.at.Equal(now) {
			t.Errorf("%s: afterwards %s of %s is kept; want 8 of this look", tt.name, memory.data, memory.at)
		}
	}
}

// What has a monotonic clock, as in the exporter, is told the longer time:
// the machine was suspended, or its clock set forward.
func TestPreviousLookOfTheSameProcess(t *testing.T) {
	at := time.Now()
	if got, err := previous(at, at.Add(time.Minute)); err != nil || got != at {
		t.Errorf("previous(at, a minute later) = %v, %v; want at itself", got, err)
	}
	// A reading of the wall clock alone stands for one whose monotonic part
	// has not moved on.
	if got, err := previous(at.Round(0), at.Add(time.Hour)); err != nil || at.Add(time.Hour).Sub(got) != time.Hour {
		t.Errorf("previous(at, an hour later) = %v, %v; want an hour between them", got, err)
	}
}

func TestStepEndsBeforeTheLook(t *testing.T) {
	end := time.Now().Add(time.Second)
	ctx, cancel := context.WithDeadline(withLookDeadline(context.Background(), end, stepMargin), end)
	defer cancel()
	outer, cancelOuter := Step(ctx, time.Minute)
	defer cancelOuter()
	inner, cancelInner := Step(outer, time.Minute)
	defer cancelInner()
	for name, c := range map[string]context.Context{"outer": outer, "inner": inner} {
		if d, _ := c.Deadline(); !d.Equal(end.Add(-stepMargin)) {
			t.Errorf("%s step ends %v before the look; want %v", name, end.Sub(d), stepMargin)
		}
	}
	short, cancelShort := Step(ctx, 10*time.Millisecond)
	defer cancelShort()
	if d, _ := short.Deadline(); d.After(end.Add(-stepMargin)) {
		t.Errorf("a short step ends at %v; want its own limit", d)
	}
	work, cleanUp, cancelWork := Reserve(ctx, 100*time.Millisecond)
	cancelWork()
	if d, _ := work.Deadline(); !d.Equal(end.Add(-100 * time.Millisecond)) {
		t.Errorf("work ends %v before the look; want 100ms", end.Sub(d))
	}
	clean, cancelClean := cleanUp()
	defer cancelClean()
	if d, _ := clean.Deadline(); clean.Err() != nil || !d.Before(end) || d.Before(end.Add(-100*time.Millisecond)) {
		t.Errorf("clean-up: err %v, ends %v before the look; want alive, inside the reserve", clean.Err(), end.Sub(d))
	}
}

// Foreign names that must be cleaned stay apart: equal label sets would be
// one series.
func TestCleanLabelsStayApart(t *testing.T) {
	long := strings.Repeat("x", 300)
	seen := map[string]bool{}
	for _, l := range []string{"plain", "a\xff", "a\xfe", long + "1", long + "2"} {
		got := cleanLabels([]string{l})[0]
		if seen[got] || len(got) > MaxText || strings.ToValidUTF8(got, "") != got {
			t.Errorf("cleanLabels(%.10q) = %.30q; want a valid value of its own", l, got)
		}
		seen[got] = true
	}
}

func TestWorst(t *testing.T) {
	if got := Worst(OK, Unknown, Warning); got != Unknown {
		t.Errorf("Worst(OK, UNKNOWN, WARNING) = %s; want UNKNOWN", got)
	}
	if got := Worst(Critical, Unknown); got != Critical {
		t.Errorf("Worst(CRITICAL, UNKNOWN) = %s; want CRITICAL", got)
	}
	if got := Worst(); got != OK {
		t.Errorf("Worst() = %s; want OK", got)
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"a|b": "a!b", "a\nb\t c": "a b c", "\x1b[31mred": "[31mred", "bad\xffutf8": "bad?utf8", "  trim  ": "trim",
		"turn\u202earound": "turn around", "nul\x00": "nul", "ok": "ok", "": "",
		strings.Repeat("ä", 300): strings.Repeat("ä", 200) + "...",
	} {
		if got := Clean(text); got != want {
			t.Errorf("Clean(%q) = %q; want %q", text, got, want)
		}
	}
}

func TestSecretNeverPrints(t *testing.T) {
	s := struct {
		Name string
		pw   Secret
		PW   Secret
	}{"x", NewSecret("hunter2"), NewSecret("hunter2")}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		if got := fmt.Sprintf(format, s); strings.Contains(got, "hunter2") || strings.Contains(got, "68756e74657232") {
			t.Errorf("Sprintf(%q) = %s; want the secret hidden", format, got)
		}
	}
}

func TestGoLeavesNothingRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		look(t, nil, func(*Report) error {
			return Go(context.Background(), func(context.Context) error { return nil }, func(context.Context) error { panic("x") })
		})
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines after 20 looks; want %d", runtime.NumGoroutine(), before)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestEffectStandsBehindItsCause: the first metric is the one that a bare -w
// means, and need not be the one that line 1 names.
func TestEffectStandsBehindItsCause(t *testing.T) {
	waiting := &Metric{Family: "t", Key: "waiting", Labels: []string{"queue"}, Critical: "10", Effect: true}
	idle := &Metric{Family: "t", Key: "idle", Labels: []string{"queue"}, Warning: "1", Critical: "10"}
	run := func(idleFor float64) func(*Report) error {
		return func(r *Report) error {
			r.Observe(waiting, 5000, "a")
			r.Observe(idle, idleFor, "b")
			return nil
		}
	}
	for idleFor, want := range map[float64]string{
		20: "CRITICAL; CRITICAL b: idle 20 (above 10); CRITICAL a: waiting 5000 (above 10)",
		2:  "CRITICAL; CRITICAL a: waiting 5000 (above 10); WARNING b: idle 2 (above 1)",
	} {
		got := look(t, func(l *Look) {
			d := *l.Definition
			d.Metrics = []*Metric{waiting, idle}
			l.Definition = &d
		}, run(idleFor))
		if summary(got) != want {
			t.Errorf("idle for %v: %s\nwant %s", idleFor, summary(got), want)
		}
	}
}
