package cronfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

// look holds the options of one configured check.
type look struct {
	fileValues, excludes, expects, ownerValues []string
	forget                                     time.Duration

	sources []source
	expect  []string
	owners  map[uint32]bool // empty: any
}

func newLook(fs *pflag.FlagSet) *look {
	l := &look{}
	fs.StringArrayVar(&l.fileValues, "file", nil, "[NAME=]PATH of a file that holds a verdict; or a pattern (*, ? in the last part of the path), or a directory, for all files in it. Repeat, or separate by blanks")
	fs.StringArrayVar(&l.excludes, "exclude", nil, "leave files of this name or glob out of patterns and directories; several: repeat or separate by blanks")
	fs.StringArrayVar(&l.expects, "expect", nil, "name or glob that a file must have, for patterns and directories; several: repeat or separate by blanks")
	fs.StringArrayVar(&l.ownerValues, "owner", nil, "user, by name or number, that a file must belong to (default any); several: repeat or separate by blanks")
	fs.DurationVar(&l.forget, "forget", 24*time.Hour, "how long a file that a pattern or directory had is spoken of when it is gone; 0s: not at all")
	return l
}

func (l *look) Prepare() (check.Setup, error) {
	var err error
	if l.sources, err = parseSources(l.fileValues); err != nil {
		return check.Setup{}, err
	}
	if l.owners, err = userIDs(fields(l.ownerValues)); err != nil {
		return check.Setup{}, err
	}
	if l.forget < 0 {
		return check.Setup{}, errors.New("--forget must not be below zero")
	}
	l.expect = fields(l.expects)
	target := make([]string, len(l.sources))
	for i, s := range l.sources {
		target[i] = filepath.Join(s.path, s.glob)
	}
	return check.Setup{Target: strings.Join(target, " ")}, nil
}

func (l *look) Close() error { return nil }

// fields splits values at blanks.
func fields(values []string) []string { return strings.Fields(strings.Join(values, " ")) }

func userIDs(names []string) (map[uint32]bool, error) {
	ids := make(map[uint32]bool)
	for _, name := range names {
		text := name
		if u, err := user.Lookup(name); err == nil {
			text = u.Uid
		}
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("--owner %s: no such user in /etc/passwd: give the number of one that a directory service knows", name)
		}
		ids[uint32(id)] = true
	}
	return ids, nil
}

// content is what came of reading one file.
type content struct {
	file
	record record
	info   fs.FileInfo
	err    error
}

func (l *look) Run(ctx context.Context, r *check.Report) error {
	excluded := func(name string) bool {
		return slices.ContainsFunc(fields(l.excludes), func(glob string) bool { return check.Glob(glob, name) })
	}
	found, errs := find(l.sources, excluded)
	for _, err := range errs {
		r.Fail(err)
	}
	contents, err := readAll(ctx, found)
	if err != nil {
		return err
	}
	good := l.judge(r, contents)
	l.expected(r, found, len(errs) > 0)
	l.past(r, contents, len(errs) > 0)
	l.summarize(r, good)
	return nil
}

// pauses between the tries to read a file that is not whole: a job that
// writes by > and not by mv leaves it empty for a moment.
const (
	tries = 3
	pause = 100 * time.Millisecond
)

// readAll reads the files; those that may be in the middle of being written
// are read again.
func readAll(ctx context.Context, found []file) ([]content, error) {
	contents := make([]content, len(found))
	todo := make([]int, len(found))
	for i, f := range found {
		contents[i].file, todo[i] = f, i
	}
	for try := 1; ; try++ {
		var again []int
		for _, i := range todo {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if !contents[i].read() {
				again = append(again, i)
			}
		}
		if len(again) == 0 || try == tries {
			return contents, nil
		}
		todo = again
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
}

// read reads the file and reports whether it is worth no second try.
func (c *content) read() (whole bool) {
	data, info, err := read(c.path)
	if err != nil {
		c.err = err
		return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errChanged)
	}
	c.info = info
	if c.record, err = parse(data); err != nil {
		c.err = &check.Fault{Reason: check.Data, Stage: "read the verdict in", Peer: c.path, Err: err}
	} else {
		c.err = nil
	}
	return strings.HasSuffix(string(data), "\n")
}

// judge reports what each file says and returns those that can be believed.
func (l *look) judge(r *check.Report, contents []content) (good []content) {
	open := make(map[string]bool) // directories that have been reported
	for _, c := range contents {
		if c.err != nil {
			if c.listed && errors.Is(c.err, fs.ErrNotExist) {
				r.Find(gone, fmt.Sprintf("%s has vanished while it was looked at", c.path), c.name)
			} else {
				r.Fail(c.err)
			}
			continue
		}
		l.trust(r, c, open)
		verdict(r, c)
		good = append(good, c)
	}
	r.Observe(files, float64(len(good)))
	return good
}

