package testbed

import (
	"fmt"
	"maps"
	"testing"
	"time"
)

func TestPrometheus(t *testing.T) {
	t.Parallel()
	bed := New(t)
	port := bed.Port() // nobody listens
	p := bed.Prometheus(PrometheusOptions{
		Config: fmt.Sprintf(`
global: {scrape_interval: 1s}
rule_files: [rules.yml]
scrape_configs:
- job_name: gone
  static_configs: [{targets: ["127.0.0.1:%d"]}]
`, port),
		Files: map[string]string{"rules.yml": "groups: [{name: a, interval: 1s, rules: [{record: one, expr: vector(1)}]}]\n"},
	})
	p.Await(30*time.Second, "up", func(samples []Sample) error {
		if len(samples) != 1 || samples[0].Value != 0 || samples[0].Labels["job"] != "gone" {
			return fmt.Errorf("up = %v; want 0 of job gone", samples)
		}
		return nil
	})
	if got := p.Query("scalar(one)"); len(got) != 1 || got[0].Value != 1 {
		t.Errorf("the rule's result = %v; want 1", got)
	}
}

// failures is a TB that counts instead of failing.
type failures struct {
	TB
	n int
}

func (*failures) Helper()                 {}
func (f *failures) Errorf(string, ...any) { f.n++ }

func TestCheckMetrics(t *testing.T) {
	t.Parallel()
	CheckMetrics(t, "# HELP a_seconds Good.\n# TYPE a_seconds gauge\na_seconds 1\n")
	for _, text := range []string{
		"a_seconds{ 1\n",              // no exposition
		"# TYPE b_total gauge\nb 1\n", // broken type line
		"a_milliseconds 1\n",          // no help, no base unit
		"# HELP a_total Counts.\n# TYPE a_total gauge\na_total 1\n", // a gauge named as a counter
	} {
		f := &failures{TB: t}
		if CheckMetrics(f, text); f.n != 1 {
			t.Errorf("CheckMetrics(%q) reported %d failures; want 1", text, f.n)
		}
	}
}

func TestParseQuery(t *testing.T) {
	tests := []struct {
		body string
		want []Sample
		bad  bool
	}{
		{`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a"},"value":[1795222603.1,"0"]}]}}`,
			[]Sample{{map[string]string{"__name__": "up", "job": "a"}, 0}}, false},
		{`{"status":"success","data":{"resultType":"scalar","result":[1795222603.1,"1.5"]}}`, []Sample{{nil, 1.5}}, false},
		{`{"status":"success","data":{"resultType":"vector","result":[]}}`, []Sample{}, false},
		{`{"status":"success","data":{"resultType":"matrix","result":[]}}`, nil, true},
		{`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1]}]}}`, nil, true},
		{`<html>`, nil, true},
	}
	for _, tc := range tests {
		got, err := parseQuery([]byte(tc.body))
		same := len(got) == len(tc.want)
		for i := 0; same && i < len(got); i++ {
			same = got[i].Value == tc.want[i].Value && maps.Equal(got[i].Labels, tc.want[i].Labels)
		}
		if !same || (err != nil) != tc.bad {
			t.Errorf("parseQuery(%s) = %v, %v; want %v, error %v", tc.body, got, err, tc.want, tc.bad)
		}
	}
}
