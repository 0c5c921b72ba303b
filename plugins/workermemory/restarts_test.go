package workermemory

import (
	"fmt"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs"
	"github.com/belfry-monitoring/belfry/common/quiet"
	"github.com/spf13/pflag"
)

// play takes a look each minute at workers given by when each process started,
// in minutes, and returns the restarts that the last look reports.
type play struct {
	t      *testing.T
	start  time.Time
	minute int
	bodies map[string]bodies
	silent quiet.Windows
	boot   string
}

func newPlay(t *testing.T) *play {
	return &play{t: t, start: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC), minute: 60, boot: "b"}
}

// look sees workers: label to the minute at which its process started.
func (p *play) look(workers map[string]int) map[string]int {
	p.t.Helper()
	p.minute++
	now := p.start.Add(time.Duration(p.minute) * time.Minute)
	var list []worker
	for label, started := range workers {
		list = append(list, worker{label: label, main: procs.Process{
			PID: 1000 + started, Started: time.Duration(started) * time.Minute, Age: time.Duration(p.minute-started)*time.Minute + time.Second,
		}})
	}
	p.bodies = follow(p.bodies, list, p.boot, now, 30*time.Minute, p.silent)
	d := &check.Definition{Name: "t", Timeout: time.Second, Metrics: []*check.Metric{recentRestarts}, New: func(*pflag.FlagSet) check.Check { return nil }}
	l := &check.Look{Definition: d, Check: lookFunc(func(r *check.Report) { judgeRestarts(r, p.bodies, list, now) }), Now: func() time.Time { return now }}
	counts := map[string]int{}
	for _, v := range l.Run(p.t.Context()).Values {
		counts[v.Labels[0]] = int(v.Number)
	}
	return counts
}

func (p *play) want(what string, got map[string]int, want map[string]int) {
	p.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		p.t.Errorf("%s: restarts %v; want %v", what, got, want)
	}
}

func TestOneRestarts(t *testing.T) {
	p := newPlay(t)
	p.want("first look", p.look(map[string]int{"a": 1, "b": 1, "c": 1}), map[string]int{})
	p.want("nothing new", p.look(map[string]int{"a": 1, "b": 1, "c": 1}), map[string]int{})
	p.want("one restarts, the others may follow", p.look(map[string]int{"a": 63, "b": 1, "c": 1}), map[string]int{})
	var got map[string]int
	for range 4 {
		got = p.look(map[string]int{"a": 63, "b": 1, "c": 1})
	}
	p.want("the others did not", got, map[string]int{"a": 1})
	for range 30 {
		got = p.look(map[string]int{"a": 63, "b": 1, "c": 1})
	}
	p.want("after the window", got, map[string]int{})
}

// Supervisor restarts them one after the other; looks come in between.
func TestAllRestart(t *testing.T) {
	p := newPlay(t)
	p.look(map[string]int{"a": 1, "b": 1, "c": 1})
	p.want("the first of them", p.look(map[string]int{"a": 62, "b": 1, "c": 1}), map[string]int{})
	p.want("the second", p.look(map[string]int{"a": 62, "b": 63, "c": 1}), map[string]int{})
	p.want("the last", p.look(map[string]int{"a": 62, "b": 63, "c": 64}), map[string]int{})
	for range 25 {
		p.want("later", p.look(map[string]int{"a": 62, "b": 63, "c": 64}), map[string]int{})
	}
}

func TestCrashLoop(t *testing.T) {
	p := newPlay(t)
	p.look(map[string]int{"a": 1, "b": 1})
	p.look(map[string]int{"a": 62, "b": 1})
	p.look(map[string]int{"a": 63, "b": 1})
	p.want("three times", p.look(map[string]int{"a": 64, "b": 1}), map[string]int{"a": 3})
	// All of them, again and again: the database is gone.
	p = newPlay(t)
	for m := 61; m < 64; m++ {
		p.look(map[string]int{"a": m, "b": m})
	}
	p.want("all, three times", p.look(map[string]int{"a": 64, "b": 64}), map[string]int{"a": 3, "b": 3})
}

// A worker that is missing at a look and comes back as another process has
// restarted; another number of the same name has not.
func TestRestartWithAGap(t *testing.T) {
	p := newPlay(t)
	p.look(map[string]int{"a": 1, "b": 1, "b#2": 2})
	p.look(map[string]int{"b": 1, "b#2": 2})
	p.look(map[string]int{"a": 63, "b": 1, "b#2": 2})
	var got map[string]int
	for range 5 {
		got = p.look(map[string]int{"a": 63, "b": 2, "b#2": 63}) // b's oldest was restarted: the numbers move
	}
	p.want("later", got, map[string]int{"a": 1, "b": 1})
}

