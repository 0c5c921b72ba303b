package schedule

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

var depth = &check.Metric{Family: "fake", Key: "depth", Help: "How deep.", Labels: []string{"queue"}, Critical: "10"}

var definition = &check.Definition{
	Name: "fake", Title: "FAKE", Interval: time.Minute, Timeout: 10 * time.Second, Metrics: []*check.Metric{depth},
	New: func(*pflag.FlagSet) check.Check { return &fake{} },
}

// fake is a check whose look is the test's.
type fake struct {
	run func(context.Context, *check.Report) error

	mu      sync.Mutex
	starts  []time.Time
	running int
	closed  int
}

func (f *fake) Prepare() (check.Setup, error) { return check.Setup{Target: "prepared"}, nil }

func (f *fake) Run(ctx context.Context, r *check.Report) error {
	f.mu.Lock()
	f.starts = append(f.starts, time.Now())
	f.running++
	twice := f.running > 1
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.running--
		f.mu.Unlock()
	}()
	if twice {
		panic("two looks of one check at the same time")
	}
	if f.run != nil {
		return f.run(ctx, r)
	}
	r.Observe(depth, 1, "a")
	return nil
}

func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

func (f *fake) looks() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.starts)
}

// job makes a job of the fake with an interval of a minute and a timeout of
// 10 s.
func (f *fake) job(target string) Job {
	look := &check.Look{Definition: definition, Check: f, Target: target}
	return Job{
		Definition: definition, Target: target, Interval: time.Minute, Timeout: 10 * time.Second,
		Look: func(ctx context.Context, m check.Memory) *check.Result {
			look.Memory = m
			return look.Run(ctx)
		},
		Close: f.Close, Identity: target, MemoryKey: target,
	}
}

func plan(jobs ...Job) Plan { return Plan{Jobs: jobs, Places: 8, Spread: 10 * time.Second} }

func mustSet(t *testing.T, s *Scheduler, p Plan) {
	t.Helper()
	if err := s.Set(p); err != nil {
		t.Fatalf("Set(%d jobs) = %v; want nil", len(p.Jobs), err)
	}
}

// mustStop ends the scheduler; a bubble of synctest must not be left with
// goroutines.
func mustStop(t *testing.T, s *Scheduler) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("Stop() = %v; want nil", err)
	}
}

func snapshotOf(t *testing.T, s *Scheduler, target string) Snapshot {
	t.Helper()
	for _, snap := range s.Snapshots(time.Now()) {
		if snap.Target == target {
			return snap
		}
	}
	t.Fatalf("Snapshots() has no target %q", target)
	return Snapshot{}
}

// describe is a snapshot's verdict in one word, for messages.
func describe(s Snapshot) string {
	if s.Result == nil {
		return "pending"
	}
	text := fmt.Sprintf("%s, %d values", s.Result.State, len(s.Result.Values))
	if s.Stale {
		text += ", stale"
	}
	return text
}
