package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/plugins/backup/dump"
)

const (
	defaultSettle = 10 * time.Minute
	// maxOpened bounds how many files of a set are opened, the newest first.
	maxOpened = 100
)

// dumps looks at files and directories that pg_dump and others wrote.
type dumps struct {
	paths    []string
	statOnly bool
	verify   bool
	settle   time.Duration
	parts    []string // of Zulip's tarballs
}

func newDumps(fs *pflag.FlagSet) *dumps {
	d := &dumps{}
	fs.StringArrayVar(&d.paths, "path", nil, "dumps: directory, file or pattern (quoted) of dumps, absolute; repeat for several sets, each judged on its own")
	fs.BoolVar(&d.verify, "verify", false, "dumps: read the newest dump to its end, compressed data too; give it time with -t. A file is read once as long as it stays the same")
	fs.BoolVar(&d.statOnly, "stat-only", false, "dumps: judge by name, size and time only, for encrypted dumps or ones that may not be read; any file counts, and what was cut off is not seen")
	fs.StringArrayVar(&d.parts, "zulip-parts", defaultZulipParts(), "dumps: what a tarball of Zulip's manage.py backup must hold: database, settings (/etc/zulip with its secrets), uploads (of the local backend). Repeat for several")
	fs.DurationVar(&d.settle, "settle", defaultSettle, "dumps: a file without its end is still being written until nothing was written for this time")
	return d
}

// defaultZulipParts are the parts without which a server cannot be restored.
// Uploads are in a tarball only with the local backend.
func defaultZulipParts() []string { return []string{dump.ZulipDatabase, dump.ZulipSettings} }

func (d *dumps) name() string { return "dumps" }

func (d *dumps) given() string {
	switch {
	case len(d.paths) > 0:
		return "path"
	case d.verify:
		return "verify"
	case d.statOnly:
		return "stat-only"
	case d.settle != defaultSettle:
		return "settle"
	case !slices.Equal(d.parts, defaultZulipParts()):
		return "zulip-parts"
	}
	return ""
}

func (d *dumps) prepare() (target string, err error) {
	if len(d.paths) == 0 {
		return "", fmt.Errorf("--%s goes with --path", d.given())
	}
	for _, part := range d.parts {
		if !slices.Contains(dump.ZulipParts(), part) {
			return "", fmt.Errorf("--zulip-parts %q: there are %s", part, strings.Join(dump.ZulipParts(), ", "))
		}
	}
	if d.verify && d.statOnly {
		return "", errors.New("--verify reads dumps and --stat-only does not: choose one")
	}
	if d.settle < 0 {
		return "", fmt.Errorf("--settle %s is below zero", d.settle)
	}
	for i, path := range d.paths {
		if !filepath.IsAbs(path) {
			return "", fmt.Errorf("--path %q is no absolute path", path)
		}
		path = filepath.Clean(path) // "/x" and "/x/" are one set
		d.paths[i] = path
		if err := dump.CheckPattern(path); err != nil {
			return "", fmt.Errorf("--path: %w", err)
		}
		if slices.Contains(d.paths[:i], path) {
			return "", fmt.Errorf("--path %s is given twice", path)
		}
	}
	return strings.Join(d.paths, " "), nil
}

func (d *dumps) list(ctx context.Context, at moment) (*listing, error) {
	// All of the time there is: what takes long is a large file, no peer that
	// hangs.
	ctx, cancel := check.Step(ctx, 24*time.Hour)
	defer cancel()
	l := &listing{}
	var before, keep verified
	if d.verify {
		keep = verified{}
		l.memory = keep
		at.recall(&before)
	}
	for _, path := range d.paths {
		look := &dumpLook{dumps: d, at: at, before: before, keep: keep, started: time.Now(), set: set{name: path}}
		if err := look.run(ctx, path); err != nil {
			look.set.faults = append(look.set.faults, err)
		}
		place, reach := location{path: fixedPart(path)}.where(ctx)
		look.set.place = place
		if at.offsite {
			look.set.reach = reach
		}
		l.sets = append(l.sets, look.set)
		for _, note := range look.notes {
			l.notes = append(l.notes, path+": "+note)
		}
	}
	return l, nil
}

// fixedPart is the directory before the first element that is a pattern.
func fixedPart(path string) string {
	for dump.IsPattern(path) {
		path = filepath.Dir(path)
	}
	return path
}

// verified keeps what was found in files that were read whole, so that each
// is read once only.
type verified map[string]dump.Result

// dumpLook is a look at the dumps of one path.
type dumpLook struct {
	*dumps
	at      moment
	before  verified // what earlier looks read whole
	keep    verified // what was read whole, for the next look
	started time.Time
	set     set
	notes   []string
	ignored int    // files that are no dumps
	example string // one of them
	folders bool   // there are directories that are no dumps
	found   bool   // a good one
}

func (l *dumpLook) note(format string, args ...any) {
	l.notes = append(l.notes, fmt.Sprintf(format, args...))
}

