package main

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

// A real Prometheus learns the targets from /discovery, asks /probe for each,
// and sees the verdict of good and broken peers; one that a reload takes away
// is asked for no more.
func TestPrometheusProbes(t *testing.T) {
	bed := testbed.New(t)
	primary := bed.Postgres(testbed.PostgresOptions{})
	dumps := bed.MkdirFor("nobody", "dumps", 0o755)
	dump(t, dumps, 1000, time.Hour)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel connects, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	secret := bed.WriteFileFor("nobody", "monitor.pw", primary.Password(testbed.RoleMonitor)+"\n", 0o400)
	config := func(more string) string {
		return fmt.Sprintf(`
modules:
  postgres:
    check: postgres_replication_lag
    timeout: 10s
    options: {user: monitor, password-file: %q, standbys: 0}
    targets:
      good: 127.0.0.1:%d
      refused: 127.0.0.1:%d
      silent: %s
      no grant: {options: {host: 127.0.0.1:%[2]d, user: plain}}
    targets_pattern: '127\.0\.0\.1:%[2]d'
  dumps:
    check: backup
    targets:
      good: {options: {path: %[5]q}}
%[6]s`, secret, primary.Port, bed.Port(), silent.Addr(), dumps, more)
	}
	exporter := bed.Exporter(testbed.ExporterOptions{Config: config(fmt.Sprintf("      none: {options: {path: %q}}\n", bed.MkdirFor("nobody", "empty", 0o755)))})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(exporter.Port))
	// As docs/probes.md says, but for the times and the address.
	prometheus := bed.Prometheus(testbed.PrometheusOptions{Config: fmt.Sprintf(`
global: {scrape_interval: 5s, scrape_timeout: 5s}
scrape_configs:
  - job_name: belfry-probe
    http_sd_configs: [{url: 'http://%[1]s/discovery', refresh_interval: 2s}]
    relabel_configs: [{target_label: __address__, replacement: '%[1]s'}]
  - job_name: belfry-probe-postgres
    metrics_path: /probe
    params: {module: [postgres]}
    static_configs: [{targets: ['127.0.0.1:%[2]d', '127.0.0.1:1']}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: module, replacement: postgres}
      - {target_label: __address__, replacement: '%[1]s'}
`, address, primary.Port)})

	type key struct{ module, instance, check string }
	const lag, backup = "postgres_replication_lag", "backup"
	want := map[key]float64{
		{"postgres", "good", lag}: 0, {"postgres", "refused", lag}: 2, {"postgres", "silent", lag}: 2,
		{"dumps", "good", backup}: 0, {"dumps", "none", backup}: 2,
	}
	states := func(want map[key]float64, others int) {
		t.Helper()
		prometheus.Await(2*time.Minute, `belfry_check_state{job="belfry-probe"}`, func(samples []testbed.Sample) error {
			missing := len(want)
			for _, s := range samples {
				k := key{s.Labels["module"], s.Labels["instance"], s.Labels["check"]}
				if s.Labels["target"] != k.instance {
					return fmt.Errorf("target %q of instance %q; want the same", s.Labels["target"], k.instance)
				}
				if state, ok := want[k]; ok {
					missing--
					if s.Value != state {
						return fmt.Errorf("%v is %v; want %v", k, s.Value, state)
					}
				}
			}
			if missing > 0 || len(samples) != len(want)+others {
				return fmt.Errorf("%d of %d states missing in %v", missing, len(want), samples)
			}
			return nil
		})
	}
	states(want, 1)
	want[key{"postgres", "no grant", lag}] = 3
	states(want, 0)
	// A peer's fault is no fault of the scrape.
	prometheus.Await(time.Minute, `count(up{job="belfry-probe"} == 1)`, func(samples []testbed.Sample) error {
		if len(samples) != 1 || samples[0].Value != 6 {
			return fmt.Errorf("up: %v; want 6 targets that are", samples)
		}
		return nil
	})
	prometheus.Await(time.Minute, `belfry_check_failure_info{instance="silent"}`, func(samples []testbed.Sample) error {
		if len(samples) != 1 || samples[0].Labels["reason"] != "timeout" {
			return fmt.Errorf("%v; want the reason timeout: the step ends before the scrape", samples)
		}
		return nil
	})

	// Of free-form targets, the one that the pattern allows is looked at.
	free := fmt.Sprintf("127.0.0.1:%d", primary.Port)
	prometheus.Await(time.Minute, `belfry_check_state{job="belfry-probe-postgres"}`, func(samples []testbed.Sample) error {
		if len(samples) != 1 || samples[0].Value != 0 || samples[0].Labels["instance"] != free || samples[0].Labels["target"] != free {
			return fmt.Errorf("%v; want %s to be OK, and nothing else", samples, free)
		}
		return nil
	})
	prometheus.Await(time.Minute, `up{job="belfry-probe-postgres", instance="127.0.0.1:1"}`, func(samples []testbed.Sample) error {
		if len(samples) != 1 || samples[0].Value != 0 {
			return fmt.Errorf("%v; want the refused target to be down", samples)
		}
		return nil
	})

	primary.Kill()
	delete(want, key{"dumps", "none", backup})
	bed.WriteFileFor("nobody", exporter.ConfigFile, config(""), 0o600)
	response, err := http.Post(exporter.URL()+"/-/reload", "", nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("POST /-/reload = %v, %v; want 200", response, err)
	}
	response.Body.Close()
	want[key{"postgres", "good", lag}], want[key{"postgres", "no grant", lag}] = 2, 2
	states(want, 0)
}
