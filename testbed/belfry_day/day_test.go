package main

import (
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

func TestScript(t *testing.T) {
	names := make(map[string]bool)
	for _, s := range script() {
		if s.name == "" || s.what == "" || names[s.name] {
			t.Errorf("situation %q is described by %q; want a name of its own and what is done", s.name, s.what)
		}
		names[s.name] = true
		for _, w := range slices.Concat(s.want, s.passing) {
			if !slices.Contains(targets(), w.target) {
				t.Errorf("%s: unknown target %q", s.name, w.target)
			}
			if _, err := regexp.Compile(w.cause); err != nil || w.cause == "" && w.state != check.OK {
				t.Errorf("%s, %s: cause %q, %v; want an expression for what line 1 must name", s.name, w.target, w.cause, err)
			}
		}
	}
}

// TestPageIsOfThisScript: the page's situations, what is done in them and what
// is wanted are the script's; the first lines are of the run that wrote it.
func TestPageIsOfThisScript(t *testing.T) {
	text, err := os.ReadFile("../../docs/situations.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), strings.TrimSpace(prose)) {
		t.Errorf("docs/situations.md does not hold the text of page.md; run make day WRITE=docs/situations.md")
	}
	var got, want []string
	_, rows, _ := strings.Cut(string(text), tableHead)
	for line := range strings.Lines(rows) {
		cells := strings.Split(line, " | ")
		if len(cells) > 3 && strings.HasPrefix(cells[2], "**") {
			t.Errorf("docs/situations.md holds a defect: %s", line)
		} else if len(cells) > 3 {
			got = append(got, strings.TrimPrefix(strings.Join(cells[:3], " | "), "| "))
		}
	}
	for _, s := range script() {
		first := s.name + " | " + s.described()
		for _, target := range s.mentioned() {
			want = append(want, first+" | "+s.expected(target))
			first = " | "
		}
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("docs/situations.md, row %d: got %q; want %q: run make day WRITE=docs/situations.md", i+1, at(got, i), at(want, i))
		}
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// fine is a look at which everything is OK.
func fine() look {
	l := make(look)
	for _, target := range targets() {
		l[target] = map[face]sight{plugin: {0, "fine"}, exporter: {0, "fine"}}
	}
	return l
}

func TestDefects(t *testing.T) {
	s := situation{
		name:    "broker stopped",
		want:    []want{critical(queues, "refused"), warning(workers, "leaks").only(plugin), ok(dumps), warning(dumps, "late")},
		passing: []want{unknown(queues, "no statistics"), unknown(consumers, "no statistics")},
	}
	down, warn, unsure := sight{2, "connection refused"}, sight{1, "worker leaks"}, sight{3, "no statistics"}
	tests := []struct {
		name                    string
		said                    map[string]map[face]sight // instead of OK
		entering, settled, done string                    // kinds of the defects
	}{
		{"all OK", nil, "", "false OK, false OK, false OK", ""},
		{"as wanted", map[string]map[face]sight{queues: {plugin: down, exporter: down}, workers: {plugin: warn}}, "", "", "false alarm, false alarm, false alarm"},
		{"one of several", map[string]map[face]sight{queues: {plugin: down, exporter: down}, workers: {plugin: warn}, dumps: {plugin: {1, "late"}}}, "", "",
			"false alarm, false alarm, false alarm, false alarm"},
		{"none of several", map[string]map[face]sight{queues: {plugin: down, exporter: down}, workers: {plugin: warn}, dumps: {plugin: {2, "late"}}}, "wrong state", "wrong state",
			"false alarm, false alarm, false alarm, false alarm"},
		{"one face only", map[string]map[face]sight{queues: {plugin: down}, workers: {plugin: warn}}, "", "false OK", "false alarm, false alarm"},
		{"the other face", map[string]map[face]sight{queues: {plugin: down, exporter: down}, workers: {exporter: warn}}, "false alarm", "false OK, false alarm",
			"false alarm, false alarm, false alarm"},
		{"another check", map[string]map[face]sight{queues: {plugin: down, exporter: down}, workers: {plugin: warn}, zulip: {plugin: down}}, "false alarm", "false alarm",
			"false alarm, false alarm, false alarm, false alarm"},
		{"in passing", map[string]map[face]sight{queues: {plugin: unsure}, consumers: {exporter: unsure}}, "",
			"wrong state, false OK, false alarm, false OK", "false alarm, false alarm"},
		{"in passing for another reason", map[string]map[face]sight{consumers: {exporter: {3, "no permission"}}}, "false alarm",
			"false OK, false OK, false alarm, false OK", "false alarm"},
		{"another cause", map[string]map[face]sight{queues: {plugin: {2, "too deep"}, exporter: down}, workers: {plugin: warn}}, "", "wrong cause",
			"false alarm, false alarm, false alarm"},
		{"no answer", map[string]map[face]sight{queues: {plugin: {-1, ""}, exporter: down}, workers: {plugin: warn}}, "no answer", "no answer",
			"no answer, false alarm, false alarm"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := fine()
			for target, said := range tt.said {
				maps.Copy(l[target], said)
			}
			for _, p := range []struct {
				phase phase
				want  string
			}{{entering, tt.entering}, {leaving, tt.entering}, {settled, tt.settled}, {before, tt.done}} {
				if got := kinds(s.defects(p.phase, l)); got != p.want {
					t.Errorf("defects %s: got %q; want %q", p.phase, got, p.want)
				}
			}
			if got, want := s.isSettled(l), tt.settled == ""; got != want {
				t.Errorf("isSettled() = %t; want %t", got, want)
			}
		})
	}
}

func kinds(defects []defect) string {
	var list []string
	for _, d := range defects {
		list = append(list, d.kind)
	}
	return strings.Join(list, ", ")
}

func TestDisagreements(t *testing.T) {
	s := situation{want: []want{critical(queues, "refused"), warning(workers, "leaks").only(plugin)}}
	l := fine()
	l[queues][plugin] = sight{2, "refused"}
	l[workers][plugin] = sight{1, "leaks"}
	if got := s.disagreements(l); len(got) != 1 || got[0].target != queues {
		t.Errorf("disagreements() = %v; want one, of queues: of workers different things are wanted", got)
	}
}

func TestExporterAway(t *testing.T) {
	s := situation{down: true}
	l := fine()
	for _, target := range targets() {
		l[target][exporter] = sight{state: -1}
	}
	if got := s.defects(settled, l); got != nil {
		t.Errorf("defects while the exporter is away = %v; want none", got)
	}
	if got := kinds(s.defects(before, l)); !strings.HasPrefix(got, noAnswer) {
		t.Errorf("defects when it should be back = %q; want %q", got, noAnswer)
	}
}

// TestBrokenStaysBroken: what could not be done must not pass for done, also
// when what follows can.
func TestBrokenStaysBroken(t *testing.T) {
	d := &day{}
	for _, do := range []func(*day){func(*day) {}, func(*day) { runtime.Goexit() }, func(*day) {}} {
		for finished := d.act(do, 0); !finished(); {
			time.Sleep(time.Millisecond)
		}
	}
	if !d.broken.Load() {
		t.Error("a situation that could not be brought about counts as played; want the day broken")
	}
	if d := (&day{}); !d.act(nil, 0)() || d.broken.Load() {
		t.Error("nothing to do is not done, or breaks the day; want it done")
	}
}

func TestStateOf(t *testing.T) {
	for _, tt := range []struct {
		line, target string
		state        int
		ok           bool
	}{
		{`belfry_check_state{check="backup",target="dumps"} 2` + "\n", "dumps", 2, true},
		{`belfry_check_state{check="backup",target="dumps"} 4` + "\n", "", 0, false},
		{`belfry_check_interval_seconds{check="backup",target="dumps"} 4`, "", 0, false},
		{`# HELP belfry_check_state x`, "", 0, false},
	} {
		target, state, ok := stateOf(tt.line)
		if target != tt.target || state != tt.state || ok != tt.ok {
			t.Errorf("stateOf(%q) = %q, %d, %t; want %q, %d, %t", tt.line, target, state, ok, tt.target, tt.state, tt.ok)
		}
	}
}
