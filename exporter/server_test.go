package exporter

import (
	"net/http"
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

func TestForgetEnvironment(t *testing.T) {
	var gone []string
	forgetEnvironment([]string{
		"PATH=/bin", "HOME=/root", "LC_ALL=C", "LISTEN_FDS=1", "GOMEMLIMIT=1GiB", "TZ=UTC",
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
