package exporter

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
)

const everything = `
checks:
- {check: fake, target: good}
- {check: fake, target: limits, options: {mode: ok}, warning: "depth{queue=a}=@6:8", critical: ["ended=30min"]}
- {check: fake, target: finding, options: {mode: find}}
- {check: fake, target: refused, options: {mode: refused}}
- {check: fake, target: unknown, options: {mode: unknown}}
- {check: fake, target: hung, options: {mode: hang}}
- {check: fake, target: broken, options: {mode: panic}}
- {check: fake, target: slow, options: {mode: slow}, timeout: 1s, timeout_state: critical}
- {check: fake, target: many, options: {mode: many}}
- {check: fake, target: unclean, options: {mode: unclean}}
- {check: fake, target: missing, options: {mode: "file:/nonexistent/file"}}
`

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, _ := w.start(t, everything)
		defer w.stop(t, e)
		h := e.Handler()
		_, text := get(h, "GET", "/metrics")
		wantLines(t, text, `belfry_check_interval_seconds{check="fake",target="good"} 60`, `belfry_exporter_checks 11`)
		wantNone(t, text, "belfry_check_state", "belfry_fake")

		time.Sleep(30 * time.Second)
		synctest.Wait()
		_, text = get(h, "GET", "/metrics")
		wantLines(t, text,
			`belfry_check_state{check="fake",target="good"} 1`,
			`belfry_fake_depth{check="fake",queue="a",target="good"} 7`,
			`belfry_fake_depth_limit{bound="max",check="fake",inside="false",queue="a",severity="warning",target="good"} 5`,
			`belfry_fake_depth_limit{bound="max",check="fake",inside="true",queue="a",severity="warning",target="limits"} 8`,
			`belfry_fake_ended_age_limit_seconds{bound="max",check="fake",inside="false",severity="critical",target="limits"} 1800`,
			`belfry_fake_used_ratio{check="fake",target="good"} 0.25`,
			`belfry_fake_sent_total{check="fake",target="good"} 12`,
			`belfry_check_finding{check="fake",finding="orphan",target="good"} 0`,
			`belfry_check_finding{check="fake",finding="orphan",target="finding"} 1`,
			`belfry_check_state{check="fake",target="limits"} 2`,
			`belfry_check_state{check="fake",target="finding"} 2`,
			`belfry_check_state{check="fake",target="refused"} 2`,
			`belfry_check_failure_info{check="fake",reason="dial",target="refused"} 1`,
			`belfry_check_state{check="fake",target="unknown"} 3`,
			`belfry_check_state{check="fake",target="hung"} 3`,
			`belfry_check_timed_out{check="fake",target="hung"} 1`,
			`belfry_check_abandoned_runs_total{check="fake",target="hung"} 1`,
			`belfry_check_abandoned_runs_total{check="fake",target="good"} 0`,
			`belfry_check_state{check="fake",target="broken"} 3`,
			`belfry_check_failure_info{check="fake",reason="internal",target="broken"} 1`,
			`belfry_check_state{check="fake",target="slow"} 2`,
			`belfry_check_timed_out{check="fake",target="slow"} 1`,
			`belfry_check_timed_out{check="fake",target="good"} 0`,
			`belfry_check_dropped_label_sets{check="fake",target="many"} 100`,
			`belfry_check_state{check="fake",target="unclean"} 0`,
			`belfry_fake_depth{check="fake",queue="q?~d24ce699",target="unclean"} 1`,
			`belfry_fake_depth{check="fake",queue="q?~d14ce506",target="unclean"} 2`,
			`belfry_check_state{check="fake",target="missing"} 3`,
			`belfry_check_failure_info{check="fake",reason="config",target="missing"} 1`,
			`belfry_check_runs_total{check="fake",state="warning",target="good"} 1`,
			`belfry_exporter_hanging_looks 1`,
			`belfry_exporter_running_looks 0`,
			`belfry_exporter_waiting_looks 0`,
			`belfry_exporter_concurrency_limit 8`,
			`belfry_exporter_config_last_reload_successful 1`,
			`promhttp_metric_handler_errors_total{cause="gathering"} 0`,
		)
		if !strings.Contains(text, `belfry_check_last_ok_timestamp_seconds{check="fake",target="unclean"} 9.466848`) {
			t.Errorf("a check that is OK has no time of that:\n%s", strings.Join(belfry(text), "\n"))
		}
		wantNone(t, text, `belfry_check_last_ok_timestamp_seconds{check="fake",target="good"}`)
		if problems, err := testutil.GatherAndLint(prometheus.GathererFunc(e.Gather)); err != nil || len(problems) > 0 {
			t.Errorf("GatherAndLint = %v, %v; want no problem", problems, err)
		}
		promtool(t, text)
		// What is made once, at the look, is not checked by a registry any
		// more: it must stand the checks all the same.
		if _, err := (prometheus.Gatherers{prometheus.GathererFunc(e.Gather)}).Gather(); err != nil {
			t.Errorf("Gather() = %v; want series that a registry would take", err)
		}
		families, err := e.Gather()
		if err != nil || !slices.IsSortedFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) }) {
			t.Errorf("Gather() = %d families, %v; want them sorted by name", len(families), err)
		}
		if again, err := e.Gather(); err != nil || len(again) != len(families) || len(again[0].GetMetric()) != len(families[0].GetMetric()) {
			t.Errorf("a second Gather() = %d families, %v; want %d", len(again), err, len(families))
		}
	})
}

