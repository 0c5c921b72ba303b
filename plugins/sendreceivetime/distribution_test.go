package sendreceivetime

import (
	"fmt"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// A real exporter and a real Prometheus: quantiles come out of the histogram,
// and a message that is lost is in the share of the late ones.
func TestDistributionInPrometheus(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	a, b := newStage(t, zulipserver.Options{}), newStage(t, zulipserver.Options{})
	var realms string
	for name, s := range map[string]*stage{"quick": a, "slow": b} {
		s.Set(func(k *zulipserver.Knobs) { k.RateLimit = 100_000 })
		realms += fmt.Sprintf("\n      - %s=%s,%s", name, bed.WriteFileFor("nobody", name+".s", s.Zuliprc(s.sender), 0o400), bed.WriteFileFor("nobody", name+".r", s.Zuliprc(s.receiver), 0o400))
	}
	b.Set(func(k *zulipserver.Knobs) { k.DeliveryDelay = 300 * time.Millisecond })
	exporter := bed.Exporter(testbed.ExporterOptions{Config: "spread: 0s\nchecks:\n- check: send_receive_time\n  target: chat\n  interval: 1s\n  timeout: 1s\n  options:\n    realm:" + realms + "\n"})
	prometheus := bed.Prometheus(testbed.PrometheusOptions{Config: fmt.Sprintf(
		"global: {scrape_interval: 1s}\nscrape_configs:\n- {job_name: belfry, static_configs: [{targets: ['127.0.0.1:%d']}]}\n", exporter.Port)})

	const name = "belfry_send_receive_end_to_end_distribution_seconds"
	await := func(expr, what string, good func(float64) bool) {
		t.Helper()
		prometheus.Await(time.Minute, expr, func(samples []testbed.Sample) error {
			if len(samples) != 1 || !good(samples[0].Value) {
				return fmt.Errorf("%s = %+v; want %s", expr, samples, what)
			}
			return nil
		})
	}
	await(`histogram_quantile(0.5, `+name+`_bucket{realm="slow"})`, "within the bucket of 0.25 to 0.5 s, or the next on a busy machine", func(v float64) bool { return v > 0.25 && v <= 1 })
	await(name+`_count{realm="quick"} > 2`, "more than two looks", func(v float64) bool { return v > 2 })
	await(`histogram_quantile(0.5, sum by (le) (`+name+`_bucket))`, "a number", func(v float64) bool { return v > 0 && v <= 1 })

	b.Set(func(k *zulipserver.Knobs) { k.DropDelivery = true })
	late := func(realm string) string {
		return fmt.Sprintf(`%[1]s_count{realm=%[2]q} - ignoring(le) %[1]s_bucket{realm=%[2]q,le="12"}`, name, realm)
	}
	await(late("slow"), "the lost messages", func(v float64) bool { return v >= 2 })
	await(`belfry_check_state`, "CRITICAL", func(v float64) bool { return v == 2 })
	await(late("quick"), "none", func(v float64) bool { return v == 0 })
	page, err := exporter.Get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	testbed.CheckMetrics(t, page)
}
