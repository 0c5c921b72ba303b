package faultproxy

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs f for each connection until the test ends.
func serve(t *testing.T, l net.Listener, f func(net.Conn)) string {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				f(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatalf("Listen(%s) = %v; want a listener", address, err)
	}
	return l
}

func echoServer(t *testing.T) string {
	return serve(t, listen(t, "tcp4", "127.0.0.1:0"), func(c net.Conn) { io.Copy(c, c) })
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", p.Addr(), 5*time.Second)
	if err != nil {
		t.Fatalf("Dial(%s) in mode %v = %v; want a connection", p.Addr(), p.mode, err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn.(*net.TCPConn)
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatalf("Write(%q) = %v; want nil", text, err)
	}
}

func hear(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(conn, got)
	if string(got[:n]) != want || err != nil {
		t.Fatalf("Read() = %q, %v; want %q", got[:n], err, want)
	}
}

// hearNothing proves that nothing arrives for a while and the connection stays.
func hearNothing(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
	n, err := conn.Read(make([]byte, 1))
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Read() = %d bytes, %v; want a timeout", n, err)
	}
}

func TestPass(t *testing.T) {
	p := Start(t, echoServer(t), Pass())
	conn := dial(t, p)
	say(t, conn, "hello")
	hear(t, conn, "hello")
	conn.CloseWrite()
	if rest, err := io.ReadAll(conn); len(rest) != 0 || err != nil {
		t.Errorf("ReadAll() after half-close = %q, %v; want the end", rest, err)
	}
	if got := p.Connections(); got != 1 {
		t.Errorf("Connections() = %d; want 1", got)
	}
	if want := net.JoinHostPort(p.Host(), strconv.Itoa(p.Port())); p.Addr() != want {
		t.Errorf("Addr() = %s; want %s", p.Addr(), want)
	}
	if got := p.SentBytes(); got != 5 {
		t.Errorf("SentBytes() = %d; want 5", got)
	}
}

func TestPassToUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	serve(t, listen(t, "unix", path), func(c net.Conn) { io.Copy(c, c) })
	conn := dial(t, Start(t, path, Pass()))
	say(t, conn, "hello")
	hear(t, conn, "hello")
}

func TestUpstreamGone(t *testing.T) {
	gone := Start(t, "", Refused())
	conn := dial(t, Start(t, gone.Addr(), Pass()))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read() = %v; want a reset", err)
	}
}

func TestUpstreamReset(t *testing.T) {
	upstream := Start(t, "", CloseAtOnce(RST))
	conn := dial(t, Start(t, upstream.Addr(), Pass()))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read() = %v; want a reset", err)
	}
}

func TestRefused(t *testing.T) {
	p := Start(t, echoServer(t), Refused())
	for range 3 {
		if conn, err := net.Dial("tcp4", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("Dial() = %v, %v; want connection refused", conn, err)
		}
	}
	if l, err := net.Listen("tcp4", p.Addr()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("Listen() on a refused port = %v, %v; want address in use", l, err)
	}
}

func TestSYNLost(t *testing.T) {
	p := Start(t, echoServer(t), SYNLost())
	for range 3 {
		conn, err := net.DialTimeout("tcp4", p.Addr(), 200*time.Millisecond)
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatalf("Dial() = %v, %v; want a timeout", conn, err)
		}
	}
	if got := p.Connections(); got != 0 {
		t.Errorf("Connections() = %d; want 0", got)
	}
}

func TestAddressStaysOverModes(t *testing.T) {
	p := Start(t, echoServer(t), Pass())
	addr := p.Addr()
	for _, m := range []Mode{Refused(), Pass(), SYNLost(), Pass(), SYNLost(), Refused(), SYNLost(), Silent(), Pass()} {
		if err := p.Set(m); err != nil {
			t.Fatalf("Set(%v) = %v; want nil", m, err)
		}
		patience := 200 * time.Millisecond
		if m.door == doorOpen {
			patience = 5 * time.Second
		}
		conn, err := net.DialTimeout("tcp4", addr, patience)
		if got, want := err == nil, m.door == doorOpen; got != want {
			t.Errorf("Dial() in mode %v = %v; want connected %v", m, err, want)
		}
		if err == nil {
			conn.Close()
		}
	}
	conn := dial(t, p)
	say(t, conn, "x")
	hear(t, conn, "x")
}

func TestSilent(t *testing.T) {
	conn := dial(t, Start(t, "", Silent()))
	say(t, conn, strings.Repeat("x", 1<<20))
	hearNothing(t, conn)
}

func TestSilentAfter(t *testing.T) {
	upstream := echoServer(t)
	for _, test := range []struct {
		limit Limit
		hears []string // to each thing the client says
	}{
		{Bytes(0), []string{""}},
		{Bytes(3), []string{"hel", ""}},
		{Bytes(7), []string{"hello", "he", ""}},
		{Exchanges(0), []string{""}},
		{Exchanges(2), []string{"hello", "hello", "", ""}},
	} {
		conn := dial(t, Start(t, upstream, SilentAfter(test.limit)))
		for _, want := range test.hears {
			say(t, conn, "hello")
			hear(t, conn, want)
			if len(want) < 5 {
				hearNothing(t, conn)
			}
		}
	}
}