// Scrapes share the series that were made at the looks: in whatever format and
// however many at once, they only read them.
func TestScrapesAtOnce(t *testing.T) {
	w := newWorld(t)
	e, _ := w.start(t, "spread: 0s\nchecks: [{check: fake, target: a, interval: 1s, timeout: 1s}, {check: fake, target: b, interval: 1s, timeout: 1s}]")
	defer w.stop(t, e)
	h := e.Handler()
	for ready := false; !ready; ready, _, _ = e.Ready() {
		time.Sleep(time.Millisecond)
	}
	var scrapes sync.WaitGroup
	for _, accept := range []string{
		"text/plain", "application/openmetrics-text; version=1.0.0",
		"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
	} {
		for range 4 {
			scrapes.Go(func() {
				for range 20 {
					request := httptest.NewRequest("GET", "/metrics", nil)
					request.Header.Set("Accept", accept)
					recorder := httptest.NewRecorder()
					h.ServeHTTP(recorder, request)
					if body := recorder.Body.String(); recorder.Code != 200 || strings.Count(body, "belfry_fake_depth_limit") == 0 {
						t.Errorf("GET /metrics as %s = %d, %d bytes without the limits", accept, recorder.Code, len(body))
					}
				}
			})
		}
	}
	scrapes.Wait()
}

// promtool must find nothing to say about the page.
func promtool(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "metrics")
	write(t, path, text)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = file
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func TestScrapesDoNotLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, _ := w.start(t, "checks: [{check: fake, target: good}]")
		defer w.stop(t, e)
		h := e.Handler()
		for range 40 { // two Prometheis, every 15 s
			get(h, "GET", "/metrics")
			get(h, "GET", "/metrics")
			time.Sleep(15 * time.Second)
		}
		synctest.Wait()
		if got := w.looks.Load(); got < 10 || got > 11 {
			t.Errorf("%d looks in 10 minutes of an interval of 1m; want 10 or 11", got)
		}
	})
}

