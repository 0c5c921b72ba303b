package dump

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"strings"
	"testing"
)

// tarball writes what manage.py backup writes: tar with --gzip over the
// directory zulip-backup, its database by pg_dump --format=directory. leave
// says which members stay away, empty which have no bytes.
func tarball(t *testing.T, compressed bool, leave func(name string) bool, empty string) []byte {
	t.Helper()
	var out bytes.Buffer
	var pack *gzip.Writer
	archive := tar.NewWriter(&out)
	if compressed {
		pack = gzip.NewWriter(&out)
		archive = tar.NewWriter(pack)
	}
	add := func(name string, data []byte) {
		t.Helper()
		if leave(name) {
			return
		}
		head := &tar.Header{Name: "zulip-backup/" + name, Mode: 0o600, Size: int64(len(data)), Typeflag: tar.TypeReg, Format: tar.FormatGNU}
		if strings.HasSuffix(name, "/") || name == "" {
			head.Typeflag, head.Mode = tar.TypeDir, 0o700
		}
		if name == empty {
			head.Size, data = 0, nil
		}
		if err := archive.WriteHeader(head); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	add("", nil)
	add("zulip-version", []byte("11.0\n"))
	add("os-version", []byte("Debian GNU/Linux 12\n"))
	add("postgres-version", []byte("15\n"))
	add("settings/", nil)
	add("settings/zulip.conf", []byte("[machine]\n"))
	add("settings/zulip-secrets.conf", []byte("[secrets]\n"))
	add("database/", nil)
	entries, err := os.ReadDir("testdata/directory")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile("testdata/directory/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		add("database/"+e.Name(), data)
	}
	add("uploads/", nil)
	add("uploads/files/2/ab/x.png", []byte("png"))
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if pack != nil {
		if err := pack.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestZulipTarball(t *testing.T) {
	t.Parallel()
	without := func(prefixes ...string) func(string) bool {
		return func(name string) bool {
			for _, p := range prefixes {
				if strings.HasPrefix(name, p) {
					return true
				}
			}
			return false
		}
	}
	for _, test := range []struct {
		name    string
		leave   func(string) bool
		empty   string
		holds   string
		problem string
	}{
		{"whole", without(), "", "database settings uploads", ""},
		{"--skip-db", without("database/"), "", "settings uploads", ""},
		{"--skip-uploads, or S3", without("uploads/"), "", "database settings", ""},
		{"the directory of uploads alone", without("uploads/files"), "", "database settings", ""},
		{"no secrets", without("settings/zulip-secrets"), "", "database uploads", ""},
		{"empty secrets", without(), "settings/zulip-secrets.conf", "database uploads", ""},
		{"pg_dump failed", without("database/toc.dat"), "", "database settings uploads", "its database: it ends early: no toc.dat"},
		{"a table's data is missing", without("database/3344.dat"), "", "database settings uploads", "its database: 1 of 3 files of its table of contents are missing, 3344.dat first"},
		{"a table's data is empty", without(), "database/3344.dat.gz", "database settings uploads", "its database: 1 of 3 files of its table of contents are empty"},
		{"an empty table of contents", without(), "database/toc.dat", "database settings uploads", "its database: its toc.dat is no table of contents"},
		{"nothing but a version", without("settings", "database", "uploads"), "", "", ""},
	} {
		for _, compressed := range []bool{true, false} {
			data := tarball(t, compressed, test.leave, test.empty)
			format := "Zulip tar"
			if compressed {
				format += " gzip"
			}
			got, err := Inspect(context.Background(), bytes.NewReader(data), int64(len(data)), Small)
			if err != nil || got.Format != format || got.Holds != test.holds || !strings.HasPrefix(got.Problem, test.problem) || (got.Problem == "") != (test.problem == "") {
				t.Errorf("%s, compressed %v: Inspect() = %+v, %v; want %s, holds %q, problem %q", test.name, compressed, got, err, format, test.holds, test.problem)
			}
		}
	}
	// One that was cut off is none, wherever the cut is; one that is not read
	// whole is not said to lack anything.
	data := tarball(t, true, without(), "")
	for _, n := range []int{100, len(data) / 2, len(data) - 9, len(data) - 1} {
		if got, err := Inspect(context.Background(), bytes.NewReader(data[:n]), int64(n), Small); err != nil || got.Problem == "" || got.Holds != "" {
			t.Errorf("cut after %d of %d bytes: Inspect() = %+v, %v; want a problem", n, len(data), got, err)
		}
	}
	if got, err := Inspect(context.Background(), bytes.NewReader(data), int64(len(data)), Ends); err != nil || got != (Result{Format: "tar gzip"}) {
		t.Errorf("by its ends: Inspect() = %+v, %v; want an unproven tar gzip", got, err)
	}
}