func TestExchangesPassesGreeting(t *testing.T) {
	upstream := serve(t, listen(t, "tcp4", "127.0.0.1:0"), func(c net.Conn) {
		io.WriteString(c, "220 ready")
		io.Copy(c, c)
	})
	conn := dial(t, Start(t, upstream, SilentAfter(Exchanges(1))))
	hear(t, conn, "220 ready")
	say(t, conn, "one")
	hear(t, conn, "one")
	say(t, conn, "two")
	hearNothing(t, conn)
}

func TestClose(t *testing.T) {
	upstream := echoServer(t)
	for _, test := range []struct {
		mode  Mode
		hear  string
		again bool  // the fault waits for a second word
		want  error // at the end
	}{
		{CloseAtOnce(FIN), "", false, io.EOF},
		{CloseAtOnce(RST), "", false, syscall.ECONNRESET},
		{CloseAfter(Bytes(3), FIN), "hel", false, io.EOF},
		{CloseAfter(Bytes(3), RST), "hel", false, syscall.ECONNRESET},
		{CloseAfter(Exchanges(1), FIN), "hello", true, io.EOF},
		{CloseAfter(Exchanges(1), RST), "hello", true, syscall.ECONNRESET},
	} {
		conn := dial(t, Start(t, upstream, test.mode))
		say(t, conn, "hello")
		got := make([]byte, len(test.hear))
		if n, err := io.ReadFull(conn, got); err != nil || string(got) != test.hear {
			t.Errorf("%v: Read() = %q, %v; want %q", test.mode, got[:n], err, test.hear)
		}
		if test.again {
			say(t, conn, "again")
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, test.want) {
			t.Errorf("%v: Read() at the end = %d bytes, %v; want %v", test.mode, n, err, test.want)
		}
	}
}

func TestOneByteEvery(t *testing.T) {
	const pause = 5 * time.Millisecond
	conn := dial(t, Start(t, echoServer(t), OneByteEvery(pause)))
	began := time.Now()
	say(t, conn, "hello world")
	hear(t, conn, "hello world")
	if got, want := time.Since(began), 11*pause; got < want {
		t.Errorf("11 bytes took %v; want at least %v", got, want)
	}
}

func TestFreezeAndCut(t *testing.T) {
	p := Start(t, echoServer(t), Pass())
	conn := dial(t, p)
	say(t, conn, "a")
	hear(t, conn, "a")
	p.Freeze()
	p.Freeze()
	say(t, conn, "b")
	hearNothing(t, conn)
	fresh := dial(t, p)
	say(t, fresh, "c")
	hearNothing(t, fresh)
	p.Thaw()
	p.Thaw()
	hear(t, conn, "b")
	hear(t, fresh, "c")

	p.Freeze() // a cut reaches frozen connections too
	say(t, conn, "d")
	p.Cut(RST)
	if got := p.Live(); got != 0 {
		t.Errorf("Live() after Cut = %d; want 0", got)
	}
	for _, c := range []net.Conn{conn, fresh} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read() after Cut(RST) = %v; want a reset", err)
		}
	}
	p.Thaw()
	conn = dial(t, p)
	say(t, conn, "e")
	hear(t, conn, "e")
	p.Cut(FIN)
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read() after Cut(FIN) = %v; want the end", err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	upstream := echoServer(t)
	for _, m := range []Mode{
		Pass(), Silent(), SilentAfter(Bytes(1)), CloseAtOnce(FIN), CloseAfter(Bytes(1), FIN), OneByteEvery(time.Hour), Garbage(1),
		HTTPFlood(), FloodAfter(Bytes(1), nil), HTMLPage(502), SYNLost(), Refused(),
		Answer(func(c net.Conn) { io.Copy(io.Discard, c) }),
	} {
		p, err := New(upstream)
		if err != nil {
			t.Fatalf("New() = %v; want a proxy", err)
		}
		if err := p.Set(m); err != nil {
			t.Fatalf("Set(%v) = %v; want nil", m, err)
		}
		if m.door == doorOpen {
			say(t, dial(t, p), "hello")
		}
		for range 2 {
			if err := p.Close(); err != nil {
				t.Errorf("Close() in mode %v = %v; want nil", m, err)
			}
		}
		if got := p.Live(); got != 0 {
			t.Errorf("Live() after Close in mode %v = %d; want 0", m, got)
		}
		if err := p.Set(Pass()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Set() after Close = %v; want closed", err)
		}
		// The port is free again.
		l, err := net.Listen("tcp4", p.Addr())
		if err != nil {
			t.Errorf("Listen() after Close in mode %v = %v; want a listener", m, err)
			continue
		}
		l.Close()
	}
}
