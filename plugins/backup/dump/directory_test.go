package dump

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// copyDirectory copies the recorded dump in the directory format, of pg_dump
// 15.18 with two tables and a large object.
func copyDirectory(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dump")
	if err := os.CopyFS(dir, os.DirFS("testdata/directory")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestInspectDirectory(t *testing.T) {
	t.Parallel()
	truncate := func(name string, by int64) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			info, err := os.Stat(path)
			if err == nil {
				err = os.Truncate(path, info.Size()-by)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name    string
		change  func(*testing.T, string)
		whole   bool
		problem string
	}{
		{"whole", nil, false, ""},
		{"whole, read", nil, true, ""},
		{"no table of contents", remove("toc.dat"), false, "no toc.dat"},
		{"table's data missing", remove("3344.dat.gz"), false, "1 of 4 files of its table of contents are missing, 3344.dat first"},
		{"large object missing", remove("blob_16405.dat.gz"), false, "blob_16405.dat"},
		{"list of large objects missing", remove("blobs.toc"), false, "blobs.toc"},
		{"table of contents cut", truncate("toc.dat", 1), false, "toc.dat ends early"},
		{"table of contents empty", truncate("toc.dat", 2370), false, "no table of contents"},
		{"table's data empty", truncate("3344.dat.gz", 6428), false, "1 of 4 files of its table of contents are empty, 3344.dat.gz first"},
		{"large object empty", truncate("blob_16405.dat.gz", 24), false, "blob_16405.dat.gz"},
		{"data cut", truncate("3344.dat.gz", 100), true, "3344.dat.gz: it ends early"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := copyDirectory(t)
			if test.change != nil {
				test.change(t, dir)
			}
			entries, err := List(context.Background(), dir)
			if err != nil {
				t.Fatal(err)
			}
			names, err := Names(context.Background(), dir)
			if err != nil || !IsDirectory(names) {
				t.Errorf("IsDirectory(%q) = false; want true", names)
			}
			got, err := InspectDirectory(context.Background(), dir, entries, test.whole)
			if err != nil || got.Format != "directory" || (got.Problem == "") != (test.problem == "") || !strings.Contains(got.Problem, test.problem) || got.Proven != (test.problem == "") {
				t.Errorf("InspectDirectory() = %+v, %v; want problem %q", got, err, test.problem)
			}
			if ended, size := Sum(entries, time.Time{}); size < 1000 || ended.IsZero() {
				t.Errorf("Sum() = %v, %d; want size and time", ended, size)
			}
		})
	}
}

func TestInspectDirectoryUnfinished(t *testing.T) {
	t.Parallel()
	dir := copyDirectory(t)
	entries, err := List(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := InspectDirectory(ctx, dir, entries, true); !errors.As(err, new(*Unfinished)) {
		t.Errorf("InspectDirectory() after the context's end = %v; want it unfinished", err)
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"a/x.sql", "a/.hidden.sql", "b/x.sql", "b/y.sql.gz", "c"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		pattern string
		want    []string
	}{
		{"*", []string{"a", "b", "c"}},
		{"*/x.sql", []string{"a/x.sql", "b/x.sql", "c/x.sql"}}, // whether it is there is seen later
		{"*/*.sql", []string{"a/x.sql", "b/x.sql"}},
		{"?/[xy].*", []string{"a/x.sql", "b/x.sql", "b/y.sql.gz"}},
		{"a/.*.sql", []string{"a/.hidden.sql"}},
		{"nothing/*", nil},
		{"a/../b/*.gz", []string{"b/y.sql.gz"}},
	} {
		got, err := Glob(context.Background(), filepath.Join(root)+"/"+test.pattern)
		for i := range got {
			got[i], _ = filepath.Rel(root, got[i])
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("Glob(%q) = %q, %v; want %q", test.pattern, got, err, test.want)
		}
	}
}

func TestListPassesOverWhatVanishes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, target := range map[string]string{"lost": "nowhere", "loop": "loop", "file": ""} {
		var err error
		if target == "" {
			err = os.WriteFile(filepath.Join(dir, name), nil, 0o644)
		} else {
			err = os.Symlink(target, filepath.Join(dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	entries, err := List(context.Background(), dir)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []string{"fifo", "file"}) {
		t.Errorf("List() = %q, %v; want fifo and file", got, err)
	}
	if _, err := List(context.Background(), filepath.Join(dir, "file")); err == nil {
		t.Error("List(a file) succeeded; want an error")
	}
	if _, err := List(context.Background(), filepath.Join(dir, "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("List(nothing) = %v; want fs.ErrNotExist", err)
	}
}
