package backup

import (
	"archive/tar"
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
)

// zulipTarball is a tarball of manage.py backup with some of its parts.
func zulipTarball(t *testing.T, parts ...string) []byte {
	t.Helper()
	files := map[string][]string{
		"database": {"toc.dat", "3344.dat.gz", "3345.dat.gz", "blobs.toc", "blob_16405.dat.gz"},
		"settings": {"zulip.conf", "zulip-secrets.conf"},
		"uploads":  {"files/2/ab/x.png"},
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(name string, data []byte) {
		t.Helper()
		err := w.WriteHeader(&tar.Header{Name: "zulip-backup/" + name, Mode: 0o600, Size: int64(len(data)), Typeflag: tar.TypeReg})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("zulip-version", []byte("11.0\n"))
	for _, part := range parts {
		for _, name := range files[part] {
			data := []byte("x")
			if part == "database" {
				data = dumpFile(t, "directory/"+name)
			}
			add(part+"/"+name, data)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return gzipped(t, b.Bytes())
}

func TestZulipTarballs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		parts []string
		args  []string
		state check.State
		text  string
	}{
		{"all", []string{"database", "settings", "uploads"}, nil, check.OK, "last backup 2 h ago (Zulip tar gzip of database, settings, uploads, "},
		{"uploads in S3", []string{"database", "settings"}, nil, check.OK, "(Zulip tar gzip of database, settings, "},
		{"uploads expected", []string{"database", "settings"}, []string{"--zulip-parts", "uploads"}, check.Critical,
			"it holds no uploads (made with --skip-uploads, or they lie in S3?); it holds database, settings"},
		{"--skip-db", []string{"settings", "uploads"}, nil, check.Critical, "it holds no database (made with --skip-db?); it holds settings, uploads"},
		{"--skip-db on purpose", []string{"settings", "uploads"}, []string{"--zulip-parts", "settings"}, check.OK, "(Zulip tar gzip of settings, uploads, "},
		{"no secrets", []string{"database", "uploads"}, nil, check.Critical, "it holds no settings with secrets; it holds database, uploads"},
		{"nothing", nil, nil, check.Critical, "it holds no database (made with --skip-db?); it holds no part of Zulip"},
	} {
		p := newPlace(t)
		p.file("zulip-backup-2026-11-21-10-00-00-abc.tar.gz", zulipTarball(t, test.parts...), 2*hour)
		got := lookAt(t, nil, append([]string{"--path", p.dir}, test.args...)...)
		text := got.Summary
		if len(got.Rows) > 0 && got.State != check.OK {
			text = got.Rows[0].Text
		}
		if got.State != test.state || !strings.Contains(text, test.text) {
			t.Errorf("%s: %s: %s; want %s with %q", test.name, got.State, text, test.state, test.text)
		}
	}
}

// A dump without the database must not hide the good one before it, and sizes
// compare whether or not the contents were read.
func TestZulipTarballsInARow(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.file("zulip-backup-2026-11-20-10-00-00-a.tar.gz", zulipTarball(t, "database", "settings", "uploads"), 26*hour)
	p.file("zulip-backup-2026-11-21-10-00-00-b.tar.gz", zulipTarball(t, "settings"), 2*hour)
	got := lookAt(t, nil, "--path", p.dir)
	if got.State != check.Critical || !strings.Contains(got.Rows[0].Text, "it holds no database") ||
		!strings.Contains(got.Rows[0].Text, "the last good one is zulip-backup-2026-11-20-10-00-00-a.tar.gz") {
		t.Errorf("a bad one after a good one: %s: %s; want CRITICAL and the good one's name", got.State, got.Rows[0].Text)
	}
	if err := os.Remove(p.dir + "/zulip-backup-2026-11-21-10-00-00-b.tar.gz"); err != nil {
		t.Fatal(err)
	}
	p.file("zulip-backup-2026-11-21-11-00-00-c.tar.gz", zulipTarball(t, "database", "settings", "uploads"), hour)
	got = lookAt(t, nil, "--path", p.dir)
	compared := false
	for _, v := range got.Values {
		compared = compared || v.Metric == relativeSize && v.Number == 1
	}
	if got.State != check.OK || !compared {
		t.Errorf("a good one after that: %s %s, compared with the one of its size %v; want OK and compared", got.State, got.Summary, compared)
	}
}

func TestMarkers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, content string
		state         check.State
		text          string
	}{
		{"fresh", "2026-11-21T10:00:00.123456+00:00\n", check.OK, "last backup 119 min 59 s ago (marker, end not read), 1 backup"},
		{"of another zone", "2026-11-21T12:00:00+02:00", check.OK, "last backup 2 h ago"},
		{"without a zone", "2026-11-21T10:00:00.5", check.OK, "last backup 119 min"},
		{"with a blank", "2026-11-21 10:00:00+00:00", check.OK, "last backup 2 h ago"},
		{"old", "2026-11-19T10:00:00+00:00", check.Critical, "last good backup's age 2 d 2 h (above 2 d 1 h)"},
		{"a day and more", "2026-11-20T10:00:00+00:00", check.Warning, "last good backup's age 26 h (above 25 h"},
		{"of the future", "2026-11-22T10:00:00+00:00", check.Unknown, "in the future"},
		{"empty", "", check.Unknown, "it is empty"},
		{"garbage", "yesterday", check.Unknown, `"yesterday" is no time such as`},
		{"seconds since 1970", "1795220646", check.Unknown, "is no time such as"},
		{"the beginning of time", "1970-01-01T00:00:00+00:00", check.Unknown, "is no time such as"},
		{"large", strings.Repeat("2026-11-21T10:00:00+00:00\n", 1000), check.Unknown, "more than 1024 bytes"},
	} {
		p := newPlace(t)
		p.file("last_postgresql_backup", []byte(test.content), 0)
		got := lookAt(t, nil, "--marker-file", p.dir+"/last_postgresql_backup")
		text := got.Summary
		if got.State != check.OK {
			text = got.Rows[0].Text
		}
		if got.State != test.state || !strings.Contains(text, test.text) {
			t.Errorf("%s: %s: %s; want %s with %q", test.name, got.State, text, test.state, test.text)
		}
	}
	gone := t.TempDir() + "/last_postgresql_backup"
	if d := lookat.Args(t, Definition, "--marker-file", gone); d.Exit != int(check.Unknown) || !strings.Contains(d.Text, "read "+gone+": no such file") {
		t.Errorf("a marker that is not there: %s %s; want UNKNOWN and its name", d.State, d.Text)
	}
	if d := lookat.Args(t, Definition, "--marker-file", "x"); d.Exit != int(check.Unknown) || !strings.Contains(d.Text, "no absolute path") {
		t.Errorf("a relative path: %s %s; want UNKNOWN", d.State, d.Text)
	}
	if d := lookat.Args(t, Definition, "--path", os.TempDir(), "--zulip-parts", "db"); d.Exit != int(check.Unknown) || !strings.Contains(d.Text, "there are database, settings, uploads") {
		t.Errorf("a part that there is not: %s %s; want UNKNOWN and the parts", d.State, d.Text)
	}
}

func FuzzMarker(f *testing.F) {
	f.Add([]byte("2026-11-21T10:00:00.123456+00:00\n"))
	f.Add([]byte("2026-11-21 10:00:00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if at, err := parseMarker(data); err == nil && at.Before(time.Unix(0, 0)) {
			t.Errorf("parseMarker(%q) = %v; want a time after 1970", data, at)
		}
	})
}
