package prometheus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/exposition"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/tutorial"
)

// Metrics of every kind and unit, with and without labels.
var (
	depth   = &check.Metric{Family: "random", Key: "depth", Help: "Depth.", Labels: []string{"vhost", "queue"}, Warning: "10", Critical: "@20:"}
	size    = &check.Metric{Family: "random", Key: "size", Unit: check.Bytes, Help: "Size.", Labels: []string{"queue"}}
	share   = &check.Metric{Family: "random", Key: "share", Unit: check.Ratio, Help: "Share.", Labels: []string{"queue"}, Warning: "80%"}
	sent    = &check.Metric{Family: "random", Key: "sent", Kind: check.Counter, Help: "Sent.", Labels: []string{"queue"}}
	ended   = &check.Metric{Family: "random", Key: "ended", Kind: check.Since, Help: "End.", Labels: []string{"queue"}, Critical: "1h"}
	expires = &check.Metric{Family: "random", Key: "expires", Kind: check.Until, Help: "End.", Labels: []string{"queue"}, Warning: "@~:1h"}
	single  = &check.Metric{Family: "random", Key: "single", Unit: check.Seconds, Help: "One."}
)

// random is a check that sees random values.
type random struct {
	source *rand.Rand
	now    time.Time
}

func (*random) Prepare() (check.Setup, error) { return check.Setup{Target: "t"}, nil }
func (*random) Close() error                  { return nil }

// interesting are the values near and at which ranges end.
func interesting() []float64 {
	return []float64{0, 1, -1, 5, 10, -10, 20, 0.1, 0.2, 0.3, 0.1 + 0.2, 1e-300, 5e-324, 1e15, 1e15 + 1, 1 << 53, -1e300, 1e300, 0.8, 0.07, 3600, 3599.999}
}

func (r *random) value() float64 {
	switch n := r.source.IntN(20); n {
	case 0:
		return math.NaN()
	case 1:
		return math.Inf(1)
	case 2:
		return math.Inf(-1)
	case 3:
		return r.source.NormFloat64() * 1e6
	case 4:
		return math.Copysign(0, -1)
	}
	return interesting()[r.source.IntN(len(interesting()))]
}

func (r *random) Run(_ context.Context, report *check.Report) error {
	queues := []string{"", "a", "a.b", `q"uo\te`, "email_senders", "email_digest", "ünï", "x y", "a\xffb", "new\nline"}
	for _, q := range queues {
		for _, vhost := range []string{"/", "shop"} {
			report.Observe(depth, r.value(), vhost, q)
		}
		report.Observe(size, r.value(), q)
		report.Observe(share, r.value(), q)
		report.Observe(sent, math.Abs(r.value()), q)
		// The ends of the ranges are whole seconds, as is the time at which
		// Prometheus is asked.
		offset := time.Duration(r.source.IntN(8)-2) * 30 * time.Minute
		report.ObserveTime(ended, r.now.Add(-offset), q)
		report.ObserveTime(expires, r.now.Add(offset), q)
	}
	report.Observe(single, r.value())
	return nil
}

// limits draws limits of the operator as text, as in the configuration.
func (r *random) limits() (texts []string) {
	bound := func(m *check.Metric) float64 {
		if m.Kind == check.Since || m.Kind == check.Until {
			return float64(r.source.IntN(8)-2) * 1800
		}
		return interesting()[r.source.IntN(len(interesting()))]
	}
	globs := []string{"*", "a*", "email_*", "?", "x y", "ünï", "*.b", "a?b"}
	for range 6 + r.source.IntN(6) {
		m := all()[r.source.IntN(len(all()))]
		a, b := bound(m), bound(m)
		limit := check.Limit{Metric: m, Range: check.Range{Start: min(a, b), End: max(a, b), Inside: r.source.IntN(2) == 0}}
		switch r.source.IntN(6) {
		case 0:
			limit.Range.Start = math.Inf(-1)
		case 1:
			limit.Range.End = math.Inf(1)
		case 2:
			limit.Range.Start, limit.Range.End = math.Inf(-1), math.Inf(1)
		}
		if len(m.Labels) > 0 && r.source.IntN(3) > 0 {
			limit.Match = map[string]string{m.Labels[len(m.Labels)-1]: globs[r.source.IntN(len(globs))]}
		}
		texts = append(texts, limit.String())
	}
	return texts
}

func all() []*check.Metric { return []*check.Metric{depth, size, share, sent, ended, expires, single} }

