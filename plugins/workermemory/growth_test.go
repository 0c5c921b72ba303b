package workermemory

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/procs"
)

// grow makes a history of one process by the size in MiB at each look.
func grow(interval time.Duration, looks int, mib func(hours float64) float64) history {
	var h history
	for i := range looks {
		age := warmUp + time.Duration(i)*interval
		h = h.add("p", procs.Process{Age: age, RSS: uint64(mib(age.Hours()) * (1 << 20))}, maxSamples)
	}
	return h
}

func TestLeak(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	tests := []struct {
		name     string
		interval time.Duration
		looks    int
		mib      func(hours float64) float64
		want     float64 // MiB an hour; 0: none
	}{
		{"straight", time.Minute, 120, func(h float64) float64 { return 100 + 10*h }, 10},
		{"every ten seconds", 10 * time.Second, 2000, func(h float64) float64 { return 100 + 10*h }, 10},
		{"every half an hour", 30 * time.Minute, 12, func(h float64) float64 { return 100 + 10*h }, 10},
		{"noisy", time.Minute, 300, func(h float64) float64 { return 100 + 10*h + 4*noise.Float64() }, 10},
		{"in steps", time.Minute, 600, func(h float64) float64 { return 100 + 8*math.Floor(h) }, 8},
		{"not an hour yet", time.Minute, 59, func(h float64) float64 { return 100 + 100*h }, 0},
		{"five looks", 30 * time.Minute, 5, func(h float64) float64 { return 100 + 10*h }, 0},
		{"flat", time.Minute, 300, func(float64) float64 { return 100 }, 0},
		{"noise alone", time.Minute, 300, func(float64) float64 { return 100 + 20*noise.Float64() }, 0},
		{"falling", time.Minute, 300, func(h float64) float64 { return 300 - 10*h }, 0},
		{"one step early", time.Minute, 300, func(h float64) float64 { return step(h, 1) }, 0},
		{"one step in the middle", time.Minute, 300, func(h float64) float64 { return step(h, 2.6) }, 0},
		{"one step just now", time.Minute, 300, func(h float64) float64 { return step(h, 5) }, 0},
		{"a long start", time.Minute, 300, func(h float64) float64 { return 100 + 100*(1-math.Exp(-2*h)) }, 0},
		{"sawtooth", time.Minute, 600, func(h float64) float64 { return 100 + 60*math.Mod(h, 1.3) }, 0},
		{"in waves", time.Minute, 1440, func(h float64) float64 { return 100 + 50*math.Sin(h) }, 0},
	}
	for _, tt := range tests {
		h := grow(tt.interval, tt.looks, tt.mib)
		perSecond, ok := h.leak()
		got := perSecond * 3600 / (1 << 20)
		if ok != (tt.want != 0) || math.Abs(got-tt.want) > tt.want/10 {
			t.Errorf("%s: leak() = %.2f MiB an hour, %t; want %v", tt.name, got, ok, tt.want)
		}
		if len(h.Samples) > maxSamples {
			t.Errorf("%s: %d samples kept; want at most %d", tt.name, len(h.Samples), maxSamples)
		}
		text, err := json.Marshal(h)
		var back history
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if again, ok2 := back.leak(); err != nil || ok2 != ok || math.Abs(again-perSecond) > perSecond/100 {
			t.Errorf("%s: after being remembered leak() = %v, %t, %v; want %v, %t", tt.name, again, ok2, err, perSecond, ok)
		}
	}
}

func step(h, at float64) float64 {
	if h < at {
		return 100
	}
	return 200
}

// Another process begins anew, and so does one whose age goes back.
func TestHistoryBeginsAnew(t *testing.T) {
	h := grow(time.Minute, 100, func(h float64) float64 { return 100 + 10*h })
	if next := h.add("other", procs.Process{Age: time.Hour, RSS: 1 << 20}, maxSamples); len(next.Samples) != 1 {
		t.Errorf("another process: %d samples; want 1", len(next.Samples))
	}
	if next := h.add("p", procs.Process{Age: time.Hour, RSS: 1 << 20}, maxSamples); len(next.Samples) != 1 {
		t.Errorf("a younger process of the same identity: %d samples; want 1", len(next.Samples))
	}
	if next := (history{}).add("p", procs.Process{Age: time.Minute, RSS: 1 << 20}, maxSamples); len(next.Samples) != 0 {
		t.Errorf("while it starts: %d samples; want none", len(next.Samples))
	}
	// A pause of two days, as a machine asleep: what is older than a day goes.
	if next := h.add("p", procs.Process{Age: 50 * time.Hour, RSS: 1 << 20}, maxSamples); len(next.Samples) != 1 {
		t.Errorf("after two days: %d samples; want 1", len(next.Samples))
	}
}

// A process that runs for years loses no precision.
func TestFitOfOldProcess(t *testing.T) {
	var samples []sample
	for i := range 60 {
		samples = append(samples, sample{Age: 1e9 + float64(i)*60, Bytes: 1e12 + float64(i)*6000})
	}
	if got := fit(samples); math.Abs(got.slope-100) > 0.01 || got.spread > 10 {
		t.Errorf("fit() = %+v; want slope 100, spread near 0", got)
	}
	if got := fit(make([]sample, 5)); got.slope != 0 || got.spread != 0 {
		t.Errorf("fit of one moment = %+v; want nothing", got)
	}
}

func FuzzHistory(f *testing.F) {
	f.Add([]byte(`{"p":"x","s":[[3600,100],[7200,200],[7260,1],[9000,2],[9060,2],[9999,3]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h history
		if json.Unmarshal(data, &h) != nil {
			return
		}
		if v, ok := h.leak(); ok && !(v > 0) {
			t.Errorf("leak() = %v, true; want above zero", v)
		}
		h.add(h.Process, procs.Process{Age: time.Hour, RSS: 1}, maxSamples)
	})
}
