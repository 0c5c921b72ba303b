package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/dashboards/board"
	catalog "github.com/belfry-monitoring/belfry/plugins"
)

// all are the boards of the catalog as Grafana reads them, by file name.
func all(t *testing.T) map[string]*board.Board {
	t.Helper()
	files, err := Files(catalog.Catalog())
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]*board.Board{}
	for name, text := range files {
		b, err := board.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		read[filepath.Base(name)] = b
	}
	return read
}

func TestEveryDefinitionIsOnABoard(t *testing.T) {
	if missing := Uncovered(catalog.Catalog()); len(missing) > 0 {
		t.Errorf("on no board: %q; name them in the checks of one", missing)
	}
	stranger := &check.Definition{Name: "stranger", New: func(*pflag.FlagSet) check.Check { return nil }}
	if got := Uncovered(append(catalog.Catalog(), stranger)); !slices.Equal(got, []string{"stranger"}) {
		t.Errorf("Uncovered(catalog and a stranger) = %q; want the stranger", got)
	}
	owners := map[string]string{}
	for _, b := range boards() {
		for _, name := range b.checks {
			if owners[name] != "" {
				t.Errorf("%s belongs to two boards: %s and %s", name, owners[name], b.title)
			}
			owners[name] = b.title
		}
	}
}

// TestEveryMetricHasAPanel: on the check's own board, with its limits.
func TestEveryMetricHasAPanel(t *testing.T) {
	read := all(t)
	for _, b := range boards() {
		file := strings.TrimPrefix(b.uid, "belfry-") + ".json"
		var exprs strings.Builder
		for _, p := range read[file].Panels {
			for _, q := range p.Targets {
				exprs.WriteString(q.Expr + "\n")
			}
		}
		for _, name := range b.checks {
			for _, d := range catalog.Catalog() {
				if d.Name != name {
					continue
				}
				for _, m := range d.Metrics {
					if series := m.Name() + "{"; !strings.Contains(exprs.String(), series) {
						t.Errorf("%s of %s is on no panel of %s", m.Name(), name, file)
					}
					if (m.Warning != "" || m.Critical != "") && !strings.Contains(exprs.String(), m.LimitName()+"{") {
						t.Errorf("%s has limits, and %s draws no %s", m.Name(), file, m.LimitName())
					}
				}
			}
		}
	}
}

func TestFilesAreStable(t *testing.T) {
	first, err := Files(catalog.Catalog())
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := Files(catalog.Catalog())
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range first {
			if !bytes.Equal(again[name], text) {
				t.Fatalf("%s is another when it is made again", name)
			}
		}
	}
}

// TestStrict: every file is what Grafana's schema knows and nothing else.
func TestStrict(t *testing.T) {
	files, err := Files(catalog.Catalog())
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(boards()) {
		t.Errorf("%d files for %d boards", len(files), len(boards()))
	}
	for name, text := range files {
		if err := strict(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The test must be able to fail, at every depth.
	text := string(files["dashboards/json/overview.json"])
	for _, where := range []string{`"title": "Worst first"`, `"refId": "verdict"`, `"showHeader": true`, `"uid": "belfry-overview"`, `"name": "target"`} {
		broken := strings.Replace(text, where, where+`, "nonsense": 1`, 1)
		if broken == text {
			t.Errorf("overview.json has no %s", where)
		} else if err := strict([]byte(broken)); err == nil {
			t.Errorf("a key that nobody knows after %s: no error; want one", where)
		}
	}
}

// strict parses a dashboard as Grafana's schema has it, with what the types of
// panels and queries know.
func strict(text []byte) error {
	plugins.RegisterDefaultPlugins()
	//lint:ignore SA1019 the format that is made
	var d dashboard.Dashboard
	// The SDK returns an empty list of errors for none.
	if err := d.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		return err
	}
	return d.Validate()
}

func TestPlaces(t *testing.T) {
	uids := map[string]string{}
	for name, b := range all(t) {
		if other := uids[b.UID]; other != "" || len(b.UID) > 40 {
			t.Errorf("%s: uid %q is too long or that of %s", name, b.UID, other)
		}
		uids[b.UID] = name
		ids := map[int]string{}
		for _, p := range append(slices.Clone(b.Panels), b.Rows...) {
			if p.ID == 0 || ids[p.ID] != "" {
				t.Errorf("%s: %q has the id %d, also that of %q", name, p.Title, p.ID, ids[p.ID])
			}
			ids[p.ID] = p.Title
			if g := p.GridPos; g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
				t.Errorf("%s: %q stands at %+v, outside of the grid", name, p.Title, g)
			}
		}
		open := slices.DeleteFunc(append(slices.Clone(b.Panels), b.Rows...), func(p board.Panel) bool { return p.Folded })
		for i, p := range open {
			for _, q := range open[i+1:] {
				if overlap(p.GridPos, q.GridPos) {
					t.Errorf("%s: %q at %+v and %q at %+v overlap", name, p.Title, p.GridPos, q.Title, q.GridPos)
				}
			}
		}
	}
}

func overlap(a, b board.Grid) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

// maximum finds an aggregation or function that would make UNKNOWN the worst
// state.
var maximum = regexp.MustCompile(`(max|max_over_time)\s*(by \([^)]*\)\s*)?\(\s*belfry_check_state`)

