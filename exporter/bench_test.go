package exporter

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A scrape of 50 checks with 200 queues each: 10,000 values and their limits.
func BenchmarkScrape(b *testing.B) {
	w := newWorld(b)
	var config strings.Builder
	config.WriteString("spread: 0s\nchecks:\n")
	for i := range 50 {
		fmt.Fprintf(&config, "- {check: fake, target: t%d, interval: 1h, options: {mode: many}}\n", i)
	}
	e, _ := w.start(b, config.String())
	defer w.stop(b, e)
	h := e.Handler()
	for ready := false; !ready; ready, _, _ = e.Ready() {
		time.Sleep(time.Millisecond)
	}
	size := 0
	b.ResetTimer()
	for b.Loop() {
		_, text := get(h, "GET", "/metrics")
		size = len(text)
	}
	b.ReportMetric(float64(size), "bytes")
}

// The page and the JSON document of 1,000 checks.
func BenchmarkPages(b *testing.B) {
	w := newWorld(b)
	var config strings.Builder
	config.WriteString("spread: 0s\nchecks:\n")
	for i := range 1000 {
		fmt.Fprintf(&config, "- {check: fake, target: t%d, interval: 1h}\n", i)
	}
	e, _ := w.start(b, config.String())
	defer w.stop(b, e)
	h := e.Handler()
	for ready := false; !ready; ready, _, _ = e.Ready() {
		time.Sleep(time.Millisecond)
	}
	for name, path := range map[string]string{"json": "/api/v1/checks", "overview": "/", "check": "/check/fake/t500"} {
		b.Run(name, func(b *testing.B) {
			size := 0
			for b.Loop() {
				_, text := get(h, "GET", path)
				size = len(text)
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}
