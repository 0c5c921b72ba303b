package postgresreplicationlag

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// judgeCluster judges what only several servers together show.
func judgeCluster(r *check.Report, m *memory, seen []*facts) {
	if len(seen) < 2 {
		judgeCircles(r, seen)
		return
	}
	for _, f := range seen[1:] {
		if f.System != seen[0].System {
			r.Find(differentSystems, fmt.Sprintf("%s and %s are no copies of each other: system identifiers %s and %s",
				seen[0].name, f.name, seen[0].System, f.System))
		}
	}
	seen = distinct(r, seen)
	judgeCircles(r, seen)
	judged := make(map[string]bool)
	for _, f := range seen {
		if !judged[f.System] {
			judged[f.System] = true
			judgeCopies(r, m.Switches[f.System], f.System, seen)
		}
	}
}

// distinct leaves one of each server that was reached by several addresses: a
// name and a service address, say. A primary is no second one of itself.
func distinct(r *check.Report, seen []*facts) []*facts {
	type identity struct{ system, started string }
	first := make(map[identity]*facts)
	var kept []*facts
	for _, f := range seen {
		id := identity{f.System, f.Started}
		if other, twice := first[id]; twice && f.Started != "" {
			r.Find(sameServer, fmt.Sprintf("%s and %s are one and the same server: give it once", other.name, f.name))
			continue
		}
		first[id] = f
		kept = append(kept, f)
	}
	return kept
}

// judgeCopies judges the servers of one system identifier.
func judgeCopies(r *check.Report, began *timelineSwitch, system string, seen []*facts) {
	var primaries, copies []*facts
	for _, f := range seen {
		switch {
		case f.System != system:
		case f.writable():
			primaries = append(primaries, f)
		default:
			copies = append(copies, f)
		}
	}
	if len(primaries) > 1 {
		var names []string
		for _, p := range primaries {
			names = append(names, fmt.Sprintf("%s (timeline %d)", p.name, p.timeline()))
		}
		r.Find(twoPrimaries, "split brain: "+strings.Join(names, " and ")+" are both writable")
	}
	if len(primaries) == 0 {
		return
	}
	for _, c := range copies {
		if t, ok := strayed(c, primaries); ok {
			r.Find(differentTimelines, fmt.Sprintf("%s is on timeline %d and cannot follow %s on timeline %d%s",
				c.name, t, primaries[0].name, primaries[0].timeline(), parted(c, t, began)), c.name)
		}
	}
}

// strayed tells whether a standby is on the timeline of none of the
// primaries, and on which. A standby that receives nothing shows its timeline
// only at its last restart point, which may lie before a switch that it has
// followed: it has strayed for sure only where that is ahead of all primaries.
func strayed(c *facts, primaries []*facts) (timeline uint32, yes bool) {
	timeline = c.timeline()
	certain := timeline != 0
	if !certain {
		timeline = c.CheckpointTimeline
	}
	yes = true
	for _, p := range primaries {
		if timeline == p.timeline() || !certain && timeline < p.timeline() {
			yes = false
		}
	}
	return timeline, yes
}

// parted says whether a standby on an older timeline has replayed past the
// point where the primary's began, as far as looks have seen where that is. The
// history file would say it exactly; only a superuser may read it.
func parted(c *facts, timeline uint32, began *timelineSwitch) string {
	switch end := c.position(); {
	case began == nil || timeline >= began.Timeline:
		return ""
	case end > began.Before:
		return fmt.Sprintf(": its log ends at %s, timeline %d began at %s or before: pg_rewind or a new copy is needed", end, began.Timeline, began.Before)
	case timeline == began.From && end <= began.After:
		return fmt.Sprintf(" as it is: its log ends at %s, timeline %d began there or later, so that it can follow once it is connected to that primary", end, began.Timeline)
	}
	return ""
}

// judgeCircles finds standbys that receive from each other. Each of them hears
// its neighbour and has replayed all there is.
func judgeCircles(r *check.Report, seen []*facts) {
	from := make(map[*facts]*facts)
	for _, f := range seen {
		for _, other := range seen {
			if receives(f, other) {
				from[f] = other
			}
		}
	}
	done := make(map[*facts]bool)
	for _, f := range seen {
		var names []string
		on := make(map[*facts]bool)
		for at := f; at != nil && !done[at]; at = from[at] {
			if on[at] {
				names = names[slices.Index(names, at.name):] // not those that lead to it
				r.Find(noPrimary, circle(names))
				break
			}
			on[at] = true
			names = append(names, at.name)
		}
		for at := range on {
			done[at] = true
		}
	}
}

func circle(names []string) string {
	if len(names) == 1 {
		return names[0] + " receives from itself: no primary feeds it"
	}
	return strings.Join(names, " and ") + " receive from each other in a circle: no primary feeds them"
}

// receives reports whether a standby is connected to the other standby, or to
// itself: by the address and port that it says, which are the other's as it was
// given or as it knows itself; or by a name where the other has the port and
// feeds somebody at this standby's address.
func receives(f, other *facts) bool {
	w := f.Receiver
	if f.writable() || other.writable() || f.System != other.System || w == nil || w.Host == nil || w.Port == nil {
		return false
	}
	switch {
	case net.JoinHostPort(*w.Host, strconv.Itoa(*w.Port)) == other.name:
		return true
	case other.Address == nil || other.Port == nil || *other.Port != *w.Port:
		return false
	case *other.Address == *w.Host:
		return true
	}
	if _, err := netip.ParseAddr(*w.Host); err == nil || f == other {
		return false
	}
	return slices.ContainsFunc(other.Senders, func(s sender) bool {
		return s.Address != nil && f.Address != nil && *s.Address == *f.Address
	})
}

// judgeNames finds standbys that are named and connected to none of the
// servers. Where a server failed and no primary answered they may be
// connected to that one.
func judgeNames(r *check.Report, seen []*facts, failed bool, want expectation) {
	var servers, connected []string
	answered := false
	for _, f := range seen {
		servers = append(servers, f.name)
		answered = answered || f.writable()
		for _, s := range f.Senders {
			if f.kindOf(s) != client {
				connected = append(connected, s.Name)
			}
		}
	}
	if len(servers) == 0 || failed && !answered {
		return
	}
	for _, name := range want.names {
		if !matches(name, connected) {
			r.Find(standbyMissing, fmt.Sprintf("standby %s is not connected to %s", name, strings.Join(servers, " or ")), name)
		}
	}
}

func matches(glob string, names []string) bool {
	for _, n := range names {
		if check.Glob(glob, n) {
			return true
		}
	}
	return false
}
