package trend

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const (
	mib   = 1 << 20
	hour  = 3600.0
	limit = 763 * mib // 800 MB, the check's own critical limit of a worker
)

// live looks every interval (seconds) for a span and tells look what the
// series says; what is kept goes through JSON between two looks.
func live(t *testing.T, interval, span float64, size func(hours float64) float64, look func(at, value float64, g Growth, ok bool)) Series {
	t.Helper()
	var s Series
	if interval < 60 {
		span = math.Min(span, 8*hour)
	}
	for at := 600.0; at <= span; at += interval {
		value := math.Round(size(at/hour) * mib)
		s = s.Add(at, value, 48)
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 2000 {
			t.Fatalf("a series takes %d bytes; want 2000 at most", len(data))
		}
		s = Series{}
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		g, ok := s.Growth()
		look(at, value, g, ok)
	}
	return s
}

// A leak is seen at nearly every look, however often the looks are.
func TestLeak(t *testing.T) {
	for _, interval := range []float64{10, 60, 300, 600} {
		for _, noise := range []float64{0, 3} {
			rng := rand.New(rand.NewPCG(1, 2))
			looks, seen, off := 0, 0, 0.0
			live(t, interval, 28*hour, func(h float64) float64 { return 150 + 20*h + noise*rng.NormFloat64() }, func(at, _ float64, g Growth, ok bool) {
				switch {
				case ok && at < hour+600:
					t.Errorf("every %v s: growth after %v s; want none before an hour", interval, at-600)
				case at >= 4*hour:
					looks++
					if ok {
						seen++
						off = math.Max(off, math.Abs(g.PerSecond*hour/mib-20))
					}
				}
			})
			if seen < looks*97/100 || off > 2 {
				t.Errorf("every %v s, noise %v MiB: seen at %d of %d looks, off by %.2f MiB an hour at most; want 97 of 100, 2", interval, noise, seen, looks, off)
			}
		}
	}
	// Every half an hour there are few samples, and the first is there in time.
	first := 0.0
	live(t, 1800, 30*hour, func(h float64) float64 { return 150 + 20*h }, func(at, _ float64, _ Growth, ok bool) {
		if ok && first == 0 {
			first = at
		}
	})
	if first != 600+5*1800 {
		t.Errorf("every half an hour: growth first after %v s; want 9600, at the sixth look", first)
	}
}

// A leak is seen beside spikes of one look.
func TestLeakWithSpikes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	looks, seen := 0, 0
	live(t, 60, 20*hour, func(h float64) float64 {
		if rng.IntN(50) == 0 {
			return 350 + 20*h
		}
		return 150 + 20*h + rng.NormFloat64()
	}, func(at, _ float64, _ Growth, ok bool) {
		if at >= 4*hour {
			looks++
			if ok {
				seen++
			}
		}
	})
	if seen < looks*8/10 {
		t.Errorf("with spikes a leak is seen at %d of %d looks; want 8 of 10", seen, looks)
	}
}

// What is no leak does not foretell a limit within four hours.
func TestNoLeak(t *testing.T) {
	shapes := map[string]func(rng *rand.Rand, h float64) float64{
		"noise":                      func(r *rand.Rand, h float64) float64 { return 300 + 20*r.NormFloat64() },
		"a step":                     func(_ *rand.Rand, h float64) float64 { return 150 + 500*step(h, 2) },
		"a late step":                func(_ *rand.Rand, h float64) float64 { return 150 + 500*step(h, 20) },
		"two steps":                  func(_ *rand.Rand, h float64) float64 { return 150 + 250*step(h, 1.5) + 250*step(h, 2.5) },
		"a start of half an hour":    func(_ *rand.Rand, h float64) float64 { return 150 + 400*(1-math.Exp(-h*2)) },
		"a start of hours":           func(_ *rand.Rand, h float64) float64 { return 150 + 300*(1-math.Exp(-h/2)) },
		"a tooth of 20 minutes":      func(_ *rand.Rand, h float64) float64 { return 150 + 500*math.Mod(h*3, 1) },
		"a tooth of 50 minutes":      func(_ *rand.Rand, h float64) float64 { return 150 + 500*math.Mod(h*1.2, 1) },
		"the day's load":             func(_ *rand.Rand, h float64) float64 { return 300 - 200*math.Cos(2*math.Pi*h/24) },
		"a spike":                    func(_ *rand.Rand, h float64) float64 { return 150 + 500*step(h, 3)*(1-step(h, 3.2)) },
		"falls":                      func(_ *rand.Rand, h float64) float64 { return 700 - 10*h },
		"the same size all the time": func(_ *rand.Rand, h float64) float64 { return 700 },
	}
	for name, shape := range shapes {
		for _, interval := range []float64{10, 60, 300, 900} {
			rng := rand.New(rand.NewPCG(7, 9))
			found := false
			live(t, interval, 49*hour, func(h float64) float64 { return shape(rng, h) }, func(at, value float64, g Growth, ok bool) {
				if left, told := g.Until(limit - value); ok && told && left < 4*hour && !found {
					found = true
					t.Errorf("%s, every %v s: after %.2f h, at %.0f MiB with %.0f (lately %.0f) MiB an hour: full in %.1f h; want no such forecast",
						name, interval, at/hour, value/mib, g.PerSecond*hour/mib, g.Newest*hour/mib, left/hour)
				}
			})
		}
	}
}

