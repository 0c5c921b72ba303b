package rabbitmqqueues

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

// day is how a queue fares: what comes, and how fast its worker is, second by
// second.
type day struct {
	name    string
	inflow  func(r *rand.Rand, second int) int
	service func(second int) float64 // messages per second; 0: the worker is down or stuck
	// calm says that no look may be other than OK; found that every look from
	// this second on must not be OK.
	calm  bool
	found int
}

// TestDays looks every minute at queues for two hours, with statistics that
// are up to 8 s old as the broker's are.
func TestDays(t *testing.T) {
	steady := func(rate float64) func(int) float64 { return func(int) float64 { return rate } }
	poisson := func(mean float64) func(*rand.Rand, int) int {
		return func(r *rand.Rand, _ int) int {
			n := 0
			for left := mean; ; n++ {
				if left -= r.ExpFloat64(); left < 0 {
					return n
				}
			}
		}
	}
	burst := func(every, size int, between float64) func(*rand.Rand, int) int {
		rest := poisson(between)
		return func(r *rand.Rand, second int) int {
			if second%every == every-7 {
				return size
			}
			return rest(r, second)
		}
	}
	restarts := func(rate float64, every, down int) func(int) float64 {
		return func(second int) float64 {
			if second%every < down {
				return 0
			}
			return rate
		}
	}
	breaks := func(rate, then float64) func(int) float64 {
		return func(second int) float64 {
			if second >= 3600 {
				return then
			}
			return rate
		}
	}
	for _, d := range []day{
		{name: "idle", inflow: poisson(0.001), service: steady(10), calm: true},
		{name: "quiet, slow messages", inflow: poisson(0.01), service: steady(0.2), calm: true},
		{name: "busy", inflow: poisson(40), service: steady(50), calm: true},
		{name: "very busy", inflow: poisson(2000), service: steady(2200), calm: true},
		{name: "bursts of 90 that a worker clears in 18 s", inflow: burst(300, 90, 0.02), service: steady(5), calm: true},
		{name: "bursts of 90 every minute, at the look", inflow: burst(60, 90, 0.1), service: steady(5), calm: true},
		{name: "restarts of 30 s", inflow: poisson(1), service: restarts(10, 900, 30), calm: true},
		{name: "restarts of 45 s while busy", inflow: poisson(2), service: restarts(30, 1200, 45), calm: true},
		{name: "restarts of 40 s at any time of the minute", inflow: poisson(2), service: restarts(15, 487, 40), calm: true},
		{name: "restarts of 55 s, and slow to come back", inflow: poisson(1.2), service: func(second int) float64 {
			return min(max(float64(second%613-55)/2, 0), 15)
		}, calm: true},
		{name: "a crowd every ten minutes", inflow: burst(607, 95, 0.5), service: steady(4), calm: true},
		{name: "a worker that gets too slow", inflow: poisson(2), service: breaks(10, 1), found: 3600 + 480},
		{name: "a worker that gets much too slow for a little", inflow: poisson(0.1), service: breaks(10, 0.01), found: 3600 + 1200},
		{name: "a worker that gets stuck", inflow: poisson(0.2), service: breaks(10, 0), found: 3600 + 300},
		{name: "a worker that gets stuck, hardly anything comes", inflow: poisson(0.02), service: breaks(10, 0), found: 3600 + 600},
	} {
		t.Run(d.name, func(t *testing.T) {
			for seed := range uint64(2) {
				d.live(t, rand.New(rand.NewPCG(seed, 7)))
			}
		})
	}
}

func (d *day) live(t *testing.T, r *rand.Rand) {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	c := newCheck(fs).(*queuesCheck)
	begin := time.Unix(1795220000, 0)
	memory := &shelf{}
	depth, left, work := 0, 0, 0.0
	var counted []int // what had left, second by second
	for second := range 2 * 3600 {
		depth += d.inflow(r, second)
		work = min(work+d.service(second), float64(depth)) // no work is saved up
		done := int(work)
		work -= float64(done)
		depth, left = depth-done, left+done
		counted = append(counted, left)
		if second%60 != 59 {
			continue
		}
		lag := min(r.IntN(9), second)
		seen := seen{ready: float64(depth), left: float64(counted[second-lag])}
		now := begin.Add(time.Duration(second) * time.Second)
		v := seen.view(management, "user_activity", now)
		v.selection = c.selection
		look := check.Look{Definition: Definition, Check: lookAt{&v}, Memory: memory, Now: func() time.Time { return now }}
		result := look.Run(context.Background())
		what := fmt.Sprintf("second %d, %d messages at %g a second: %s: %s", second, depth, d.service(second), result.State, line(result))
		if d.calm && result.State != check.OK {
			t.Errorf("%s; want OK", what)
		}
		if d.found > 0 && second >= d.found && result.State == check.OK {
			t.Errorf("%s; want that it is found", what)
		}
		if d.found > 0 && second < 3600 && result.State != check.OK {
			t.Errorf("%s; want OK before it begins", what)
		}
	}
}