// run looks at the candidates, the newest first: the newest good one closely,
// those before it by their ends.
func (l *dumpLook) run(ctx context.Context, path string) error {
	candidates, err := l.candidates(ctx, path)
	if err != nil {
		return l.fault(path, err)
	}
	for i, c := range candidates {
		if i == maxOpened {
			l.note("the newest %d of %d are looked at and counted", maxOpened, len(candidates))
			break
		}
		err := l.candidate(ctx, c)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			l.note("%s vanished", c.name)
		case err != nil && !l.found:
			// It may be the newest good one.
			return l.fault(c.path, err)
		case err != nil:
			l.note("%v", l.fault(c.path, err))
		}
		if ctx.Err() != nil && l.found {
			l.note("no time to look at all that are older")
			break
		}
	}
	switch {
	case l.set.absent != "":
	case l.ignored > 0:
		l.set.absent = fmt.Sprintf("no file is a dump of a known format (%s is none): --stat-only judges by name, size and time", l.example)
	case l.folders:
		l.set.absent = fmt.Sprintf("no dump is there, and its directories are not looked into: give a pattern, such as '%s/*/*'", strings.TrimSuffix(path, "/"))
	default:
		l.set.absent = "no file is there"
	}
	if l.ignored > 0 {
		l.note("%d files are no dumps, such as %s", l.ignored, l.example)
	}
	return nil
}

// candidate looks at one file or directory.
func (l *dumpLook) candidate(ctx context.Context, c candidate) error {
	if c.err != nil {
		return c.err
	}
	result, err := l.inspect(ctx, c)
	if err != nil {
		return err
	}
	settled := l.settled(c.ended)
	class, kind := strings.TrimPrefix(result.Format, dump.Zulip), result.Format
	if class != kind && result.Problem == "" {
		kind, result.Problem = l.zulip(result)
	}
	switch {
	case result.Format == "" && !dumpName(c.name) && !l.statOnly:
		l.ignored++
		l.example = c.name
		return nil
	case (result.Problem != "" || !result.Proven) && !settled:
		l.note("%s is still being written", c.name)
		l.set.running, l.set.unfinished = true, c.name
		return nil
	}
	of := thing(l.set.name, c.path)
	l.set.backups = append(l.set.backups, backup{
		name: c.name, kind: kind, thing: of, class: of + " " + class,
		ended: c.ended, size: c.size, problem: result.Problem, unproven: !result.Proven,
	})
	l.found = l.found || result.Problem == ""
	return nil
}

// zulip words what a tarball of manage.py backup holds, and says what it lacks.
func (l *dumpLook) zulip(result dump.Result) (kind, problem string) {
	holds := strings.Fields(result.Holds)
	kind = result.Format + " of " + strings.Join(holds, ", ")
	for _, part := range l.parts {
		if !slices.Contains(holds, part) {
			return kind, fmt.Sprintf("it holds no %s; it holds %s", lack(part), cmp.Or(strings.Join(holds, ", "), "no part of Zulip"))
		}
	}
	return kind, ""
}

// lack names a part that is not there, and why that may be.
func lack(part string) string {
	switch part {
	case dump.ZulipDatabase:
		return "database (made with --skip-db?)"
	case dump.ZulipUploads:
		return "uploads (made with --skip-uploads, or they lie in S3?)"
	}
	return "settings with secrets"
}

// settled tells that nobody writes any more. A time in the future says
// nothing of that.
func (l *dumpLook) settled(ended time.Time) bool {
	age := l.at.now.Sub(ended)
	return age >= l.settle || age < -time.Minute
}

// fault names the reason of an error of the file system. Lack of time is the
// operator's to mend: a large file is no peer that hangs.
func (l *dumpLook) fault(path string, err error) error {
	var unfinished *dump.Unfinished
	var known *check.Fault
	switch {
	case errors.As(err, &unfinished):
		took := time.Since(l.started)
		return check.Faultf(check.Config, "read", path, "%w in %s: give it more time with -t%s", unfinished,
			check.FormatDuration(took.Round(10*time.Millisecond)), enough(unfinished, took))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return check.Faultf(check.Config, "list", path, "not finished in time: give it more with -t, or a narrower pattern")
	case errors.Is(err, fs.ErrPermission):
		return check.Faultf(check.Permission, "read", path, "permission denied%s", grant(path, ", with umask 027 where it is written, or use --stat-only"))
	case errors.As(err, &known):
		return err
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return &check.Fault{Reason: check.Data, Stage: pathErr.Op, Peer: pathErr.Path, Err: pathErr.Err}
	}
	return &check.Fault{Reason: check.Data, Stage: "read", Peer: path, Err: err}
}

// enough estimates how much time all of a file takes, with a half more.
func enough(u *dump.Unfinished, took time.Duration) string {
	if u.Read < 1<<20 {
		return ""
	}
	seconds := took.Seconds() * float64(u.Size) / float64(u.Read) * 1.5
	return fmt.Sprintf(", about %.0fs", seconds)
}
