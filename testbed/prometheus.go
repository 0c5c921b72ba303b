package testbed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const prometheusAccount = "prometheus"

// PrometheusOptions say what Bed.Prometheus starts.
type PrometheusOptions struct {
	Name   string            // default "prometheus"
	Config string            // prometheus.yml
	Files  map[string]string // by name, beside prometheus.yml: rules, targets
}

// Prometheus is a running server.
type Prometheus struct {
	*Server
	Port int
}

// Prometheus starts a server and waits until it is ready. Its first scrape comes up to 5 s later.
func (b *Bed) Prometheus(options PrometheusOptions) *Prometheus {
	b.t.Helper()
	if options.Name == "" {
		options.Name = "prometheus"
	}
	p := &Prometheus{Server: b.serverOf(prometheusAccount, options.Name), Port: b.Port()}
	for name, content := range options.Files {
		b.WriteFileFor(prometheusAccount, filepath.Join(p.Dir, name), content, 0o644)
	}
	config := b.WriteFileFor(prometheusAccount, filepath.Join(p.Dir, "prometheus.yml"), options.Config, 0o644)
	p.argv = []string{"/usr/bin/prometheus", "--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(p.Dir, "data"),
		"--web.listen-address=" + net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port)), "--web.enable-lifecycle"}
	p.env = b.environ(p.Dir)
	p.ready = func() error {
		_, err := p.get("/-/ready")
		return err
	}
	p.Start()
	return p
}

// URL is the address of the server, without a path.
func (p *Prometheus) URL() string { return "http://127.0.0.1:" + strconv.Itoa(p.Port) }

// Sample is one series of the answer to an instant query.
type Sample struct {
	Labels map[string]string // the name is __name__
	Value  float64
}

// Query evaluates an expression now. A scalar is one sample without labels.
func (p *Prometheus) Query(expr string) []Sample {
	p.bed.t.Helper()
	samples, err := p.query(expr)
	if err != nil {
		p.bed.fail("query %s: %v", expr, err)
	}
	return samples
}

// Await evaluates the expression until accept returns nil for its result, and fails after limit with accept's last error.
func (p *Prometheus) Await(limit time.Duration, expr string, accept func([]Sample) error) {
	p.bed.t.Helper()
	err := poll(limit, p.ended(), func() error {
		samples, err := p.query(expr)
		if err == nil {
			err = accept(samples)
		}
		return err
	})
	if err != nil {
		p.bed.fail("waited %v for the right answer to %s: %v", limit, expr, err)
	}
}

func (p *Prometheus) query(expr string) ([]Sample, error) {
	body, err := p.get("/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	return parseQuery(body)
}

func (p *Prometheus) get(path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL()+path, nil)
	if err != nil {
		return nil, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: status %d: %s", path, response.StatusCode, tail(string(body), 5))
	}
	return body, err
}

// parseQuery reads the answer to an instant query: https://prometheus.io/docs/prometheus/latest/querying/api/
func parseQuery(body []byte) ([]Sample, error) {
	type point [2]any // seconds, value as text
	var answer struct {
		Data struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("read the answer to a query: %w", err)
	}
	var series []struct {
		Metric map[string]string
		Value  point
	}
	var err error
	switch kind := answer.Data.ResultType; kind {
	case "vector":
		err = json.Unmarshal(answer.Data.Result, &series)
	case "scalar":
		series = append(series, struct {
			Metric map[string]string
			Value  point
		}{})
		err = json.Unmarshal(answer.Data.Result, &series[0].Value)
	default:
		err = fmt.Errorf("the result is a %q; want a vector or a scalar", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("read the answer to a query: %w", err)
	}
	samples := make([]Sample, len(series))
	for i, s := range series {
		text, _ := s.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("read the answer to a query: value %v: %w", s.Value, err)
		}
		samples[i] = Sample{s.Metric, value}
	}
	return samples, nil
}

// CheckMetrics fails the test when promtool check metrics finds an error or has something to improve in the exposition text.
func CheckMetrics(t TB, text string) {
	t.Helper()
	if out, err := promtool(strings.NewReader(text), "check", "metrics"); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// Promtool runs promtool, such as with "check", "rules", file, and fails the test when it fails.
func Promtool(t TB, args ...string) {
	t.Helper()
	if out, err := promtool(nil, args...); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func promtool(stdin io.Reader, args ...string) ([]byte, error) {
	return tool("/usr/bin/promtool", stdin, args...)
}

// tool runs a program that judges files, for two minutes at most.
func tool(path string, stdin io.Reader, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	return bytes.TrimSpace(out), err
}
