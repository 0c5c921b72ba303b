package postgresreplicationlag

import (
	"slices"
	"sort"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/postgres"
)

// memory is what a look keeps for the next one.
type memory struct {
	Servers map[string]*past `json:"servers"` // by name
	// Switches are where the newest timeline of a system began, as far as
	// looks have seen it.
	Switches map[string]*timelineSwitch `json:"switches"` // by system identifier

	now float64 // seconds since 1970
}

// past is what earlier looks saw of one server.
type past struct {
	At        float64            `json:"at"` // of the last look that it answered, seconds since 1970
	System    string             `json:"system"`
	Started   string             `json:"started"` // which of the servers behind the address it was
	Writable  bool               `json:"writable"`
	Position  postgres.LSN       `json:"position"`
	Timeline  uint32             `json:"timeline"`
	Streamed  bool               `json:"streamed"` // a standby that had a WAL receiver
	Ends      []sample           `json:"ends"`     // where the log ended, oldest first
	Standbys  map[string]*known  `json:"standbys"` // by application_name
	Conflicts map[string]float64 `json:"conflicts"`
	Errors    map[string]float64 `json:"errors"`   // by subscription
	Was       string             `json:"was"`      // system identifier before it was replaced
	Replaced  float64            `json:"replaced"` // when that was seen
}

// sample is where a server's log ended at a look.
type sample struct {
	At  float64      `json:"at"`
	End postgres.LSN `json:"end"`
}

// known is how many standbys of one name were connected at once, and when a
// look last saw as many.
type known struct {
	Count int     `json:"count"`
	Seen  float64 `json:"seen"`
}

// timelineSwitch bounds the position at which a timeline began: what a server
// had replayed of the one before when it was last seen as a standby, and what
// it had written of the new one when it was first seen.
type timelineSwitch struct {
	Timeline uint32       `json:"timeline"`
	From     uint32       `json:"from"` // the one before, 0 for not seen
	After    postgres.LSN `json:"after"`
	Before   postgres.LSN `json:"before"`
}

// recall makes the memory of this look out of that of the previous one.
func recall(r *check.Report) *memory {
	m := &memory{}
	if _, ok := r.Recall(m); !ok {
		m = &memory{}
	}
	m.now = unix(r.Now())
	if m.Servers == nil {
		m.Servers = make(map[string]*past)
	}
	if m.Switches == nil {
		m.Switches = make(map[string]*timelineSwitch)
	}
	return m
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// of is the past of a server whose answer is there; a new one where the server
// is not what it was. The returned past is not yet brought up to date.
func (m *memory) of(f *facts) *past {
	p := m.Servers[f.name]
	switch {
	case p == nil:
		p = &past{}
	case p.System != f.System:
		p = &past{Was: p.System, Replaced: m.now}
	case p.Writable != f.writable():
		// Standbys of a server that was demoted are connected elsewhere; what
		// it has written and does not have any more was never replayed.
		p = &past{System: p.System, Was: p.Was, Replaced: p.Replaced, Ends: p.Ends, At: p.At, Position: p.Position, Timeline: p.Timeline, Writable: p.Writable}
	}
	if t := f.timeline(); t != 0 && p.Timeline != 0 && t != p.Timeline {
		p.Ends = nil // what came after the switch is another log
	}
	p.Ends = slices.DeleteFunc(p.Ends, func(s sample) bool {
		// A log that ends earlier than it did is another one; a time ahead is
		// of a clock that was set back.
		return s.End > f.end() || s.At > m.now
	})
	m.Servers[f.name] = p
	return p
}

// look brings the past of a server up to date.
func (p *past) look(m *memory, f *facts) {
	p.At, p.System, p.Started, p.Writable, p.Position = m.now, f.System, f.Started, f.writable(), f.position()
	if t := f.timeline(); t != 0 {
		p.Timeline = t
	}
	p.Streamed = !f.writable() && (p.Streamed || f.Receiver != nil)
	p.Conflicts = f.Conflicts
	p.Errors = make(map[string]float64)
	for _, s := range f.Subscriptions {
		if s.errors != nil {
			p.Errors[s.ID] = *s.errors
		}
	}
	p.sample(m.now, f.end())
	p.forget(f.slowest())
}

// maxSamples bounds the samples of a server: 720 of one look a minute are half
// a day; beyond, every second of the older half goes.
const maxSamples = 720

// counted reports whether counters of the server may be compared with those of
// the previous look: behind a service address may be another server each time.
func (p *past) counted(f *facts) bool { return p.Started == f.Started }

// sample remembers where the log ends now. Only the first sight of an end says
// something of how old what comes before it is.
func (p *past) sample(now float64, end postgres.LSN) {
	kept := p.Ends
	if n := len(kept); n == 0 || kept[n-1].End < end {
		kept = append(kept, sample{now, end})
	}
	if len(kept) > maxSamples {
		thin := kept[:0]
		for i, s := range kept {
			if i < 2 || i >= len(kept)/2 || i%2 == 0 { // the second is the first that somebody needs, see forget
				thin = append(thin, s)
			}
		}
		kept = thin
	}
	p.Ends = kept
}

// forget drops the samples that no one needs any more who has everything up
// to the position: all but the newest of those.
func (p *past) forget(have postgres.LSN) {
	first := sort.Search(len(p.Ends), func(i int) bool { return p.Ends[i].End > have })
	if first > 1 {
		p.Ends = append([]sample(nil), p.Ends[first-1:]...)
	}
}

// waiting is for how many seconds, at least, some of the log beyond the
// position has been there: since the first look that saw it. It is 0 where no
// earlier look did, and known only where there was one.
func (p *past) waiting(m *memory, have postgres.LSN) (seconds float64, ok bool) {
	for _, s := range p.Ends {
		if s.End > have {
			return max(m.now-s.At, 0), true
		}
	}
	return 0, len(p.Ends) > 0
}

// seeSwitch remembers where the timeline of a primary began.
func (m *memory) seeSwitch(f *facts) {
	s := m.Switches[f.System]
	if !f.writable() || s != nil && s.Timeline >= f.timeline() {
		return
	}
	s = &timelineSwitch{Timeline: f.timeline(), Before: *f.Written}
	if f.Redo != nil && f.CheckpointTimeline == s.Timeline {
		s.Before = min(s.Before, *f.Redo) // a checkpoint of this timeline comes after its beginning
	}
	if p := m.Servers[f.name]; p != nil && p.System == f.System && !p.Writable && p.Timeline < s.Timeline {
		s.From, s.After = p.Timeline, min(p.Position, s.Before)
	}
	m.Switches[f.System] = s
}

// prune drops what belongs to no server that is looked at. The past of one that
// has failed stays.
func (m *memory) prune(answers, seen []*facts) {
	if len(seen) < len(answers) {
		return
	}
	names, systems := make(map[string]bool), make(map[string]bool)
	for _, f := range seen {
		names[f.name], systems[f.System] = true, true
	}
	for name := range m.Servers {
		if !names[name] {
			delete(m.Servers, name)
		}
	}
	for system := range m.Switches {
		if !systems[system] {
			delete(m.Switches, system)
		}
	}
}
