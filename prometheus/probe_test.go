package prometheus

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

// The example of probes as it is, but for ports and times: /discovery tells
// Prometheus what there is, /probe has the verdict, and the rules alert by it
// as they do for what is scheduled.
func TestProbes(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	e := bed.Exporter(testbed.ExporterOptions{Config: fmt.Sprintf(`
modules:
  databases:
    check: postgres_replication_lag
    timeout: 1s
    options: {user: monitor}
    targets:
      down: {options: {host: "127.0.0.1:%d"}}
  dumps:
    check: backup
    timeout: 1s
    targets:
      none: {options: {path: /nonexistent/*.sql.gz}}
`, bed.Port())})
	p := exampleOfProbes(t, bed, e.Port, "probe.yml", "")
	for alert, labels := range map[string][2]string{
		"BelfryPostgresReplicationLagCritical": {"databases", "down"},
		"BelfryBackupCritical":                 {"dumps", "none"},
	} {
		p.Await(2*time.Minute, fmt.Sprintf(`ALERTS{alertname=%q,alertstate="firing"}`, alert), func(samples []testbed.Sample) error {
			if len(samples) != 1 || samples[0].Labels["module"] != labels[0] || samples[0].Labels["target"] != labels[1] || samples[0].Labels["instance"] != labels[1] {
				return fmt.Errorf("%s = %v; want one of the target %s of the module %s", alert, samples, labels[1], labels[0])
			}
			return nil
		})
	}
	if got := p.Query(`ALERTS{alertname=~"BelfryExporter.*|BelfryResult.*|BelfryProbe.*|BelfryTextfile.*"}`); len(got) != 0 {
		t.Errorf("alerts of an exporter that is well: %v", got)
	}
	e.Kill()
	p.Await(2*time.Minute, `ALERTS{alertname=~"BelfryProbeFails|BelfryExporterDown",alertstate="firing"}`, func(samples []testbed.Sample) error {
		if len(samples) != 3 {
			return fmt.Errorf("alerts after the exporter has died: %v; want one of it and one of each probe", samples)
		}
		return nil
	})
}

// Of several Prometheis with the example of shards each has its part, and all
// together have everything once.
func TestShards(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	var targets strings.Builder
	const n = 24
	for i := range n {
		fmt.Fprintf(&targets, "      t%d: {options: {path: /nonexistent/%d}}\n", i, i)
	}
	e := bed.Exporter(testbed.ExporterOptions{Config: "modules:\n  dumps:\n    check: backup\n    timeout: 1s\n    targets:\n" + targets.String()})
	var shards []*testbed.Prometheus
	for _, shard := range []string{"0", "1", "2"} {
		shards = append(shards, exampleOfProbes(t, bed, e.Port, "sharded.yml", shard))
	}
	testbed.WaitFor(t, 2*time.Minute, "all targets in some shard", func() error {
		seen := map[string]int{}
		for i, p := range shards {
			part := p.Query("belfry_check_state")
			if len(part) > n*2/3 {
				t.Fatalf("shard %d has %d of %d targets; want a part", i, len(part), n)
			}
			for _, s := range part {
				seen[s.Labels["target"]]++
			}
		}
		for target, shards := range seen {
			if shards != 1 {
				t.Fatalf("%d shards have the target %s; want one", shards, target)
			}
		}
		if len(seen) != n {
			return fmt.Errorf("%d of %d targets are in a shard", len(seen), n)
		}
		return nil
	})
}

// exampleOfProbes starts a Prometheus with an example that asks the exporter.
func exampleOfProbes(t *testing.T, bed *testbed.Bed, port int, name, shard string) *testbed.Prometheus {
	t.Helper()
	text, err := os.ReadFile("examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	config := regexp.MustCompile(`(localhost|exporter1\.example\.org):19742`).ReplaceAllString(string(text), fmt.Sprintf("127.0.0.1:%d", port))
	config = regexp.MustCompile(`scrape_(interval|timeout): \w+`).ReplaceAllString(config, "scrape_$1: 1s")
	config = strings.ReplaceAll(config, "/etc/prometheus/belfry/*.yml", "belfry_*.yml")
	if shard != "" {
		config = strings.NewReplacer("regex: '0'", "regex: '"+shard+"'", "shard: '0'", "shard: '"+shard+"'").Replace(config)
	} else {
		config += "\nglobal: {evaluation_interval: 1s}\n"
	}
	return bed.Prometheus(testbed.PrometheusOptions{Name: "prometheus" + shard, Config: config, Files: shipped(t)})
}
