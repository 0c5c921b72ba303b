package prometheus

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/testbed"
)

const alertmanagerFile = "alertmanager.yml"

// Alertmanager takes the example, and sends each severity to where it says.
func TestAlertmanager(t *testing.T) {
	t.Parallel()
	testbed.Amtool(t, "check-config", alertmanagerFile)
	routes := map[string]string{
		"alertname=BelfryBackupCritical severity=critical check=backup target=b": "pager",
		"alertname=BelfryBackupWarning severity=warning check=backup target=b":   "chat",
		"alertname=BelfryBackupUnknown severity=unknown check=backup target=b":   "chat",
		"alertname=BelfryExporterDown severity=critical instance=tower:19742":    "pager",
		"alertname=BelfryPeerUnreachable severity=none check=backup target=b":    "nobody",
		"alertname=SomethingElse": "chat",
	}
	for labels, want := range routes {
		got := testbed.Amtool(t, append([]string{"config", "routes", "test", "--config.file=" + alertmanagerFile}, strings.Fields(labels)...)...)
		lines := strings.Split(strings.TrimSpace(got), "\n") // warnings come first
		if receiver := lines[len(lines)-1]; receiver != want {
			t.Errorf("%s goes to %q; want %q", labels, got, want)
		}
	}
	severities := map[string]bool{}
	for _, r := range rules(t) {
		severities[r.Labels["severity"]] = true
	}
	text, err := os.ReadFile(alertmanagerFile)
	if err != nil {
		t.Fatal(err)
	}
	for s := range severities {
		if s != "" && s != severityWarning && !strings.Contains(string(text), `severity = "`+s+`"`) {
			t.Errorf("no route for the severity %s", s)
		}
	}
}

// What is to be silenced, and by what, exists: a misspelt name silences
// nothing, or everything.
func TestInhibitionNamesRules(t *testing.T) {
	var config struct {
		Rules []struct {
			Source []string `yaml:"source_matchers"`
			Target []string `yaml:"target_matchers"`
			Equal  []string
		} `yaml:"inhibit_rules"`
	}
	readYAML(t, alertmanagerFile, &config)
	if len(config.Rules) < 5 {
		t.Fatalf("%d inhibition rules; want five at least", len(config.Rules))
	}
	matcher := regexp.MustCompile(`^alertname =(~?) "(.*)"$`)
	for _, rule := range config.Rules {
		for _, side := range [][]string{rule.Source, rule.Target} {
			m := matcher.FindStringSubmatch(side[0])
			if m == nil {
				t.Errorf("matchers %q do not begin with the name of an alert: alerts of others would match", side)
				continue
			}
			pattern, n := regexp.MustCompile("^(?:"+m[2]+")$"), 0
			for _, r := range rules(t) {
				if r.Alert != "" && pattern.MatchString(r.Alert) {
					n++
				}
			}
			if n == 0 {
				t.Errorf("%q matches no alert", side[0])
			}
		}
	}
}

// The examples are right, with the rules beside them as they say.
func TestExamples(t *testing.T) {
	examples, err := filepath.Glob("examples/*.yml")
	if err != nil || len(examples) < 3 {
		t.Fatalf("examples/*.yml = %q, %v; want three at least", examples, err)
	}
	for _, path := range examples {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// promtool looks for what the file names: the rules and the password.
		dir := t.TempDir()
		for _, f := range ruleFiles(t) {
			rule, err := os.ReadFile(f)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, filepath.Base(f)), rule, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !strings.Contains(string(text), "/etc/prometheus/belfry/*.yml") {
			t.Errorf("%s does not load the rules", path)
		}
		config := filepath.Join(dir, "prometheus.config")
		if err := os.WriteFile(config, []byte(strings.ReplaceAll(string(text), "/etc/prometheus/belfry/", dir+"/")), 0o600); err != nil {
			t.Fatal(err)
		}
		testbed.Promtool(t, "check", "config", config)
		var parsed struct {
			ScrapeConfigs []struct {
				Job string `yaml:"job_name"`
			} `yaml:"scrape_configs"`
		}
		readYAML(t, path, &parsed)
		for _, s := range parsed.ScrapeConfigs {
			if !strings.HasPrefix(s.Job, "belfry") {
				t.Errorf("%s has the job %s; the rules know exporters by jobs that begin with belfry", path, s.Job)
			}
		}
	}
}
