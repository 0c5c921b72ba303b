package prometheus

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/scene"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// selectors are the series that an expression or a template asks for, without
// range and offset.
func selectors(text string) []string {
	return regexp.MustCompile(`(?:[a-z_]+:)?\b(?:belfry_[a-z0-9_:]+[a-z0-9]|promhttp_[a-z_]+|process_[a-z_]+|up)\b(?:\{[^}]*\})?`).FindAllString(text, -1)
}

// The series that tells one server of several from all of them is a metric of
// the check.
func TestAnswers(t *testing.T) {
	for _, d := range plugins.Catalog() {
		for _, m := range d.Metrics {
			if d.Name == "postgres_replication_lag" && m.Name() == answers {
				return
			}
		}
	}
	t.Errorf("no metric of postgres_replication_lag is %s", answers)
}

// Whatever rules ask for is there: each selector has a series in a real
// Prometheus that scrapes a real exporter, which runs every check, well and
// broken. A rule on a name that nobody exports would never fire.
func TestRulesAskForWhatIsExported(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	zulip := zulipserver.New(zulipserver.Options{})
	if err := zulip.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { zulip.Close() })
	zulip.Set(func(k *zulipserver.Knobs) { k.RateLimit = 100_000 })
	bot := func(name string) string {
		return bed.WriteFileFor("nobody", name, zulip.Zuliprc(zulip.AddUser(zulipserver.User{Email: name + "@zulip.example", Bot: true})), 0o400)
	}
	dumps := bed.MkdirFor("nobody", "dumps", 0o755)
	working := map[string]map[string]string{
		"send_receive_time": {"sender-zuliprc": bot("sender"), "receiver-zuliprc": bot("receiver")},
		"backup":            {"path": filepath.Join(dumps, "*.sql.gz")}, // a finding: there is none
		"worker_memory":     {"expect": "1:"},
		// Nobody listens there. Those that are not named here lack an option,
		// and are UNKNOWN.
		"postgres_replication_lag": {"host": fmt.Sprintf("127.0.0.1:%d", bed.Port())},
	}
	bed.Worker(testbed.WorkerOptions{Name: "worker", Argv: testbed.ZulipWorker("email_senders"), MiB: 1})
	var settings []scene.Setting
	for _, d := range plugins.Catalog() {
		s := scene.Setting{Check: d.Name, Target: "tower", Options: scene.One(working[d.Name])}
		if d.Name == "worker_memory" {
			s.Critical = []string{"rss=1"} // beyond its limit
		}
		settings = append(settings, s)
	}
	state := bed.MkdirFor("nobody", "state", 0o700)
	e := bed.Exporter(testbed.ExporterOptions{
		Config: scene.Config("defaults:\n  interval: 5s\n  timeout: 5s\nspread: 0s\n", settings), Args: []string{"--state-dir=" + state},
	})
	p := bed.Prometheus(testbed.PrometheusOptions{
		Files: shipped(t),
		Config: fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ["*_*.yml"]
scrape_configs:
- job_name: belfry
  static_configs: [{targets: ["127.0.0.1:%d"]}]
- job_name: belfry-probe
  static_configs: [{targets: ["127.0.0.1:%[1]d"]}]
`, e.Port)})

	var asked []string
	for _, r := range rules(t) {
		for _, s := range selectors(r.Expr) {
			if strings.HasPrefix(s, "belfry_check_last_ok_") { // of what is OK only
				s, _, _ = strings.Cut(s, "{")
			}
			asked = append(asked, s)
		}
		for _, text := range r.Annotations {
			for _, s := range selectors(text) { // the rest of the selector is filled in there
				if s, _, _ = strings.Cut(s, "{"); strings.HasPrefix(s, "belfry_check_") {
					asked = append(asked, s)
				}
			}
		}
	}
	slices.Sort(asked)
	asked = slices.Compact(asked)
	if len(asked) < 20 {
		t.Fatalf("the rules ask for %q; that cannot be all", asked)
	}
	for _, s := range asked {
		switch {
		case strings.Contains(s, "check!~"): // checks that are not there yet
			continue
		case s == answers: // of a server that answers
			continue
		case strings.HasPrefix(s, "belfry_exporter_discovered"): // without a configuration
			continue
		}
		p.Await(2*time.Minute, s, func(samples []testbed.Sample) error {
			if len(samples) == 0 {
				return fmt.Errorf("a rule asks for %s, and there is none", s)
			}
			return nil
		})
	}
	// The share of late messages is a number once there were some.
	p.Await(2*time.Minute, ratioName(documented("send_receive_time", "end_to_end"), 5*time.Minute), func(samples []testbed.Sample) error {
		if len(samples) == 0 || slices.ContainsFunc(samples, func(s testbed.Sample) bool { return math.Abs(s.Value) > 0.001 }) {
			return fmt.Errorf("share of late messages = %v; want 0 where all arrive", samples)
		}
		return nil
	})
}

func TestSelectors(t *testing.T) {
	got := selectors(`1 - sum without (le) (rate(belfry_x_bucket{le=~"3(\\.0)?"}[5m])) / up * a_b:belfry_x_late:ratio_rate5m and uptime`)
	want := []string{`belfry_x_bucket{le=~"3(\\.0)?"}`, "up", "a_b:belfry_x_late:ratio_rate5m"}
	if !slices.Equal(got, want) {
		t.Errorf("selectors = %q; want %q", got, want)
	}
}
