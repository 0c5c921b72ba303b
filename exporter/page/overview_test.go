package page

import (
	"fmt"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

func TestOverview(t *testing.T) {
	v := MakeOverview(mixed(t), everything, nil, site())
	var got []string
	for _, r := range v.Rows {
		value, bar := "-", "-"
		if r.Value != nil {
			value, bar = r.Value.Name+" "+r.Value.Text, drawn(r.Value.Bar)
		}
		got = append(got, fmt.Sprintf("%s %s %s [%s] for %q age %q %v | %s | %s", r.State.Word, r.Name, r.Target, r.Text, r.Since, r.Age, r.Marks, value, bar))
	}
	want := []string{
		`CRITICAL fake bad [replay is paused on db3, 1 more problem of 3] for "5 min 12 s" age "12 s" [] | replay lag 96 MiB | ok 0+60, warning 60+36, critical 96+24; above 120`,
		`UNKNOWN fake old [the newest look is of 14:00, more than three intervals of 60 s ago: the exporter does not keep up] for "" age "12 s" [stale a look hangs since 14:20:00 UTC] | - | -`,
		`WARNING other_check filling [db2: replay lag 41 MiB (above 40 MiB)] for "5 min 12 s" age "12 s" [] | replay lag 41 MiB | ok 0+48, warning 48+48, critical 96+24; at 49.2`,
		`OK fake good [db2: replay lag 3 MiB, 1 more within limits] for "5 min 12 s" age "12 s" [] | replay lag 3 MiB | ok 0+48, warning 48+48, critical 96+24; at 3.6`,
		`PENDING fake new [not looked yet, due at 14:31:00 UTC] for "" age "" [] | - | -`,
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("rows =\n%s\nwant\n%s", g, w)
	}
	var counts []string
	for _, c := range v.Counts {
		counts = append(counts, fmt.Sprintf("%d %s %s", c.N, c.State.Word, c.Href))
	}
	if got, want := strings.Join(counts, ", "), "1 CRITICAL ?state=critical, 1 UNKNOWN ?state=unknown, 1 WARNING ?state=warning, 1 OK ?state=ok, 1 PENDING ?state=pending"; got != want {
		t.Errorf("counts = %s; want %s", got, want)
	}
	if v.Title != "1 CRITICAL, 1 UNKNOWN · Belfry" || v.Icon != "critical" || v.Summary != "1 of 5 checks is CRITICAL" {
		t.Errorf("title %q, icon %q, summary %q", v.Title, v.Icon, v.Summary)
	}
}

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		critical, unknown, warning, ok, pending int
		want                                    string
	}{
		{0, 0, 0, 0, 0, "unknown: No checks are configured"},
		{2, 1, 1, 3, 0, "critical: 2 of 7 checks are CRITICAL"},
		{0, 1, 5, 1, 1, "unknown: 1 of 8 checks is UNKNOWN"},
		{0, 0, 1, 0, 0, "warning: 1 of 1 check is WARNING"},
		{0, 0, 0, 3, 0, "ok: All 3 checks are OK"},
		{0, 0, 0, 1, 0, "ok: The check is OK"},
		{0, 0, 0, 3, 1, "pending: 1 of 4 checks has not looked yet, the others are OK"},
		{0, 0, 0, 0, 4, "pending: No check has looked yet"},
	} {
		n := []int{tt.critical, tt.unknown, tt.warning, tt.ok, tt.pending}
		var counts []Count
		total := 0
		for i, s := range worstFirst() {
			counts, total = append(counts, Count{State: s, N: n[i]}), total+n[i]
		}
		s, text := verdict(counts, total)
		if got := s.Class + ": " + text; got != tt.want {
			t.Errorf("verdict(%v) = %s; want %s", n, got, tt.want)
		}
	}
}

func TestFilter(t *testing.T) {
	for _, tt := range []struct {
		state, name, want string
	}{
		{"", "", "bad old filling good new"},
		{"critical", "", "bad"},
		{"pending", "", "new"},
		{"", "OTHER_check", "filling"},
		{"", "fake OO", "good"},
		{"ok", "bad", ""},
		{"", "a\"<b>", ""},
	} {
		q := everything
		q.State, q.Name = tt.state, tt.name
		v := MakeOverview(mixed(t), q, nil, site())
		var got []string
		for _, r := range v.Rows {
			got = append(got, r.Target)
		}
		if g := strings.Join(got, " "); g != tt.want || v.Matching != len(got) || v.All.N != 5 || v.Counts[0].N != 1 {
			t.Errorf("filter %q %q shows %q, %d matching, %d in all; want %q", tt.state, tt.name, g, v.Matching, v.All.N, tt.want)
		}
	}
}

// many are n checks, of each ten one CRITICAL.
func many(t testing.TB, n int) []schedule.Snapshot {
	states := mixed(t)
	list := make([]schedule.Snapshot, n)
	for i := range list {
		from := states[1]
		if i%10 == 3 {
			from = states[0]
		}
		list[i] = snapshot(faked, fmt.Sprintf("server-%05d.example.com", i), from.Result)
		for len(list[i].History) < schedule.HistoryLength {
			list[i].History = append(list[i].History, list[i].History[len(list[i].History)%6])
		}
	}
	return list
}

func TestPaging(t *testing.T) {
	list := many(t, 10000)
	for _, tt := range []struct {
		page                  int
		first, last           string
		from, to              int
		previous, next, title string
	}{
		{1, "server-00003.example.com", "server-00993.example.com", 1, 100, "", "?page=2", "1000 CRITICAL, 9000 OK · Belfry"},
		{11, "server-00000.example.com", "server-00110.example.com", 1001, 1100, "?page=10", "?page=12", ""},
		{100, "server-09889.example.com", "server-09999.example.com", 9901, 10000, "?page=99", "", ""},
		{5000, "server-09889.example.com", "server-09999.example.com", 9901, 10000, "?page=99", "", ""},
	} {
		q := everything
		q.Page = tt.page
		v := MakeOverview(list, q, nil, site())
		if len(v.Rows) != 100 || v.Rows[0].Target != tt.first || v.Rows[99].Target != tt.last || v.First != tt.from || v.Last != tt.to || v.Previous != tt.previous || v.Next != tt.next {
			t.Errorf("page %d: %d rows, %s to %s, %d to %d, previous %q, next %q; want %+v", tt.page, len(v.Rows), v.Rows[0].Target, v.Rows[99].Target, v.First, v.Last, v.Previous, v.Next, tt)
		}
		if size := len(overview(t, list, q)); size > 400_000 {
			t.Errorf("page %d of 10,000 checks has %d bytes; want 400,000 at most", tt.page, size)
		}
	}
}
