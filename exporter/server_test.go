package exporter

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestRequestsAreBounded(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	h := bounded(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	}), 2)
	answers := make(chan int, 2)
	for range 2 {
		go func() {
			status, _ := get(h, "GET", "/")
			answers <- status
		}()
		<-entered
	}
	if status, _ := get(h, "GET", "/"); status != 503 {
		t.Errorf("third request = %d; want 503", status)
	}
	close(release)
	for range 2 {
		if status := <-answers; status != 200 {
			t.Errorf("request = %d; want 200", status)
		}
	}
	go func() { <-entered }()
	if status, _ := get(h, "GET", "/"); status != 200 {
		t.Errorf("request after the others = %d; want 200", status)
	}
}

// slowReader is a client that does not take what it asked for.
type slowReader struct {
	asked   chan<- struct{}
	release <-chan struct{}
}

func (slowReader) Header() http.Header { return http.Header{} }
func (slowReader) WriteHeader(int)     {}
func (s slowReader) Write(p []byte) (int, error) {
	select {
	case s.asked <- struct{}{}:
	case <-s.release:
	}
	<-s.release
	return len(p), nil
}

// Clients that read slowly keep neither Prometheus nor the probe of liveness
// out.
func TestSlowReadersKeepNobodyElseOut(t *testing.T) {
	w := newWorld(t)
	e, _ := w.start(t, "checks: [{check: fake, target: a}]\n")
	defer w.stop(t, e)
	h := e.Handler()
	asked, release := make(chan struct{}), make(chan struct{})
	occupy := func(path string, n int) {
		for range n {
			r := httptest.NewRequest("GET", path, nil)
			go h.ServeHTTP(slowReader{asked, release}, r)
			<-asked
		}
	}
	want := func(path string, status int) {
		t.Helper()
		if got, _ := get(h, "GET", path); got != status {
			t.Errorf("GET %s = %d; want %d", path, got, status)
		}
	}
	occupy("/api/v1/checks", maxPages)
	want("/", 503)
	want("/metrics", 200)
	occupy("/metrics", maxScrapes)
	want("/metrics", 503)
	want("/-/healthy", 200)
	close(release)
}

func TestForgetEnvironment(t *testing.T) {
	var gone []string
	forgetEnvironment([]string{
		"PATH=/bin", "HOME=/home/belfry", "LC_ALL=C", "LISTEN_FDS=1", "GOMEMLIMIT=1GiB", "TZ=UTC",
		"PGPASSWORD=x", "HTTPS_PROXY=http://proxy", "AWS_SECRET_ACCESS_KEY=x", "PGSERVICEFILE=/x", "LCX=1", "EMPTY=",
	}, func(name string) error {
		gone = append(gone, name)
		return nil
	})
	slices.Sort(gone)
	if got, want := strings.Join(gone, " "), "AWS_SECRET_ACCESS_KEY EMPTY HTTPS_PROXY LCX PGPASSWORD PGSERVICEFILE"; got != want {
		t.Errorf("forgetEnvironment forgets %s; want %s", got, want)
	}
}
