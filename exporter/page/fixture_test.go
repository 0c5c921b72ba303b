package page

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/exporter/config"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

var (
	lag     = &check.Metric{Family: "fake", Key: "lag", Title: "replay lag", Unit: check.Bytes, Help: "WAL that is not replayed.", Labels: []string{"standby"}, Warning: "40MiB", Critical: "80MiB"}
	full    = &check.Metric{Family: "fake", Key: "full", Unit: check.Ratio, Help: "How full.", Critical: "90%"}
	rows    = &check.Metric{Family: "fake", Key: "rows", Help: "How many."}
	paused  = &check.Finding{Key: "paused", Help: "replay is paused", State: check.Critical}
	faked   = definition("fake")
	other   = definition("other_check")
	moment0 = time.Date(2026, 11, 25, 14, 30, 0, 0, time.UTC)
)

func definition(name string) *check.Definition {
	return &check.Definition{
		Name: name, Title: strings.ToUpper(name), Summary: "looks at nothing", Examples: []string{"check_" + name}, Peer: "none", Privileges: []string{"None."},
		Interval: time.Minute, Timeout: 10 * time.Second, Metrics: []*check.Metric{lag, full, rows}, Findings: []*check.Finding{paused},
		Parts: []check.Part{{Name: "replay", Help: "the replay"}, {Name: "slots", Help: "the slots"}},
		New: func(fs *pflag.FlagSet) check.Check {
			f := &fake{}
			fs.StringArrayVar(&f.hosts, "host", nil, "hosts")
			fs.StringVar(&f.proxy, "proxy", "", "proxy")
			fs.BoolVar(&f.insecure, "insecure", false, "insecure")
			options.MayHoldPassword(fs, "proxy", "--proxy-user and --proxy-password-file")
			f.password = options.SecretFlags(fs, "password", "password", "FAKE_PASSWORD")
			return f
		},
	}
}

// fake says what its hosts are told to say.
type fake struct {
	hosts    []string
	proxy    string
	insecure bool
	password *options.Secret
}

func (f *fake) Prepare() (check.Setup, error)                { return check.Setup{Target: "prepared"}, nil }
func (f *fake) Run(_ context.Context, r *check.Report) error { r.Observe(lag, 1, "a"); return nil }
func (f *fake) Close() error                                 { return nil }

// look takes a real look, so that rows and verdict are those of the library.
func look(t testing.TB, d *check.Definition, target string, limits []string, run func(*check.Report)) *check.Result {
	t.Helper()
	operator, err := check.ParseLimits(d, check.Critical, limits)
	if err != nil {
		t.Fatal(err)
	}
	l := &check.Look{
		Definition: d, Check: looker(run), Target: target, Limits: operator, Now: func() time.Time { return moment0 },
	}
	r := l.Run(context.Background())
	r.Duration = 12 * time.Millisecond
	for i := range r.Parts {
		r.Parts[i].Duration = time.Duration(i+1) * time.Millisecond
	}
	return r
}

type looker func(*check.Report)

func (l looker) Prepare() (check.Setup, error)                { return check.Setup{}, nil }
func (l looker) Run(_ context.Context, r *check.Report) error { l(r); return nil }
func (l looker) Close() error                                 { return nil }

// snapshot is a job whose newest look is the result, 12 s ago; nil: pending.
func snapshot(d *check.Definition, target string, r *check.Result) schedule.Snapshot {
	s := schedule.Snapshot{
		Definition: d, Target: target, Interval: time.Minute, Timeout: 10 * time.Second, Next: moment0.Add(time.Minute), Result: r,
	}
	if r != nil {
		s.Age, s.Since = 12*time.Second, moment0.Add(-5*time.Minute)
		s.Runs[r.State] = 6
		for i := range 6 {
			s.History = append(s.History, schedule.Entry{
				At: moment0.Add(time.Duration(i-5) * time.Minute), State: r.State, Duration: 12 * time.Millisecond, Value: float64(i) * 1024, Text: fmt.Sprintf("look %d", i),
			})
		}
	}
	return s
}

// mixed are checks in all states.
func mixed(t testing.TB) []schedule.Snapshot {
	ok := look(t, faked, "good", nil, func(r *check.Report) { r.Observe(lag, 3<<20, "db2"); r.Observe(full, 0.25) })
	bad := look(t, faked, "bad", []string{"lag{standby=db*}=64MiB"}, func(r *check.Report) {
		r.Observe(lag, 96<<20, "db2")
		r.Observe(lag, 1<<20, "db3")
		r.Find(paused, "replay is paused on db3")
	})
	stale := look(t, faked, "old", nil, func(r *check.Report) {
		r.Fail(check.Faultf(check.Internal, "", "", "the newest look is of 14:00, more than three intervals of 60 s ago: the exporter does not keep up"))
	})
	warned := look(t, other, "filling", []string{"full=95%"}, func(r *check.Report) { r.Observe(lag, 41<<20, "db2"); r.Observe(full, 0.5) })
	list := []schedule.Snapshot{
		snapshot(faked, "bad", bad), snapshot(faked, "good", ok), snapshot(faked, "new", nil), snapshot(faked, "old", stale), snapshot(other, "filling", warned),
	}
	list[3].Stale, list[3].Since, list[3].HangingSince = true, time.Time{}, moment0.Add(-10*time.Minute)
	return list
}

func site() Site {
	return Site{Now: moment0.Add(12 * time.Second), Host: "db1.example", User: "belfry", Version: "1.2.3"}
}

// configured reads a check of the fake catalog from YAML.
func configured(t testing.TB, yaml string) *config.Check {
	t.Helper()
	path := filepath.Join(t.TempDir(), "exporter.yml")
	if err := os.WriteFile(path, []byte("checks:\n- "+yaml+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, []*check.Definition{faked, other})
	if err != nil {
		t.Fatalf("config.Load(%s) = %v", yaml, err)
	}
	return c.Checks[0]
}

func render(t testing.TB, r func(*Pages, *strings.Builder) error) string {
	t.Helper()
	var b strings.Builder
	if err := r(New(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func overview(t testing.TB, snapshots []schedule.Snapshot, q Query, notices ...Notice) string {
	t.Helper()
	return render(t, func(p *Pages, b *strings.Builder) error {
		return p.Overview(b, MakeOverview(snapshots, q, notices, site()))
	})
}

func checkPage(t testing.TB, s schedule.Snapshot, c *config.Check) string {
	t.Helper()
	at := site()
	at.Root = "../../"
	return render(t, func(p *Pages, b *strings.Builder) error {
		return p.Check(b, MakeCheck(&s, c, Refresh{Seconds: defaultRefresh}, at))
	})
}

var everything = Query{Page: 1, Refresh: Refresh{Seconds: defaultRefresh}}

func inf(sign int) float64 { return math.Inf(sign) }

// nothing is what a part of a look does that only takes time.
func nothing(context.Context) error { return nil }
