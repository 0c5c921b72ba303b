package exporter

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/memory"
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
	for _, want := range []string{"No configuration was given. Looked for: Zulip, Redis.", "Found, and monitored until a reload: zulip a.", "<h2>redis &lt;b&gt;r&lt;/b&gt;: unwatched</h2><p>nobody &lt;i&gt;looks&lt;/i&gt;</p><p><code>grant &lt;u&gt;this&lt;/u&gt;</code></p>"} {
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

// With a state directory, a server that does not run when the exporter is
// started anew does not vanish; a reload forgets it.
func TestDiscoveryOverARestart(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	now := found("a", "b")
	start := func() *Exporter {
		keeper, err := memory.NewKeeper(dir, "exporter", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		e, err := New(Options{
			ConfigFile: filepath.Join(dir, "none.yml"), Catalog: w.catalog, Logger: slog.New(slog.DiscardHandler), Memories: keeper,
			Discover: func(before *discover.Discovery) *discover.Discovery { return now },
		})
		if err == nil {
			err = e.Reload()
		}
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	names := func(e *Exporter) string {
		var all []string
		for _, thing := range e.discovery.Load().Things {
			all = append(all, thing.Name)
		}
		return strings.Join(all, " ")
	}
	first := start()
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = found("c")
	second := start()
	defer w.stop(t, second)
	if got, want := names(second), "a b c <b>r</b>"; got != want {
		t.Errorf("after the restart there are %s; want %s", got, want)
	}
	if got := second.scheduler.Stats().Jobs; got != 3 {
		t.Errorf("after the restart there are %d checks; want 3", got)
	}
	now = found("c")
	if err := second.Reload(); err != nil {
		t.Fatal(err)
	}
	if got, want := names(second), "c <b>r</b>"; got != want {
		t.Errorf("after the reload there are %s; want %s", got, want)
	}
}

// A configuration file that cannot be read, or a link to one that is not there
// yet, is a fault of the configuration and none to be passed over.
func TestConfigurationThatIsNotAbsent(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "exporter.yml")
	if err := os.Symlink(filepath.Join(dir, "not-mounted", "exporter.yml"), link); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	e, err := New(Options{
		ConfigFile: link, Catalog: w.catalog, Logger: slog.New(slog.DiscardHandler),
		Discover: func(*discover.Discovery) *discover.Discovery { return found("a") },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop(t, e)
	if err := e.Reload(); err == nil || !strings.Contains(err.Error(), link) {
		t.Errorf("Reload with a link that leads nowhere = %v; want an error that names it", err)
	}
	for path, want := range map[string]bool{link: false, filepath.Join(dir, "none.yml"): true, filepath.Join(dir, "none", "none.yml"): true} {
		if got := absent(path); got != want {
			t.Errorf("absent(%s) = %t; want %t", path, got, want)
		}
	}
}