// verdict reports what a file says.
func verdict(r *check.Report, c content) {
	worst := check.Worst(c.record.code, c.record.word)
	if c.record.code != c.record.word {
		r.Fail(check.Faultf(check.Data, "read the verdict in", c.path, "its code %d means %s and its state is %s", c.record.code, c.record.code, c.record.word))
	}
	text := c.record.text
	if text == "" {
		text = "no text"
	}
	said := fmt.Sprintf("%s: %s (said %s)", c.name, check.CleanMax(text, 300), ago(r, c.record.at))
	switch worst {
	case check.Critical:
		r.Find(recordedCritical, said, c.name)
	case check.Unknown:
		r.Find(recordedUnknown, said, c.name)
	case check.Warning:
		r.Find(recordedWarning, said, c.name)
	default:
		r.Detail("it says OK: "+text, c.name)
		if len(c.record.more) > 0 {
			r.Find(moreLines, fmt.Sprintf("%s: it says OK and then %s", c.name, quote(c.record.more[0])), c.name)
		}
	}
	for i, line := range c.record.more {
		if i == maxNotes {
			r.Note("%s: %d more lines", c.name, len(c.record.more)-i)
			break
		}
		r.Note("%s: %s", c.name, line)
	}
	r.ObserveTime(written, c.record.at, c.name)
	r.Observe(state, float64(worst), c.name)
}

// maxNotes bounds the further lines of a file that -v shows.
const maxNotes = 20

// ago says how long ago a time was, in whole seconds.
func ago(r *check.Report, at time.Time) string {
	age := r.Now().Sub(at).Truncate(time.Second)
	if age < 0 {
		return "in the future"
	}
	return check.FormatDuration(age) + " ago"
}

// trust reports who else could have written the file.
func (l *look) trust(r *check.Report, c content, open map[string]bool) {
	if stat, ok := c.info.Sys().(*syscall.Stat_t); ok && len(l.owners) > 0 && !l.owners[stat.Uid] {
		r.Find(foreign, fmt.Sprintf("%s: %s belongs to %s", c.name, c.path, userName(stat.Uid)), c.name)
	}
	if c.info.Mode().Perm()&0o002 != 0 {
		r.Find(writable, fmt.Sprintf("%s: every user can write %s (mode %04o): chmod o-w", c.name, c.path, c.info.Mode().Perm()), c.name)
	}
	dir := filepath.Dir(c.path)
	info, err := statDir(dir)
	switch {
	case open[dir]:
		return
	case err != nil:
		r.Fail(err)
	case info.Mode().Perm()&0o002 == 0:
	case info.Mode()&fs.ModeSticky == 0:
		r.Find(writable, fmt.Sprintf("every user can replace the files in %s (mode %04o): chmod o-w", dir, info.Mode().Perm()), dir)
	case len(l.owners) == 0:
		r.Find(writable, fmt.Sprintf("every user can make a file in %s before the job does: use another directory, or name its user with --owner", dir), dir)
	}
	open[dir] = true
}

func userName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return "user " + number
}

// expected reports names that no file has.
func (l *look) expected(r *check.Report, found []file, failed bool) {
	if failed {
		return // which explains it
	}
	for _, glob := range l.expect {
		if !slices.ContainsFunc(found, func(f file) bool { return check.Glob(glob, f.name) || check.Glob(glob, filepath.Base(f.path)) }) {
			r.Find(missing, fmt.Sprintf("no file is named %s: has its job ever run?", glob), glob)
		}
	}
}

// memory is when a pattern or directory last had each file, by path.
type memory struct {
	Seen map[string]time.Time `json:"seen"`
}

// past reports files that patterns and directories no longer have: whose job
// is not even stale.
func (l *look) past(r *check.Report, contents []content, failed bool) {
	now := r.Now()
	known := memory{}
	r.Recall(&known)
	next := memory{Seen: make(map[string]time.Time)}
	lists := slices.ContainsFunc(l.sources, func(s source) bool { return s.glob != "" })
	for _, c := range contents {
		lists = lists || c.listed
		if c.listed {
			next.Seen[c.path] = now
		}
	}
	if !lists && !failed {
		return
	}
	for path, seen := range known.Seen {
		if _, there := next.Seen[path]; there || now.Sub(seen) >= l.forget {
			continue
		}
		if next.Seen[path] = seen; !failed {
			r.Find(gone, fmt.Sprintf("%s is gone since the look at %s", path, seen.UTC().Format("2006-01-02 15:04:05 UTC")), filepath.Base(path))
		}
	}
	r.Remember(next)
}

func (l *look) summarize(r *check.Report, good []content) {
	if len(good) == 0 {
		return
	}
	oldest := slices.MinFunc(good, func(a, b content) int { return a.record.at.Compare(b.record.at) })
	if len(good) == 1 {
		text := oldest.record.text
		if text == "" {
			text = "no text"
		}
		r.Summarize("%s: %s (said %s)", oldest.name, check.CleanMax(text, 160), ago(r, oldest.record.at))
		return
	}
	r.Summarize("%d files say OK, the oldest is %s of %s", len(good), check.CleanMax(oldest.name, 80), ago(r, oldest.record.at))
}
