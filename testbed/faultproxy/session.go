package faultproxy

import (
	"context"
	"net"
	"sync"
	"time"
)

const (
	chunk = 32 << 10
	// grace is how long a canned answer waits for a client that says nothing
	// first: some protocols begin with the server.
	grace = 100 * time.Millisecond
	// patience limits dialing the upstream and shaking hands with a client.
	patience = 5 * time.Second
)

// session is one accepted connection.
type session struct {
	p      *Proxy
	raw    *net.TCPConn
	conn   net.Conn // raw, or TLS on top of it
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}

	mu sync.Mutex
	up net.Conn
}

// End is how a connection ends.
type End int

const (
	FIN End = iota // orderly, what was sent before arrives
	RST            // connection reset by peer
)

func (e End) String() string {
	if e == RST {
		return "RST"
	}
	return "FIN"
}

// dial connects the session to the upstream; nil when there is none to be had.
func (s *session) dial() net.Conn {
	if s.p.upstream == "" {
		return nil
	}
	d := net.Dialer{Timeout: patience, KeepAlive: -1}
	up, err := d.DialContext(s.ctx, network(s.p.upstream), s.p.upstream)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil { // cut while dialing
		up.Close()
		return nil
	}
	s.up = up
	return up
}

// cut ends both sides at once.
func (s *session) cut(how End) {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if how == RST {
		s.raw.SetLinger(0)
		if up, ok := s.up.(*net.TCPConn); ok {
			up.SetLinger(0)
		}
	}
	s.raw.Close()
	if s.up != nil {
		s.up.Close()
	}
}

// close ends what the mode has left open.
func (s *session) close() {
	s.cancel()
	s.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up != nil {
		s.up.Close()
	}
}

// end ends the client's side. After FIN the client may still speak: nobody
// listens, but its bytes are taken, or the kernel would answer with RST.
func (s *session) end(how End) {
	if how == RST {
		s.raw.SetLinger(0)
		s.raw.Close()
		return
	}
	closeWrite(s.conn)
}

// send writes to the client; false when the client is gone.
func (s *session) send(b []byte) bool {
	n, err := s.conn.Write(b)
	s.p.sent.Add(int64(n))
	return err == nil
}

// drain takes and forgets what the client says. spoke is closed at the first
// byte, gone at the end; gone implies spoke.
func (s *session) drain() (spoke, gone <-chan struct{}) {
	first, last := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(last)
		buf := make([]byte, 4<<10)
		_, err := s.conn.Read(buf)
		close(first)
		for err == nil {
			_, err = s.conn.Read(buf)
		}
	}()
	return first, last
}

// afterRequest runs an answer when the client has spoken, or after a short
// while, and then waits until the client is gone.
func (s *session) afterRequest(answer func()) {
	spoke, gone := s.drain()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-spoke:
	case <-timer.C:
	}
	answer()
	<-gone
}

// flood sends the preamble and then the filler again and again, until the
// client leaves.
func (s *session) flood(preamble, filler []byte) {
	if len(filler) == 0 {
		filler = []byte{'x'}
	}
	buf := make([]byte, 0, chunk+len(filler))
	for len(buf) < chunk {
		buf = append(buf, filler...)
	}
	for ok := s.send(preamble); ok; ok = s.send(buf) {
	}
}

func closeWrite(conn net.Conn) {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
		return
	}
	conn.Close()
}

// gate lets bytes pass while it is open.
type gate struct {
	mu     sync.Mutex
	opened chan struct{} // nil while open; closed by open
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}

// wait returns when the gate is open, or the error of the context.
func (g *gate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		opened := g.opened
		g.mu.Unlock()
		if opened == nil {
			return ctx.Err()
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
