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
		newPgBackRest(fs), newDumps(fs), newWALG(fs), newBarman(fs), newRestic(fs), newBorg(fs),
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
	if len(b.chosen) == 0 {
		b.chosen = b.sources[:1]
	}
	targets := make([]string, 0, len(b.chosen))
	for _, s := range b.chosen {
		target, err := s.prepare()
		if err != nil {
			return check.Setup{}, err
		}
		targets = append(targets, target)
	}
	limits, err := b.wanted.prepare()
	return check.Setup{Target: strings.Join(targets, " "), Limits: limits}, err
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
		if l.memory != nil {
			memory, err := json.Marshal(l.memory)
			if err != nil {
				return check.Faultf(check.Internal, "remember", s.name(), "%w", err)
			}
			next.Sources[s.name()] = memory
		}
		if l.tell != nil {
			l.tell(r)
		}
		all.add(s.name(), l)
	}
	if err := b.wanted.leave(&all); err != nil {
		return err
	}
	next.Sets = judge(r, &all, known.Sets, b.wanted, !slices.Contains(listings, nil))
	r.Remember(next)
	return nil
}

// list asks the sources side by side, so that one that hangs takes no time
// from the others. A source that cannot be looked at is nil in the result and
// reported; the error is that of a source that is alone.
func (b *backupCheck) list(ctx context.Context, r *check.Report, known kept) ([]*listing, error) {
	listings, errs := make([]*listing, len(b.chosen)), make([]error, len(b.chosen))
	looks := make([]func(context.Context) error, len(b.chosen))
	for i, s := range b.chosen {
		at := moment{now: r.Now(), offsite: len(b.wanted.offsite) > 0, memory: known.Sources[s.name()]}
		looks[i] = func(ctx context.Context) error {
			listings[i], errs[i] = s.list(ctx, at)
			return nil
		}
	}
	if err := check.Go(ctx, looks...); err != nil {
		return nil, err // a panic
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
