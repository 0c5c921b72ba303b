package dashboards

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/exporter"
	"github.com/belfry-monitoring/belfry/testbed/scene"
)

// actor plays a check of the catalog: it reports every metric that the
// definition declares, and what is wrong when its troupe's mood is bad. So a
// real exporter serves every series that it can ever serve.
type actor struct {
	definition *check.Definition
	troupe     *troupe
	role       string
}

// troupe is what all actors share.
type troupe struct{ bad atomic.Bool }

// The roles of actors: the moody one has bad values and findings when the
// mood is bad, the weak one cannot look at all then, the steady one is always
// well.
const (
	steady = "steady"
	moody  = "moody"
	weak   = "weak"

	probed = "probed" // target at /probe
)

func (a *actor) Prepare() (check.Setup, error) { return check.Setup{}, nil }
func (a *actor) Close() error                  { return nil }

func (a *actor) Run(_ context.Context, r *check.Report) error {
	value, bad := 10.0, a.troupe.bad.Load()
	if bad && a.role == weak {
		return check.Faultf(check.Dial, "connect to", "10.0.0.5:5432", "connection refused")
	}
	if bad && a.role == moody {
		value = 1000
		for _, f := range a.definition.Findings {
			r.Find(f, "it is so", labels(f.Labels)...)
		}
	}
	for _, m := range a.definition.Metrics {
		switch m.Kind {
		case check.Since:
			r.ObserveTime(m, r.Now().Add(-time.Duration(value)*time.Second), labels(m.Labels)...)
		case check.Until:
			r.ObserveTime(m, r.Now().Add(time.Duration(value)*time.Second), labels(m.Labels)...)
		default:
			v := value
			if m.Unit == check.Ratio {
				v /= 100
			}
			r.Observe(m, v, labels(m.Labels)...)
		}
	}
	return nil
}

func labels(names []string) []string {
	values := make([]string, len(names))
	for i, n := range names {
		values[i] = "the-" + n
	}
	return values
}

// play starts a real exporter with actors in place of the catalog's checks,
// each with limits on both sides of every value.
func (tr *troupe) play(t *testing.T, catalog []*check.Definition, port string) {
	t.Helper()
	var played []*check.Definition
	var settings []scene.Setting
	modules := "modules:\n"
	for _, d := range catalog {
		copied := *d
		copied.New = func(fs *pflag.FlagSet) check.Check {
			a := &actor{definition: d, troupe: tr}
			fs.StringVar(&a.role, "role", steady, "what it plays")
			return a
		}
		played = append(played, &copied)
		var warning, critical []string
		for _, m := range d.Metrics {
			if m.Kind != check.Counter {
				warning, critical = append(warning, m.Key+"=2:80"), append(critical, m.Key+"=1:90")
			}
		}
		for _, role := range []string{steady, moody, weak} {
			settings = append(settings, scene.Setting{
				Check: d.Name, Target: role, Options: scene.One(map[string]string{"role": role}), Warning: warning, Critical: critical,
			})
		}
		// What Prometheus asks for at /probe plays too.
		modules += fmt.Sprintf("  %s:\n    check: %[1]s\n    timeout: 1s\n    warning: [\"%s\"]\n    critical: [\"%s\"]\n    targets:\n      %s: {options: {role: %s}}\n",
			d.Name, strings.Join(warning, `", "`), strings.Join(critical, `", "`), probed, steady)
	}
	text := scene.Config("defaults:\n  interval: 1s\n  timeout: 1s\nspread: 0s\n", settings) + modules
	dir := t.TempDir()
	config := dir + "/exporter.yml"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	state := dir + "/state"
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	program := &exporter.Program{Catalog: played, Output: io.Discard, Args: []string{
		"--config.file=" + config, "--web.listen-address=127.0.0.1:" + port, "--state-dir=" + state, "--state-interval=1s"}}
	go func() { ended <- program.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("the exporter ended with %d; want 0", code)
		}
	})
}
