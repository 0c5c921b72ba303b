package workermemory

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/procs"
)

func TestKillLog(t *testing.T) {
	start := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	type look struct {
		minute int
		boot   string
		count  uint64
		want   string // "-" for not known, else kills and the minute since which
	}
	tests := []struct {
		name  string
		looks []look
	}{
		{"kills before the first look are nobody's news", []look{{0, "a", 5, "-"}, {1, "a", 5, "0 since 0"}}},
		{"a kill is reported for the whole window", []look{
			{0, "a", 0, "-"}, {1, "a", 1, "1 since 0"}, {2, "a", 1, "1 since 0"}, {59, "a", 1, "1 since 0"},
			{60, "a", 1, "1 since 0"}, {61, "a", 1, "0 since 1"}, {62, "a", 1, "0 since 2"},
		}},
		{"several kills leave one by one", []look{
			{0, "a", 0, "-"}, {30, "a", 2, "2 since 0"}, {50, "a", 3, "3 since 0"}, {90, "a", 3, "1 since 30"}, {110, "a", 3, "0 since 50"},
		}},
		{"after a boot all kills are new", []look{{0, "a", 7, "-"}, {1, "b", 2, "2 since 0"}, {2, "b", 2, "2 since 0"}}},
		{"after a boot without kills there are none", []look{{0, "a", 7, "-"}, {1, "b", 0, "0 since 0"}, {2, "b", 1, "1 since 0"}}},
		{"a count that fell is another boot", []look{{0, "", 7, "-"}, {1, "", 3, "3 since 0"}}},
		{"the clock went back", []look{{10, "a", 0, "-"}, {5, "a", 1, "1 since 10"}, {6, "a", 1, "1 since 10"}}},
	}
	for _, tt := range tests {
		var log *killLog
		for _, l := range tt.looks {
			now := start.Add(time.Duration(l.minute) * time.Minute)
			next, recent, known := log.advance(now, l.boot, l.count, time.Hour)
			got := "-"
			if known {
				got = fmt.Sprintf("%d since %d", recent.count, int(recent.since.Sub(start).Minutes()))
			}
			if got != l.want {
				t.Errorf("%s: minute %d, count %d: advance = %s; want %s", tt.name, l.minute, l.count, got, l.want)
			}
			log = next
		}
	}

	var log *killLog
	for i := range 5000 {
		log, _, _ = log.advance(start.Add(time.Duration(i)*time.Millisecond), "a", uint64(i), time.Hour)
	}
	if len(log.Marks) > maxMarks {
		t.Errorf("after 5000 kills the log has %d marks; want at most %d", len(log.Marks), maxMarks)
	}
	damaged := &killLog{Boot: "a"}
	if _, _, known := damaged.advance(start, "a", 3, time.Hour); known {
		t.Error("a log without marks is known; want a new baseline")
	}
}

func TestKillText(t *testing.T) {
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	list := []worker{
		{label: "embed_links", main: procs.Process{Age: 3 * time.Minute}},
		{label: "email_senders", main: procs.Process{Age: 3 * time.Hour}},
	}
	young := func(label string) worker { return worker{label: label, main: procs.Process{Age: time.Minute}} }
	tests := []struct {
		kills recentKills
		list  []worker
		want  string
	}{
		{recentKills{1, now.Add(-10 * time.Minute)}, list,
			"the kernel has killed a process for want of memory in the last 10 min, started since then: embed_links"},
		{recentKills{1, now.Add(-10 * time.Minute)}, list[:1],
			"the kernel has killed a process for want of memory in the last 10 min, started since then: embed_links"},
		{recentKills{1, now.Add(-10 * time.Minute)}, []worker{young("a"), young("b")}, // all of them
			"the kernel has killed a process for want of memory in the last 10 min"},
		{recentKills{1, now.Add(-10 * time.Minute)}, append([]worker{young("a"), young("b"), young("c"), young("d")}, list[1:]...),
			"the kernel has killed a process for want of memory in the last 10 min"},
		{recentKills{3, now.Add(-time.Hour)}, list[1:], "the kernel has killed 3 processes for want of memory in the last 60 min"},
	}
	for _, tt := range tests {
		if got := killText(tt.kills, now, tt.list); got != tt.want {
			t.Errorf("killText(%+v) = %q; want %q", tt.kills, got, tt.want)
		}
	}
}

func TestMissing(t *testing.T) {
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	seen := map[string]time.Time{
		"a": now.Add(-time.Minute), "b": now.Add(-time.Minute), "c": now.Add(-time.Hour), "old": now.Add(-25 * time.Hour),
	}
	gone, keep := missing(seen, []worker{{label: "a"}, {label: "new"}}, now)
	var labels []string
	for _, g := range gone {
		labels = append(labels, g.label)
	}
	if got := strings.Join(labels, " "); got != "b c" {
		t.Errorf("missing = %q; want b c: the newest loss first, nothing older than a day", got)
	}
	if len(keep) != 4 || !keep["a"].Equal(now) || !keep["c"].Equal(seen["c"]) {
		t.Errorf("kept %v; want a and new as of now, b and c as they were", keep)
	}
	many := make([]worker, 2*maxKept)
	for i := range many {
		many[i].label = fmt.Sprint(i)
	}
	if _, keep = missing(seen, many, now); len(keep) > maxKept {
		t.Errorf("kept %d workers; want at most %d", len(keep), maxKept)
	}
}
