package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// MaxEntries bounds how many entries of one directory are read.
const MaxEntries = 50_000

// ErrMany is a directory with more than MaxEntries entries.
var ErrMany = fmt.Errorf("more than %d entries", MaxEntries)

// Names returns the names in a directory, unordered.
func Names(ctx context.Context, dir string) ([]string, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []string
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		some, err := f.Readdirnames(1000)
		all = append(all, some...)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case len(all) > MaxEntries:
			return nil, &fs.PathError{Op: "readdir", Path: dir, Err: ErrMany}
		}
	}
}

// List returns what a directory holds, symbolic links followed. What
// vanishes meanwhile and links that lead nowhere are left out.
func List(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	all, err := Names(ctx, dir)
	if err != nil {
		return nil, err
	}
	var entries []fs.FileInfo
	for _, name := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, info)
	}
	return entries, nil
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENOTDIR)
}

// IsPattern tells whether a path holds wildcards.
func IsPattern(path string) bool { return strings.ContainsAny(path, `*?[\`) }

// CheckPattern tells what is wrong with a pattern.
func CheckPattern(pattern string) error {
	if _, err := filepath.Match(pattern, ""); err != nil {
		return fmt.Errorf("pattern %q: %w", pattern, err)
	}
	return nil
}

// Glob returns the paths that match an absolute pattern, wildcards in any of
// its elements; names that begin with a dot only where the pattern's element
// does. Unlike filepath.Glob it is bounded and does not pass over
// directories that it may not read.
func Glob(ctx context.Context, pattern string) ([]string, error) {
	paths := []string{"/"}
	for _, element := range strings.Split(strings.Trim(pattern, "/"), "/") {
		var next []string
		for _, path := range paths {
			if !IsPattern(element) {
				next = append(next, filepath.Join(path, element))
				continue
			}
			all, err := Names(ctx, path)
			if gone(err) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for _, name := range all {
				if ok, _ := filepath.Match(element, name); ok && (name[0] != '.' || element[0] == '.') {
					next = append(next, filepath.Join(path, name))
				}
			}
			if len(next) > MaxEntries {
				return nil, &fs.PathError{Op: "match", Path: pattern, Err: ErrMany}
			}
		}
		paths = next
	}
	return paths, nil
}
