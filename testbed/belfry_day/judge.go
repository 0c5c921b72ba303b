package main

import (
	"fmt"

	"github.com/belfry-monitoring/belfry/testbed/scene"
)

// sight is what one face says of one check: the state, -1 for none, and the
// first line without performance data.
type sight struct {
	state int
	line  string
}

// look is what both faces say of all checks at about the same time.
type look map[string]map[face]sight

// phase is how far a situation is.
type phase int

const (
	before   phase = iota // all must be OK
	entering              // done, and not settled yet
	settled               // what is wanted must be said
	leaving               // undone, and not all OK yet
)

func (p phase) String() string {
	return [...]string{"before", "on the way in", "settled", "on the way out"}[p]
}

// Kinds of defects.
const (
	falseOK      = "false OK"
	falseAlarm   = "false alarm"
	wrongState   = "wrong state"
	wrongCause   = "wrong cause"
	disagreement = "faces disagree"
	noAnswer     = "no answer"
)

// defect is what a check must not have said.
type defect struct {
	situation, target string
	face              face
	kind              string
	phase             phase
	got               sight
	want              want
}

func (d defect) String() string {
	return fmt.Sprintf("%s: %s of %s, %s, %s: got %s %q; want %s /%s/",
		d.situation, d.kind, d.target, d.face, d.phase, scene.Word(d.got.state), d.got.line, d.want.state, d.want.cause)
}

// defects are those of one look in a phase of the situation.
func (s *situation) defects(p phase, l look) []defect {
	var found []defect
	for _, target := range targets() {
		for _, f := range []face{plugin, exporter} {
			wants := s.wanted(target, f)
			if p == before {
				wants = []want{ok(target)}
			}
			if kind := s.judge(p, target, f, wants, l[target][f]); kind != "" {
				found = append(found, defect{s.name, target, f, kind, p, l[target][f], wants[0]})
			}
		}
	}
	return found
}

// judge returns the kind of defect of what a face says, "" for none.
func (s *situation) judge(p phase, target string, f face, wants []want, got sight) string {
	if got.state < 0 {
		if f == exporter && s.down && p != before {
			return ""
		}
		return noAnswer
	}
	state := false
	for _, w := range wants {
		if w.meets(got) {
			return ""
		}
		state = state || w.hasState(got)
	}
	if p == entering || p == leaving {
		// On the way there is no cause yet, or not any more.
		if got.state == 0 || state {
			return ""
		}
		for _, passing := range s.passing {
			if passing.concerns(target, f) && passing.meets(got) {
				return ""
			}
		}
	}
	switch {
	case got.state == 0:
		return falseOK
	case state:
		return wrongCause
	case len(wants) == 1 && wants[0].state == 0:
		return falseAlarm
	}
	return wrongState
}

// isSettled reports whether both faces say what is wanted of every check.
func (s *situation) isSettled(l look) bool { return len(s.defects(settled, l)) == 0 }

// allOK reports whether everything is fine.
func allOK(s *situation, l look) bool { return len(s.defects(before, l)) == 0 }

// disagreements are the checks of which the faces, asked when things had
// settled, say different states although one thing is wanted of both.
func (s *situation) disagreements(l look) []defect {
	var found []defect
	for _, target := range targets() {
		ours, theirs := l[target][plugin], l[target][exporter]
		a, b := s.wanted(target, plugin), s.wanted(target, exporter)
		if len(a) == 1 && len(b) == 1 && a[0] == b[0] && ours.state != theirs.state && ours.state >= 0 && theirs.state >= 0 {
			found = append(found, defect{s.name, target, exporter, disagreement, settled, theirs, a[0]})
		}
	}
	return found
}
