package exporter

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

const modules = `
checks: [{check: fake, target: scheduled, options: {mode: find}}]
modules:
  fake:
    check: fake
    options: {mode: host}
    targets:
      good: 10.0.0.5
      found: {options: {mode: find}}
      refused: {options: {mode: refused}}
      unknown: {options: {mode: unknown}}
      hung: {options: {mode: hang}, timeout: 1s, timeout_state: critical}
      broken: {options: {mode: panic}}
      slow: {options: {mode: slow}, timeout: 1s}
      many: {options: {mode: many}}
      unclean: {options: {mode: unclean}}
      missing: {options: {mode: "file:/nonexistent/file"}}
      limits: {options: {mode: ok}, warning: "depth{queue=a}=@6:8", critical: ["ended=30min"]}
      "odd name/ü": {options: {mode: ok}}
    targets_pattern: 'db[0-9]+\.example\.org(:[0-9]+)?'
  other:
    check: fake
    targets: {x: 10.0.0.6}
`

// ask sends a request with headers, name and value in turn.
func ask(h http.Handler, method, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return recorder.Result()
}

func probe(t *testing.T, h http.Handler, module, target string) string {
	t.Helper()
	response := ask(h, "GET", "/probe?module="+module+"&target="+target)
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != 200 {
		t.Fatalf("probe of %s at %s = %d %s; want 200", module, target, response.StatusCode, body)
	}
	return string(body)
}

// A peer's fault is an answer, with the series that a scheduled check has.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, _ := w.start(t, modules)
		defer w.stop(t, e)
		h := e.Handler()
		for target, want := range map[string][]string{
			"good":                         {`belfry_check_state{check="fake",target="good"} 0`, `belfry_check_timed_out{check="fake",target="good"} 0`},
			"found":                        {`belfry_check_state{check="fake",target="found"} 2`, `belfry_check_finding{check="fake",finding="orphan",target="found"} 1`},
			"refused":                      {`belfry_check_state{check="fake",target="refused"} 2`, `belfry_check_failure_info{check="fake",reason="dial",target="refused"} 1`},
			"unknown":                      {`belfry_check_state{check="fake",target="unknown"} 3`},
			"hung":                         {`belfry_check_state{check="fake",target="hung"} 2`, `belfry_check_timed_out{check="fake",target="hung"} 1`, `belfry_check_failure_info{check="fake",reason="timeout",target="hung"} 1`},
			"broken":                       {`belfry_check_state{check="fake",target="broken"} 3`, `belfry_check_failure_info{check="fake",reason="internal",target="broken"} 1`},
			"slow":                         {`belfry_check_state{check="fake",target="slow"} 3`, `belfry_check_timed_out{check="fake",target="slow"} 1`, `belfry_check_duration_seconds{check="fake",target="slow"} 1`},
			"many":                         {`belfry_check_dropped_label_sets{check="fake",target="many"} 100`},
			"unclean":                      {`belfry_check_state{check="fake",target="unclean"} 0`, `belfry_fake_depth{check="fake",queue="q?~d24ce699",target="unclean"} 1`},
			"missing":                      {`belfry_check_state{check="fake",target="missing"} 3`, `belfry_check_failure_info{check="fake",reason="config",target="missing"} 1`},
			"limits":                       {`belfry_check_state{check="fake",target="limits"} 2`, `belfry_fake_depth_limit{bound="max",check="fake",inside="true",queue="a",severity="warning",target="limits"} 8`},
			"odd%20name/%C3%BC":            {`belfry_check_state{check="fake",target="odd name/ü"} 1`},
			"db1.example.org%3A5432":       {`belfry_check_state{check="fake",target="db1.example.org:5432"} 0`},
			"db12.example.org&debug=false": {`belfry_check_state{check="fake",target="db12.example.org"} 0`},
		} {
			text := probe(t, h, "fake", target)
			wantLines(t, text, want...)
			wantNone(t, text, "belfry_check_interval_seconds", "belfry_check_runs_total", "belfry_check_abandoned", "belfry_exporter", "go_", "process_")
			testbed.CheckMetrics(t, text)
		}
		// Asked again, the one that hangs is said to, with nothing that looks
		// like a finding of this look.
		text := probe(t, h, "fake", "hung")
		wantLines(t, text, `belfry_check_state{check="fake",target="hung"} 2`, `belfry_check_timed_out{check="fake",target="hung"} 1`)
		wantNone(t, text, "belfry_check_finding", "belfry_fake")
		wantLines(t, metrics(h), `belfry_exporter_probe_hanging_looks 1`, `belfry_exporter_probe_running_looks 0`,
			`belfry_exporter_probes_total{outcome="looked"} 14`, `belfry_exporter_probes_total{outcome="overdue"} 1`, `belfry_exporter_probes_total{outcome="shared"} 0`)
	})
}

