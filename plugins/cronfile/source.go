package cronfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

const (
	maxFile    = 64 << 10 // bytes of a file
	maxFiles   = 1000     // in one look
	maxEntries = 20000    // of a directory, read or not
)

// source is one --file.
type source struct {
	name string // given by NAME=PATH; empty: that of the file
	path string // absolute and clean; for a pattern, its directory
	glob string // pattern of names in path; empty where path is the file, or a directory
}

// parseSources reads the values of --file: [NAME=]PATH, several separated by
// blanks because Nagios passes one macro.
func parseSources(values []string) ([]source, error) {
	var sources []source
	names := make(map[string]bool)
	for _, value := range strings.Fields(strings.Join(values, " ")) {
		s := source{path: value}
		if name, path, ok := strings.Cut(value, "="); ok && !strings.Contains(name, "/") {
			if s.name, s.path = name, path; name == "" {
				return nil, fmt.Errorf("--file %q: no name before the =", value)
			}
		}
		if !filepath.IsAbs(s.path) {
			return nil, fmt.Errorf("--file %q: write an absolute path", value)
		}
		s.path = filepath.Clean(s.path)
		if strings.ContainsAny(s.path, "*?") {
			s.path, s.glob = filepath.Dir(s.path), filepath.Base(s.path)
		}
		switch {
		case strings.ContainsAny(s.path, "*?"):
			return nil, fmt.Errorf("--file %q: * and ? may stand in the last part of a path only", value)
		case s.name != "" && s.glob != "":
			return nil, fmt.Errorf("--file %q: a name is for one file", value)
		case s.name != "" && names[s.name]:
			return nil, fmt.Errorf("--file %q: the name %s is given twice", value, s.name)
		}
		names[s.name] = true
		sources = append(sources, s)
	}
	if len(sources) == 0 {
		return nil, errors.New("--file is missing: say which file, pattern or directory holds the verdicts")
	}
	return sources, nil
}

// file is one file to be read.
type file struct {
	name, path string
	listed     bool // found by a pattern or in a directory
}

// find lists the files of all sources by name, each once.
func find(sources []source, excluded func(name string) bool) (found []file, errs []error) {
	given := make(map[string]string) // path to name
	for _, s := range sources {
		listed, err := s.list(excluded)
		if err != nil {
			errs = append(errs, err)
		}
		for _, f := range listed {
			if name, twice := given[f.path]; !twice {
				found = append(found, f)
				given[f.path] = f.name
			} else if f.name != "" && name == "" {
				// The name given for one file counts, wherever it is listed too.
				found[slices.IndexFunc(found, func(o file) bool { return o.path == f.path })] = f
				given[f.path] = f.name
			}
		}
	}
	if len(found) > maxFiles {
		errs = append(errs, check.Faultf(check.Data, "look for files in", sources[0].path, "%d are more than the %d that one look reads: split them with patterns", len(found), maxFiles))
		found = found[:maxFiles]
	}
	return named(found), errs
}

// named gives each file its base name, or its whole path where that name is
// another's too.
func named(found []file) []file {
	uses := make(map[string]int)
	for i := range found {
		if found[i].name == "" {
			uses[filepath.Base(found[i].path)]++
		} else {
			uses[found[i].name]++
		}
	}
	for i := range found {
		if found[i].name != "" {
			continue
		}
		if found[i].name = filepath.Base(found[i].path); uses[found[i].name] > 1 {
			found[i].name = found[i].path
		}
	}
	slices.SortStableFunc(found, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return found
}

// list finds the files of one source. A path that is no directory is a file,
// there or not.
func (s *source) list(excluded func(string) bool) ([]file, error) {
	if s.glob == "" {
		info, err := os.Lstat(s.path)
		if err != nil || !info.IsDir() {
			return []file{{name: s.name, path: s.path}}, nil
		}
		if s.name != "" {
			return nil, check.Faultf(check.Config, "read", s.path, "it is a directory, and the name %s is for one file", s.name)
		}
	}
	entries, err := readDir(s.path)
	if err != nil {
		return nil, err
	}
	var found []file
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || unfinished(name) || s.glob != "" && !check.Glob(s.glob, name) || excluded(name) {
			continue
		}
		found = append(found, file{path: filepath.Join(s.path, name), listed: true})
	}
	if len(found) == 0 {
		if s.glob == "" {
			return nil, check.Faultf(check.Config, "look for files in", s.path, "there is none")
		}
		return nil, check.Faultf(check.Config, "look for files in", s.path, "none is named %s", s.glob)
	}
	return found, nil
}

// unfinished reports names of files that are not, or not yet, a verdict: what
// is renamed when it is whole, hidden files, copies of editors.
func unfinished(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, "-tmp") || strings.HasSuffix(name, "~")
}

// readDir lists a directory, and waits for nothing that took its place.
func readDir(path string) ([]fs.DirEntry, error) {
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, pathFault("look for files in", path, err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, pathFault("look for files in", path, err)
	}
	if len(entries) > maxEntries {
		return nil, check.Faultf(check.Data, "look for files in", path, "more than %d entries", maxEntries)
	}
	return entries, nil
}

// errChanged says that a file was replaced while it was opened, which is how
// jobs write it.
var errChanged = errors.New("it was replaced again and again while it was read")

// read returns what a file holds. A symbolic link is not followed: whoever may
// write the directory could show us any file that we may read.
func read(path string) ([]byte, fs.FileInfo, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return nil, nil, pathFault("read", path, err)
	}
	if before.Mode()&fs.ModeSymlink != 0 {
		return nil, nil, check.Faultf(check.Config, "read", path, "a symbolic link, which is not followed: name the file that it points to")
	}
	f, info, err := safefile.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if !os.SameFile(before, info) {
		return nil, nil, &check.Fault{Reason: check.Data, Stage: "read", Peer: path, Err: errChanged}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, pathFault("read", path, err)
	}
	if len(data) > maxFile {
		return nil, nil, check.Faultf(check.Data, "read", path, "more than %d bytes, where one line should be", maxFile)
	}
	return data, info, nil
}

// pathFault says what to do about a file that is not there or may not be read.
func pathFault(stage, path string, err error) error {
	cause := safefile.Cause(err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &check.Fault{Reason: check.Config, Stage: stage, Peer: path, Err: fmt.Errorf("%w: has the job that writes it ever run?", cause)}
	case errors.Is(err, fs.ErrPermission):
		return &check.Fault{Reason: check.Permission, Stage: stage, Peer: path, Err: fmt.Errorf("%w: this user must be able to read it, and to enter its directory", cause)}
	}
	return &check.Fault{Reason: check.Config, Stage: stage, Peer: path, Err: cause}
}

// statDir looks at the directory itself, wherever its path leads.
func statDir(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, pathFault("look at", path, err)
	}
	return info, nil
}
