package schedule

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// room is where looks are taken, so many at the same time.
type room struct {
	bound   *places
	hanging atomic.Int64              // looks that ignore their deadline
	moved   atomic.Pointer[time.Time] // when a place was taken or given back last; nil: never
}

func (r *room) move() {
	now := time.Now()
	r.moved.Store(&now)
}

// take waits for a place and takes a look there; ok is false when ctx ended
// before there was one. A look that was abandoned gives its place back like
// any other, and counts as hanging until the caller, who waits for it, says
// that it has returned.
func (r *room) take(ctx context.Context, look func() *check.Result) (result *check.Result, ok bool) {
	if !r.bound.take(ctx) {
		return nil, false
	}
	r.move()
	result = look()
	r.bound.give()
	r.move()
	if result.Abandoned != nil {
		r.hanging.Add(1)
	}
	return result, true
}

// look calls the job's Look. The library recovers the panics of checks; this
// keeps a defect of the face or the library itself to its own job.
func (j *Job) look(ctx context.Context, memory check.Memory) (result *check.Result) {
	started := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			result = j.unknown(started, check.Internal, fmt.Sprintf("panic: %v (a defect of the exporter, please report it)", cause))
			result.Duration = time.Since(started)
			result.Trace = []string{string(debug.Stack())}
		}
	}()
	return j.Look(ctx, memory)
}

// unknown is a result that no look has returned; started is that of the
// newest look, zero for none.
func (j *Job) unknown(started time.Time, reason check.Reason, text string) *check.Result {
	return &check.Result{
		Definition: j.Definition, Target: j.Target, State: check.Unknown, Started: started, Reason: reason,
		Rows: []check.Row{{State: check.Unknown, Text: check.CleanMax(text, 2*check.MaxText), Kind: check.RowFault, Reason: reason}},
	}
}

func (j *Job) close() {
	if j.Close != nil {
		_ = j.Close() // nobody can act on it, and the check is gone
	}
}
