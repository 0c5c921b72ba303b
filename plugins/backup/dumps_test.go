package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

// now is the time of the looks at files.
func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// place is a directory of dumps.
type place struct {
	t   *testing.T
	dir string
}

func newPlace(t *testing.T) *place { return &place{t: t, dir: t.TempDir()} }

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// file writes a file that ended so long ago.
func (p *place) file(name string, content []byte, age time.Duration) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	p.must(os.MkdirAll(filepath.Dir(path), 0o755))
	p.must(os.WriteFile(path, content, 0o644))
	p.must(os.Chtimes(path, time.Time{}, now().Add(-age)))
}

// directory copies a dump in the directory format.
func (p *place) directory(name string, age time.Duration) {
	p.t.Helper()
	dir := filepath.Join(p.dir, name)
	p.must(os.CopyFS(dir, os.DirFS("dump/testdata/directory")))
	entries, err := os.ReadDir(dir)
	p.must(err)
	for _, e := range entries {
		p.must(os.Chtimes(filepath.Join(dir, e.Name()), time.Time{}, now().Add(-age)))
	}
	p.must(os.Chtimes(dir, time.Time{}, now().Add(-age)))
}

// dumpFile is a recorded dump.
func dumpFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("dump/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sized is plain SQL of about that many bytes.
func sized(t testing.TB, size int) []byte {
	plain := dumpFile(t, "plain.sql")
	return append(plain[:100:100], append(bytes.Repeat([]byte("1\tabcd\n"), size/7), plain[100:]...)...)
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// lookAt looks at files with the options.
func lookAt(t testing.TB, memory check.Memory, args ...string) *check.Result {
	t.Helper()
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	c := newBackup(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	l := &check.Look{Definition: Definition, Check: c, Now: now, Memory: memory}
	return l.Run(context.Background())
}

const hour = time.Hour

func TestDumps(t *testing.T) {
	t.Parallel()
	plain, custom, packed := dumpFile(t, "plain.sql"), dumpFile(t, "custom.dump"), dumpFile(t, "plain.sql.gz")
	for _, test := range []struct {
		name string
		make func(*place)
		path string // below the place, or --path is the place itself
		args []string
		want string // line 1, PLACE for the place
		note string // in the notes
	}{
		{"files", func(p *place) {
			p.file("zulip-20.sql", sized(p.t, 3<<20), 27*hour)
			p.file("zulip-21.sql", sized(p.t, 4<<20), 3*hour+12*time.Minute)
		}, "", nil, "BACKUP OK: PLACE: last backup 3 h 12 min ago (plain, 4.01 MiB), 2 backups", ""},
		{"pattern", func(p *place) {
			p.file("zulip-21.sql.gz", packed, 26*hour)
			p.file("other.sql", plain, hour)
		}, "zulip-*.sql.gz", nil, "BACKUP WARNING: PLACE/zulip-*.sql.gz: last good backup's age 26 h (above 25 h), zulip-21.sql.gz ended 2026-11-20 10:00 UTC", ""},
		{"pattern of directories", func(p *place) {
			p.file("2026-11-20/zulip.dump", custom, 26*hour)
			p.file("2026-11-21/zulip.dump", custom, 2*hour)
		}, "*/zulip.dump", nil, "BACKUP OK: PLACE/*/zulip.dump: last backup 2 h ago (custom, 8.69 KiB), 2 backups", ""},
		{"one file", func(p *place) { p.file("zulip.sql", plain, 49*hour+10*time.Minute) }, "zulip.sql", nil,
			"BACKUP CRITICAL: PLACE/zulip.sql: last good backup's age 2 d 1 h (above 2 d 1 h), zulip.sql ended 2026-11-19 10:50 UTC", ""},
		{"dump directories", func(p *place) {
			p.directory("20", 28*hour)
			p.directory("21", 4*hour)
			p.file("lost+found/x", nil, hour)
			p.file("scripts/x", nil, hour)
		}, "", nil, "BACKUP OK: PLACE: last backup 4 h ago (directory, 8.66 KiB), 2 backups", "directory scripts is no dump"},
		{"dump directory itself", func(p *place) { p.directory("21", 4*hour) }, "21", nil,
			"BACKUP OK: PLACE/21: last backup 4 h ago (directory, 8.66 KiB), 1 backup", ""},
		{"dump directory without its end", func(p *place) {
			p.directory("21", 4*hour)
			p.must(os.Remove(filepath.Join(p.dir, "21", "toc.dat")))
			p.must(os.Chtimes(filepath.Join(p.dir, "21"), time.Time{}, now().Add(-4*hour)))
		}, "", nil, "BACKUP CRITICAL: PLACE: no good backup: 21 ended 2026-11-21 08:00 UTC: it ends early: no toc.dat, which pg_dump writes last", ""},
		{"dump directory being written", func(p *place) {
			p.directory("20", 28*hour)
			p.directory("21", time.Minute)
			p.must(os.Remove(filepath.Join(p.dir, "21", "toc.dat")))
			p.must(os.Chtimes(filepath.Join(p.dir, "21"), time.Time{}, now().Add(-time.Minute)))
		}, "", nil, "BACKUP WARNING: PLACE: last good backup's age 28 h (above 25 h), 20 ended 2026-11-20 08:00 UTC", "21 is still being written"},
		{"cut off", func(p *place) {
			p.file("zulip-20.sql.gz", packed, 28*hour)
			p.file("zulip-21.sql.gz", packed[:len(packed)/2], 4*hour)
		}, "", nil, "BACKUP CRITICAL: PLACE: zulip-21.sql.gz ended 2026-11-21 08:00 UTC: it ends early: plain gzip without its end; the last good one is zulip-20.sql.gz ended 2026-11-20 08:00 UTC, 1 more problem of 2", ""},
		{"an older one cut off", func(p *place) {
			p.file("zulip-20.sql", plain[:5000], 28*hour)
			p.file("zulip-21.sql", plain, 4*hour)
		}, "", nil, "BACKUP OK: PLACE: last backup 4 h ago (plain, 12.5 KiB), 1 backup", ""},
		{"error text in place of a dump", func(p *place) { p.file("zulip.sql", []byte("pg_dump: error: no\n"), hour) }, "", nil,
			"BACKUP CRITICAL: PLACE: no good backup: zulip.sql ended 2026-11-21 11:00 UTC: it is no dump of a known format", ""},
		{"empty", func(p *place) { p.file("zulip.sql", nil, hour) }, "", nil,
			"BACKUP CRITICAL: PLACE: no good backup: zulip.sql ended 2026-11-21 11:00 UTC: it is empty", ""},
		{"empty, just begun", func(p *place) {
			p.file("zulip-20.sql", plain, 24*hour)
			p.file("zulip-21.sql", nil, time.Minute)
		}, "", nil, "BACKUP OK: PLACE: last backup 24 h ago (plain, 12.5 KiB), 1 backup, another is being made", "zulip-21.sql is still being written"},
		{"only one, being written", func(p *place) { p.file("zulip.sql", plain[:4000], time.Minute) }, "", nil,
			"BACKUP CRITICAL: PLACE: no backup: zulip.sql is still being written and no other is there", ""},
		{"settled sooner", func(p *place) { p.file("zulip.sql", plain[:4000], time.Minute) }, "", []string{"--settle=30s"},
			"BACKUP CRITICAL: PLACE: no good backup: zulip.sql ended 2026-11-21 11:59 UTC: it ends early: no \"PostgreSQL database dump complete\" at its end", ""},
		{"finished just now", func(p *place) { p.file("zulip.sql", plain, time.Second) }, "", nil,
			"BACKUP OK: PLACE: last backup 1 s ago (plain, 12.5 KiB), 1 backup", ""},
		{"names of unfinished files", func(p *place) {
			p.file("zulip-20.sql", plain, 27*hour)
			for _, suffix := range []string{".tmp", ".PART", ".partial", "~"} {
				p.file("zulip-21.sql"+suffix, plain, hour)
			}
			p.file(".zulip-21.sql.Xy3", plain, hour)
		}, "", nil, "BACKUP WARNING: PLACE: last good backup's age 27 h (above 25 h), zulip-20.sql ended 2026-11-20 09:00 UTC", "zulip-21.sql.tmp has the name of a file that is being written"},
		{"other files", func(p *place) {
			p.file("zulip-20.sql", plain, 27*hour)
			p.file("backup.log", []byte("pg_dump failed\n"), hour)
			p.file("zulip-20.sql.sha256", []byte("abc"), hour)
		}, "", nil, "BACKUP WARNING: PLACE: last good backup's age 27 h (above 25 h), zulip-20.sql ended 2026-11-20 09:00 UTC", "2 files are no dumps"},
		{"encrypted", func(p *place) { p.file("zulip.sql.gpg", []byte("\x85\x01\x0c"), hour) }, "", nil,
			"BACKUP CRITICAL: PLACE: no backup: no file is a dump of a known format (zulip.sql.gpg is none): --stat-only judges by name, size and time", ""},
		{"encrypted, by stat", func(p *place) { p.file("zulip.sql.gpg", []byte("\x85\x01\x0c"), hour) }, "", []string{"--stat-only"},
			"BACKUP OK: PLACE: last backup 60 min ago (gpg, 3 B), 1 backup", ""},
		{"empty, by stat", func(p *place) { p.file("zulip.sql.gpg", nil, hour) }, "", []string{"--stat-only"},
			"BACKUP CRITICAL: PLACE: no good backup: zulip.sql.gpg ended 2026-11-21 11:00 UTC: it is empty", ""},
		{"just written, by stat", func(p *place) { p.file("zulip.sql.gpg", []byte("x"), time.Minute) }, "", []string{"--stat-only"},
			"BACKUP CRITICAL: PLACE: no backup: zulip.sql.gpg is still being written and no other is there", ""},
		{"future", func(p *place) { p.file("zulip.sql", plain, -3*hour) }, "", nil,
			"BACKUP UNKNOWN: PLACE: last good backup's age: 2026-11-21T15:00:00Z lies 3 h in the future", ""},
		{"future, cut off", func(p *place) { p.file("zulip.sql", plain[:5000], -3*hour) }, "", nil,
			"BACKUP CRITICAL: PLACE: no good backup: zulip.sql ended 2026-11-21 15:00 UTC: it ends early: no \"PostgreSQL database dump complete\" at its end", ""},
		{"shrunk", func(p *place) {
			p.file("zulip-19.sql", sized(p.t, 100<<10), 50*hour)
			p.file("zulip-20.sql", sized(p.t, 100<<10), 26*hour)
			p.file("zulip-21.sql", plain, 2*hour)
		}, "", nil, "BACKUP WARNING: PLACE: size against the one before 11.1 % (below 50 %), zulip-21.sql ended 2026-11-21 10:00 UTC, 12.5 KiB after 113 KiB", ""},
		{"smaller for its format", func(p *place) {
			p.file("zulip-20.sql", sized(p.t, 100<<10), 26*hour)
			p.file("zulip-21.sql.gz", packed, 2*hour)
		}, "", nil, "BACKUP OK: PLACE: last backup 2 h ago (plain gzip, 7.22 KiB), 2 backups", ""},
		{"shrunk, rotated", func(p *place) {
			p.file("zulip.sql.1", sized(p.t, 100<<10), 26*hour)
			p.file("zulip.sql", plain, 2*hour)
		}, "", nil, "BACKUP WARNING: PLACE: size against the one before 11.1 % (below 50 %), zulip.sql ended 2026-11-21 10:00 UTC, 12.5 KiB after 113 KiB", ""},
		{"shrunk, named by the weekday", func(p *place) {
			p.file("zulip-Fri.sql", sized(p.t, 100<<10), 26*hour)
			p.file("zulip-Sat.sql", plain, 2*hour)
		}, "", nil, "BACKUP WARNING: PLACE: size against the one before 11.1 % (below 50 %), zulip-Sat.sql ended 2026-11-21 10:00 UTC, 12.5 KiB after 113 KiB", ""},
		{"smaller for its thing", func(p *place) {
			p.file("zulip-21.sql", sized(p.t, 100<<10), 3*hour)
			p.file("globals-21.sql", plain, 2*hour)
		}, "", nil, "BACKUP OK: PLACE: last backup 2 h ago (plain, 12.5 KiB), 2 backups; only the newest is judged, zulip is 3 h old", ""},
		{"another thing in its own directory", func(p *place) {
			p.file("zulip/dump.sql", sized(p.t, 100<<10), 90*hour)
			p.file("flectra/dump.sql", plain, 2*hour)
		}, "*/dump.sql", nil, "BACKUP OK: PLACE/*/dump.sql: last backup 2 h ago (plain, 12.5 KiB), 2 backups; only the newest is judged, zulip/dump is 3 d 18 h old", ""},
		{"links", func(p *place) {
			p.file("zulip-21.sql", plain, 2*hour)
			p.must(os.Symlink("zulip-21.sql", filepath.Join(p.dir, "latest")))
			p.must(os.Symlink("loop", filepath.Join(p.dir, "loop")))
			p.must(os.Symlink("gone", filepath.Join(p.dir, "gone")))
		}, "", nil, "BACKUP OK: PLACE: last backup 2 h ago (plain, 12.5 KiB), 1 backup", "gone is not there or leads nowhere"},
		{"no files", func(p *place) {
			p.file("zulip.sql", plain, hour)
			p.must(syscall.Mkfifo(filepath.Join(p.dir, "pipe.sql"), 0o644))
			p.must(os.Symlink("/dev/zero", filepath.Join(p.dir, "zero.sql")))
		}, "", nil, "BACKUP OK: PLACE: last backup 60 min ago (plain, 12.5 KiB), 1 backup", "zero.sql is no regular file"},
		{"empty directory", func(*place) {}, "", nil, "BACKUP CRITICAL: PLACE: no backup: no file is there", ""},
		{"dumps in directories", func(p *place) { p.file("2026-11-21/zulip.sql", plain, hour) }, "", nil,
			"BACKUP CRITICAL: PLACE: no backup: no dump is there, and its directories are not looked into: give a pattern, such as 'PLACE/*/*'", "directory 2026-11-21 is no dump"},
		{"missing directory", func(*place) {}, "nope", nil, "BACKUP CRITICAL: PLACE/nope: no backup: it does not exist", ""},
		{"nothing matches", func(*place) {}, "*.sql", nil, "BACKUP CRITICAL: PLACE/*.sql: no backup: no file matches", ""},
		{"many", func(p *place) {
			for i := range maxOpened + 20 {
				p.file(fmt.Sprintf("zulip-%03d.sql", i), plain, time.Duration(maxOpened+20-i)*hour)
			}
		}, "", nil, "BACKUP OK: PLACE: last backup 60 min ago (plain, 12.5 KiB), 100 backups", "the newest 100 of 120 are looked at and counted"},
		{"zip of Flectra, cut off", func(p *place) {
			p.file("db_2026-11-21_02-00-00.zip", []byte("PK\x03\x04xxxxxxxxxxxxxxxxxxxxxxxxxx"), hour)
		}, "", nil,
			"BACKUP CRITICAL: PLACE: no good backup: db_2026-11-21_02-00-00.zip ended 2026-11-21 11:00 UTC: it ends early: zip without its end", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			test.make(p)
			path := p.dir
			if test.path != "" {
				path += "/" + test.path
			}
			r := lookAt(t, nil, append([]string{"--path=" + path}, test.args...)...)
			if got := strings.ReplaceAll(firstLine(r), p.dir, "PLACE"); got != test.want {
				t.Errorf("line 1\n got %s\nwant %s", got, test.want)
			}
			if test.note != "" && !strings.Contains(strings.Join(r.Notes, "\n"), test.note) {
				t.Errorf("notes %q; want %q among them", r.Notes, test.note)
			}
		})
	}
}

// TestDumpsSets: each path is judged on its own, and what cannot be looked at
// does not hide the others.
func TestDumpsSets(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.file("a/zulip.sql", dumpFile(t, "plain.sql"), hour)
	p.file("b/zulip.sql", dumpFile(t, "plain.sql"), 30*hour)
	r := lookAt(t, nil, "--path="+p.dir+"/a", "--path="+p.dir+"/b")
	if got, want := strings.ReplaceAll(firstLine(r), p.dir, ""), "BACKUP WARNING: /b: last good backup's age 30 h (above 25 h), zulip.sql ended 2026-11-20 06:00 UTC"; got != want {
		t.Errorf("line 1 = %s; want %s", got, want)
	}
}

// memory keeps what a look remembers.
type memory struct {
	data []byte
	at   time.Time
}

func (m *memory) Load() ([]byte, time.Time, error) { return m.data, m.at, nil }
func (m *memory) Store(data []byte, at time.Time) error {
	m.data, m.at = data, at
	return nil
}

// TestVerifyRemembers: a file that was read to its end is not read again
// until it changes.
func TestVerifyRemembers(t *testing.T) {
	t.Parallel()
	p, m := newPlace(t), &memory{}
	packed := gzipped(t, sized(t, 1<<20))
	path := filepath.Join(p.dir, "zulip.sql.gz")
	p.file("zulip.sql.gz", packed, hour)
	if r := lookAt(t, m, "--verify", "--path="+p.dir); r.State != check.OK {
		t.Fatalf("first look: %s; want OK", firstLine(r))
	}
	// The same size and time, but damaged: only reading could tell.
	broken := bytes.Clone(packed)
	broken[len(broken)/2] ^= 0xff
	p.file("zulip.sql.gz", broken, hour)
	if r := lookAt(t, m, "--verify", "--path="+p.dir); r.State != check.OK {
		t.Errorf("second look: %s; want it not read again", firstLine(r))
	}
	p.must(os.Chtimes(path, time.Time{}, now().Add(-30*time.Minute)))
	r := lookAt(t, m, "--verify", "--path="+p.dir)
	if r.State != check.Critical || !strings.Contains(firstLine(r), "damaged") {
		t.Errorf("look at the changed file: %s; want CRITICAL and damaged", firstLine(r))
	}
	if strings.Count(string(m.data), path) != 1 {
		t.Errorf("remembered %s; want the present file only", m.data)
	}
}

// TestReplaced: a dump that is written over the last is compared with what the
// earlier look has seen, at every look until the next dump.
func TestReplaced(t *testing.T) {
	t.Parallel()
	p, m := newPlace(t), &memory{}
	plain := dumpFile(t, "plain.sql")
	for _, step := range []struct {
		name    string
		content []byte
		age     time.Duration
		want    string
	}{
		{"first", sized(t, 100<<10), 49 * hour, "last good backup's age 2 d 1 h"},
		{"as large", sized(t, 100<<10), 24 * hour, "BACKUP OK: PLACE: last backup 24 h ago (plain, 113 KiB), 1 backup"},
		{"empty database", plain, 2 * hour, "BACKUP WARNING: PLACE: size against the one before 11.1 % (below 50 %), zulip.sql ended 2026-11-21 10:00 UTC, 12.5 KiB after 113 KiB"},
		{"the same, later", plain, 2 * hour, "11.1 % (below 50 %)"},
		{"unreadable for a while", []byte("PGDMP"), hour, "no good backup"},
		{"mended", sized(t, 100<<10), hour / 2, "BACKUP OK: PLACE: last backup 30 min ago (plain, 113 KiB), 1 backup"},
	} {
		p.file("zulip.sql", step.content, step.age)
		got := strings.ReplaceAll(firstLine(lookAt(t, m, "--path="+p.dir)), p.dir, "PLACE")
		if !strings.Contains(got, step.want) {
			t.Errorf("%s: line 1 = %s; want %s", step.name, got, step.want)
		}
	}
}

// TestVerifyUnfinished: no time to read it is no word about the dump.
func TestVerifyUnfinished(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	path := filepath.Join(p.dir, "zulip.tar")
	const size = 8 << 30
	var head bytes.Buffer
	p.must(tar.NewWriter(&head).WriteHeader(&tar.Header{Name: "uploads", Size: size, Mode: 0o600}))
	p.file("zulip.tar", head.Bytes(), hour)
	p.must(os.Truncate(path, 3*512+size)) // sparse
	p.must(os.Chtimes(path, time.Time{}, now().Add(-hour)))
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	c := newBackup(fs)
	p.must(fs.Parse([]string{"--verify", "--path=" + path}))
	l := &check.Look{Definition: Definition, Check: c, Now: now, Timeout: time.Second}
	r := l.Run(context.Background())
	if got := firstLine(r); r.State != check.Unknown || r.Reason != check.Config || !strings.Contains(got, " of 8 GiB read in ") || !strings.Contains(got, "give it more time with -t, about") {
		t.Errorf("look = %s, reason %s; want UNKNOWN that says how much was read", got, r.Reason)
	}
	if r = lookAt(t, nil, "--path="+path); r.State != check.OK {
		t.Errorf("look without --verify = %s; want OK by its end", firstLine(r))
	}
}

// TestStem: what names of dumps of one thing have in common.
func TestStem(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"zulip.sql":               "zulip",
		"zulip.sql.gz":            "zulip",
		"zulip.sql.gz.3":          "zulip",
		"zulip.sql.3.gz":          "zulip",
		"zulip-2026-11-21.sql.gz": "zulip",
		"zulip_sat.sql.gz":        "zulip",
		"zulip.Saturday.dump":     "zulip",
		"zulip-mon-1.sql":         "zulip",
		"sat.sql":                 "",
		"2026-11-21-zulip.sql":    "zulip",
		"zulip-backup-2026-11-21-02-00-00-a1b2.tar.gz": "zulip-backup",
		"globals.sql":    "globals",
		"monitoring.sql": "monitoring",
		"db.friends.sql": "db.friends",
	} {
		if got := stem(name); got != want {
			t.Errorf("stem(%q) = %q; want %q", name, got, want)
		}
	}
}

// TestThing: what a pattern leaves open names the thing, too.
func TestThing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ given, path, want string }{
		{"/b/z.sql", "/b/z.sql", "z"},
		{"/b", "/b/z-21.sql", "z"},
		{"/b/*.sql", "/b/z-21.sql", "z"},
		{"/b/*/d.sql", "/b/zulip/d.sql", "zulip/d"},
		{"/b/*/d.sql", "/b/2026-11-21/d.sql", "d"},
		{"/b/*/x/*.sql", "/b/daily.0/x/d-1.sql", "daily/x/d"},
	} {
		if got := thing(test.given, test.path); got != test.want {
			t.Errorf("thing(%q, %q) = %q; want %q", test.given, test.path, got, test.want)
		}
	}
}

