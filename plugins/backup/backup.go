package backup

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/plugins/backup/dump"
)

// source is a tool or a place that has backups. Each declares its own
// options when it is made.
type source interface {
	// given names an option of the source that was set, empty for none.
	given() string
	// prepare validates the options and opens nothing. It returns the name
	// of what is looked at.
	prepare() (target string, err error)
	// list returns all backups, whatever they are worth. The error is one of
	// the whole look.
	list(ctx context.Context, at moment) (*listing, error)
}

// moment is what a look knows when it begins.
type moment struct {
	now      time.Time
	verified verified
}

// verified keeps what was found in files that were read whole, so that each
// is read once only.
type verified map[string]dump.Result

// kept is what a look leaves to the next.
type kept struct {
	Verified verified        `json:"verified,omitempty"`
	Newest   map[string]last `json:"newest,omitempty"` // by set
}

// last is the newest good backup of a set, which the next one may replace:
// then only this knows how large the one before was.
type last struct {
	Class  string    `json:"class"`
	Ended  time.Time `json:"ended"`
	Size   int64     `json:"size"`             // bytes
	Before int64     `json:"before,omitempty"` // size of the one that it replaced; zero: not known
}

// listing is what a source has.
type listing struct {
	sets     []set
	written  time.Time // of a list that somebody else wrote; zero: it was asked for now
	verified verified  // to be kept for the next look; nil for none
	notes    []string
}

// set is the backups of one thing in one place.
type set struct {
	name    string
	backups []backup // in any order
	absent  string   // why there is no good one, where there is none
	wrong   []string // what the tool says is wrong with the repository
	// faults are why it cannot be said which backup is the newest good one.
	faults     []error
	running    bool   // one is being made
	unfinished string // the name under which, where it would replace the last
}

// backup is one finished backup.
type backup struct {
	name           string
	kind           string // as it is shown: full, incr, plain gzip
	thing          string // what it is of, as far as its name tells
	class          string // sizes within a class can be compared
	full           bool   // the kind that others are based on
	started, ended time.Time
	size           int64  // in bytes, below zero where not known
	problem        string // why it is no good, empty for a good one
	unproven       bool   // nobody has seen its end
}

// backupCheck is the check.
type backupCheck struct {
	sources []source // the first is the one where no option tells
	chosen  source
}

func newBackup(fs *pflag.FlagSet) *backupCheck {
	return &backupCheck{sources: []source{newPgBackRest(fs), newDumps(fs)}}
}

// Prepare chooses the source by the options that are set.
func (b *backupCheck) Prepare() (check.Setup, error) {
	b.chosen = nil
	first := ""
	for _, s := range b.sources {
		option := s.given()
		if option == "" {
			continue
		}
		if b.chosen != nil {
			return check.Setup{}, fmt.Errorf("--%s and --%s are of different sources of backups: make a check of each", first, option)
		}
		b.chosen, first = s, option
	}
	if b.chosen == nil {
		b.chosen = b.sources[0]
	}
	target, err := b.chosen.prepare()
	return check.Setup{Target: target}, err
}

// Run takes one look.
func (b *backupCheck) Run(ctx context.Context, r *check.Report) error {
	var known kept
	if _, ok := r.Recall(&known); !ok {
		known = kept{}
	}
	l, err := b.chosen.list(ctx, moment{now: r.Now(), verified: known.Verified})
	if err != nil {
		return err
	}
	r.Remember(kept{Verified: l.verified, Newest: judge(r, l, known.Newest)})
	return nil
}

// Close has nothing to give back.
func (b *backupCheck) Close() error { return nil }