func step(h, at float64) float64 {
	if h < at {
		return 0
	}
	return 1
}

// A tooth of hours is a leak the first time, as far as anyone can tell, and is
// known from then on.
func TestToothIsKnownTheSecondTime(t *testing.T) {
	for _, interval := range []float64{10, 60, 300} {
		live(t, interval, 60*hour, func(h float64) float64 { return 150 + 500*math.Mod(h/3, 1) }, func(at, _ float64, _ Growth, ok bool) {
			if ok && at > 3*hour+interval {
				t.Fatalf("every %v s: growth after %.2f h; want none after the size fell by itself", interval, at/hour)
			}
		})
	}
}

// Times are spread evenly however many looks there were.
func TestSpread(t *testing.T) {
	for _, interval := range []float64{1, 10, 60} {
		s := Series{}
		for at := 0.0; at <= 12*hour; at += interval {
			s = s.Add(at, at, 48)
		}
		if n := len(s.Samples); n != 48 || s.Samples[0].At != 0 || s.Samples[n-1].At != 12*hour {
			t.Errorf("every %v s: %d samples from %v to %v; want 48 from 0 to %v", interval, n, s.Samples[0], s.Samples[n-1], 12*hour)
		}
		widest := 0.0
		for i := 1; i < len(s.Samples); i++ {
			widest = math.Max(widest, s.Samples[i].At-s.Samples[i-1].At)
		}
		if widest > 4*12*hour/47 {
			t.Errorf("every %v s: the widest gap is %v s; want no more than four times the mean of %v s", interval, widest, 12*hour/47)
		}
	}
}

func TestAdd(t *testing.T) {
	tests := []struct {
		name string
		in   []Sample
		want string
	}{
		{"in order", []Sample{{0, 1}, {60, 2}}, "0:1 60:2"},
		{"no finite value", []Sample{{0, 1}, {60, math.NaN()}, {120, math.Inf(1)}, {math.NaN(), 1}, {math.Inf(1), 1}, {180, 4}}, "0:1 180:4"},
		{"twice within a second", []Sample{{0, 1}, {60.2, 2}, {60.4, 3}, {61, 4}}, "0:1 60:2 61:4"},
		{"a little back", []Sample{{100, 1}, {160, 2}, {130, 3}, {190, 4}}, "100:1 160:2 190:4"},
		{"the clock was set back", []Sample{{10000, 1}, {10060, 2}, {60, 3}, {120, 4}}, "60:3 120:4"},
		{"a gap of two days", []Sample{{0, 1}, {60, 9}, {2*Window + 60, 3}}, "172860:3 peak 9"},
		{"the clock was set far ahead and back", []Sample{{0, 1}, {1e12, 2}, {60, 3}}, "60:3"},
	}
	for _, tt := range tests {
		s := Series{}
		for _, p := range tt.in {
			s = s.Add(p.At, p.Value, 48)
		}
		var got []string
		for _, p := range s.Samples {
			got = append(got, fmt.Sprintf("%.0f:%v", p.At, p.Value))
		}
		if s.Peak != 0 {
			got = append(got, fmt.Sprintf("peak %v", s.Peak))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: series = %q; want %q", tt.name, got, tt.want)
		}
	}
}

// Add leaves the series alone that it was called on.
func TestAddChangesNothing(t *testing.T) {
	s := Series{}
	for at := range 48 {
		s = s.Add(float64(at), 1, 48)
	}
	before := slices.Clone(s.Samples)
	s.Add(100, 2, 48)
	s.Add(200, 3, 8)
	if !slices.Equal(s.Samples, before) {
		t.Errorf("after Add the series is %v; want %v", s.Samples, before)
	}
}

