package exporter

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/exporter/discover"
)

// found is a discovery of one thing that the fake check looks at for each
// target, and of one that nobody looks at.
func found(targets ...string) *discover.Discovery {
	d := &discover.Discovery{LookedFor: []string{"Zulip", "Redis"}, Things: []discover.Thing{}}
	for _, target := range targets {
		d.Things = append(d.Things, discover.Thing{
			Product: "zulip", Name: target, Outcome: discover.Watched, Text: "it runs", Checks: []discover.Check{{Check: "fake", Target: target}},
		})
	}
	d.Things = append(d.Things, discover.Thing{Product: "redis", Name: "<b>r</b>", Outcome: discover.Unwatched, Text: "nobody <i>looks</i>", Help: []string{"grant <u>this</u>"}})
	return d
}

func TestDiscoveryAndFile(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "exporter.yml")
	now := found("a")
	var log strings.Builder
	e, err := New(Options{
		ConfigFile: path, Catalog: w.catalog, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Discover: func(before *discover.Discovery) *discover.Discovery { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop(t, e)
	reload := func() {
		t.Helper()
		if err := e.Reload(); err != nil {
			t.Fatalf("Reload = %v; want nil", err)
		}
	}
	jobs := func(want int) {
		t.Helper()
		if got := e.scheduler.Stats().Jobs; got != want {
			t.Errorf("%d checks; want %d\n%s", got, want, log.String())
		}
	}
	reload()
	jobs(1)
	h := e.Handler()
	_, metrics := get(h, "GET", "/metrics")
	wantLines(t, metrics, `belfry_exporter_discovered{outcome="watched",product="zulip"} 1`, `belfry_exporter_discovered{outcome="unwatched",product="redis"} 1`, `belfry_exporter_discovered{outcome="failed",product="memcached"} 0`)
	_, page := get(h, "GET", "/")
	for _, want := range []string{"No configuration was given. Looked for: Zulip, Redis.", "&lt;b&gt;r&lt;/b&gt;: <b>unwatched</b>. nobody &lt;i&gt;looks&lt;/i&gt;<br><code>grant &lt;u&gt;this&lt;/u&gt;</code>"} {
		if !strings.Contains(page, want) {
			t.Errorf("GET / =\n%s\nwant %s in it", page, want)
		}
	}
	_, api := get(h, "GET", "/api/v1/checks")
	for _, want := range []string{`"discovery": {`, `"outcome": "unwatched"`, `"looked_for": [`, `"target": "a"`} {
		if !strings.Contains(api, want) {
			t.Errorf("GET /api/v1/checks =\n%s\nwant %s in it", api, want)
		}
	}

	now = found("a", "b")
	if err := e.discoverMore(); err != nil {
		t.Fatalf("discoverMore = %v; want nil", err)
	}
	jobs(2)
	now = found()
	reload()
	jobs(0)
	if ready, pending, _ := e.Ready(); !ready || pending != 0 {
		t.Errorf("Ready with nothing found = %t, %d pending; want it ready", ready, pending)
	}
	for _, want := range []string{`msg="found on this machine" product=zulip name=b outcome=watched`, `level=WARN msg="not found any more, and not monitored" product=zulip name=a`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, log.String())
		}
	}

	write(t, path, "checks: [{check: fake, target: file}]")
	reload()
	jobs(1)
	_, metrics = get(h, "GET", "/metrics")
	wantNone(t, metrics, "belfry_exporter_discovered")
	_, page = get(h, "GET", "/")
	if strings.Contains(page, "No configuration was given") {
		t.Errorf("GET / with a file still speaks of what was found:\n%s", page)
	}
	now = found("a", "b")
	if err := e.discoverMore(); err != nil {
		t.Fatalf("discoverMore with a file = %v; want nil", err)
	}
	jobs(1)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := e.Reload(); err == nil {
		t.Error("Reload without the file that was in use = nil; want an error")
	}
	jobs(1)
}

// What was found and cannot be used changes nothing.
func TestDiscoveryThatCannotBeUsed(t *testing.T) {
	w := newWorld(t)
	now := found("a")
	e, err := New(Options{
		ConfigFile: filepath.Join(t.TempDir(), "none.yml"), Catalog: w.catalog, Logger: slog.New(slog.DiscardHandler),
		Discover: func(before *discover.Discovery) *discover.Discovery { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop(t, e)
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	now = found("b")
	now.Things[0].Checks[0].Check = "unknown"
	if err := e.Reload(); err == nil || !strings.Contains(err.Error(), "use what was found") {
		t.Errorf("Reload = %v; want that it cannot be used", err)
	}
	if got := e.discovery.Load().Things[0].Name; got != "a" {
		t.Errorf("in use is the discovery of %s; want that of a", got)
	}
}
