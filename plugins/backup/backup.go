package backup

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

// backupCheck is the check.
type backupCheck struct {
	sources []source // the first is the one where no option tells
	chosen  []source
	wanted  contents
}

func newBackup(fs *pflag.FlagSet) *backupCheck {
	b := &backupCheck{sources: []source{
		newPgBackRest(fs), newDumps(fs), newWALG(fs), newBarman(fs), newRestic(fs), newBorg(fs), newS3(fs), newMarkers(fs), newWALArchive(fs),
	}}
	b.wanted.flags(fs)
	return b
}

// Prepare chooses the sources by the options that are set.
func (b *backupCheck) Prepare() (check.Setup, error) {
	b.chosen = nil
	for _, s := range b.sources {
		if s.given() != "" {
			b.chosen = append(b.chosen, s)
		}
	}
	// The archive of the log alone is no backup: --only says that it is enough.
	if !slices.ContainsFunc(b.chosen, func(s source) bool { return partOf(s) == partBackups }) {
		b.chosen = append([]source{b.sources[0]}, b.chosen...)
	}
	targets, notices := make([]string, 0, len(b.chosen)), []string(nil)
	for _, s := range b.chosen {
		target, err := s.prepare()
		if err != nil {
			return check.Setup{}, err
		}
		targets = append(targets, target)
		if n, ok := s.(noticing); ok && n.notice() != "" && !slices.Contains(notices, n.notice()) {
			notices = append(notices, n.notice())
		}
	}
	limits, err := b.wanted.prepare()
	return check.Setup{Target: strings.Join(targets, " "), Limits: limits, Notice: strings.Join(notices, ", ")}, err
}

// kept is what a look leaves to the next.
type kept struct {
	Sources map[string]json.RawMessage `json:"sources,omitempty"`
	Sets    map[string]past            `json:"sets,omitempty"`
}

// Run takes one look.
func (b *backupCheck) Run(ctx context.Context, r *check.Report) error {
	var known kept
	if _, ok := r.Recall(&known); !ok {
		known = kept{}
	}
	listings, err := b.list(ctx, r, known)
	if err != nil {
		return err
	}
	next := kept{Sources: make(map[string]json.RawMessage)}
	var all listing
	for i, s := range b.chosen {
		l := listings[i]
		if l == nil { // it keeps what it knew
			if memory, ok := known.Sources[s.name()]; ok {
				next.Sources[s.name()] = memory
			}
			continue
		}
		if l.tell != nil {
			l.tell(r) // before what it remembers is taken
		}
		if l.memory != nil {
			memory, err := json.Marshal(l.memory)
			if err != nil {
				return check.Faultf(check.Internal, "remember", s.name(), "%w", err)
			}
			next.Sources[s.name()] = memory
		}
		all.add(s.name(), l)
	}
	if err := b.wanted.leave(&all); err != nil {
		return err
	}
	complete := true
	for i, s := range b.chosen {
		complete = complete && (listings[i] != nil || partOf(s) != partBackups)
	}
	next.Sets = judge(r, &all, known.Sets, b.wanted, complete)
	r.Remember(next)
	return nil
}

// list asks the sources side by side, so that one that hangs takes no time
// from the others. A source that cannot be looked at, or is left out by its
// part, is nil in the result; why is reported, and the error is that of a
// source that is alone.
func (b *backupCheck) list(ctx context.Context, r *check.Report, known kept) ([]*listing, error) {
	listings, errs := make([]*listing, len(b.chosen)), make([]error, len(b.chosen))
	looks := make(map[string][]func(context.Context) error)
	for i, s := range b.chosen {
		at := moment{now: r.Now(), offsite: len(b.wanted.offsite) > 0, memory: known.Sources[s.name()]}
		looks[partOf(s)] = append(looks[partOf(s)], func(ctx context.Context) error {
			listings[i], errs[i] = s.list(ctx, at)
			return nil
		})
	}
	var parts []func(context.Context) error
	for name, of := range looks {
		parts = append(parts, func(ctx context.Context) error {
			r.Part(ctx, name, func(ctx context.Context) error { return check.Go(ctx, of...) }) // its error is a panic
			return nil
		})
	}
	if err := check.Go(ctx, parts...); err != nil {
		return nil, err
	}
	for i, err := range errs {
		if err == nil {
			continue
		}
		listings[i] = nil
		if len(b.chosen) == 1 {
			return nil, err
		}
		r.Fail(err, b.chosen[i].name())
	}
	return listings, nil
}

// noticing is a source of whose options line 1 may have to say something.
type noticing interface{ notice() string }

// partOf is the part of the check that a source belongs to.
func partOf(s source) string {
	if s.name() == partArchiving {
		return partArchiving
	}
	return partBackups
}

// add joins what another source has. Names of sets stay unique.
func (l *listing) add(source string, more *listing) {
	for _, s := range more.sets {
		s.place = cmp.Or(s.place, s.name)
		if s.name != "" && slices.ContainsFunc(l.sets, func(other set) bool { return other.name == s.name }) {
			s.name = source + " " + s.name
		}
		l.sets = append(l.sets, s)
	}
	l.lists = append(l.lists, more.lists...)
	l.notes = append(l.notes, more.notes...)
	l.also = cmp.Or(more.also, l.also)
}

// Close has nothing to give back.
func (b *backupCheck) Close() error { return nil }

// past is what earlier looks saw of a set.
type past struct {
	last
	// Running is when a backup was first seen being made; zero: none is.
	Running time.Time `json:"running,omitzero"`
}

// last is the newest good backup of a set, which the next one may replace:
// then only this knows how large those before were.
type last struct {
	Class  string    `json:"class,omitempty"`
	Ended  time.Time `json:"ended,omitzero"`
	Size   int64     `json:"size,omitempty"`   // bytes
	Before []int64   `json:"before,omitempty"` // sizes of those that it replaced, the newest first
}
