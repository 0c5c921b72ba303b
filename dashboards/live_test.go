package dashboards

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/dashboards/board"
	"github.com/belfry-monitoring/belfry/dashboards/preview"
	"github.com/belfry-monitoring/belfry/dashboards/promquery"
	"github.com/belfry-monitoring/belfry/dashboards/scenery"
	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/testbed"
)

// alertRules stand in for the product's: any rule whose alerts carry the
// labels of the checks marks the boards.
const alertRules = `groups:
- name: test
  interval: 1s
  rules:
  - {alert: NotOK, expr: belfry_check_state == 2}
  - {alert: Exporter, expr: 'count by (job, instance) (belfry_check_state == 2) > 0'}
`

// emptyWhenWell are the panels that rightly have nothing to show while all is
// well. Of all others every query has a result.
var emptyWhenWell = []string{
	"Whatever was not OK",
	"What is wrong now",
	"Findings",
	"Looks that failed, by reason",
	"Worst first: failure",
	"Worst first: found",
	"Worst first: limit",
}

// audience asks a Prometheus for what the boards show.
type audience struct {
	client promquery.Client
	boards map[string]*board.Board
	scrape time.Duration
}

func (a audience) window(span time.Duration) promquery.Window {
	to := time.Now()
	return promquery.Window{From: to.Add(-span), To: to, Step: a.scrape}
}

var errEmpty = errors.New("empty")

// problem runs a query and says what is wrong with the result.
func (a audience) problem(ctx context.Context, b *board.Board, p board.Panel, t board.Target) error {
	w := a.window(time.Minute)
	p.Targets = []board.Target{t}
	results, err := a.client.Panel(ctx, p, promquery.Scope(b, w, a.scrape), w)
	if err != nil {
		return err
	}
	r := results[0]
	if len(r.Series) == 0 {
		return fmt.Errorf("%w: %s", errEmpty, r.Expr)
	}
	for _, s := range r.Series {
		if v := s.Last(); math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%v is %v, not finite: %s", s.Labels, v, r.Expr)
		}
	}
	for _, name := range label.FindAllStringSubmatch(t.LegendFormat, -1) {
		if !slices.ContainsFunc(r.Series, func(s promquery.Series) bool {
			_, ok := s.Labels[name[1]]
			return ok || slices.Contains(mayBeEmpty, name[1])
		}) {
			return fmt.Errorf("the legend %q names a label that no series has: %s", t.LegendFormat, r.Expr)
		}
	}
	return nil
}

// mayBeEmpty are labels without a value where there is only one realm, and in
// a binary that go test has made.
var mayBeEmpty = []string{"realm", "version"}

var label = regexp.MustCompile(`\{\{(\w+)\}\}`)

// ask is one query of a panel.
type ask struct {
	file   string
	panel  board.Panel
	target board.Target
	exempt bool // may be empty
}

// asks are all queries; those of the panels that without names, by title or by
// title and refId, may be empty.
func (a audience) asks(without []string) []ask {
	var list []ask
	for _, file := range slices.Sorted(maps.Keys(a.boards)) {
		for _, p := range a.boards[file].Panels {
			for _, t := range p.Targets {
				exempt := slices.ContainsFunc(without, func(w string) bool {
					return w == p.Title || w == p.Title+": "+t.RefID || w == t.RefID || w == file+": "+p.Title
				})
				list = append(list, ask{file, p, t, exempt})
			}
		}
	}
	return list
}

// missing returns those of the queries that have no result yet or a wrong one,
// and says why.
func (a audience) missing(ctx context.Context, asks []ask) (left []ask, err error) {
	var errs []error
	for _, q := range asks {
		problem := a.problem(ctx, a.boards[q.file], q.panel, q.target)
		if problem == nil || q.exempt && errors.Is(problem, errEmpty) {
			continue
		}
		left = append(left, q)
		errs = append(errs, fmt.Errorf("%s: %q: %s: %w", q.file, q.panel.Title, q.target.RefID, problem))
	}
	return left, errors.Join(errs...)
}

// await polls until every query outside of without has a result. before is
// done each time.
func (a audience) await(t *testing.T, when string, without []string, before func()) {
	t.Helper()
	left := a.asks(without)
	testbed.WaitFor(t, 2*time.Minute, when+": every query with a result", func() (err error) {
		before()
		time.Sleep(300 * time.Millisecond) // several hundred queries
		left, err = a.missing(t.Context(), left)
		return err
	})
}