// A gap in the looks leaves a quarter of the time without samples: nothing is
// known of it.
func TestGap(t *testing.T) {
	s := Series{}
	for i := range 10 {
		s = s.Add(float64(i)*60, 100+float64(i), 48)
	}
	for i := range 10 {
		s = s.Add(10*hour+float64(i)*60, 700+float64(i), 48)
	}
	if g, ok := s.Growth(); ok {
		t.Errorf("Growth() over a gap = %+v; want none", g)
	}
}

// The slope keeps its digits for large values long after the start.
func TestFitIsStable(t *testing.T) {
	for _, offset := range []float64{0, 1e7, 3e9} { // seconds; 1e7 are four months
		for _, base := range []float64{0, 1e9, 1e13} { // bytes
			var samples []Sample
			for i := range 48 {
				samples = append(samples, Sample{offset + float64(i)*1800, base + float64(i)*1800*10})
			}
			if l := fit(samples); math.Abs(l.slope-10) > 1e-6 || l.spread > 0.1 {
				t.Errorf("from %v s and %v bytes: slope %v, spread %v; want 10, 0", offset, base, l.slope, l.spread)
			}
		}
	}
	for name, samples := range map[string][]Sample{"none": nil, "one": {{1, 1}}, "one moment": {{1, 1}, {1, 2}}} {
		if l := fit(samples); l != (line{}) {
			t.Errorf("fit of %s = %+v; want no line", name, l)
		}
	}
}

func TestFitKnown(t *testing.T) {
	// Anscombe's first quartet: slope 0.5001, residual standard error 1.237,
	// standard error of the slope 0.1179.
	xs := []float64{10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5}
	ys := []float64{8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68}
	var samples []Sample
	for i := range xs {
		samples = append(samples, Sample{xs[i], ys[i]})
	}
	l := fit(samples)
	if got, want := fmt.Sprintf("%.4f %.3f %.4f", l.slope, l.spread, l.slopeError), "0.5001 1.237 0.1179"; got != want {
		t.Errorf("fit = %s; want %s", got, want)
	}
}

func TestUntil(t *testing.T) {
	g := Growth{PerSecond: 2, Newest: 1, Span: hour}
	tests := []struct {
		room, want float64
		ok         bool
	}{
		{600, 600, true}, {0, 0, true}, {-5, 0, true},
		{2 * hour, 2 * hour, true}, {2*hour + 1, 2*hour + 1, false},
		{math.Inf(1), 0, false}, {math.NaN(), 0, false},
	}
	for _, tt := range tests {
		if got, ok := g.Until(tt.room); got != tt.want || ok != tt.ok {
			t.Errorf("Until(%v) = %v, %t; want %v, %t", tt.room, got, ok, tt.want, tt.ok)
		}
	}
	if _, ok := (Growth{}).Until(5); ok {
		t.Error("no growth foretells something; want nothing")
	}
}

// FuzzSeries: whatever a state file holds, the series stays bounded and in
// order once it is used, and no growth is not a number.
func FuzzSeries(f *testing.F) {
	f.Add([]byte(`{"s":[[0,1],[60,2]],"k":3}`), 120.0, 5.0)
	f.Add([]byte(`{"s":[[60,1],[0,2],[0,-1e308],[1e308,1e308]]}`), -1.0, 1e308)
	f.Add([]byte(`{"s":[[1]]}`), 0.0, 0.0)
	f.Add([]byte(`{"s":[[0,1],[9000,2],[1,3],[2,4],[3,5],[4,6],[7200,7]]}`), 1e4, 8.0)
	f.Add([]byte(`{"s":[[0,0],[900,2e307],[1800,4e307],[2700,6e307],[3600,8e307],[4500,1e308]]}`), 5400.0, 1.2e308)
	f.Fuzz(func(t *testing.T, data []byte, at, value float64) {
		var s Series
		if json.Unmarshal(data, &s) != nil {
			return
		}
		s = s.Add(at, value, 48)
		g, ok := s.Growth()
		if ok && (!(g.PerSecond > 0) || math.IsInf(g.PerSecond, 0) || !(g.Newest > 0)) {
			t.Errorf("Growth of %s = %+v; want a finite rise", data, g)
		}
		if _, err := json.Marshal(s); err != nil {
			t.Errorf("cannot be kept: %v", err)
		}
	})
}