// TestUnprovenIsSaid: line 1 says that nobody has seen the end.
func TestUnprovenIsSaid(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.file("zulip.sql.zst", []byte("\x28\xb5\x2f\xfdxxxx"), hour)
	if got := firstLine(lookAt(t, nil, "--path="+p.dir)); !strings.HasSuffix(got, "(zstd, 8 B, end not read), 1 backup") {
		t.Errorf("line 1 = %s; want it to say that the end was not read", got)
	}
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--path=relative"}, "no absolute path"},
		{[]string{"--path=/a[", "--path=/b"}, "syntax error in pattern"},
		{[]string{"--path=/a", "--path=/a"}, "given twice"},
		{[]string{"--path=/a", "--path=/a/"}, "given twice"},
		{[]string{"--path=/a", "--stanza=main", "--verify", "--stat-only"}, "choose one"},
		{[]string{"--stanza=main", "--min-copies=2"}, "of a --content"},
		{[]string{"--stanza=main", "--content=x=*", "--min-places=-2"}, "below zero"},
		{[]string{"--stanza=main", "--content==*"}, "NAME=PATTERN"},
		{[]string{"--stanza=main", "--content=x=*", "--recent=0"}, "above zero"},
		{[]string{"--stanza=main", "--gap-window=~:7d"}, "no span of time"},
		{[]string{"--stanza=main", "--expect-offsite="}, "the pattern is empty"},
		{[]string{"--verify"}, "--verify goes with --path"},
		{[]string{"--settle=1m"}, "--settle goes with --path"},
		{[]string{"--path=/a", "--settle=-1m"}, "below zero"},
		{[]string{"--path=/a", "--verify", "--stat-only"}, "choose one"},
		{[]string{"--stanza="}, "is empty or given twice"},
		{[]string{"--stanza=a", "--stanza=a"}, "is empty or given twice"},
		{[]string{"--repo=-1"}, "begin at 1"},
		{[]string{"--config=x"}, "no absolute path"},
		{[]string{"--json-file=x"}, "no absolute path"},
		{[]string{"--json-file=/x", "--config=/y"}, "leave out --config"},
		{[]string{"--pgbackrest-path=pgbackrest"}, "no absolute path"},
	} {
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		c := newBackup(fs)
		if err := fs.Parse(test.args); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Prepare(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Prepare() with %q = %v; want %q", test.args, err, test.want)
		}
	}
}
