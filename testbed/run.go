package testbed

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// Run makes a bed for a program that is no test, calls body with it, and ends the bed when body returns. The bed lives in
// dir, which must be empty or not exist and is removed at the end; an empty dir means a new temporary one. A failure in
// the bed ends body (its deferred calls run) and is returned. What the bed has to say goes to log.
func Run(dir string, log io.Writer, body func(*Bed)) error {
	p := &program{log: log}
	bed, err := open(p, dir)
	if err != nil {
		return err
	}
	finished := make(chan struct{})
	// An own goroutine, because Fatalf ends it as in a test.
	go func() {
		defer close(finished)
		defer p.cleanUp()
		body(bed)
	}()
	<-finished
	return errors.Join(p.failure(), bed.close())
}

// program is the TB of Run.
type program struct {
	log io.Writer

	mu       sync.Mutex
	err      error
	cleanups []func()
}

func (p *program) Helper() {}

func (p *program) Logf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.log, format+"\n", args...)
}

func (p *program) Errorf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = errors.Join(p.err, fmt.Errorf(format, args...))
}

func (p *program) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	runtime.Goexit()
}

func (p *program) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *program) Failed() bool { return p.failure() != nil }

func (p *program) Cleanup(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanups = append(p.cleanups, f)
}

// cleanUp runs the clean-ups, last first, also when one of them fails.
func (p *program) cleanUp() {
	p.mu.Lock()
	if len(p.cleanups) == 0 {
		p.mu.Unlock()
		return
	}
	last := p.cleanups[len(p.cleanups)-1]
	p.cleanups = p.cleanups[:len(p.cleanups)-1]
	p.mu.Unlock()
	defer p.cleanUp()
	last()
}