// Whoever writes a rule by the limits that the exporter serves gets the
// check's own judgement: for random limits and values, at both severities, the
// expression of the documentation has exactly the samples that the library
// finds beyond their limits.
func TestPromQLJudgesAsTheLibraryDoes(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	now := time.Now().Truncate(time.Second)
	d := &check.Definition{Name: "random", Timeout: time.Minute, Metrics: all()}
	var samples []exposition.Sample
	var results []*check.Result
	for i := range 40 {
		r := &random{source: rand.New(rand.NewPCG(seed, uint64(i))), now: now}
		look := &check.Look{Definition: d, Check: r, Now: func() time.Time { return now }, Target: fmt.Sprint("t", i)}
		for _, severity := range []check.State{check.Warning, check.Critical} {
			limits, err := check.ParseLimits(d, severity, r.limits())
			if err != nil {
				t.Fatal(err)
			}
			look.Limits = append(look.Limits, limits...)
		}
		result := look.Run(context.Background())
		if result.Reason != "" {
			t.Fatalf("look %d fails: %v", i, result.Rows)
		}
		results = append(results, result)
		samples = append(samples, exposition.Of(result, "random", result.Target)...)
	}
	text := exposition.Text(samples)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		w.Write(text) //nolint:errcheck // the test is over
	}))
	defer server.Close()
	prometheus := testbed.New(t).Prometheus(testbed.PrometheusOptions{Config: fmt.Sprintf(
		"global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: random\n  static_configs: [{targets: [%q]}]\n", strings.TrimPrefix(server.URL, "http://"))})
	prometheus.Await(time.Minute, "count(belfry_check_state)", func(samples []testbed.Sample) error {
		if len(samples) != 1 || samples[0].Value != float64(len(results)) {
			return fmt.Errorf("count of states = %v; want %d", samples, len(results))
		}
		return nil
	})

	cases, beyond := 0, 0
	for _, m := range all() {
		for _, severity := range []check.State{check.Warning, check.Critical} {
			// Whole seconds, so that both sides compute the same ages, after the
			// scrape.
			at := time.Now().Truncate(time.Second).Add(time.Second)
			want := map[string]bool{}
			for _, r := range results {
				for _, v := range r.Values {
					limit := v.Critical
					if severity == check.Warning {
						limit = v.Warning
					}
					if v.Metric != m || limit == nil {
						continue
					}
					cases++
					if limit.Violates(judged(m, v.Number, at)) {
						beyond++
						want[key(m, append([]string{r.Target}, v.Labels...))] = true
					}
				}
			}
			got := map[string]bool{}
			for _, labels := range instant(t, prometheus.URL(), Violated(m, severity), at) {
				values := []string{labels["target"]}
				for _, l := range m.Labels {
					values = append(values, labels[l])
				}
				got[key(m, values)] = true
			}
			if missing, more := without(want, got), without(got, want); len(missing)+len(more) > 0 {
				t.Errorf("%s %s: PromQL does not see %v, and sees %v beyond its limit that is not", m.Key, severity, head(missing), head(more))
			}
		}
	}
	t.Logf("%d values with a limit, %d of them beyond it", cases, beyond)
	if cases < 1000 || beyond < cases/10 || beyond > cases*9/10 {
		t.Errorf("%d of %d random values are beyond their limits: that proves little", beyond, cases)
	}
}

// judged is what limits are applied to at the time.
func judged(m *check.Metric, number float64, at time.Time) float64 {
	switch m.Kind {
	case check.Since:
		return max(float64(at.Unix())-number, 0)
	case check.Until:
		return number - float64(at.Unix())
	}
	return number
}

func key(m *check.Metric, values []string) string {
	return m.Key + "{" + strings.Join(values, "|") + "}"
}

func without(a, b map[string]bool) (only []string) {
	for k := range a {
		if !b[k] {
			only = append(only, k)
		}
	}
	sort.Strings(only)
	return only
}

func head(list []string) []string { return list[:min(len(list), 5)] }

// instant evaluates an expression at a time and returns the labels of its
// samples.
func instant(t *testing.T, base, expr string, at time.Time) (samples []map[string]string) {
	t.Helper()
	response, err := http.Get(base + "/api/v1/query?time=" + fmt.Sprint(at.Unix()) + "&query=" + url.QueryEscape(expr))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	var answer struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     []struct{ Metric map[string]string }
		}
	}
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(body)).Decode(&answer)
	}
	if err != nil || answer.Status != "success" || answer.Data.ResultType != "vector" {
		t.Fatalf("query\n%s\n%v: %s", expr, err, body)
	}
	for _, r := range answer.Data.Result {
		samples = append(samples, r.Metric)
	}
	return samples
}

// The documentation shows these expressions and no others.
func TestDocumentedExpressions(t *testing.T) {
	text, err := os.ReadFile("../docs/prometheus.md")
	if err != nil {
		t.Fatal(err)
	}
	lag := documented("postgres_replication_lag", "replay_lag")
	for _, expr := range []string{Violated(lag, check.Critical), Violated(documented("backup", "completed"), check.Warning)} {
		if !slices.ContainsFunc(tutorial.Blocks(string(text), "promql"), func(b tutorial.Block) bool { return strings.TrimSpace(b.Text) == expr }) {
			t.Errorf("docs/prometheus.md has no fence promql with\n%s", expr)
		}
	}
}

var _ check.Check = (*random)(nil)
