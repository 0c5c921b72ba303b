// Registry is the least program that serves the same series as an exporter: a
// bare registry of client_golang, filled once with what the text file (first
// argument) holds, on the address (second argument).
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func main() {
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

func serve(path, address string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(f)
	f.Close()
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	for name, family := range families {
		if err := fill(registry, name, family); err != nil {
			return err
		}
	}
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return http.ListenAndServe(address, nil)
}

func fill(registry *prometheus.Registry, name string, family *dto.MetricFamily) error {
	var labels []string
	for _, pair := range family.GetMetric()[0].GetLabel() {
		labels = append(labels, pair.GetName())
	}
	switch family.GetType() {
	case dto.MetricType_GAUGE:
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: family.GetHelp()}, labels)
		for _, m := range family.GetMetric() {
			vec.WithLabelValues(values(m)...).Set(m.GetGauge().GetValue())
		}
		return registry.Register(vec)
	case dto.MetricType_COUNTER:
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: family.GetHelp()}, labels)
		for _, m := range family.GetMetric() {
			vec.WithLabelValues(values(m)...).Add(m.GetCounter().GetValue())
		}
		return registry.Register(vec)
	}
	return nil // a few of the exporter's own histograms and summaries
}

func values(m *dto.Metric) []string {
	var all []string
	for _, pair := range m.GetLabel() {
		all = append(all, pair.GetValue())
	}
	return all
}