func metrics(h http.Handler) string {
	_, text := get(h, "GET", "/metrics")
	return text
}

// Both ways in make the same series of the same look.
func TestProbeHasTheSeriesOfAScheduledCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, _ := w.start(t, modules)
		defer w.stop(t, e)
		h := e.Handler()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		series := func(text, target string) []string {
			var lines []string
			for _, line := range strings.Split(text, "\n") {
				name, _, _ := strings.Cut(line, "{")
				if strings.HasPrefix(line, "belfry_") && strings.Contains(line, `target="`+target+`"`) && !strings.Contains(name, "_timestamp_") &&
					name != "belfry_check_interval_seconds" && name != "belfry_check_runs_total" && name != "belfry_check_abandoned_runs_total" {
					lines = append(lines, strings.Replace(line, `target="`+target+`"`, `target="x"`, 1))
				}
			}
			return lines
		}
		scheduled, probed := series(metrics(h), "scheduled"), series(probe(t, h, "fake", "found"), "found")
		if len(scheduled) < 10 || !slices.Equal(scheduled, probed) {
			t.Errorf("the scheduled check has\n%s\nthe probe has\n%s", strings.Join(scheduled, "\n"), strings.Join(probed, "\n"))
		}
	})
}

func TestProbeRequests(t *testing.T) {
	w := newWorld(t)
	e, _ := w.start(t, "modules:\n  fake:\n    check: fake\n    options: {mode: host}\n    targets: {good: 10.0.0.5}\n    targets_pattern: 'db[0-9]+\\.example\\.org'\n")
	defer w.stop(t, e)
	h := e.Handler()
	for _, c := range []struct {
		method, path string
		status       int
		want         string
		looks        int64
	}{
		{"GET", "/probe?module=fake&target=good", 200, "belfry_check_state", 1},
		{"HEAD", "/probe?module=fake&target=good", 200, "", 0},
		{"HEAD", "/probe?module=fake&target=evil", 404, "", 0},
		{"POST", "/probe?module=fake&target=good", 405, "", 0},
		{"PUT", "/probe?module=fake&target=good", 405, "", 0},
		{"GET", "/probe/?module=fake&target=good", 404, "", 0},
		{"GET", "/probe", 400, "write /probe?module=NAME&target=NAME", 0},
		{"GET", "/probe?module=fake", 400, "both are needed, and /discovery lists", 0},
		{"GET", "/probe?target=good", 400, "both are needed", 0},
		{"GET", "/probe?module=&target=", 400, "both are needed", 0},
		{"GET", "/probe?module=fake&target=good&host=evil", 400, `unknown parameter "host": there are module, target and debug; a look's options come from the configuration only`, 0},
		{"GET", "/probe?module=fake&target=good&password=x", 400, `unknown parameter "password"`, 0},
		{"GET", "/probe?module=fake&target=good&Target=evil", 400, `unknown parameter "Target"`, 0},
		{"GET", "/probe?module=fake&target=good&name[]=up", 400, `unknown parameter "name[]"`, 0},
		{"GET", "/probe?module=fake&target=good&%0Aevil", 400, `unknown parameter "evil"`, 0},
		{"GET", "/probe?module=fake&target=good&target=evil", 400, "parameter target is given 2 times", 0},
		{"GET", "/probe?module=fake&module=fake&target=good", 400, "parameter module is given 2 times", 0},
		{"GET", "/probe?module=fake&target=good&debug=1", 400, "parameter debug is true or false", 0},
		{"GET", "/probe?module=fake&target=good;debug=true", 400, "the query cannot be read", 0},
		{"GET", "/probe?module=fake&target=%zz", 400, "the query cannot be read", 0},
		{"GET", "/probe?module=fake&target=good%00", 404, "takes as others only a host name or IP address", 0},
		{"GET", "/probe?module=nope&target=good", 404, `no module "nope"; there are fake`, 0},
		{"GET", "/probe?module=%3Cscript%3E&target=good", 404, `no module "<script>"; there are fake`, 0},
		{"GET", "/probe?module=fake&target=nope", 404, "module fake has no such target, and its targets_pattern does not allow this address; /discovery?module=fake lists the configured ones", 0},
		{"GET", "/probe?module=fake&target=db1.example.org.evil", 404, "its targets_pattern does not allow this address", 0},
		{"GET", "/probe?module=fake&target=evil%0Adb1.example.org", 404, "takes as others only", 0},
	} {
		before := w.looks.Load()
		response := ask(h, c.method, c.path)
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != c.status || !strings.Contains(string(body), c.want) || w.looks.Load()-before != c.looks {
			t.Errorf("%s %s = %d %s, %d looks; want %d %s, %d looks", c.method, c.path, response.StatusCode, body, w.looks.Load()-before, c.status, c.want, c.looks)
		}
		if kind := response.Header.Get("Content-Type"); c.status >= 400 && c.status != 405 && !strings.HasPrefix(kind, "text/plain") || response.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: content type %q, %q; want plain text that is not sniffed", c.method, c.path, kind, response.Header.Get("X-Content-Type-Options"))
		}
	}
	wantLines(t, metrics(h), `belfry_exporter_probes_total{outcome="looked"} 1`, `belfry_exporter_probes_total{outcome="malformed"} 14`,
		`belfry_exporter_probes_total{outcome="unknown_module"} 2`, `belfry_exporter_probes_total{outcome="unknown_target"} 5`)
}

