package exporter

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Configured targets remember, also over a reload that changes limits only;
// free-form ones do not.
func TestProbeMemory(t *testing.T) {
	w := newWorld(t)
	config := func(limit string) string {
		return "modules:\n  fake:\n    check: fake\n    options: {mode: count}\n    critical: " + limit + "\n    targets: {a: 10.0.0.5}\n    targets_pattern: '.+'\n"
	}
	e, path := w.start(t, config("10"))
	defer w.stop(t, e)
	h := e.Handler()
	want := func(target string, n int) {
		t.Helper()
		name, _, _ := strings.Cut(target, "&")
		wantLines(t, probe(t, h, "fake", target), fmt.Sprintf(`belfry_fake_depth{check="fake",queue="before",target=%q} %d`, name, n))
	}
	want("a", 0)
	want("a", 1)
	want("a&debug=true", 2)
	want("a", 2) // a person who looked has taken nothing away
	want("free", 0)
	want("free", 0)
	write(t, path, config("11"))
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	want("a", 3)
	write(t, path, strings.Replace(config("11"), "10.0.0.5", "10.0.0.6", 1))
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	want("a", 0) // another thing
}

// A probe that runs during a reload ends as it began; what is gone is not
// found, and a wrong file changes nothing.
func TestProbeDuringReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const before = "modules: {old: {check: fake, options: {mode: wait}, targets: {a: x}}}"
		e, path := w.start(t, before)
		h := e.Handler()
		running := make(chan string)
		go func() {
			_, body := get(h, "GET", "/probe?module=old&target=a")
			running <- body
		}()
		synctest.Wait()
		write(t, path, "modules: {new: {check: fake, targets: {b: x}}}")
		if err := e.Reload(); err != nil {
			t.Fatal(err)
		}
		if status, body := get(h, "GET", "/probe?module=old&target=a"); status != 404 || !strings.Contains(body, `no module "old"; there are new`) {
			t.Errorf("a module that is gone = %d %s; want 404", status, body)
		}
		write(t, path, "nonsense")
		if err := e.Reload(); err == nil {
			t.Error("Reload of nonsense = nil; want an error")
		}
		probe(t, h, "new", "b")
		w.stop(t, e) // it waits for what runs, which is let go
		body := <-running
		if !strings.Contains(body, "the exporter stops") && !strings.Contains(body, `belfry_check_state{check="fake",target="a"} 0`) {
			t.Errorf("the probe that ran during the reload: %s; want its result, or that the exporter stops", body)
		}
	})
}

func TestProbeFinishesAfterReload(t *testing.T) {
	w := newWorld(t)
	e, path := w.start(t, "modules: {old: {check: fake, options: {mode: wait}, targets: {a: x}}}")
	h := e.Handler()
	running := make(chan string)
	go func() {
		_, body := get(h, "GET", "/probe?module=old&target=a")
		running <- body
	}()
	for w.looks.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	write(t, path, "modules: {new: {check: fake, targets: {b: x}}}")
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	close(w.release)
	wantLines(t, <-running, `belfry_check_state{check="fake",target="a"} 0`, `belfry_fake_depth{check="fake",queue="waited",target="a"} 1`)
	w.release = make(chan struct{})
	w.stop(t, e)
}

// A stranger who makes up targets makes the exporter remember nothing.
func TestFreeFormTargetsLeaveNothing(t *testing.T) {
	w := newWorld(t)
	e, _ := w.start(t, "modules: {fake: {check: fake, options: {mode: count}, targets_pattern: '.+'}}")
	defer w.stop(t, e)
	h := e.Handler()
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // what pools keep goes with the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	flood := func(from, to int) {
		for i := from; i < to; i++ {
			probe(t, h, "fake", fmt.Sprintf("target-%d.example.org", i))
		}
	}
	flood(0, 200)
	before := heap()
	flood(200, 4200)
	grown := heap() - before
	t.Logf("the heap grew by %d bytes", grown)
	if grown > 1<<20 {
		t.Errorf("4000 targets more: the heap grew by %d bytes; want less than 1 MiB", grown)
	}
}

// Where there is nothing to wait for, the exporter is ready.
func TestReadyWithModulesOnly(t *testing.T) {
	w := newWorld(t)
	e, _ := w.start(t, "modules: {fake: {check: fake, targets_pattern: 'x'}}")
	defer w.stop(t, e)
	if status, body := get(e.Handler(), "GET", "/-/ready"); status != 200 {
		t.Errorf("GET /-/ready = %d %s; want 200", status, body)
	}
	if _, body := get(e.Handler(), "GET", "/"); !strings.Contains(body, "This exporter looks when it is asked") || !strings.Contains(body, "Modules: fake.") {
		t.Errorf("GET / = %s; want it to say why there are no checks", body)
	}
}

// What the exporter itself cannot do is said of no target.
func TestProbesAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, _ := w.start(t, "probe_concurrency: 1\nmodules:\n  fake:\n    check: fake\n    options: {mode: slow}\n    targets: {a: x, b: y}\n    targets_pattern: 'free[0-9]'\n")
		defer w.stop(t, e)
		h := e.Handler()
		first := make(chan string)
		go func() {
			_, body := get(h, "GET", "/probe?module=fake&target=a")
			first <- body
		}()
		synctest.Wait()
		began := time.Now()
		response := ask(h, "GET", "/probe?module=fake&target=b", "X-Prometheus-Scrape-Timeout-Seconds", "5")
		body, _ := io.ReadAll(response.Body)
		const want = "no look: the exporter is too busy: no place for the look came free in half of its time, of 1\n"
		if response.StatusCode != 503 || string(body) != want || time.Since(began) != 2250*time.Millisecond {
			t.Errorf("without a place: %d %s after %v; want 503 %s after 2.25s", response.StatusCode, body, time.Since(began), want)
		}
		// Strangers take no place from what is configured, nor the other way round.
		response = ask(h, "GET", "/probe?module=fake&target=free1", "X-Prometheus-Scrape-Timeout-Seconds", "1")
		if body, _ := io.ReadAll(response.Body); response.StatusCode != 200 {
			t.Errorf("a free-form target meanwhile: %d %s; want 200", response.StatusCode, body)
		}
		wantLines(t, metrics(h), `belfry_exporter_probe_running_looks 1`, `belfry_exporter_probe_waiting_looks 0`, `belfry_exporter_probes_total{outcome="busy"} 1`)
		wantLines(t, <-first, `belfry_check_timed_out{check="fake",target="a"} 1`)
	})
}
