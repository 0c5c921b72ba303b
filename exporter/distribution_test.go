package exporter

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/exposition"
)

var took = &check.Metric{
	Family: "timed", Key: "took", Unit: check.Seconds, Help: "How long it took.", Labels: []string{"way"}, Warning: "1", Critical: "2",
	Buckets: []float64{0.5, 1, 2},
}

// timed is a check whose look is replaced at run time.
type timed struct {
	look func(context.Context, *check.Report) error
	way  string
}

func (d *timed) Prepare() (check.Setup, error)                  { return check.Setup{Target: "t"}, nil }
func (d *timed) Run(ctx context.Context, r *check.Report) error { return d.look(ctx, r) }
func (d *timed) Close() error                                   { return nil }

// timedWorld is a world with the check "timed"; look is what it does.
func timedWorld(t testing.TB, look func(context.Context, *check.Report) error) *world {
	w := newWorld(t)
	d := &check.Definition{
		Name: "timed", Title: "TIMED", Summary: "takes its time", Examples: []string{"check_timed"}, Peer: "none", Privileges: []string{"None."},
		Interval: time.Minute, Timeout: 10 * time.Second, Metrics: []*check.Metric{took},
		New: func(fs *pflag.FlagSet) check.Check {
			c := &timed{look: look}
			fs.StringVar(&c.way, "way", "", "which way")
			return c
		},
	}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	w.catalog = append(w.catalog, d)
	return w
}

// histogramLines are the lines of the distribution of one way.
func histogramLines(target, way string, below [3]int, count int, sum string) []string {
	labels := fmt.Sprintf(`check="timed",target=%q,way=%q`, target, way)
	name := "belfry_timed_took_distribution_seconds"
	lines := []string{
		fmt.Sprintf("%s_count{%s} %d", name, labels, count), fmt.Sprintf("%s_sum{%s} %s", name, labels, sum),
		fmt.Sprintf(`%s_bucket{%s,le="+Inf"} %d`, name, labels, count),
	}
	for i, le := range []string{"0.5", "1", "2"} {
		lines = append(lines, fmt.Sprintf(`%s_bucket{%s,le=%q} %d`, name, labels, le, below[i]))
	}
	return lines
}

// Each look counts once however often it is scraped; what failed counts
// beyond every bound, and a look that saw nothing does not count.
func TestDistribution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64
		w := timedWorld(t, func(_ context.Context, r *check.Report) error {
			switch looks.Add(1) {
			case 1: // on a bound, which belongs to its bucket
				r.Observe(took, 0.5, "a")
				r.Observe(took, 1.5, "b")
			case 2:
				r.Observe(took, 40, "a") // beyond every bound, yet a value
				r.Miss(took, "b")
			case 3:
				return check.Faultf(check.Auth, "log in at", "x", "refused")
			case 4:
				r.Observe(took, math.NaN(), "a")
			}
			return nil
		})
		e, _ := w.start(t, "spread: 0s\nchecks:\n- {check: timed, target: t, interval: 60s}\n")
		defer w.stop(t, e)
		h := e.Handler()
		until := func(n int64) {
			for looks.Load() < n {
				time.Sleep(time.Second)
				synctest.Wait()
			}
		}
		until(1)
		var text string
		for range 5 { // two Prometheis and a person
			_, text = get(h, "GET", "/metrics")
		}
		wantLines(t, text, histogramLines("t", "a", [3]int{1, 1, 1}, 1, "0.5")...)
		wantLines(t, text, histogramLines("t", "b", [3]int{0, 0, 1}, 1, "1.5")...)
		promtool(t, text)
		until(4)
		_, text = get(h, "GET", "/metrics")
		wantLines(t, text, histogramLines("t", "a", [3]int{1, 1, 1}, 2, "40.5")...)
		wantLines(t, text, histogramLines("t", "b", [3]int{0, 0, 1}, 2, "1.5")...)
	})
}

// A reload that changes nothing, or limits only, keeps what was counted; one
// that changes what is looked at, or takes the check away, does not.
func TestDistributionAndReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64 // since the distribution began
		w := timedWorld(t, func(_ context.Context, r *check.Report) error { looks.Add(1); r.Observe(took, 1, "a"); return nil })
		const first, other = "spread: 0s\nchecks:\n- {check: timed, target: t, interval: 60s}\n", "spread: 0s\nchecks:\n- {check: fake, target: t}\n"
		e, path := w.start(t, first)
		defer w.stop(t, e)
		h := e.Handler()
		for i, step := range []struct {
			name, config string
			anew, none   bool
		}{
			{name: "the first", config: first},
			{name: "unchanged", config: first},
			{name: "other limits", config: strings.Replace(first, "60s", "60s, critical: 5", 1)},
			{name: "another interval", config: strings.Replace(first, "60s", "59s", 1)},
			{name: "other options", config: strings.Replace(first, "60s", "60s, options: {way: b}", 1), anew: true},
			{name: "gone", config: other, none: true},
			{name: "back again", config: strings.Replace(first, "60s", "60s, options: {way: b}", 1), anew: true},
		} {
			if step.anew {
				looks.Store(0)
			}
			if i > 0 {
				write(t, path, step.config)
				if err := e.Reload(); err != nil {
					t.Fatalf("%s: Reload() = %v; want nil", step.name, err)
				}
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			_, text := get(h, "GET", "/metrics")
			if step.none {
				wantNone(t, text, "belfry_timed")
				continue
			}
			if looks.Load() < 2 {
				t.Errorf("%s: %d looks; want some", step.name, looks.Load())
			}
			want := fmt.Sprintf("belfry_timed_took_distribution_seconds_count{check=\"timed\",target=\"t\",way=\"a\"} %d", looks.Load())
			if !strings.Contains(text, want+"\n") {
				t.Errorf("%s: no line %s in\n%s", step.name, want, text)
			}
		}
	})
}

// A look that is cut off by the removal of its check is not counted.
func TestDistributionOfARemovedCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := timedWorld(t, func(ctx context.Context, r *check.Report) error {
			<-ctx.Done()
			r.Miss(took, "a")
			return nil
		})
		e, path := w.start(t, "spread: 0s\nchecks:\n- {check: timed, target: t}\n")
		defer w.stop(t, e)
		time.Sleep(time.Second)
		synctest.Wait()
		kept := (*e.distributions.Load())[pair{"timed", "t"}]
		write(t, path, "spread: 0s\nchecks:\n- {check: timed, target: t, critical: 5}\n")
		if err := e.Reload(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if made := kept.made.Load(); made != nil {
			t.Errorf("%d series of a look that was cut off; want none", len(*made))
		}
	})
}

// However many things a check sees over its life, its distributions are
// bounded.
func TestDistributionsAreBounded(t *testing.T) {
	d := &distributions{}
	definition := &check.Definition{Name: "timed"}
	for i := range 3 * exposition.MaxLabelSets {
		d.observe(&check.Result{Definition: definition, Target: "t", Values: []check.Value{
			{Metric: took, Labels: []string{fmt.Sprint(i)}, Number: 1}, {Metric: took, Labels: []string{"0"}, Number: 1},
		}})
	}
	if n := len(*d.made.Load()); n != exposition.MaxLabelSets {
		t.Errorf("%d histograms; want %d", n, exposition.MaxLabelSets)
	}
	if n := d.histograms["took\xff0"].total; n != 3*exposition.MaxLabelSets+1 {
		t.Errorf("the first label set counts %d; want %d", n, 3*exposition.MaxLabelSets+1)
	}
}
