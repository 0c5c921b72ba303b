package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type noErrors struct{}

func (noErrors) Error() string   { return "nothing went well" }
func (noErrors) Unwrap() []error { return nil }

// What a check returns from a context of its own is no end of the look, and
// never lost.
func TestLookKeepsErrorsOfInnerContexts(t *testing.T) {
	ok := OK
	step := func(ctx context.Context) error {
		inner, cancel := Step(ctx, time.Second)
		defer cancel()
		<-inner.Done()
		return inner.Err()
	}
	tests := []struct {
		name string
		run  func(context.Context, *Report) error
		want string
	}{
		{"cancelled by the check itself", func(context.Context, *Report) error { return context.Canceled }, "UNKNOWN; UNKNOWN context canceled"},
		{"no error in the errors", func(context.Context, *Report) error { return noErrors{} }, "UNKNOWN; UNKNOWN nothing went well"},
		{"a step's own end", func(ctx context.Context, _ *Report) error { return step(ctx) }, "CRITICAL; CRITICAL context deadline exceeded"},
		{"a part at the end of the look", func(ctx context.Context, r *Report) error {
			r.Part(ctx, "one", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			return nil
		}, "OK; OK no result within 10 s"},
		{"side by side at the end of the look", func(ctx context.Context, _ *Report) error {
			wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			return Go(ctx, wait, wait, func(context.Context) error { return Faultf(Data, "read", "x", "odd") })
		}, "UNKNOWN; UNKNOWN read x: odd; OK no result within 10 s"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			d, c := testDefinition(nil)
			c.(*funcCheck).ctxRun = func(ctx context.Context, r *Report) error {
				r.Observe(plain, 1)
				return tt.run(ctx, r)
			}
			r := (&Look{Definition: d, Check: c, Timeout: 10 * time.Second, TimeoutState: &ok}).Run(context.Background())
			if got := summary(r); got != tt.want {
				t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
			}
		})
	}
}

// What breaks because the look was interrupted is nobody's fault.
func TestLookInterruptedBlamesNobody(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	d, c := testDefinition(nil)
	c.(*funcCheck).ctxRun = func(context.Context, *Report) error {
		cancel()
		return Faultf(Protocol, "read the answer of", "x", "connection closed early")
	}
	r := (&Look{Definition: d, Check: c}).Run(ctx)
	if got, want := summary(r), "UNKNOWN; UNKNOWN interrupted: context canceled"; got != want {
		t.Errorf("Run() = %s; want %s", got, want)
	}
}

type hungMemory struct{ slot }

func (*hungMemory) Store([]byte, time.Time) error { select {} }

type panickingMemory struct{ slot }

func (*panickingMemory) Store([]byte, time.Time) error { panic("broken") }

// A file system that hangs or a memory that panics costs what is remembered,
// not the verdict.
func TestLookMemoryHangs(t *testing.T) {
	for name, tt := range map[string]struct {
		memory Memory
		want   string
	}{
		"hangs":  {&hungMemory{}, "WARNING; WARNING this look is not kept for the next one: not stored within "},
		"panics": {&panickingMemory{}, "WARNING; WARNING this look is not kept for the next one: panic: broken"},
	} {
		r := look(t, func(l *Look) { l.Memory, l.Timeout = tt.memory, 100*time.Millisecond }, func(r *Report) error {
			r.Observe(plain, 1)
			r.Remember(1)
			return nil
		})
		if got := summary(r); !strings.HasPrefix(got, tt.want) {
			t.Errorf("memory that %s: %s; want %s", name, got, tt.want)
		}
	}
}

// A look shorter than the margin of its steps still leaves them time to ask.
func TestStepOfAShortLook(t *testing.T) {
	d, c := testDefinition(nil)
	c.(*funcCheck).ctxRun = func(ctx context.Context, r *Report) error {
		step, cancel := Step(ctx, 3*time.Second)
		defer cancel()
		r.Observe(plain, 1)
		return step.Err()
	}
	r := (&Look{Definition: d, Check: c, Timeout: 100 * time.Millisecond}).Run(context.Background())
	if got, want := summary(r), "OK"; got != want {
		t.Errorf("Run() of 100 ms = %s; want %s", got, want)
	}
}

// Many details of one row cost their length, not its square.
func TestDetailIsBounded(t *testing.T) {
	look(t, nil, func(r *Report) error {
		for i := range 1000 {
			r.Detail(fmt.Sprintf("detail %d", i))
		}
		if n := len(r.details[""]); n > 2*maxDetail {
			t.Errorf("1000 details take %d bytes; want at most %d", n, 2*maxDetail)
		}
		return errors.New("x")
	})
}
