package backup

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/plugins/backup/archiving"
)

// walArchive is the look at the archive of PostgreSQL's log, which has no
// backups of its own.
type walArchive struct {
	look    *archiving.Archiving
	warning string // for line 1
}

func newWALArchive(fs *pflag.FlagSet) *walArchive { return &walArchive{look: archiving.Flags(fs)} }

func (a *walArchive) name() string { return partArchiving }

func (a *walArchive) given() string { return a.look.Given() }

func (a *walArchive) notice() string { return a.warning }

func (a *walArchive) prepare() (target string, err error) {
	target, a.warning, err = a.look.Prepare()
	return target, err
}

func (a *walArchive) list(ctx context.Context, at moment) (*listing, error) {
	var before archiving.Memory
	at.recall(&before)
	sights, err := a.look.Look(ctx, before)
	if err != nil {
		return nil, err
	}
	l := &listing{}
	l.tell = func(r *check.Report) { l.also, l.memory = sights.Report(r) }
	return l, nil
}
