package dump

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// tocName is the file that pg_dump writes last into a directory.
const tocName = "toc.dat"

// dataFile is the name of a file that pg_dump writes into a directory.
var dataFile = regexp.MustCompile(`^(toc\.dat|blobs(_[0-9]+)?\.toc|[0-9]+\.dat(\.(gz|lz4|zst))?)$`)

// IsDirectory tells by the names in it whether a directory is a dump in the
// directory format, a finished one or one without its table of contents.
func IsDirectory(names []string) bool { return slices.ContainsFunc(names, dataFile.MatchString) }

// Sum returns when the last of a directory's files was written, not before
// since, and the bytes of all.
func Sum(entries []fs.FileInfo, since time.Time) (ended time.Time, size int64) {
	for _, e := range entries {
		if e.ModTime().After(since) {
			since = e.ModTime()
		}
		if e.Mode().IsRegular() {
			size += e.Size()
		}
	}
	return since, size
}

// InspectDirectory looks at a dump in the directory format, given what List
// says of it. With whole it reads all its files to their ends.
func InspectDirectory(ctx context.Context, dir string, entries []fs.FileInfo, whole bool) (Result, error) {
	d := Result{Format: "directory"}
	sizes := make(map[string]int64, len(entries))
	for _, e := range entries {
		if e.Mode().IsRegular() {
			sizes[e.Name()] = e.Size()
		}
	}
	if _, ok := sizes[tocName]; !ok {
		d.Problem = "it ends early: no " + tocName + ", which pg_dump writes last"
		return d, nil
	}
	files, problem, err := contents(ctx, filepath.Join(dir, tocName))
	if err != nil || problem != "" {
		d.Problem = problem
		return d, err
	}
	for _, name := range files {
		if !strings.HasPrefix(name, "blobs") {
			continue
		}
		blobs, err := blobFiles(ctx, filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return d, err
		}
		files = append(files, blobs...)
	}
	if d.Problem = complete(files, sizes); d.Problem != "" {
		return d, nil
	}
	d.Proven = true
	if whole {
		d.Problem, err = readFiles(ctx, dir, sizes)
		d.Proven = d.Problem == ""
	}
	return d, err
}

// complete says which files of a table of contents are missing or empty.
func complete(files []string, sizes map[string]int64) (problem string) {
	var missing, empty []string
	for _, name := range files {
		switch file, ok := present(sizes, name); {
		case !ok:
			missing = append(missing, name)
		case sizes[file] == 0 && (file != name || !strings.HasPrefix(name, "blob")):
			// Of what pg_dump writes only an uncompressed large object is
			// empty; a crash empties files.
			empty = append(empty, file)
		}
	}
	if len(missing) > 0 {
		return fmt.Sprintf("%d of %d files of its table of contents are missing, %s first", len(missing), len(files), missing[0])
	}
	if len(empty) > 0 {
		return fmt.Sprintf("%d of %d files of its table of contents are empty, %s first", len(empty), len(files), empty[0])
	}
	return ""
}

// completeInside is complete for a dump in an archive: its table of contents,
// nil for none, and the sizes of its files.
func completeInside(ctx context.Context, toc []byte, sizes map[string]int64) (problem string, err error) {
	if toc == nil {
		return "it ends early: no " + tocName + ", which pg_dump writes last", nil
	}
	files, problem, err := tocFiles(&reader{ctx: ctx, file: bytes.NewReader(toc), size: int64(len(toc))})
	if err != nil || problem != "" {
		return problem, err
	}
	return complete(files, sizes), nil
}

// contents reads the names of the data files from a directory's toc.dat.
func contents(ctx context.Context, path string) (files []string, problem string, err error) {
	f, info, err := safefile.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	return tocFiles(&reader{ctx: ctx, file: f, size: info.Size()})
}

func tocFiles(r *reader) (files []string, problem string, err error) {
	head, err := r.part(0, int64(len(magicCustom)))
	if err != nil {
		return nil, "", r.failure(err)
	}
	if string(head) != magicCustom {
		return nil, "its " + tocName + " is no table of contents", nil
	}
	t, err := readTOC(r)
	switch {
	case r.err != nil:
		return nil, "", r.failure(r.err)
	case errors.Is(err, errBeyond):
		return nil, "", nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, "its " + tocName + " ends early", nil
	case err != nil:
		return nil, "its " + tocName + " is damaged: " + err.Error(), nil
	case t.format == formatCustom: // pg_dump gives a directory the tar format's number
		return nil, "its " + tocName + " belongs to another format", nil
	}
	return t.files, "", nil
}

// blobFiles reads a list of large objects: "16405 blob_16405.dat" on a line.
func blobFiles(ctx context.Context, path string) ([]string, error) {
	f, info, err := safefile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &reader{ctx: ctx, file: f, size: min(info.Size(), maxTOC)}
	var names []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if _, name, ok := strings.Cut(lines.Text(), " "); ok && len(names) < maxEntries {
			names = append(names, name)
		}
	}
	if r.err != nil {
		return nil, r.failure(r.err)
	}
	return names, nil
}

// present finds a data file, compressed or not.
func present(sizes map[string]int64, name string) (file string, ok bool) {
	for _, suffix := range []string{"", ".gz", ".lz4", ".zst"} {
		if _, ok := sizes[name+suffix]; ok {
			return name + suffix, true
		}
	}
	return "", false
}

// readFiles reads all files to their ends and says what is wrong with the
// first bad one.
func readFiles(ctx context.Context, dir string, sizes map[string]int64) (problem string, err error) {
	names := make([]string, 0, len(sizes))
	var total, done int64
	for name, size := range sizes {
		names = append(names, name)
		total += size
	}
	sort.Strings(names)
	for _, name := range names {
		problem, err = readFile(ctx, filepath.Join(dir, name))
		var unfinished *Unfinished
		if errors.As(err, &unfinished) {
			return "", &Unfinished{Read: done + unfinished.Read, Size: total}
		}
		if problem != "" {
			problem = check.Clean(name) + ": " + problem
		}
		if err != nil || problem != "" {
			return problem, err
		}
		done += sizes[name]
	}
	return "", nil
}

func readFile(ctx context.Context, path string) (problem string, err error) {
	f, info, err := safefile.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	r := &reader{ctx: ctx, file: f, size: info.Size()}
	if !strings.HasSuffix(path, ".gz") {
		return "", r.failure(r.readAll())
	}
	return r.inflate()
}
