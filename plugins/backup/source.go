package backup

import (
	"context"
	"encoding/json"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// source is a tool or a kind of place that has backups. Each declares its own
// options when it is made, and one look takes all whose options are set.
type source interface {
	// name is the word for it in texts, and what its memory is kept under.
	name() string
	// given names an option of the source that was set, empty for none.
	given() string
	// prepare validates the options and opens nothing. It returns the name
	// of what is looked at.
	prepare() (target string, err error)
	// list returns all backups, whatever they are worth. The error is one of
	// all that the source looks at; one of a single set stands in its faults.
	// Sources are asked side by side.
	list(ctx context.Context, at moment) (*listing, error)
}

// moment is what a look knows when it begins.
type moment struct {
	now     time.Time
	offsite bool            // what this machine could do to the backups is asked for
	memory  json.RawMessage // what the source remembered; empty for nothing
}

// recall decodes what the source remembered at the look before. Where there
// is nothing, or nothing that can be read, it is false.
func (m moment) recall(into any) bool {
	return len(m.memory) > 0 && json.Unmarshal(m.memory, into) == nil
}

// listing is what a source has.
type listing struct {
	sets   []set
	lists  []list   // that somebody else wrote; none where it was asked for now
	memory any      // to be kept for the next look, as JSON; nil for none
	notes  []string // shown with -v
	// tell reports what is no set: metrics and findings of the source's own.
	tell func(*check.Report)
}

// list is a list of backups in a file that somebody else wrote.
type list struct {
	path    string
	written time.Time
}

// set is the backups of one thing in one place.
type set struct {
	name string // unique within the source
	// place is where they are kept, as two that are lost together have the
	// same: a host, a bucket, the directory of a repository. Empty: the name.
	place   string
	backups []backup // in any order
	absent  string   // why there is no good one, where there is none
	wrong   []string // what the tool says is wrong with the repository
	// faults are why it cannot be said which backup is the newest good one.
	faults     []error
	running    bool      // one is being made
	since      time.Time // when it began; zero: not known
	unfinished string    // the name under which, where it would replace the last
	reach      reach     // of this machine to the backups, where it was asked for
}

// reach is what this machine could do to backups: one that it can write or
// delete is lost together with it.
type reach struct {
	can    string // how it could write or delete them; empty: no way was found
	cannot string // what keeps it from that; empty with an empty can: it cannot be seen
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
