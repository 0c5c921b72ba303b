package check

import (
	"context"
	"time"
)

// stepMargin is what a step leaves of the look, so that a hung peer is the
// fault of its step and never the look's own deadline.
const stepMargin = 250 * time.Millisecond

type deadlineKey struct{}

// withLookDeadline notes the end of the look, which steps stay clear of
// however they are nested.
func withLookDeadline(ctx context.Context, end time.Time) context.Context {
	return context.WithValue(ctx, deadlineKey{}, end)
}

func lookDeadline(ctx context.Context) (time.Time, bool) {
	if end, ok := ctx.Value(deadlineKey{}).(time.Time); ok {
		return end, true
	}
	return ctx.Deadline()
}

// Step bounds one step of a look (resolve, connect, log in, query) by its own
// limit and by what is left of the look minus 250 ms.
func Step(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	end := time.Now().Add(limit)
	if look, ok := lookDeadline(ctx); ok {
		if last := look.Add(-stepMargin); last.Before(end) {
			end = last
		}
	}
	return context.WithDeadline(ctx, end)
}

// Reserve keeps time for cleaning up inside the look's deadline: work ends
// earlier by d, or by a quarter of what is left if that is less. The function
// returned starts the clean-up with that time, also after work has ended or
// been cancelled.
func Reserve(ctx context.Context, d time.Duration) (work context.Context, cleanUp func() (context.Context, context.CancelFunc), cancel context.CancelFunc) {
	end, ok := lookDeadline(ctx)
	if !ok {
		work, cancel = context.WithCancel(ctx)
		return work, func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.WithoutCancel(ctx), d)
		}, cancel
	}
	if quarter := time.Until(end) / 4; quarter < d {
		d = quarter
	}
	early := end.Add(-d)
	work, cancel = context.WithDeadline(withLookDeadline(ctx, early), early)
	return work, func() (context.Context, context.CancelFunc) {
		return context.WithDeadline(context.WithoutCancel(ctx), end.Add(-stepMargin/5))
	}, cancel
}