// TestEveryQuery: a real exporter serves everything that the catalog can
// report, a real Prometheus scrapes it, and every query of every panel has
// finite values; while all is well, all but those that then should be empty.
func TestEveryQuery(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	port := bed.Port()
	var tr troupe
	tr.play(t, plugins.Catalog(), strconv.Itoa(port))
	prometheus := bed.Prometheus(testbed.PrometheusOptions{
		Files: map[string]string{"rules.yml": alertRules},
		Config: fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
scrape_configs:
- job_name: belfry
  static_configs: [{targets: ['127.0.0.1:%d']}]
- job_name: belfry-probe
  http_sd_configs: [{url: 'http://127.0.0.1:%[1]d/discovery', refresh_interval: 1s}]
  relabel_configs: [{target_label: __address__, replacement: '127.0.0.1:%[1]d'}]
`, port),
	})
	a := audience{client: promquery.Client{URL: prometheus.URL()}, boards: all(t), scrape: time.Second}
	nothing := func() {}
	a.await(t, "well", emptyWhenWell, nothing)
	for _, q := range a.asks(emptyWhenWell) {
		if q.exempt && a.problem(t.Context(), a.boards[q.file], q.panel, q.target) == nil {
			t.Errorf("all is well, and %q of %s has something to show: it is no exception", q.panel.Title, q.file)
		}
	}
	a.variables(t)
	a.probes(t)
	tr.bad.Store(true)
	a.await(t, "broken", nil, nothing)
	a.names(t)
	a.alerts(t)
	a.documented(t)
}

// documented: the queries of the guide have a result, too.
func (a audience) documented(t *testing.T) {
	t.Helper()
	guide, err := os.ReadFile("../docs/grafana.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(guide), "```\n# how much")
	text, _, ended := strings.Cut(text, "```")
	if !found || !ended {
		t.Fatal("docs/grafana.md has no block of queries")
	}
	for _, query := range strings.Split("# "+text, "\n\n") {
		_, expr, _ := strings.Cut(query, "\n") // below its comment
		got, err := a.client.Instant(t.Context(), expr, time.Now())
		// A scrape that is missed leaves a second without any series.
		for end := time.Now().Add(time.Minute); (err != nil || len(got) == 0) && time.Now().Before(end); {
			time.Sleep(200 * time.Millisecond)
			got, err = a.client.Instant(t.Context(), expr, time.Now())
		}
		if err != nil || len(got) == 0 {
			t.Errorf("the guide's query %s: %d series, %v; want some", expr, len(got), err)
		}
	}
}

// probes: every panel that shows a check's own series shows those of a target
// at /probe too, when that is chosen.
func (a audience) probes(t *testing.T) {
	t.Helper()
	for file, b := range a.boards {
		if _, ok := promquery.Scope(b, a.window(time.Minute), a.scrape).Values["target"]; !ok {
			continue
		}
		testbed.WaitFor(t, time.Minute, file+": targets at /probe", func() error {
			w := a.window(time.Minute) // what is scraped while we wait counts
			s := promquery.Scope(b, w, a.scrape)
			s.Values["job"], s.Values["target"] = []string{"belfry-probe"}, []string{probed}
			for _, p := range b.Panels {
				if strings.Contains(p.Targets[0].Expr, "belfry_check_") || strings.Contains(p.Targets[0].Expr, "_distribution_") || strings.Contains(p.Targets[0].Expr, "belfry_exporter_") {
					continue
				}
				results, err := a.client.Panel(t.Context(), p, s, w)
				if err == nil && len(results[0].Series) == 0 {
					err = fmt.Errorf("%q shows nothing of a target at /probe: %s", p.Title, results[0].Expr)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// variables: every one offers something, and what it offers leaves the
// queries a result.
func (a audience) variables(t *testing.T) {
	t.Helper()
	for file, b := range a.boards {
		s := promquery.Scope(b, a.window(time.Minute), a.scrape)
		for _, v := range b.Templating.List {
			if v.Type != "query" {
				continue
			}
			values, err := a.client.VariableValues(t.Context(), v, s)
			if err != nil || len(values) == 0 {
				t.Errorf("%s: variable %s = %q, %v; want some values", file, v.Name, values, err)
				continue
			}
			if v.Name == "target" {
				s.Values["target"] = []string{moody, weak}
				for _, p := range b.Panels[:2] {
					results, err := a.client.Panel(t.Context(), p, s, a.window(time.Minute))
					if err != nil {
						t.Errorf("%s: %v", file, err)
						continue
					}
					for _, r := range results {
						for _, one := range r.Series {
							if got, ok := one.Labels["target"]; ok && got != moody && got != weak {
								t.Errorf("%s: %q shows %s; want only the targets chosen", file, p.Title, got)
							}
						}
					}
				}
			}
		}
	}
}

// series finds the names of series in a query: what stands before a brace.
var series = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{`)

// names: no query asks for a series that the exporter does not export. An
// expression with "or" has a result although one of its sides is misspelt.
func (a audience) names(t *testing.T) {
	t.Helper()
	known, err := a.client.LabelValues(t.Context(), "__name__", "")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for file, b := range a.boards {
		var exprs []string
		for _, p := range b.Panels {
			for _, q := range p.Targets {
				exprs = append(exprs, q.Expr)
			}
		}
		for _, v := range b.Templating.List {
			exprs = append(exprs, v.Expr())
		}
		for _, expr := range exprs {
			for _, name := range series.FindAllStringSubmatch(expr, -1) {
				asked++
				if !slices.Contains(known, name[1]) {
					t.Errorf("%s asks for %s, which nobody exports: %s", file, name[1], expr)
				}
			}
		}
	}
	if asked < 100 {
		t.Errorf("found %d names in the queries; want hundreds", asked)
	}
}

// alerts: the annotations of every board mark what fires.
func (a audience) alerts(t *testing.T) {
	t.Helper()
	for file, b := range a.boards {
		testbed.WaitFor(t, time.Minute, file+": alerts", func() error {
			w := a.window(time.Minute)
			expr, err := board.Substitute(b.Annotations.List[0].Expr, promquery.Scope(b, w, a.scrape))
			if err != nil {
				return err
			}
			found, err := a.client.Range(t.Context(), expr, w.From, w.To, w.Step)
			if err == nil && len(found) == 0 {
				err = fmt.Errorf("no series of %s", expr)
			}
			return err
		})
	}
}

// emptyInScenery are queries that the servers of the scenery do not fill:
// nobody has given every value limits on both sides. TestEveryQuery has.
// No worker has been restarted often, and none is in a control group with a
// limit of its own.
var emptyInScenery = []string{"upper", "lower", "Workers that run: B", "Killed for want of memory: B",
	// A backup and a message that fail do so by a finding or a limit.
	"backups.json: Looks that failed, by reason", "zulip.json: Looks that failed, by reason", "jobs.json: Looks that failed, by reason", "Findings"}

// TestScenery: the boards show real servers, well and broken, and a preview of
// one can be drawn and photographed.
func TestScenery(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	s := scenery.New(bed, scenery.Options{Interval: 5 * time.Second, Scrape: time.Second, Rules: alertRules})
	a := audience{client: promquery.Client{URL: s.Prometheus.URL()}, boards: all(t), scrape: time.Second}
	unfolded(a.boards)
	testbed.WaitFor(t, 2*time.Minute, "all is well", func() error {
		s.Work()
		for _, sample := range s.Prometheus.Query("belfry_check_state != 0 or absent(belfry_check_state)") {
			return fmt.Errorf("%v = %v; want OK", sample.Labels, sample.Value)
		}
		return nil
	})
	a.await(t, "well", slices.Concat(emptyWhenWell, emptyInScenery, []string{"Oldest segment waits for"}), s.Work)
	s.Break()
	a.await(t, "broken", emptyInScenery, s.Work)
	b := a.boards["overview.json"]
	var page bytes.Buffer
	height, err := preview.Draw(t.Context(), &page, b, a.client, preview.Options{Window: a.window(time.Minute), Scrape: a.scrape})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CRITICAL", "zulip-db", "without_consumer", "auth", "rss"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the preview of the overview does not say %q", want)
		}
	}
	dir := t.TempDir()
	html, png := filepath.Join(dir, "page.html"), filepath.Join(dir, "page.png")
	if err := os.WriteFile(html, page.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := preview.Photograph(t.Context(), html, png, preview.Width, height); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(png); err != nil || info.Size() < 10_000 {
		t.Errorf("the picture has %v bytes, %v; want more than 10000", info, err)
	}
}

// unfolded leaves the boards the panels that are drawn by hand.
func unfolded(boards map[string]*board.Board) {
	for _, b := range boards {
		b.Panels = slices.DeleteFunc(b.Panels, func(p board.Panel) bool { return p.Folded })
	}
}