func TestProbeTimeout(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 10 * time.Second, "10": 9500 * time.Millisecond, "10.0": 9500 * time.Millisecond, "5": 4500 * time.Millisecond,
		"11": 10 * time.Second, "1e9": 10 * time.Second, "1e300": 10 * time.Second, "+Inf": 10 * time.Second,
		"1": 500 * time.Millisecond, "0.6": 300 * time.Millisecond, "0.1": 100 * time.Millisecond, "1e-300": 10 * time.Second,
		"0": 10 * time.Second, "-1": 10 * time.Second, "-Inf": 10 * time.Second, "NaN": 10 * time.Second, "soon": 10 * time.Second, "10s": 10 * time.Second,
	} {
		if got := probeTimeout(10*time.Second, scrapeTimeout(header)); got != want {
			t.Errorf("timeout with header %q = %v; want %v", header, got, want)
		}
	}
	for _, c := range []struct{ module, scrape, want time.Duration }{
		{100 * time.Millisecond, 10 * time.Second, 100 * time.Millisecond},
		{100 * time.Millisecond, time.Nanosecond, 100 * time.Millisecond},
		{10 * time.Minute, time.Minute, 59500 * time.Millisecond},
	} {
		if got := probeTimeout(c.module, c.scrape); got != c.want {
			t.Errorf("probeTimeout(%v, %v) = %v; want %v", c.module, c.scrape, got, c.want)
		}
	}
}

func FuzzScrapeTimeout(f *testing.F) {
	for _, header := range []string{"", "10", "0.1", "-1", "NaN", "Inf", "1e999", "0x1p-2", "1_0"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if got := probeTimeout(10*time.Second, scrapeTimeout(header)); got < leastTimeout || got > 10*time.Second {
			t.Errorf("timeout with header %q = %v; want 100ms to 10s", header, got)
		}
	})
}

// Whatever is asked for, there is an answer, and a look only at what may be
// looked at.
func FuzzProbeRequest(f *testing.F) {
	w := newWorld(f)
	e, _ := w.start(f, "modules: {fake: {check: fake, options: {mode: host}, targets: {good: 10.0.0.5}, targets_pattern: 'db[0-9]+'}}")
	f.Cleanup(func() { w.stop(f, e) })
	h := e.Handler()
	for _, query := range []string{"module=fake&target=good", "module=fake&target=db1&debug=true", "target=%00&module=%", "module=fake;target=good", "module=fake&target=db1%0A", "&&==&"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/probe", nil)
		r.URL.RawQuery = query
		recorder, before := httptest.NewRecorder(), w.looks.Load()
		h.ServeHTTP(recorder, r)
		looked := w.looks.Load() > before
		target := r.URL.Query().Get("target")
		allowed := r.URL.Query().Get("module") == "fake" && (target == "good" || strings.HasPrefix(target, "db") && strings.Trim(target[2:], "0123456789") == "")
		if status := recorder.Code; looked != (status == 200) || looked && !allowed || !slices.Contains([]int{200, 400, 404}, status) {
			t.Errorf("GET /probe?%s = %d, looked %v; want a look at good or dbN only", query, status, looked)
		}
	})
}

