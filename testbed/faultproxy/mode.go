package faultproxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// Mode is what a client meets. The zero Mode passes.
type Mode struct {
	name  string
	door  doorState
	serve func(*session)
	err   error // why the mode cannot be set
}

func (m Mode) String() string {
	if m.name == "" {
		return "pass"
	}
	return m.name
}

func (m Mode) run(s *session) {
	if m.serve == nil {
		pass(s)
		return
	}
	m.serve(s)
}

func pass(s *session) {
	_, gone := (&relay{s: s}).run()
	<-gone
}

// Pass passes everything both ways.
func Pass() Mode { return Mode{} }

// Refused: nobody listens on the port, and nobody else can take it.
func Refused() Mode { return Mode{name: "refused", door: doorRefused} }

// SYNLost: the first packet of a connection is dropped, as by a firewall.
func SYNLost() Mode { return Mode{name: "SYN lost", door: doorBlocked} }

// Silent accepts, takes what the client says and never answers.
func Silent() Mode {
	return Mode{name: "silent", serve: func(s *session) {
		_, gone := s.drain()
		<-gone
	}}
}

// SilentAfter passes up to the limit and then nothing more in either direction,
// with the connection open.
func SilentAfter(l Limit) Mode {
	return limited("silent after "+l.String(), l, func(*session) {})
}

// CloseAtOnce accepts and answers the client's first bytes, or 100 ms without
// any, with the end of the connection. An earlier RST would sometimes look like
// a failed connect.
func CloseAtOnce(how End) Mode {
	return Mode{name: "closes at once by " + how.String(), serve: func(s *session) {
		s.afterRequest(func() { s.end(how) })
	}}
}

// CloseAfter passes up to the limit and then ends the connection.
func CloseAfter(l Limit, how End) Mode {
	return limited(fmt.Sprintf("closes by %v after %v", how, l), l, func(s *session) { s.end(how) })
}

// FloodAfter passes up to the limit and then repeats filler without end.
func FloodAfter(l Limit, filler []byte) Mode {
	return limited("floods after "+l.String(), l, func(s *session) { s.flood(nil, filler) })
}

func limited(name string, l Limit, then func(*session)) Mode {
	return Mode{name: name, serve: func(s *session) {
		tripped, gone := (&relay{s: s, limit: &l}).run()
		if tripped {
			then(s)
		}
		<-gone
	}}
}

// OneByteEvery lets the upstream's bytes trickle: one, then a pause.
func OneByteEvery(pause time.Duration) Mode {
	return Mode{name: "one byte every " + pause.String(), serve: func(s *session) {
		_, gone := (&relay{s: s, every: pause}).run()
		<-gone
	}}
}

// Garbage answers the client's first bytes with 4 KiB of random bytes, always
// the same for a seed, and FIN.
func Garbage(seed uint64) Mode {
	return Mode{name: fmt.Sprintf("garbage %d", seed), serve: func(s *session) {
		s.afterRequest(func() {
			b := make([]byte, 4<<10)
			rng := rand.New(rand.NewPCG(seed, seed))
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			if s.send(b) {
				s.end(FIN)
			}
		})
	}}
}

// Flood answers the client's first bytes with the preamble and then repeats
// filler without end. The upstream is not asked.
func Flood(preamble, filler []byte) Mode {
	return Mode{name: "flood", serve: func(s *session) {
		s.afterRequest(func() { s.flood(preamble, filler) })
	}}
}

// HTTPFlood is a 200 with a JSON array that never ends.
func HTTPFlood() Mode {
	return Flood([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n[{}"), []byte(`,{"name":"flood"}`))
}

// HTTPHeaderFlood is a 200 whose headers never end.
func HTTPHeaderFlood() Mode {
	return Flood([]byte("HTTP/1.1 200 OK\r\n"), []byte("X-Flood: flood\r\n"))
}

// Respond answers the client's first bytes with b, whatever they are, and FIN.
func Respond(b []byte) Mode {
	return Mode{name: fmt.Sprintf("respond %.20q", b), serve: func(s *session) {
		s.afterRequest(func() {
			if s.send(b) {
				s.end(FIN)
			}
		})
	}}
}

// HTTP gives every request the same answer and keeps the connection.
func HTTP(status int, contentType, body string) Mode {
	return Mode{name: fmt.Sprintf("HTTP %d %s", status, contentType), serve: func(s *session) {
		in := bufio.NewReader(s.conn)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			if !s.send(httpAnswer(r.Method, status, contentType, body)) || r.Close {
				return
			}
		}
	}}
}

func httpAnswer(method string, status int, contentType, body string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nServer: nginx\r\n", status, http.StatusText(status))
	if contentType != "" {
		fmt.Fprintf(&b, "Content-Type: %s\r\n", contentType)
	}
	if status == http.StatusUnauthorized {
		b.WriteString("WWW-Authenticate: Basic realm=\"test\"\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(body))
	if method != http.MethodHead {
		b.WriteString(body)
	}
	return []byte(b.String())
}

// HTMLPage gives every request the page that nginx gives for a status.
func HTMLPage(status int) Mode {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return HTTP(status, "text/html", "<html>\r\n<head><title>"+title+"</title></head>\r\n<body>\r\n<center><h1>"+title+
		"</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n")
}

// Connect is an HTTP proxy that takes every CONNECT and passes the connection to
// the upstream, whichever address was asked for; seen gets the request, and may
// be nil.
func Connect(seen func(*http.Request)) Mode {
	return Mode{name: "CONNECT", serve: func(s *session) {
		// Byte by byte: what follows the request is the client's for the server.
		var head []byte
		for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one[0]) {
			if _, err := io.ReadFull(s.conn, one); err != nil || len(head) > chunk {
				return
			}
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil || r.Method != http.MethodConnect {
			s.send(httpAnswer("GET", http.StatusBadRequest, "text/plain", "CONNECT only\n"))
			return
		}
		if seen != nil {
			seen(r)
		}
		if s.send([]byte("HTTP/1.1 200 Connection established\r\n\r\n")) {
			pass(s)
		}
	}}
}

// Answer gives the connection to f; it is closed when f returns, and closed
// under f when the proxy ends.
func Answer(f func(net.Conn)) Mode {
	return Mode{name: "own answer", serve: func(s *session) { f(s.conn) }}
}

// TLS terminates TLS with the certificate and goes on with the mode inside; the
// upstream is spoken to in plain.
func TLS(cert tls.Certificate, inside Mode) Mode {
	m := Mode{name: "TLS, " + inside.String(), err: inside.err}
	if inside.door != doorOpen {
		m.err = errors.New("there is no TLS without a connection")
	}
	m.serve = func(s *session) {
		conn := tls.Server(s.raw, &tls.Config{Certificates: []tls.Certificate{cert}})
		s.conn = conn
		// A client that says nothing must not keep the session for ever.
		s.raw.SetDeadline(time.Now().Add(patience))
		if conn.HandshakeContext(s.ctx) != nil {
			return
		}
		s.raw.SetDeadline(time.Time{})
		inside.run(s)
	}
	return m
}

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
