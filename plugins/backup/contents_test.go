package backup

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

// several looks at sources with the options, those of limits first.
func several(t testing.TB, memory check.Memory, at time.Time, sources []source, args ...string) *check.Result {
	t.Helper()
	var limits []check.Limit
	for i := 0; i+1 < len(args); i += 2 {
		severity, ok := map[string]check.State{"-w": check.Warning, "-c": check.Critical}[args[i]]
		if !ok {
			break
		}
		more, err := check.ParseLimits(Definition, severity, []string{args[i+1]})
		if err != nil {
			t.Fatal(err)
		}
		limits, args, i = append(limits, more...), args[2:], -2
	}
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	c := newBackup(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	c.sources = sources
	l := &check.Look{Definition: Definition, Check: c, Limits: limits, Now: func() time.Time { return at }, Memory: memory}
	return l.Run(context.Background())
}

// ages makes good backups of 100 bytes that ended so many hours ago.
func ages(hours ...int) []backup {
	var made []backup
	for _, h := range hours {
		made = append(made, backup{name: "b", kind: "full", full: true, size: 100, ended: now().Add(-time.Duration(h) * time.Hour)})
	}
	return made
}

func lines(r *check.Result) string {
	var b strings.Builder
	for _, row := range r.Rows {
		b.WriteString("[" + row.State.String() + "] " + row.Text + "\n")
	}
	return b.String()
}

func TestContents(t *testing.T) {
	t.Parallel()
	here := &fixed{option: "stanza", l: &listing{sets: []set{
		{name: "main", place: "disk", backups: ages(2, 26, 50)},
		{name: "etc", place: "disk", backups: ages(3)},
	}}}
	there := &fixed{option: "path", l: &listing{sets: []set{{name: "main", place: "bucket", backups: ages(60)}}}}
	gone := &fixed{option: "path", err: check.Faultf(check.Timeout, "ask", "bucket", "no answer after 3 s")}
	for _, test := range []struct {
		name    string
		sources []source
		args    []string
		state   check.State
		want    []string // in the rows
	}{
		{"one place", []source{here}, []string{"--content", "database=main*", "--min-copies=3", "--min-places=1"}, check.OK, []string{"database: good backups in all places 3", "database: places with a recent backup 1, disk"}},
		{"copies", []source{here}, []string{"--content", "database=main*", "--min-copies=4"}, check.Critical, []string{"[CRITICAL] database: good backups in all places 3 (below 4)"}},
		{"a stale place does not count", []source{here, there}, []string{"--content", "database=*main", "--min-copies=4", "--min-places=2"}, check.Critical,
			[]string{"[CRITICAL] database: places with a recent backup 1 (below 2), disk", "good backups in all places 4", "[CRITICAL] fixed main: last good backup's age 2 d 12 h"}},
		{"unless it may be as old", []source{here, there}, []string{"-c", "8d", "-w", "8d", "--content", "database=*main", "--min-places=2", "--recent=8d"}, check.OK, []string{"database: places with a recent backup 2, disk; bucket"}},
		{"expected and not there", []source{here}, []string{"--content", "uploads=*uploads*"}, check.Critical, []string{`[CRITICAL] uploads: no backup: no set matches "*uploads*"; there are main, etc`}},
		{"a source cannot be looked at", []source{here, gone}, []string{"--content", "database=*main", "--min-places=2", "--content", "uploads=*uploads*"}, check.Critical,
			[]string{"[CRITICAL] fixed: ask bucket: no answer after 3 s", "[OK] main: last good backup's age 2 h"}},
	} {
		args := test.args
		if len(test.sources) == 1 {
			test.sources = append(test.sources, &fixed{})
		}
		r := several(t, nil, now(), test.sources, args...)
		if got := lines(r); r.State != test.state || !containsAll(got, test.want) || strings.Contains(got, "defect") {
			t.Errorf("%s: %s\n%swant %s with %q", test.name, r.State, got, test.state, test.want)
		}
	}
	r := several(t, nil, now(), []source{here, gone}, "--content", "database=*main", "--min-places=2", "--content", "uploads=*uploads*")
	if got := lines(r); strings.Contains(got, "places with") || strings.Contains(got, "no set matches") {
		t.Errorf("with a source that is not seen: %swant nothing counted", got)
	}
	r = several(t, nil, now(), []source{gone, &fixed{}})
	if r.State != check.Critical || !strings.Contains(lines(r), "no answer after 3 s") {
		t.Errorf("a lone source that does not answer: %s, %s", r.State, lines(r))
	}
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