// A look ends before the scrape does.
func TestProbeEndsBeforeTheScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, _ := w.start(t, "modules: {fake: {check: fake, options: {mode: slow}, targets: {a: x}}}")
		defer w.stop(t, e)
		began := time.Now()
		response := ask(e.Handler(), "GET", "/probe?module=fake&target=a", "X-Prometheus-Scrape-Timeout-Seconds", "3")
		body, _ := io.ReadAll(response.Body)
		wantLines(t, string(body), `belfry_check_timed_out{check="fake",target="a"} 1`, `belfry_check_duration_seconds{check="fake",target="a"} 2.5`)
		if took := time.Since(began); took != 2500*time.Millisecond {
			t.Errorf("it took %v; want 2.5s", took)
		}
	})
}

func TestProbeDebug(t *testing.T) {
	w := newWorld(t)
	e, _ := w.start(t, `
modules:
  fake:
    check: fake
    options: {mode: find, password: hunter2}
    warning: depth=6
    severity: {clock_skew: ok}
    timeout: 5s
    timeout_state: critical
    targets: {a: 10.0.0.5}
    targets_pattern: '.+'
`)
	defer w.stop(t, e)
	h := e.Handler()
	response := ask(h, "GET", "/probe?module=fake&target=a&debug=true", "X-Prometheus-Scrape-Timeout-Seconds", "3")
	body, _ := io.ReadAll(response.Body)
	text := string(body)
	if kind := response.Header.Get("Content-Type"); response.StatusCode != 200 || kind != "text/plain; charset=utf-8" {
		t.Errorf("debug = %d, %s; want 200, plain text", response.StatusCode, kind)
	}
	for _, want := range []string{
		"# verdict\nFAKE CRITICAL: queue <b>\"x\"</b> has no consumer, 1 more problem of 4 | ", `\_ [OK] b: depth 1`,
		"\n# timing\ntimeout: 2.5 s (the scrape's 3 s less what the way back may take; the module's is 5 s)\nlook: of this request, after waiting for ",
		"\n# look\nmodule: fake\ntarget: a (configured)\ncheck: fake\noptions:\n  host: 10.0.0.5\n  mode: find\n  password: ***\nwarning: depth=6\nseverity: clock_skew=ok\ntimeout_state: critical\n",
		"\n# series\n# HELP belfry_check_", "\nbelfry_check_state{check=\"fake\",target=\"a\"} 2\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("debug has no\n%s\nbut\n%s", want, text)
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("debug tells the password:\n%s", text)
	}
	if _, body := get(h, "GET", "/probe?module=fake&target=b&debug=true"); !strings.Contains(body, "target: b (free-form: nothing is remembered between looks)") {
		t.Errorf("debug of a free-form target:\n%s\nwant it to say so", body)
	}
}

// The server's limits are for requests that are answered at once: a look may
// take longer.
func TestProbeLongerThanTheServersLimits(t *testing.T) {
	t.Parallel() // it waits
	w := newWorld(t)
	e, _ := w.start(t, "modules: {fake: {check: fake, options: {mode: wait}, targets: {a: x}}}")
	server := newServer(e.Handler(), e.log)
	server.ReadTimeout, server.WriteTimeout = time.Second, time.Second
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener) //nolint:errcheck // it is closed below
	defer server.Close()
	timer := time.AfterFunc(3*time.Second, func() { close(w.release) })
	defer timer.Stop()
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://" + listener.Addr().String() + "/probe?module=fake&target=a")
	if err != nil {
		t.Fatalf("a probe of 3 s = %v; want an answer", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("a probe of 3 s: %v", err)
	}
	wantLines(t, string(body), `belfry_check_state{check="fake",target="a"} 0`)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.Stop(ctx); err != nil {
		t.Errorf("Stop = %v; want nil", err)
	}
}