// One of several processes of a name is missing at a look before its successor
// is there; one more than before is no restart.
func TestRestartOfOneOfSeveral(t *testing.T) {
	p := newPlay(t)
	p.look(map[string]int{"a": 1, "b": 1, "b#2": 2})
	p.look(map[string]int{"a": 1, "b": 1})
	p.look(map[string]int{"a": 1, "b": 1, "b#2": 63})
	var got map[string]int
	for range 5 {
		got = p.look(map[string]int{"a": 1, "b": 1, "b#2": 63, "b#3": 64})
	}
	p.want("later", got, map[string]int{"b": 1})
}

// A process that a look could not read, or did not match, is not another one
// when it is back.
func TestNotSeenForALook(t *testing.T) {
	p := newPlay(t)
	p.look(map[string]int{"a": 1, "b": 1, "b#2": 40})
	p.look(map[string]int{"a": 1, "b": 1})
	for range 6 {
		p.want("the same", p.look(map[string]int{"a": 1, "b": 1, "b#2": 40}), map[string]int{})
	}
	p.look(map[string]int{"a": 1, "b": 1, "b#2": 69})
	var got map[string]int
	for range 5 {
		got = p.look(map[string]int{"a": 1, "b": 1, "b#2": 69})
	}
	p.want("another", got, map[string]int{"b": 1})
}

// Looks far apart see a young process each time.
func TestCrashLoopBetweenFarLooks(t *testing.T) {
	p := newPlay(t)
	var got map[string]int
	for range 4 {
		got = p.look(map[string]int{"multi_threaded": p.minute})
		p.minute += 39
	}
	p.want("each 40 minutes", got, map[string]int{"multi_threaded": 3})
	p.minute -= 39
	p.want("when it is steady", p.look(map[string]int{"multi_threaded": p.minute}), map[string]int{"multi_threaded": 4})
	p.want("when it has been for a look", p.look(map[string]int{"multi_threaded": p.minute - 1}), map[string]int{})
}

// What counts is when the new process started, not when a look saw it.
func TestQuietWindowEndsBeforeTheLook(t *testing.T) {
	p := newPlay(t)
	var err error
	if p.silent, err = quiet.Parse([]string{"Sun 03:00-03:10 UTC"}, time.UTC); err != nil {
		t.Fatal(err)
	}
	p.minute = 65
	p.look(map[string]int{"a": 1, "b": 1})
	p.minute = 74 // 03:15 at the next look, started 03:09
	var got map[string]int
	for range 6 {
		got = p.look(map[string]int{"a": 69, "b": 1})
	}
	p.want("started in the window", got, map[string]int{})
}

func TestQuietWindow(t *testing.T) {
	p := newPlay(t)
	var err error
	if p.silent, err = quiet.Parse([]string{"Sun 03:00-03:10 UTC"}, time.UTC); err != nil {
		t.Fatal(err)
	}
	p.look(map[string]int{"a": 1, "b": 1})
	p.look(map[string]int{"a": 62, "b": 1}) // 03:02
	var got map[string]int
	for range 8 {
		got = p.look(map[string]int{"a": 62, "b": 1})
	}
	p.want("as planned", got, map[string]int{})
	p.look(map[string]int{"a": 71, "b": 1}) // 03:11
	for range 5 {
		got = p.look(map[string]int{"a": 71, "b": 1})
	}
	p.want("after the window", got, map[string]int{"a": 1})
}

// After a boot all are new together; after a clock that was set back nothing
// lies in the future.
func TestRestartsAndBoot(t *testing.T) {
	p := newPlay(t)
	p.look(map[string]int{"a": 1, "b": 1})
	p.boot = "c"
	for range 8 {
		p.want("after a boot", p.look(map[string]int{"a": 60, "b": 60}), map[string]int{})
	}
	p.look(map[string]int{"a": 69, "b": 60})
	p.start = p.start.Add(-time.Hour)
	for range 8 {
		p.want("after the clock was set back", p.look(map[string]int{"a": 69, "b": 60}), map[string]int{})
	}
}

// One restart of one of Zulip's workers may be somebody's, two are not, three
// are a crash loop.
func TestRestartLimits(t *testing.T) {
	for count, want := range map[float64]check.State{0: check.OK, 1: check.OK, 2: check.Warning, 3: check.Critical, 30: check.Critical} {
		got := check.OK
		for _, l := range restartLimits() {
			if l.Metric == recentRestarts && l.Range.Violates(count) {
				got = check.Worst(got, l.Severity)
			}
		}
		if got != want {
			t.Errorf("%v restarts: %s; want %s", count, got, want)
		}
	}
}
