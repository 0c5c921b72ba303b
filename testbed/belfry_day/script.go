package main

import (
	"regexp"
	"slices"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Targets of the day: one configured check each.
const (
	zulip       = "zulip"
	replication = "replication"
	queues      = "queues"
	consumers   = "consumers"
	pgbackrest  = "pgbackrest"      // asked by its own user
	list        = "pgbackrest-list" // what it says, read from the file that cron writes
	dumps       = "dumps"
	workers     = "workers"
)

// targets in the order of the table.
func targets() []string {
	return []string{zulip, replication, queues, consumers, pgbackrest, list, dumps, workers}
}

// face is one of the two ways to ask a check.
type face int

const (
	both face = iota // of a want: the same is wanted of both
	plugin
	exporter
)

func (f face) String() string { return [...]string{"both", "plugin", "exporter"}[f] }

// want is what a check must say: the state, and a cause that its first line
// must name.
type want struct {
	target string
	state  check.State
	cause  string // regular expression
	face   face
}

func (w want) meets(s sight) bool { return w.hasState(s) && w.hasCause(s) }

func (w want) hasState(s sight) bool { return s.state == int(w.state) }

func (w want) hasCause(s sight) bool { return regexp.MustCompile(w.cause).MatchString(s.line) }

func (w want) concerns(target string, f face) bool {
	return w.target == target && (w.face == both || w.face == f)
}

// Short forms for the script. Every check that a situation does not mention
// must be OK.
func ok(target string) want { return want{target: target, state: check.OK} }
func warning(target, cause string) want {
	return want{target: target, state: check.Warning, cause: cause}
}
func critical(target, cause string) want {
	return want{target: target, state: check.Critical, cause: cause}
}
func unknown(target, cause string) want {
	return want{target: target, state: check.Unknown, cause: cause}
}

func (w want) only(f face) want { w.face = f; return w }

// situation is one thing that happens in the day.
type situation struct {
	name string
	what string // is done, for the table
	// compressed says what stands for something that takes longer in a real
	// day, and by which ordinary options.
	compressed string

	do   func(*day)
	undo func(*day) // nil: it passes by itself
	tick func(*day) // nil, or done before each look until undo

	// want is what both faces must say once the situation has settled, and
	// keep saying for the time of hold; of several for one target any will do. A
	// target without a want must be OK all the time, a target with one may be
	// OK or in its state before that.
	want []want
	// passing is what may also be said on the way: after do until it has
	// settled, and after undo until all is OK again.
	passing []want
	// gap says what is wrong and no check looks at, so that all OK is what the
	// day can ask for.
	gap string

	hold     time.Duration // default 8 s, two intervals of the exporter
	settle   time.Duration // longest time from do until it has settled, default 40 s
	recovery time.Duration // longest time from undo until all is OK, default 60 s
	// lag is how long after do and undo what is said may still be of the time
	// before; default 10 s where consumers are in passing, because the broker's
	// statistics are up to 8 s old, else none.
	lag time.Duration
	// down: the exporter is not there while the situation lasts.
	down bool
	// fast: belongs to the slice that -fast runs.
	fast bool
}

func (s *situation) withDefaults() {
	if s.hold == 0 {
		s.hold = 8 * time.Second
	}
	if s.settle == 0 {
		s.settle = 40 * time.Second
	}
	if s.lag == 0 && slices.ContainsFunc(s.passing, func(w want) bool { return w.target == consumers }) {
		s.lag = 10 * time.Second
	}
	if s.recovery == 0 {
		s.recovery = 60 * time.Second
	}
}

// wanted is what the target may say in the face once settled: one of them.
func (s *situation) wanted(target string, f face) []want {
	var all []want
	for _, w := range s.want {
		if w.concerns(target, f) {
			all = append(all, w)
		}
	}
	if all == nil {
		all = []want{ok(target)}
	}
	return all
}

// script is the day, from the quiet night to the end.
func script() []situation {
	var all []situation
	for _, part := range [][]situation{quiet(), queueing(), replicating(), backingUp(), chatting(), onTheMachine(), failingOver()} {
		all = append(all, part...)
	}
	for i := range all {
		all[i].withDefaults()
	}
	return all
}
