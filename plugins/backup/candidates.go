package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/belfry-monitoring/belfry/common/safefile"
	"github.com/belfry-monitoring/belfry/plugins/backup/dump"
)

// candidate is a file, or a dump in the directory format, that may be a
// backup.
type candidate struct {
	path, name string
	info       fs.FileInfo
	entries    []fs.FileInfo // of a directory
	ended      time.Time     // when it was last written
	size       int64         // bytes; of all files of a directory
	err        error         // it cannot be looked at
}

// candidates lists what may be a backup, the newest first.
func (l *dumpLook) candidates(ctx context.Context, given string) ([]candidate, error) {
	paths, err := l.expand(ctx, given)
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var found []candidate
	twins := make(map[[2]uint64]int) // by device and inode: "latest" is no second backup
	for _, p := range paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if name := filepath.Base(p); unfinishedName(name) {
			l.note("%s has the name of a file that is being written", name)
			continue
		}
		c, ok := l.stat(ctx, p)
		if !ok {
			continue
		}
		if id, known := identity(c.info); known {
			if i, twin := twins[id]; twin {
				if link, err := os.Lstat(p); err == nil && link.Mode()&fs.ModeSymlink == 0 {
					found[i] = c
				}
				continue
			}
			twins[id] = len(found)
		}
		found = append(found, c)
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return b.ended.Compare(a.ended) })
	return found, nil
}

func identity(info fs.FileInfo) (id [2]uint64, known bool) {
	if info == nil {
		return id, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return id, false
	}
	return [2]uint64{uint64(stat.Dev), stat.Ino}, true
}

// expand returns the paths that are meant: those that match a pattern, what
// is in a directory, or the file or dump directory itself.
func (l *dumpLook) expand(ctx context.Context, given string) ([]string, error) {
	if dump.IsPattern(given) {
		paths, err := dump.Glob(ctx, given)
		l.set.absent = ""
		if err == nil && len(paths) == 0 {
			l.set.absent = "no file matches"
		}
		return paths, err
	}
	info, err := os.Stat(given)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.set.absent = "it does not exist"
		return nil, nil
	case err != nil:
		return nil, err
	case !info.IsDir():
		return []string{given}, nil
	}
	names, err := dump.Names(ctx, given)
	if err != nil {
		return nil, err
	}
	if dump.IsDirectory(names) {
		return []string{given}, nil
	}
	var paths []string
	for _, name := range names {
		if !strings.HasPrefix(name, ".") {
			paths = append(paths, filepath.Join(given, name))
		}
	}
	return paths, nil
}

// stat makes a candidate of a path; what vanished and what is neither file
// nor dump directory is none.
func (l *dumpLook) stat(ctx context.Context, p string) (c candidate, ok bool) {
	c = candidate{path: p, name: filepath.Base(p)}
	info, err := os.Stat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENOTDIR):
		l.note("%s is not there or leads nowhere", c.name)
		return c, false
	case err != nil:
		// Its time is not known: it may be the newest.
		c.ended, c.err = l.at.now, err
		return c, true
	}
	c.info, c.ended, c.size = info, info.ModTime(), info.Size()
	switch {
	case info.Mode().IsRegular():
		return c, true
	case !info.IsDir():
		l.note("%s is no regular file", c.name)
		return c, false
	case c.name == "lost+found":
		return c, false
	}
	c.entries, c.err = dump.List(ctx, p)
	names := make([]string, 0, len(c.entries))
	for _, e := range c.entries {
		names = append(names, e.Name())
	}
	if c.err == nil && !dump.IsDirectory(names) {
		l.note("directory %s is no dump and is not looked into", c.name)
		l.folders = true
		return c, false
	}
	c.ended, c.size = dump.Sum(c.entries, c.ended)
	return c, true
}

