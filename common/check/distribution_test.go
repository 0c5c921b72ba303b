package check

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

type oneLook func(*Report) error

func (f oneLook) Prepare() (Setup, error)                { return Setup{}, nil }
func (f oneLook) Run(_ context.Context, r *Report) error { return f(r) }
func (f oneLook) Close() error                           { return nil }

func runOnce(d *Definition, f oneLook) *Result {
	return (&Look{Definition: d, Check: f}).Run(context.Background())
}

// A miss is for the distribution alone; the verdict is what it is without.
func TestMiss(t *testing.T) {
	took := &Metric{Family: "f", Key: "took", Labels: []string{"way"}, Warning: "1", Buckets: []float64{1, 2}}
	plain := &Metric{Family: "f", Key: "plain"}
	d := &Definition{Name: "d", Timeout: 1e9, Metrics: []*Metric{took, plain}, New: func(*pflag.FlagSet) Check { return nil }}
	r := runOnce(d, func(r *Report) error {
		r.Observe(took, 0.5, "")
		r.Miss(took, "b")
		return nil
	})
	if r.State != OK || len(r.Values) != 1 || len(r.Missed) != 1 || r.Missed[0].Metric != took || r.Missed[0].Labels[0] != "b" {
		t.Errorf("a value and a miss = %s, values %v, missed %v; want OK, one and one", r.State, r.Values, r.Missed)
	}
	if want := "took 0.5"; len(r.Rows) != 1 || !strings.HasPrefix(r.Rows[0].Text, want) {
		t.Errorf("rows %+v; want one that begins with %q: an empty label value names nothing", r.Rows, want)
	}
	for name, look := range map[string]oneLook{
		"no buckets":      func(r *Report) error { r.Miss(plain); return nil },
		"twice":           func(r *Report) error { r.Observe(took, 1, "a"); r.Miss(took, "a"); return nil },
		"too few labels":  func(r *Report) error { r.Miss(took); return nil },
		"only a miss":     func(r *Report) error { r.Miss(took, "a"); return nil },
		"miss and a fail": func(r *Report) error { r.Miss(took, "a"); return errors.New("no") },
	} {
		if r := runOnce(d, look); r.State != Unknown {
			t.Errorf("%s: %s %+v; want UNKNOWN", name, r.State, r.Rows)
		}
	}
}

func TestBucketsAreValidated(t *testing.T) {
	word := func(m *Metric) string {
		d := &Definition{Name: "d", Metrics: []*Metric{m}}
		return d.Validate().Error()
	}
	for name, tt := range map[string]struct {
		kind    Kind
		buckets []float64
		bad     bool
	}{
		"rising":   {Gauge, []float64{-1, 0, 1}, false},
		"falling":  {Gauge, []float64{1, 0.5}, true},
		"twice":    {Gauge, []float64{1, 1}, true},
		"infinite": {Gauge, []float64{1, math.Inf(1)}, true},
		"NaN":      {Gauge, []float64{math.NaN()}, true},
		"a time":   {Since, []float64{1}, true},
		"counter":  {Counter, []float64{1}, true},
	} {
		text := word(&Metric{Family: "f", Key: "k", Help: "H.", Kind: tt.kind, Buckets: tt.buckets})
		if bad := strings.Contains(text, "buckets") || strings.Contains(text, "distribution"); bad != tt.bad {
			t.Errorf("%s: Validate() = %s; want a complaint of the buckets: %v", name, text, tt.bad)
		}
	}
}
