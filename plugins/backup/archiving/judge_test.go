package archiving

import (
	"strings"
	"testing"
)

func TestArchivesNothing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ command, library, want string }{
		{"pgbackrest --stanza=main archive-push %p", "", ""},
		{"/usr/local/bin/env-wal-g wal-push \"%p\"", "", ""},
		{"test ! -f /mnt/archive/%f && cp %p /mnt/archive/%f", "", ""},
		{"echo %p && /opt/push %p", "", ""},
		{"cat %p > /mnt/archive/%f", "", ""},
		{"rsync -a %p backup:wal/%f # to the other house", "", ""},
		{"envdir /etc/wal-e.d/env wal-e wal-push %p; true", "", ""},
		{"true", "basic_archive", ""},
		{"", "basic_archive", ""},
		{"", "", "no archive_command and no archive_library is set"},
		{"  ", "", "no archive_command"},
		{"(disabled)", "", "no archive_command"},
		{"# cp %p /mnt/%f", "", "no archive_command"},
		{"/bin/true", "", "names no segment"}, // as Wire's playbook sets it
		{"true", "", "names no segment"},
		{":", "", "names no segment"},
		{"exit 0", "", "names no segment"},
		{"cd .", "", "names no segment"},
		{"/bin/true # cp %p /mnt/%f", "", "names no segment"},
		{"/bin/true %p", "", "only runs /bin/true"},
		{": %p %f", "", "only runs :"},
		{"echo archiving %f", "", "only runs echo"},
		{"test -f %p", "", "only runs test"},
		{"cp %p /dev/null", "", "writes to /dev/null"},
		{"cat %p > /dev/null", "", "writes to /dev/null"},
	} {
		got := archivesNothing(test.command, test.library)
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("archivesNothing(%q, %q) = %q; want %q", test.command, test.library, got, test.want)
		}
	}
}

func TestWaitingWithoutTheGrant(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	for _, test := range []struct {
		written uint64 // 0: a standby
		last    *string
		segment uint64
		want    int
		known   bool
	}{
		{5<<24 + 1, text("000000010000000000000004"), 16 << 20, 0, true},
		{5 << 24, text("000000010000000000000004"), 16 << 20, 0, true}, // idle at its border
		{6 << 24, text("000000010000000000000004"), 16 << 20, 1, true}, // idle after pg_switch_wal()
		{8<<24 + 40, text("000000010000000000000004"), 16 << 20, 3, true},
		{1<<32 + 1<<24, text("0000000100000000000000FE"), 16 << 20, 2, true}, // over 4 GiB
		{1<<32 + 1<<30, text("000000010000000000000003"), 1 << 30, 1, true},
		{6<<24 + 1, text("000000010000000000000004.00000028.backup"), 16 << 20, 1, true},
		{6<<24 + 1, text("000000010000000000000004.partial"), 16 << 20, 1, true},
		{6 << 24, text("00000002.history"), 16 << 20, 0, false},
		{6 << 24, text("00000001000000000000000X"), 16 << 20, 0, false},
		{6 << 24, nil, 16 << 20, 0, false},
		{0, text("000000010000000000000006"), 16 << 20, 0, false},
	} {
		f := &facts{Segment: test.segment, Archiver: &archiver{Last: test.last}}
		if test.written > 0 {
			f.Written = &test.written
		}
		if n, known := f.waiting(); n != test.want || known != test.known {
			t.Errorf("waiting of %#x after %v = %d, %v; want %d, %v", test.written, test.last, n, known, test.want, test.known)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"", "{}", "[]", `{"recovery":false,"mode":"on","segment":16777216}`, `{"recovery":false,"mode":"on","archiver":{},"segment":0}`,
		`{"mode":"on","archiver":{},"segment":16777216}`, `{"recovery":false,"archiver":{},"segment":16777216}`} {
		if f, err := parseFacts([]byte(answer)); err == nil {
			t.Errorf("parseFacts(%s) = %+v; want an error", answer, f)
		}
	}
	for _, answer := range []string{"", "[]", `{"ready":2}`, `{"ready":-1}`} {
		if s, err := parseStatus([]byte(answer)); err == nil {
			t.Errorf("parseStatus(%s) = %+v; want an error", answer, s)
		}
	}
}

func FuzzFacts(f *testing.F) {
	f.Add([]byte(`{"recovery":false,"role":"mon","mode":"on","timeout":0.000000,"segment":16777216,"command":"/bin/true","library":"","listable":true,` +
		`"written":33554472,"archiver":{"archived":2,"last":"000000010000000000000002","age":1.012683,"failed":0,"failing":null}}`))
	f.Add([]byte(`{"ready":1,"done":2,"oldest":"000000010000000000000002.ready","age":1}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if facts, err := parseFacts(answer); err == nil {
			if n, _ := facts.waiting(); n < 0 {
				t.Errorf("waiting of %s = %d; want none below zero", answer, n)
			}
			archivesNothing(facts.Command, facts.Library)
		}
		if s, err := parseStatus(answer); err == nil && s.Ready > 0 && s.Age == nil {
			t.Errorf("parseStatus(%s) = %+v; want an age", answer, s)
		}
	})
}
