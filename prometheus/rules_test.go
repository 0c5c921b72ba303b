package prometheus

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/testbed"
)

// ruleFile is a file of rules as Prometheus reads it.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []fileRule
	}
}

type fileRule struct {
	Record, Alert, Expr string
	For                 string
	KeepFiringFor       string `yaml:"keep_firing_for"`
	Labels, Annotations map[string]string
}

func ruleFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("rules/*.yml")
	if err != nil || len(files) < 3 {
		t.Fatalf("rules/*.yml = %q, %v; want three files at least", files, err)
	}
	return files
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// rules are those of all files.
func rules(t *testing.T) (all []fileRule) {
	t.Helper()
	for _, path := range ruleFiles(t) {
		var f ruleFile
		readYAML(t, path, &f)
		for _, g := range f.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

// Prometheus takes the rules, and they do at each moment what their tests say.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, path := range ruleFiles(t) {
		testbed.Promtool(t, "check", "rules", "--lint=all", "--lint-fatal", path)
		test := filepath.Join("rules/tests", filepath.Base(path))
		if _, err := os.Stat(test); err != nil {
			t.Errorf("%s has no tests: %v", path, err)
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			testbed.Promtool(t, "test", "rules", test)
		})
	}
}

// testFile is a file of promtool's tests.
type testFile struct {
	RuleFiles []string `yaml:"rule_files"`
	Tests     []struct {
		Name        string
		Expressions []struct {
			At      string `yaml:"eval_time"`
			Expr    string
			Samples []struct {
				Labels string
				Value  float64
			} `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	}
}

// Every alert fires in a test, and does not fire in one whose test asks for
// everything that fires.
func TestEveryRuleHasItsPair(t *testing.T) {
	name := regexp.MustCompile(`alertname="(\w+)"`)
	fires, silent := map[string]bool{}, map[string]bool{}
	tests, err := filepath.Glob("rules/tests/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tests {
		var f testFile
		readYAML(t, path, &f)
		var there []string
		for _, r := range f.RuleFiles {
			var file ruleFile
			readYAML(t, filepath.Join("rules/tests", r), &file)
			for _, g := range file.Groups {
				for _, r := range g.Rules {
					there = append(there, r.Alert)
				}
			}
		}
		for _, test := range f.Tests {
			for _, e := range test.Expressions {
				var firing []string
				for _, s := range e.Samples {
					if m := name.FindStringSubmatch(s.Labels); m != nil && strings.Contains(s.Labels, `alertstate="firing"`) {
						firing = append(firing, m[1])
						fires[m[1]] = true
					}
				}
				for _, alert := range there {
					if e.Expr == `ALERTS{alertstate="firing"}` && !slices.Contains(firing, alert) {
						silent[alert] = true
					}
				}
			}
		}
	}
	for _, r := range rules(t) {
		if r.Alert != "" && (!fires[r.Alert] || !silent[r.Alert]) {
			t.Errorf("%s fires in a test: %t, does not fire in one: %t; want both", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}
}

// Whoever is told of an alert can act on it: each has a severity that
// Alertmanager's example knows, and a page that is there.
func TestAlertsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		if seen[r.Alert] {
			t.Errorf("alert %s twice", r.Alert)
		}
		seen[r.Alert] = true
		if !regexp.MustCompile(`^Belfry([A-Z][a-z0-9]*)+$`).MatchString(r.Alert) {
			t.Errorf("alert %s is not named in CamelCase after Belfry", r.Alert)
		}
		if s := r.Labels["severity"]; !slices.Contains([]string{severityCritical, severityUnknown, severityWarning, severityNone}, s) || len(r.Labels) != 1 {
			t.Errorf("%s has the labels %v; want a known severity alone", r.Alert, r.Labels)
		}
		for _, key := range []string{"summary", "description", "runbook_url"} {
			if r.Annotations[key] == "" {
				t.Errorf("%s has no %s", r.Alert, key)
			}
		}
		runbook(t, r)
	}
}

// runbook fails when the page or the heading that an alert leads to is not in
// the repository.
func runbook(t *testing.T, r fileRule) {
	t.Helper()
	rest, ok := strings.CutPrefix(r.Annotations["runbook_url"], "https://github.com/belfry-monitoring/belfry/blob/main/")
	if !ok {
		t.Errorf("%s leads to %q; want a page of the repository", r.Alert, r.Annotations["runbook_url"])
		return
	}
	var paths []string
	path, anchor, _ := strings.Cut(rest, "#")
	if strings.Contains(path, "{{ $labels.check }}") {
		for _, d := range plugins.Catalog() {
			paths = append(paths, strings.ReplaceAll(path, "{{ $labels.check }}", d.Name))
		}
	} else {
		paths = []string{path}
	}
	for _, path := range paths {
		text, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			t.Errorf("%s: %v", r.Alert, err)
			continue
		}
		found := false
		for _, line := range strings.Split(string(text), "\n") {
			if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
				found = found || strings.ToLower(strings.ReplaceAll(title, " ", "-")) == anchor
			}
		}
		if !found {
			t.Errorf("%s leads to %s#%s, and there is no such heading", r.Alert, path, anchor)
		}
	}
}

// One page per fault: no two rules that wake somebody look at the same series
// of the same check. That a fault of one exporter is one page, the tests of
// belfry_exporter.yml say by listing everything that fires.
func TestOnePagePerFault(t *testing.T) {
	selector := regexp.MustCompile(`\b(belfry_[a-z_]+|up|absent\(up)(\{[^}]*\})?`)
	pages := map[string]string{}
	for _, r := range rules(t) {
		if r.Labels["severity"] != severityCritical {
			continue
		}
		first := selector.FindString(r.Expr)
		if other, taken := pages[first]; taken || first == "" {
			t.Errorf("both %s and %s page by %q", r.Alert, other, first)
		}
		pages[first] = r.Alert
		if state := regexp.MustCompile(`belfry_check_state\{[^}]*\} == (\d)`).FindStringSubmatch(r.Expr); strings.HasPrefix(first, "belfry_check_state") && (state == nil || state[1] != "2") {
			t.Errorf("%s pages by %s; want by CRITICAL, 2, alone", r.Alert, r.Expr)
		}
	}
	// UNKNOWN is 3 and not the worst.
	for _, r := range rules(t) {
		if bad := regexp.MustCompile(`max[a-z_ ()]*\(\s*belfry_check_state|belfry_check_state(\{[^}]*\})?(\[\w+\]\))?\s*(>|<|!=)`).FindString(r.Expr); bad != "" {
			t.Errorf("%s compares states by %q; want ==", r.Alert, bad)
		}
	}
}

// Each check of the catalog has its three alerts, the metric with a
// distribution its budget.
func TestCatalogIsCovered(t *testing.T) {
	have := map[string]bool{}
	for _, r := range rules(t) {
		have[r.Alert] = true
	}
	for _, d := range plugins.Catalog() {
		for _, v := range verdicts() {
			if name := AlertName(d, v.state); !have[name] {
				t.Errorf("there is no alert %s", name)
			}
		}
		for _, m := range d.Metrics {
			if _, ok := promise(m); ok && !have[BurnRateAlert(m)] {
				t.Errorf("there is no alert %s", BurnRateAlert(m))
			} else if !ok && len(m.Buckets) > 0 {
				t.Errorf("%s of %s has a distribution, and its warning limit %q is none of its bounds %v: share of what is late is not known", m.Key, d.Name, m.Warning, m.Buckets)
			}
		}
	}
}

func TestGeneratedFiles(t *testing.T) {
	for name, want := range Files(plugins.Catalog()) {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s is stale (%v): run make generate and commit it", name, err)
		}
	}
}