// TestHouseRules: what a reader of a panel needs, and what a board needs to
// work on anybody's Grafana.
func TestHouseRules(t *testing.T) {
	for name, b := range all(t) {
		names := []string{}
		for _, v := range b.Templating.List {
			names = append(names, v.Name)
			if v.Type == "query" && (!v.Multi || !v.IncludeAll || v.AllValue == "") {
				t.Errorf("%s: variable %s: want several values and all of them", name, v.Name)
			}
		}
		if !slices.Equal(names[:3], []string{"datasource", "job", "instance"}) {
			t.Errorf("%s: variables %q; want datasource, job and instance first", name, names)
		}
		if len(b.Annotations.List) != 1 || !strings.HasPrefix(b.Annotations.List[0].Expr, "ALERTS{") {
			t.Errorf("%s: annotations %+v; want the alerts", name, b.Annotations.List)
		}
		titles := map[string]bool{}
		for _, p := range b.Panels {
			say := func(format string, args ...any) {
				t.Errorf("%s: %q: "+format, append([]any{name, p.Title}, args...)...)
			}
			if p.Title == "" || titles[p.Row+"/"+p.Title] {
				say("no title, or one that is there twice in a row")
			}
			titles[p.Row+"/"+p.Title] = true
			if !strings.Contains(p.Description, "Aim for") || strings.Contains(p.Description, "..") {
				say("description %q; want one that says what to aim for", p.Description)
			}
			if p.Type != "table" && p.Type != "heatmap" && p.Type != "state-timeline" && p.FieldConfig.Defaults.Unit == "" {
				say("no unit")
			}
			if p.Datasource == nil || p.Datasource.UID != "${datasource}" {
				say("data source %+v; want the variable's", p.Datasource)
			}
			if len(p.Targets) == 0 {
				say("no query")
			}
			refs := map[string]bool{}
			for _, q := range p.Targets {
				switch {
				case refs[q.RefID] || q.RefID == "":
					say("refId %q twice", q.RefID)
				case !strings.Contains(q.Expr, `job=~"$job"`) || !strings.Contains(q.Expr, `instance=~"$instance"`):
					say("the query %s is not limited to job and instance", q.Expr)
				case maximum.MatchString(q.Expr):
					say("the query %s takes the maximum of states; UNKNOWN is 3 and not the worst", q.Expr)
				}
				refs[q.RefID] = true
			}
		}
	}
}

func TestMaximumOfStatesIsFound(t *testing.T) {
	for _, expr := range []string{"max(belfry_check_state{})", "max by (check) (belfry_check_state{})", "max_over_time(belfry_check_state{}[1h])"} {
		if !maximum.MatchString(expr) {
			t.Errorf("the rule does not find %s", expr)
		}
	}
}

// TestLinks: boards lead to each other with time, data source, job and
// instance, and a row of a table to its check's board.
func TestLinks(t *testing.T) {
	read := all(t)
	known := map[string]bool{}
	for _, b := range read {
		known[b.UID] = true
	}
	for name, b := range read {
		if len(b.Links) != len(read)-1 {
			t.Errorf("%s: %d links; want one to each other board", name, len(b.Links))
		}
		for _, l := range b.Links {
			path, query, _ := strings.Cut(l.URL, "?")
			if uid := strings.TrimPrefix(path, "/d/"); !known[uid] || uid == b.UID || !l.KeepTime {
				t.Errorf("%s: link %+v; want another board, with the time", name, l)
			}
			got, err := board.Substitute(query, board.Scope{Values: map[string][]string{"datasource": {"p"}, "job": {"a", "b"}, "instance": {board.All}}})
			if want := "var-datasource=p&var-job=a&var-job=b&var-instance=%24__all"; got != want || err != nil {
				t.Errorf("%s: link carries %s, %v; want %s", name, got, err, want)
			}
		}
	}
	expr := onBoard("x")
	for _, b := range boards() {
		for _, c := range b.checks {
			if !strings.Contains(expr, fmt.Sprintf("%q", b.uid)) || !strings.Contains(expr, c) {
				t.Errorf("onBoard(x) = %s; want %s for %s", expr, b.uid, c)
			}
		}
	}
}

func TestAboutOf(t *testing.T) {
	m := &check.Metric{Family: "f", Key: "k", Title: "queue's depth", Help: "how deep", Warning: "5", Critical: "10"}
	if got, want := aboutOf(m), "How deep. Aim for the right side of the dashed lines, the limits in force; of several the nearest. By default: WARNING 5, CRITICAL 10."; got != want {
		t.Errorf("aboutOf = %q; want %q", got, want)
	}
	for kind, want := range map[check.Kind]string{
		check.Gauge: "Queue's depth", check.Counter: "Queue's depth, in the last hour", check.Since: "Queue's depth, time since", check.Until: "Queue's depth, time left",
	} {
		if got := titleOf(&check.Metric{Key: "k", Title: "queue's depth", Kind: kind}); got != want {
			t.Errorf("titleOf(kind %d) = %q; want %q", kind, got, want)
		}
	}
}

// TestDependencies: what draws dashboards is in no binary that is installed.
func TestDependencies(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath", "./plugins/...", "./exporter/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); seen++ {
		var one struct{ ImportPath string }
		if err := decoder.Decode(&one); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(one.ImportPath, "grafana") || strings.Contains(one.ImportPath, "belfry/dashboards") {
			t.Errorf("a plugin or the exporter links %s", one.ImportPath)
		}
	}
	if seen < 100 {
		t.Errorf("go list named %d packages; want hundreds", seen)
	}
}
