package exporter

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// trap is a server that asks everybody for a password, in the protocol that
// it is spoken to, and keeps what it gets.
type trap struct {
	net.Listener
	tls    *tls.Config                        // offered to whoever begins with TLS
	answer func(*http.Request) (reply string) // to HTTP requests

	mu    sync.Mutex
	got   bytes.Buffer
	conns int
}

// listenTwice listens on one port of two addresses of this machine, for
// checks that know only one port.
func listenTwice(t *testing.T) (a, b net.Listener) {
	t.Helper()
	var err error
	for range 20 {
		if a, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(a.Addr().String())
		if b, err = net.Listen("tcp", "127.0.0.2:"+port); err == nil {
			return a, b
		}
		a.Close()
	}
	t.Fatal(err)
	return nil, nil
}

func newTrap(t *testing.T, listener net.Listener, offer *tls.Config, answer func(*http.Request) string) *trap {
	t.Helper()
	trap := &trap{Listener: listener, tls: offer, answer: answer}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			trap.note(nil, 1)
			wg.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // then it hangs, and the test says so
				trap.serve(conn)
			})
		}
	})
	t.Cleanup(func() { listener.Close(); wg.Wait() })
	return trap
}

func (p *trap) note(data []byte, conns int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got.Write(data)
	p.conns += conns
}

// taken returns what came since the last call.
func (p *trap) taken() (conns int, got string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns, got = p.conns, p.got.String()
	p.conns = 0
	p.got.Reset()
	return conns, got
}

func (p *trap) Read(conn net.Conn) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		n, err := conn.Read(b)
		p.note(b[:n], 0)
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func (p *trap) serve(conn net.Conn) {
	r := bufio.NewReader(p.Read(conn))
	first, err := r.Peek(8)
	switch {
	case err != nil:
	case first[0] == 0x16 && p.tls != nil:
		p.serveHTTP(tls.Server(&peeked{conn, r}, p.tls))
	case first[0] == 0:
		servePostgres(conn, r)
	default:
		p.serveHTTP(&peeked{conn, r})
	}
}

// peeked is a connection of which something has been read.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (c *peeked) Read(b []byte) (int, error) { return c.r.Read(b) }

// servePostgres refuses TLS and asks for the password in clear text
// (PostgreSQL documentation, 55.2.1).
func servePostgres(conn net.Conn, r *bufio.Reader) {
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		if binary.BigEndian.Uint32(head[4:]) != 80877103 { // SSLRequest
			rest := make([]byte, max(int(binary.BigEndian.Uint32(head[:4]))-8, 0)%10000)
			io.ReadFull(r, rest) //nolint:errcheck // what there is
			break
		}
		conn.Write([]byte("N")) //nolint:errcheck // it is gone
	}
	conn.Write([]byte{'R', 0, 0, 0, 8, 0, 0, 0, 3}) //nolint:errcheck // it is gone
	io.ReadFull(r, make([]byte, 5+len(password)+1)) //nolint:errcheck // what there is
}

func (p *trap) serveHTTP(conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		// Over TLS, what is read from the connection tells nothing.
		var head bytes.Buffer
		request.Write(&head) //nolint:errcheck // of what was read
		p.note(head.Bytes(), 0)
		if _, err := io.WriteString(conn, p.answer(request)); err != nil {
			return
		}
	}
}

func refuseLogin(*http.Request) string {
	return "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"
}