// inspect looks into a candidate as deep as its place asks for.
func (l *dumpLook) inspect(ctx context.Context, c candidate) (dump.Result, error) {
	if l.statOnly {
		result := dump.Result{Format: extension(c.name), Proven: l.settled(c.ended)}
		if c.size == 0 {
			result = dump.Result{Format: result.Format, Problem: "it is empty"}
		}
		return result, nil
	}
	depth := int64(dump.Ends)
	if !l.found {
		depth = dump.Small
		if l.verify {
			depth = dump.Whole
		}
	}
	key := fmt.Sprintf("%s|%d|%d", c.path, c.size, c.ended.UnixNano())
	if result, ok := l.before[key]; ok && depth == dump.Whole {
		l.keep[key] = result
		return result, nil
	}
	result, err := open(ctx, c, depth)
	if err == nil && depth == dump.Whole && l.settled(c.ended) {
		l.keep[key] = result
	}
	return result, err
}

func open(ctx context.Context, c candidate, depth int64) (dump.Result, error) {
	if c.info.IsDir() {
		return dump.InspectDirectory(ctx, c.path, c.entries, c.size <= depth)
	}
	f, info, err := safefile.Open(c.path)
	if err != nil {
		return dump.Result{}, err
	}
	defer f.Close()
	return dump.Inspect(ctx, f, info.Size(), depth)
}

// extension serves as format where contents are not read.
func extension(name string) string {
	ext := strings.TrimPrefix(path.Ext(name), ".")
	if ext == "" || len(ext) > 10 {
		return "file"
	}
	return ext
}

// changing is what differs between the names of dumps of one thing beside
// digits: weekdays, and endings that rotation puts numbers behind.
var changing = regexp.MustCompile(`(?i)((^|[._-])(mon|tues?|wed(nes)?|thu(rs)?|fri|sat(ur)?|sun)(day)?|[._-]|` +
	`\.(sql|psql|pgsql|dump|pgdump|dmp|custom|backup|bak|tar|tgz|zip|gz|xz|zst|bz2|lz4))$`)

// stem is what dumps of the same thing have in common: the name up to its
// first digit, or without digits where it begins with one, and without what
// changes or only says the format.
func stem(name string) string {
	digit := func(r rune) bool { return r >= '0' && r <= '9' }
	switch i := strings.IndexFunc(name, digit); {
	case i > 0:
		name = name[:i]
	case i == 0:
		name = strings.TrimLeft(strings.Map(func(r rune) rune {
			if digit(r) {
				return -1
			}
			return r
		}, name), "._- ")
	}
	for {
		shorter := changing.ReplaceAllString(name, "")
		if shorter == name {
			return name
		}
		name = shorter
	}
}

// thing tells by the path of a dump what it is of: its stem, behind those of
// the directories that the given pattern leaves open.
func thing(given, found string) string {
	parts := strings.Split(found, "/")
	first := len(parts) - 1
	for i, element := range strings.Split(given, "/") {
		if i < first && dump.IsPattern(element) {
			first = i
		}
	}
	stems := make([]string, 0, len(parts)-first)
	for _, part := range parts[first:] {
		if s := stem(part); s != "" {
			stems = append(stems, s)
		}
	}
	return strings.Join(stems, "/")
}

// unfinishedName tells names under which programs write what they rename when
// it is finished.
func unfinishedName(name string) bool {
	lower := strings.ToLower(name)
	for _, suffix := range []string{".tmp", ".temp", ".part", ".partial", ".incomplete", ".inprogress", ".filepart", ".writing", ".swp", "~"} {
		if strings.HasSuffix(lower, suffix) {
			return true
		}
	}
	return false
}

// dumpName tells names that only dumps have: such a file that holds none is a
// failed backup, while another (a log, a checksum) is none at all.
func dumpName(name string) bool {
	lower := strings.ToLower(name)
	for _, packed := range []string{".gz", ".xz", ".zst", ".bz2", ".lz4"} {
		lower = strings.TrimSuffix(lower, packed)
	}
	switch path.Ext(lower) {
	case ".sql", ".psql", ".pgsql", ".dump", ".pgdump", ".dmp", ".custom", ".backup", ".bak", ".tar", ".tgz", ".zip":
		return true
	}
	return false
}
