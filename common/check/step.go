package check

import (
	"context"
	"time"
)

// stepMargin is what a step leaves of the look, so that a hung peer is the
// fault of its step and never the look's own deadline.
const stepMargin = 250 * time.Millisecond

// stepMarginOf is the margin of a look: of one that is shorter than a second
// a quarter, because a step without any time would blame a peer that nobody
// has asked.
func stepMarginOf(timeout time.Duration) time.Duration { return min(stepMargin, timeout/4) }

type deadlineKey struct{}

// lookEnd is when a look ends and what its steps leave of it.
type lookEnd struct {
	at     time.Time
	margin time.Duration
}

// withLookDeadline notes the end of the look, which steps stay clear of
// however they are nested.
func withLookDeadline(ctx context.Context, end time.Time, margin time.Duration) context.Context {
	return context.WithValue(ctx, deadlineKey{}, lookEnd{end, margin})
}

func lookDeadline(ctx context.Context) (lookEnd, bool) {
	if end, ok := ctx.Value(deadlineKey{}).(lookEnd); ok {
		return end, true
	}
	end, ok := ctx.Deadline()
	return lookEnd{end, stepMargin}, ok
}

// Step bounds one step of a look (resolve, connect, log in, query) by its own
// limit and by what is left of the look minus 250 ms, or a quarter of a look
// that is shorter than a second.
func Step(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	end := time.Now().Add(limit)
	if look, ok := lookDeadline(ctx); ok {
		if last := look.at.Add(-look.margin); last.Before(end) {
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
	look, ok := lookDeadline(ctx)
	if !ok {
		work, cancel = context.WithCancel(ctx)
		return work, func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.WithoutCancel(ctx), d)
		}, cancel
	}
	if quarter := time.Until(look.at) / 4; quarter < d {
		d = quarter
	}
	early := look.at.Add(-d)
	work, cancel = context.WithDeadline(withLookDeadline(ctx, early, look.margin), early)
	return work, func() (context.Context, context.CancelFunc) {
		return context.WithDeadline(context.WithoutCancel(ctx), look.at.Add(-look.margin/5))
	}, cancel
}
