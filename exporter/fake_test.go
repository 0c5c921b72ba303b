package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
)

var (
	depth   = &check.Metric{Family: "fake", Key: "depth", Title: "depth", Help: "How deep.", Labels: []string{"queue"}, Warning: "5", Critical: "10"}
	share   = &check.Metric{Family: "fake", Key: "used", Unit: check.Ratio, Help: "How full."}
	sent    = &check.Metric{Family: "fake", Key: "sent", Kind: check.Counter, Help: "How many were sent."}
	ended   = &check.Metric{Family: "fake", Key: "ended", Kind: check.Since, Help: "When it ended.", Critical: "25h"}
	orphans = &check.Finding{Key: "orphan", Help: "a queue without consumer", State: check.Critical}
)

// world is what the fake checks look at.
type world struct {
	catalog []*check.Definition
	release chan struct{} // ends what hangs
	looks   atomic.Int64
}

func newWorld(t testing.TB) *world {
	w := &world{release: make(chan struct{})}
	w.catalog = []*check.Definition{{
		Name: "fake", Title: "FAKE", Summary: "looks at nothing", Examples: []string{"check_fake"}, Peer: "none", Privileges: []string{"None."},
		Interval: time.Minute, Timeout: 10 * time.Second,
		Metrics: []*check.Metric{depth, share, sent, ended}, Findings: []*check.Finding{orphans},
		New: func(fs *pflag.FlagSet) check.Check {
			f := &fake{world: w}
			fs.StringVar(&f.mode, "mode", "ok", "what to do")
			fs.StringVar(&f.host, "host", "", "where")
			options.Address(fs, "host", options.HostPort)
			options.SecretFlags(fs, "password", "password")
			return f
		},
	}}
	if err := w.catalog[0].Validate(); err != nil {
		t.Fatalf("Validate() = %v; want nil", err)
	}
	return w
}

type fake struct {
	world *world
	mode  string
	host  string
}

func (f *fake) Prepare() (check.Setup, error) {
	if path, ok := strings.CutPrefix(f.mode, "file:"); ok {
		if _, err := os.Stat(path); err != nil {
			return check.Setup{}, err
		}
	}
	return check.Setup{Target: "prepared"}, nil
}

func (f *fake) Run(ctx context.Context, r *check.Report) error {
	f.world.looks.Add(1)
	r.Summarize("fine")
	switch f.mode {
	case "hang":
		<-f.world.release
	case "panic":
		panic("in the check")
	case "slow":
		<-ctx.Done()
		return ctx.Err()
	case "refused":
		return check.Faultf(check.Dial, "connect to", "10.0.0.5:5432", "connection refused")
	case "unknown":
		return errors.New("nothing is known")
	case "many":
		for i := range 300 {
			r.Observe(depth, float64(i%3), fmt.Sprint("q", i))
		}
	case "unclean":
		r.Observe(depth, 1, "q\xff")
		r.Observe(depth, 2, "q\xfe")
	case "count": // the looks before this one that it knows of
		var n int
		r.Recall(&n)
		r.Remember(n + 1)
		r.Observe(depth, float64(n), "before")
	case "wait":
		select {
		case <-f.world.release:
		case <-ctx.Done():
			return ctx.Err()
		}
		r.Observe(depth, 1, "waited")
	case "host":
		r.Note("looked at %s", f.host)
		r.Observe(depth, 1, "host")
	case "find":
		r.Find(orphans, `queue <b>"x"</b> has no consumer`)
		fallthrough
	default:
		r.Observe(depth, 7, "a")
		r.Observe(depth, 1, "b")
		r.Observe(share, 0.25)
		r.Observe(sent, 12)
		r.ObserveTime(ended, r.Now().Add(-time.Hour))
	}
	return nil
}

func (f *fake) Close() error { return nil }

// start runs an exporter with the configuration. The file's path is returned
// too, for reloads.
func (w *world) start(t testing.TB, config string) (*Exporter, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "exporter.yml")
	write(t, path, config)
	e, err := New(Options{ConfigFile: path, Catalog: w.catalog, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	if err := e.Reload(); err != nil {
		t.Fatalf("Reload = %v; want nil", err)
	}
	return e, path
}

// stop ends the exporter and what hangs.
func (w *world) stop(t testing.TB, e *Exporter) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.Stop(ctx); err != nil {
		t.Errorf("Stop = %v; want nil", err)
	}
	close(w.release)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// get asks the handler without a network.
func get(h http.Handler, method, path string) (status int, body string) {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, httptest.NewRequest(method, path, nil))
	text, _ := io.ReadAll(recorder.Body)
	return recorder.Code, string(text)
}

// belfry returns the lines of the text format that are the product's own,
// without comments.
func belfry(text string) []string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "belfry_check_") || strings.HasPrefix(line, "belfry_fake_") {
			lines = append(lines, line)
		}
	}
	return lines
}

// wantLines fails for each line that is missing.
func wantLines(t *testing.T, text string, want ...string) {
	t.Helper()
	have := "\n" + text + "\n"
	for _, line := range want {
		if !strings.Contains(have, "\n"+line+"\n") {
			t.Errorf("/metrics has no line\n%s\nbut\n%s", line, strings.Join(belfry(text), "\n"))
		}
	}
}

// wantNone fails when a line begins like this.
func wantNone(t *testing.T, text string, prefixes ...string) {
	t.Helper()
	for _, line := range strings.Split(text, "\n") {
		for _, prefix := range prefixes {
			if strings.HasPrefix(line, prefix) {
				t.Errorf("/metrics has the line %s; want none that begins with %s", line, prefix)
			}
		}
	}
}
