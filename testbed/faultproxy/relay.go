package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Limit says how much of the upstream passes before the fault.
type Limit struct {
	n         int
	exchanges bool
}

// Bytes passes n bytes from the upstream to the client.
func Bytes(n int) Limit { return Limit{n: n} }

// Exchanges passes what the upstream says, its greeting included, until the
// client speaks for the n+1st time. It fits protocols in which the sides take
// turns; reads are not counted because TCP may split and join them.
func Exchanges(n int) Limit { return Limit{n: n, exchanges: true} }

func (l Limit) String() string {
	if l.exchanges {
		return fmt.Sprintf("%d exchanges", l.n)
	}
	return fmt.Sprintf("%d bytes", l.n)
}

// relay moves bytes between one client and the upstream.
type relay struct {
	s  *session
	up net.Conn

	limit *Limit        // nil: no limit
	every time.Duration // pause before each byte to the client; 0: none

	mu      sync.Mutex
	left    int  // bytes or turns that may still pass
	turn    bool // the client spoke last
	tripped bool
}

// run returns whether the limit was reached; gone closes when the client has
// left. Without an upstream the client is reset, as its peer would be gone.
func (r *relay) run() (tripped bool, gone <-chan struct{}) {
	done := make(chan struct{})
	if r.up = r.s.dial(); r.up == nil {
		r.s.afterRequest(func() { r.s.end(RST) })
		close(done)
		return false, done
	}
	if r.limit != nil {
		r.left = r.limit.n
	}
	if r.limit != nil && !r.limit.exchanges && r.left <= 0 {
		r.trip()
	}
	go func() {
		defer close(done)
		r.fromClient()
	}()
	r.toClient()
	return r.isTripped(), done
}

func (r *relay) isTripped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tripped
}

func (r *relay) trip() {
	r.mu.Lock()
	r.tripped = true
	r.mu.Unlock()
	r.up.Close()
}

func (r *relay) fromClient() {
	buf := make([]byte, chunk)
	for {
		n, err := r.s.conn.Read(buf)
		if n > 0 && r.mayPass() {
			if r.s.p.gate.wait(r.s.ctx) != nil {
				return
			}
			if _, werr := r.up.Write(buf[:n]); werr != nil && !r.isTripped() {
				// The upstream is gone; toClient passes on how. What the client
				// still says is taken until it leaves.
				continue
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			closeWrite(r.up)
			return
		case err != nil:
			r.up.Close()
			return
		}
	}
}

// mayPass counts the client's turns and trips on the first one too many.
func (r *relay) mayPass() bool {
	r.mu.Lock()
	if r.tripped {
		r.mu.Unlock()
		return false
	}
	if r.limit == nil || !r.limit.exchanges || r.turn {
		r.mu.Unlock()
		return true
	}
	r.turn = true
	r.left--
	ok := r.left >= 0
	r.mu.Unlock()
	if !ok {
		r.trip()
	}
	return ok
}

func (r *relay) toClient() {
	buf := make([]byte, chunk)
	for {
		n, err := r.up.Read(buf)
		b, last := r.allowed(buf[:n])
		if len(b) > 0 {
			if r.s.p.gate.wait(r.s.ctx) != nil {
				return
			}
			if !r.write(b) {
				r.up.Close()
				return
			}
		}
		if last {
			r.trip()
			return
		}
		if err != nil {
			if r.isTripped() {
				return
			}
			if isReset(err) {
				r.s.end(RST)
			} else {
				r.s.end(FIN)
			}
			return
		}
	}
}

// allowed is what of b may pass, and whether the limit is then reached.
func (r *relay) allowed(b []byte) (pass []byte, last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tripped {
		return nil, false
	}
	if len(b) > 0 {
		r.turn = false
	}
	if r.limit == nil || r.limit.exchanges {
		return b, false
	}
	if len(b) >= r.left {
		return b[:r.left], true
	}
	r.left -= len(b)
	return b, false
}

func (r *relay) write(b []byte) bool {
	if r.every == 0 {
		return r.s.send(b)
	}
	for i := range b {
		if !sleep(r.s.ctx, r.every) || !r.s.send(b[i:i+1]) {
			return false
		}
	}
	return true
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
