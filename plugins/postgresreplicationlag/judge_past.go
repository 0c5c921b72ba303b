package postgresreplicationlag

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// judgeReplaced finds an address that leads to another cluster than before,
// for as long as --forget says: a server that was initialized anew, an upgrade
// by pg_upgrade, or another machine.
func judgeReplaced(r *check.Report, f view) {
	p := f.past
	if p.Was == "" || p.Was == f.System {
		return
	}
	if f.memory.now-p.Replaced >= f.want.forget.Seconds() {
		p.Was = ""
		return
	}
	r.Find(systemChanged, fmt.Sprintf("%s is another cluster than at the look of %s: its system identifier was %s and is %s, it was initialized anew, or upgraded",
		f.name, moment(p.Replaced), p.Was, f.System), f.name)
}

// judgeGone finds standbys that an earlier look has seen and that are connected
// nowhere now, for as long as --forget says: where it was said which there must
// be, that is judged instead. A server that did not answer may have them.
func judgeGone(r *check.Report, m *memory, seen []*facts, failed bool, want expectation) {
	total := make(map[string]int)
	for _, f := range seen {
		for name, n := range connected(f) {
			total[name] += n
		}
	}
	for _, f := range seen {
		p := m.Servers[f.name]
		now := connected(f)
		if p.Standbys == nil {
			p.Standbys = make(map[string]*known)
		}
		for name, n := range streaming(f) {
			if k := p.Standbys[name]; k == nil || n >= k.Count {
				p.Standbys[name] = &known{Count: n, Seen: m.now}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(p.Standbys)) {
			k := p.Standbys[name]
			switch {
			case k == nil: // not written here
				delete(p.Standbys, name)
			case now[name] == k.Count || failed:
			case total[name] >= k.Count, m.now-k.Seen > want.forget.Seconds():
				if k.Count, k.Seen = min(k.Count, now[name]), m.now; k.Count == 0 {
					delete(p.Standbys, name)
				}
			case want.standbys == unsaid && len(want.names) == 0:
				who := "standby " + name
				if k.Count > 1 {
					who = fmt.Sprintf("%d of %d standbys %s", k.Count-now[name], k.Count, name)
				}
				r.Find(standbyGone, fmt.Sprintf("%s: %s, last seen at %s, not connected any more: say --standbys or --standby if it must be, it is forgotten after %s",
					f.name, who, moment(k.Seen), check.FormatDuration(want.forget)), f.name, name)
			}
		}
	}
}

// streaming counts a server's standbys by application_name, for sure: without
// those that have not said yet how far they are, and several of a name at one
// address only if they are heard. A standby that lost its power and is back
// has two connections until wal_sender_timeout ends the old one.
func streaming(f *facts) map[string]int {
	type place struct{ name, address string }
	heard := make(map[place]int)
	for _, s := range f.Senders {
		if f.kindOf(s) != standby {
			continue
		}
		at := place{name: s.Name}
		if s.Address != nil {
			at.address = *s.Address
		}
		if s.Age != nil && *s.Age < quiet(replyLimit(f.SenderTimeout, f.StatusInterval))/2 {
			heard[at]++
		} else {
			heard[at] += 0
		}
	}
	count := make(map[string]int)
	for at, n := range heard {
		count[at.name] += max(n, 1)
	}
	return count
}

// connected counts all that may be standbys.
func connected(f *facts) map[string]int {
	count := make(map[string]int)
	for _, s := range f.Senders {
		if f.kindOf(s) != client {
			count[s.Name]++
		}
	}
	return count
}

func moment(unix float64) string {
	return time.Unix(int64(unix), 0).UTC().Format("2006-01-02 15:04:05 MST")
}

// rightlyAbsent reports whether there is nothing to observe for a metric, so
// that a limit on it is no typo. Lag of a standby that is there and cannot be
// told is not absent: what the operator wants judged was not.
func rightlyAbsent(m *check.Metric, seen []*facts, want expectation) bool {
	for _, f := range seen {
		switch m {
		case lag:
			if !f.writable() && f.Receiver != nil || len(connected(f)) > 0 {
				return false
			}
		case slotUnconfirmed, slotLag:
			if f.writable() && slices.ContainsFunc(f.Slots, func(s slot) bool {
				return s.Type == "logical" && s.Confirmed != nil && !s.Temporary && !want.ignores(s.Name) && !(m == slotLag && f.copies(s))
			}) {
				return false
			}
		case subscriptionAge:
			if len(f.Subscriptions) > 0 {
				return false
			}
		}
	}
	return true
}
