// Package faultproxy stands between a check and its real server and shows
// every fault that a network peer can: refused and lost connections, silence,
// trickle, garbage, early ends, floods, bad certificates and canned answers.
// Its address stays the same while the fault changes.
package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy listens on 127.0.0.1 on a port of the kernel's choice.
type Proxy struct {
	upstream string
	door     *door
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	gate     gate

	accepted atomic.Int64
	sent     atomic.Int64

	mu       sync.Mutex
	mode     Mode
	listener net.Listener // nil while the mode is one of the door's
	live     map[*session]bool
	closed   bool
}

// New makes a proxy that passes connections to upstream: "host:port", the path
// of a Unix socket, or "" when only modes are used that need no server.
func New(upstream string) (*Proxy, error) {
	d, err := newDoor()
	if err != nil {
		return nil, fmt.Errorf("reserve a port for the fault proxy: %w", err)
	}
	p := &Proxy{upstream: upstream, door: d, live: make(map[*session]bool)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if err := p.Set(Pass()); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Start makes a proxy in the given mode that ends with the test.
func Start(t testing.TB, upstream string, m Mode) *Proxy {
	t.Helper()
	p, err := New(upstream)
	if err != nil {
		t.Fatalf("faultproxy.New(%q) = %v; want a proxy", upstream, err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close fault proxy: %v", err)
		}
	})
	if err := p.Set(m); err != nil {
		t.Fatalf("faultproxy.Set(%v) = %v; want nil", m, err)
	}
	return p
}

// Addr is where clients connect, as host:port.
func (p *Proxy) Addr() string { return p.door.addr }

// Host is the address without the port.
func (p *Proxy) Host() string { return "127.0.0.1" }

// Port is the port alone; nobody else can take it before Close, whatever the
// mode is.
func (p *Proxy) Port() int { return p.door.port }

// Connections counts the connections accepted since New. Refused and lost ones
// are not seen.
func (p *Proxy) Connections() int { return int(p.accepted.Load()) }

// SentBytes counts what was written to clients, inside of TLS.
func (p *Proxy) SentBytes() int64 { return p.sent.Load() }

// Live counts the connections that are open now.
func (p *Proxy) Live() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.live)
}

// Set changes what new connections meet. Open ones keep the mode they began
// with; Freeze and Cut change those.
func (p *Proxy) Set(m Mode) error {
	if m.err != nil {
		return fmt.Errorf("set fault proxy to %v: %w", m, m.err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("set fault proxy to %v: %w", m, net.ErrClosed)
	}
	p.mode = m
	if m.door == doorOpen && p.listener != nil {
		return nil
	}
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	p.door.unblock()
	var err error
	switch m.door {
	case doorOpen:
		if p.listener, err = p.door.open(); err == nil {
			p.wg.Add(1)
			go p.accept(p.listener)
		}
	case doorBlocked:
		err = p.door.block()
	}
	if err != nil {
		return fmt.Errorf("set fault proxy on %s to %v: %w", p.Addr(), m, err)
	}
	return nil
}

// Freeze stops every pass-through connection, open and new, without closing
// it: bytes wait where they are, as with a stopped process or a cut cable.
func (p *Proxy) Freeze() { p.gate.shut() }

// Thaw ends Freeze; what waited goes on its way.
func (p *Proxy) Thaw() { p.gate.open() }

// Cut ends every open connection, on both of its sides, and waits until they
// are gone.
func (p *Proxy) Cut(how End) {
	p.mu.Lock()
	sessions := make([]*session, 0, len(p.live))
	for s := range p.live {
		sessions = append(sessions, s)
	}
	p.mu.Unlock()
	for _, s := range sessions {
		s.cut(how)
	}
	for _, s := range sessions {
		<-s.ended
	}
}

// Close stops listening, gives up the port and ends every connection. When it
// returns, no goroutine of the proxy runs any more.
func (p *Proxy) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.cancel()
	if p.listener != nil {
		p.listener.Close()
	}
	for s := range p.live {
		s.cut(FIN)
	}
	p.mu.Unlock()
	p.wg.Wait()
	p.door.unblock()
	return p.door.close()
}

func (p *Proxy) accept(l net.Listener) {
	defer p.wg.Done()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors, or the client left before it was accepted.
			time.Sleep(time.Millisecond)
			continue
		}
		p.serve(conn.(*net.TCPConn))
	}
}

func (p *Proxy) serve(conn *net.TCPConn) {
	s := &session{p: p, raw: conn, conn: conn, ended: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(p.ctx)
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		s.cancel()
		conn.Close()
		return
	}
	p.accepted.Add(1)
	p.live[s] = true
	mode := p.mode
	p.wg.Add(1)
	p.mu.Unlock()
	go func() {
		defer p.wg.Done()
		defer close(s.ended)
		mode.run(s)
		s.close()
		p.mu.Lock()
		delete(p.live, s)
		p.mu.Unlock()
	}()
}

// network tells a Unix socket's path from host:port.
func network(address string) string {
	if strings.HasPrefix(address, "/") {
		return "unix"
	}
	return "tcp"
}
