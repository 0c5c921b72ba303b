package check

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Go runs the looks side by side, waits for all of them and joins their
// errors. A panic in one becomes its error. Checks use it in place of the go
// statement, whose panics nobody can recover.
func Go(ctx context.Context, looks ...func(context.Context) error) error {
	errs := make([]error, len(looks))
	var wg sync.WaitGroup
	for i, look := range looks {
		wg.Go(func() { errs[i] = guard(func() error { return look(ctx) }) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// panicFault is a recovered panic with the stack for -vvv.
type panicFault struct {
	*Fault
	stack string
}

func (p *panicFault) Unwrap() error { return p.Fault }

// guard turns a panic of f into an error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicFault{
				Fault: &Fault{Reason: Internal, Stage: "panic", Err: fmt.Errorf("%v: %w", p, errPanic)},
				stack: string(debug.Stack()),
			}
		}
	}()
	return f()
}
