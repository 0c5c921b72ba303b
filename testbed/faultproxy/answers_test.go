package faultproxy

import (
	"bytes"
	"io"
	"testing"
)

func TestGarbageIsDeterministic(t *testing.T) {
	p := Start(t, "", Garbage(7))
	var got [2][]byte
	for i := range got {
		conn := dial(t, p)
		if i == 0 {
			say(t, conn, "GET / HTTP/1.0\r\n\r\n")
		} // the other one says nothing and gets it too
		var err error
		if got[i], err = io.ReadAll(conn); err != nil || len(got[i]) != 4<<10 {
			t.Fatalf("ReadAll() = %d bytes, %v; want 4096", len(got[i]), err)
		}
	}
	if !bytes.Equal(got[0], got[1]) {
		t.Error("Garbage(7) differs between connections; want the same")
	}
}

func TestFlood(t *testing.T) {
	for _, test := range []struct {
		mode Mode
		want string
	}{
		{Flood([]byte("start "), []byte("ab")), "start ababab"},
		{Flood(nil, nil), "xxxx"},
		{FloodAfter(Bytes(2), []byte("-")), "he------"},
		{HTTPFlood(), "HTTP/1.1 200 OK\r\n"},
		{HTTPHeaderFlood(), "HTTP/1.1 200 OK\r\nX-Flood: flood\r\nX-Flood"},
	} {
		p := Start(t, echoServer(t), test.mode)
		conn := dial(t, p)
		say(t, conn, "hello")
		hear(t, conn, test.want)
		const much = 8 << 20
		if n, err := io.CopyN(io.Discard, conn, much); err != nil {
			t.Errorf("%v: read %d bytes, %v; want %d", test.mode, n, err, much)
		}
		conn.Close()
		if got := p.SentBytes(); got < much {
			t.Errorf("%v: SentBytes() = %d; want at least %d", test.mode, got, much)
		}
	}
}

func TestRespond(t *testing.T) {
	conn := dial(t, Start(t, "", Respond([]byte("-LOADING\r\n"))))
	say(t, conn, "PING\r\n")
	if got, err := io.ReadAll(conn); string(got) != "-LOADING\r\n" || err != nil {
		t.Errorf("ReadAll() = %q, %v; want -LOADING", got, err)
	}
}
