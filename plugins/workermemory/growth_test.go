package workermemory

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/cgroup"
	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs"
)

const mib = 1 << 20

// grown looks each minute at workers for so long and returns what is kept,
// through JSON as between two runs of a plugin.
func grown(t *testing.T, span time.Duration, workers func(at time.Duration) []worker) (sizes, []worker) {
	t.Helper()
	var known sizes
	var list []worker
	for at := 48 * time.Hour; at <= 48*time.Hour+span; at += time.Minute {
		list = workers(at)
		data, err := json.Marshal(known.remember(list, "boot"))
		if err == nil {
			known = nil
			err = json.Unmarshal(data, &known)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return known, list
}

// process is a worker that started at a time and holds so much.
func process(label string, pid int, started, at time.Duration, size float64) worker {
	return worker{label: label, main: procs.Process{PID: pid, Started: started, Age: at - started, RSS: uint64(size * mib)}}
}

// judged reports growth and time to the limit as "growth label MiB" and "time
// label hours", and the rows' texts.
func judged(t *testing.T, limits []check.Limit, list []worker, known sizes, groups []limited) (values []string, texts string) {
	t.Helper()
	d := &check.Definition{Name: "t", Timeout: time.Second, Metrics: []*check.Metric{rss, growth, timeToLimit}, New: func(*pflag.FlagSet) check.Check { return nil }}
	result := (&check.Look{Definition: d, Limits: limits, Check: lookFunc(func(r *check.Report) {
		for _, w := range list {
			r.Observe(rss, float64(w.main.RSS), w.label)
		}
		judgeGrowth(r, list, known, groups, "boot")
	})}).Run(t.Context())
	for _, v := range result.Values {
		switch v.Metric {
		case growth:
			values = append(values, fmt.Sprintf("growth %s %.0f", v.Labels[0], v.Number/mib))
		case timeToLimit:
			values = append(values, fmt.Sprintf("time %s %.1f %s", v.Labels[0], v.Number/3600, v.State))
		}
	}
	for _, row := range result.Rows {
		texts += row.Text + "\n"
	}
	return values, texts
}

func TestGrowth(t *testing.T) {
	leaking := func(perHour float64) func(at time.Duration) []worker {
		return func(at time.Duration) []worker {
			h := (at - 48*time.Hour).Hours()
			return []worker{process("leaks", 7, 40*time.Hour, at, 200+perHour*h), process("steady", 8, 40*time.Hour, at, 300)}
		}
	}
	limit := func(spec string) []check.Limit {
		limits, err := check.ParseLimits(Definition, check.Critical, []string{spec})
		if err != nil {
			t.Fatal(err)
		}
		return limits
	}
	group := func(pids ...int) []limited {
		return []limited{{Group: cgroup.Group{Path: "/zulip", Limit: 1000 * mib, Used: 900 * mib}, pids: pids}}
	}
	tests := []struct {
		name   string
		limits []check.Limit
		groups []limited
		rate   float64
		span   time.Duration
		want   string
		text   string
	}{
		// 800 MB are 763 MiB.
		{name: "the default limit", rate: 60, span: 6 * time.Hour, want: "growth leaks 60, time leaks 3.4 WARNING",
			text: "leaks: time until the limit 3 h 24 min (below 4 h), grows by 59.9 MiB an hour towards 763 MiB"},
		{name: "the operator's limit", limits: limit("rss{worker=leaks}=1000MiB"), rate: 60, span: 6 * time.Hour, want: "growth leaks 60, time leaks 7.4 OK"},
		{name: "a limit on an inner range", limits: limit("@620MiB:900MiB"), rate: 60, span: 6 * time.Hour, want: "growth leaks 60, time leaks 1.0 WARNING"},
		{name: "no upper limit", limits: limit("1MB:"), rate: 60, span: 6 * time.Hour, want: "growth leaks 60"},
		{name: "above its limit", limits: limit("500MiB"), rate: 60, span: 6 * time.Hour, want: "growth leaks 60, time leaks 0.0 WARNING"},
		{name: "a limit too far ahead to say", rate: 10, span: 3 * time.Hour, want: "growth leaks 10"},
		{name: "the control group's limit", groups: group(7, 8), rate: 60, span: 6 * time.Hour, want: "growth leaks 60, time leaks 1.7 WARNING",
			text: "grows by 59.9 MiB an hour, its control group /zulip holds 900 MiB of 1000 MiB"},
		{name: "another's control group", groups: group(8), rate: 60, span: 6 * time.Hour, want: "growth leaks 60, time leaks 3.4 WARNING"},
		{name: "not an hour yet", rate: 60, span: 59 * time.Minute, want: ""},
		{name: "steady", rate: 0, span: 6 * time.Hour, want: ""},
	}
	for _, tt := range tests {
		known, list := grown(t, tt.span, leaking(tt.rate))
		values, texts := judged(t, tt.limits, list, known, tt.groups)
		if got := strings.Join(values, ", "); got != tt.want || !strings.Contains(texts, tt.text) {
			t.Errorf("%s: %q, rows\n%swant %q and a row with %q", tt.name, got, texts, tt.want, tt.text)
		}
	}
}

// Two that grow in one control group fill it together.
func TestGrowthTogether(t *testing.T) {
	known, list := grown(t, 6*time.Hour, func(at time.Duration) []worker {
		h := (at - 48*time.Hour).Hours()
		return []worker{process("a", 7, 40*time.Hour, at, 100+20*h), process("b", 8, 40*time.Hour, at, 100+30*h)}
	})
	groups := []limited{{Group: cgroup.Group{Path: "/zulip", Limit: 1000 * mib, Used: 900 * mib}, pids: []int{7, 8}}}
	values, _ := judged(t, nil, list, known, groups)
	if got, want := strings.Join(values, ", "), "growth a 20, time a 2.0 WARNING, growth b 30, time b 2.0 WARNING"; got != want {
		t.Errorf("together: %q; want %q", got, want)
	}
}

// A worker's own start is no growth, another process begins anew, and one that
// keeps running keeps its past when its number changes or a look misses it.
func TestGrowthByIdentity(t *testing.T) {
	base := 48 * time.Hour
	leak := func(at time.Duration) float64 { return 100 + 40*(at-base).Hours() }
	tests := []struct {
		name    string
		workers func(at time.Duration) []worker
		want    string
	}{
		{"the numbers move", func(at time.Duration) []worker {
			// The oldest of three is replaced each half an hour, as by a limit on requests.
			turn := base + (at - base).Truncate(30*time.Minute)
			return []worker{process("http#2", int(turn.Minutes()), turn, at, 100), process([]string{"http", "http#3"}[int(turn.Minutes())/30%2], 7, time.Hour, at, leak(at))}
		}, "growth http 40"},
		{"a look misses it", func(at time.Duration) []worker {
			if int(at.Minutes())%20 == 5 {
				return []worker{process("other", 9, time.Hour, at, 100)}
			}
			return []worker{process("leaks", 7, time.Hour, at, leak(at))}
		}, "growth leaks 40"},
		{"no look finds any for a moment", func(at time.Duration) []worker {
			if int(at.Minutes())%20 == 5 {
				return nil
			}
			return []worker{process("leaks", 7, time.Hour, at, leak(at))}
		}, "growth leaks 40"},
		{"restarted each hour and a half", func(at time.Duration) []worker {
			turn := base + (at - base).Truncate(90*time.Minute)
			return []worker{process("worker", int(turn.Minutes()), turn, at, 100+40*(at-turn).Hours())}
		}, ""},
		{"the first ten minutes", func(at time.Duration) []worker {
			up := min(at-base, warmUp).Minutes()
			return []worker{process("starts", 7, base, at, 50+60*up)}
		}, ""},
		{"leaks into swap", func(at time.Duration) []worker {
			w := process("swapped", 7, time.Hour, at, 300)
			w.main.Swap = uint64(leak(at) * mib)
			return []worker{w}
		}, "growth swapped 40"},
	}
	for _, tt := range tests {
		known, list := grown(t, 5*time.Hour, tt.workers)
		values, _ := judged(t, nil, list, known, nil)
		if got := strings.Join(values, ", "); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: %q; want %q", tt.name, got, tt.want)
		}
	}
}

// What is kept of many workers stays far below what may be kept.
func TestSizesAreBounded(t *testing.T) {
	var known sizes
	for look := range 60 {
		at := 1000*time.Hour + time.Duration(look)*30*time.Minute
		var list []worker
		for i := range 2 * maxKept {
			list = append(list, process("w", i, time.Hour, at, 3000))
		}
		known = known.remember(list, "8f1b6a3c-0d1e-4c55-9f4e-2b6f0c9d1a77")
	}
	if data, err := json.Marshal(known); err != nil || len(data) > check.MaxMemory/2 || len(known) > maxKept {
		t.Errorf("%d workers take %d bytes, %v; want half of %d at most", len(known), len(data), err, check.MaxMemory)
	}
	if after := known.remember([]worker{process("w", 1, time.Minute, time.Hour, 1)}, "another"); len(after) != 1 {
		t.Errorf("after a boot %d processes are kept; want the one that runs", len(after))
	}
}

func TestCeiling(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		critical check.Range
		size     float64
		want     float64 // not a number: none
	}{
		{check.Range{End: 800}, 100, 800},
		{check.Range{End: 800}, 900, 800},
		{check.Range{Start: 5, End: inf}, 100, math.NaN()},
		{check.Range{Start: 800, End: 900, Inside: true}, 100, 800},
		{check.Range{Start: 800, End: inf, Inside: true}, 100, 800},
		{check.Range{Start: 800, End: 900, Inside: true}, 950, math.NaN()},
		{check.Range{Start: -inf, End: 5, Inside: true}, 3, math.NaN()},
	}
	for _, tt := range tests {
		if got := ceiling(tt.critical, tt.size); got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("ceiling(%v, %v) = %v; want %v", tt.critical, tt.size, got, tt.want)
		}
	}
}