// One check that ignores its context: the others' results arrive, one
// goroutine more, no more.
func TestHangKeepsToItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, _ := w.start(t, "concurrency: 1\nchecks: [{check: fake, target: hung, options: {mode: hang}}, {check: fake, target: good}]")
		defer w.stop(t, e)
		h := e.Handler()
		before := runtime.NumGoroutine()
		for range 60 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if _, text := get(h, "GET", "/metrics"); !strings.Contains(text, `belfry_check_state{check="fake",target="good"} 1`) {
				t.Fatalf("the healthy check is missing:\n%s", strings.Join(belfry(text), "\n"))
			}
		}
		if got := runtime.NumGoroutine(); got > before+1 {
			t.Errorf("%d goroutines after an hour of a hang; want at most %d", got, before+1)
		}
		_, text := get(h, "GET", "/metrics")
		wantLines(t, text,
			`belfry_check_state{check="fake",target="hung"} 3`,
			`belfry_check_failure_info{check="fake",reason="timeout",target="hung"} 1`,
			`belfry_check_runs_total{check="fake",state="unknown",target="hung"} 1`,
			`belfry_exporter_hanging_looks 1`,
		)
	})
}

func TestStaleResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, _ := w.start(t, "checks: [{check: fake, target: good}]")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		w.stop(t, e) // nobody looks any more
		h := e.Handler()
		time.Sleep(2 * time.Minute)
		_, text := get(h, "GET", "/metrics")
		wantLines(t, text, `belfry_check_state{check="fake",target="good"} 1`)
		time.Sleep(time.Minute)
		_, text = get(h, "GET", "/metrics")
		wantLines(t, text, `belfry_check_state{check="fake",target="good"} 3`, `belfry_check_failure_info{check="fake",reason="internal",target="good"} 1`)
		wantNone(t, text, "belfry_fake", "belfry_check_finding", "belfry_check_duration")
		if !strings.Contains(text, "belfry_check_last_run_timestamp_seconds{") {
			t.Errorf("a stale result has lost the time of its look:\n%s", strings.Join(belfry(text), "\n"))
		}
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, path := w.start(t, "checks: [{check: fake, target: a}, {check: fake, target: b}]")
		defer w.stop(t, e)
		h := e.Handler()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		_, text := get(h, "GET", "/metrics")
		const goodAt = "belfry_exporter_config_last_reload_success_timestamp_seconds 9.466848e+08"
		wantLines(t, text, goodAt)

		write(t, path, "checks: [{check: fake, target: a, warning: 20:10}, {check: none}]")
		status, body := get(h, "POST", "/-/reload")
		for _, want := range []string{"exporter.yml:1: warning: range \"20:10\"", "exporter.yml:1: unknown check \"none\""} {
			if status != 500 || !strings.Contains(body, want) {
				t.Errorf("POST /-/reload of a wrong file = %d %s; want 500 with %s", status, body, want)
			}
		}
		_, text = get(h, "GET", "/metrics")
		wantLines(t, text, "belfry_exporter_config_last_reload_successful 0", goodAt,
			`belfry_check_state{check="fake",target="a"} 1`, `belfry_check_state{check="fake",target="b"} 1`)

		looks := w.looks.Load()
		write(t, path, "spread: 0s\nchecks: [{check: fake, target: a}, {check: fake, target: c, warning: 8}]")
		if status, body := get(h, "POST", "/-/reload"); status != 200 {
			t.Errorf("POST /-/reload = %d %s; want 200", status, body)
		}
		synctest.Wait()
		_, text = get(h, "GET", "/metrics")
		wantLines(t, text, "belfry_exporter_config_last_reload_successful 1",
			`belfry_check_state{check="fake",target="a"} 1`, `belfry_check_state{check="fake",target="c"} 0`)
		wantNone(t, text, goodAt, `belfry_check_interval_seconds{check="fake",target="b"}`)
		if got := w.looks.Load(); got != looks+1 {
			t.Errorf("%d looks after the reload; want 1, of the new check", got-looks)
		}
		if status, _ := get(h, "GET", "/-/reload"); status != 405 {
			t.Errorf("GET /-/reload = %d; want 405", status)
		}
	})
}
