package sendreceivetime

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
	"github.com/belfry-monitoring/belfry/testbed/faults"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

func TestFaults(t *testing.T) {
	server := startProcess(t)
	senderKey := writeRC(t, "sender.key", sendKey+"\n")
	receiverKey := writeRC(t, "receiver.key", receiveKey+"\n")
	to := func(scheme string) func(host string, port int) []string {
		return func(host string, port int) []string {
			return []string{
				"--site", scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port)),
				"--sender-email", sendBot, "--sender-key-file", senderKey,
				"--receiver-email", receiveBot, "--receiver-key-file", receiverKey,
			}
		}
	}
	flood := faultproxy.HTTPFlood()
	row := func(name string, want faults.Want, prepare func(s *zulipserver.Server)) faults.Row {
		s := zulipserver.StartTest(t, zulipserver.Options{})
		addBots(s)
		prepare(s)
		host, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		return faults.Row{Name: name, Want: want, Args: to("http")(host, n), Timeout: 5 * time.Second}
	}
	faults.Server{
		Definition: Definition,
		Upstream:   strings.TrimPrefix(server.url, "http://"),
		Args:       to("http"),
		TLSArgs: func(host string, port int, ca string) []string {
			return append(to("https")(host, port), "--ca-file", ca)
		},
		Handshake: faultproxy.Bytes(20), // of the first answer
		TooMuch:   &flood,
		Freeze:    server.freeze,
		Thaw:      server.thaw,
		Rows: []faults.Row{
			row("authentication refused", faults.Want{State: check.Unknown, Reason: check.Auth, Text: "API key of the sender bot " + sendBot + " is refused"},
				func(s *zulipserver.Server) {
					if err := s.EditUser(sendBot, func(u *zulipserver.User) { u.APIKey = strings.Repeat("0", 32) }); err != nil {
						t.Fatal(err)
					}
				}),
			row("permission missing", faults.Want{State: check.Unknown, Reason: check.Permission, Text: "the sender bot " + sendBot + " may not: Insufficient permission"},
				func(s *zulipserver.Server) {
					s.Fail(zulipserver.SendMessage, zulipserver.Refuse(403, "BAD_REQUEST", "Insufficient permission"))
				}),
			row("empty answer", faults.Want{State: check.Unknown, Reason: check.Data, Text: "an empty answer"},
				func(s *zulipserver.Server) {
					s.Fail(zulipserver.Register, zulipserver.Canned(200, "application/json", ""))
				}),
		},
	}.Run(t)
}

// The files that the check reads are a peer too.
func TestFaultsOfFiles(t *testing.T) {
	s := newStage(t, zulipserver.Options{})
	dir := t.TempDir()
	rc := func(path string) []string {
		return []string{"--sender-zuliprc", path, "--receiver-zuliprc", s.receiverRC}
	}
	open := writeRC(t, "open", s.Zuliprc(s.sender))
	chmod(t, open, 0o644)
	huge := writeRC(t, "huge", s.Zuliprc(s.sender)+strings.Repeat("# filler\n", 20_000))
	fifo := makeFIFO(t)
	want := func(reason check.Reason, text string) faults.Want {
		return faults.Want{State: check.Unknown, Reason: reason, Text: text}
	}
	faults.Table(t, Definition, faults.Files(), []faults.Row{
		{Name: "unreadable", Args: rc(open), Want: want(check.Permission, "mode 0644 lets others read or write it")},
		{Name: "vanishing", Args: rc(dir + "/gone"), Want: want(check.Config, "no such file")},
		{Name: "a directory", Args: rc(dir), Want: want(check.Config, "not a regular file")},
		{Name: "FIFO", Args: rc(fifo), Want: want(check.Config, "FIFO")},
		{Name: "empty", Args: rc(writeRC(t, "empty", "")), Want: want(check.Config, "no section [api]")},
		{Name: "huge", Args: rc(huge), Want: want(check.Data, "more than")},
		{Name: "no INI", Args: rc(writeRC(t, "no-ini", "\x7fELF\x00")), Want: want(check.Config, "")},
		{Name: "no key", Args: rc(writeRC(t, "no-key", fmt.Sprintf("[api]\nemail=%s\n", sendBot))), Want: want(check.Config, "must hold email= and key=")},
	})
}

// What the cores read is what was said.
func TestTextCanBeRead(t *testing.T) {
	s := newStage(t, zulipserver.Options{})
	faults.Text(t, Definition, s.args())
	s.Set(func(k *zulipserver.Knobs) { k.DropDelivery = true })
	faults.Text(t, Definition, s.args("-t", "1s", "-v"))
}

// Each fault of a proxy is the proxy's, and nothing is known of Zulip.
func TestFaultsOfProxy(t *testing.T) {
	s := newStage(t, zulipserver.Options{Domain: "chat.belfry.test"})
	upstream := strings.TrimPrefix(s.URL(), "http://")
	rc := func(name string, u zulipserver.User) string {
		return writeRC(t, name, strings.ReplaceAll(s.Zuliprc(u), s.URL(), "http://chat.belfry.test"))
	}
	args := []string{"--sender-zuliprc", rc("s", s.sender), "--receiver-zuliprc", rc("r", s.receiver)}
	row := func(name string, mode faultproxy.Mode, text string) faults.Row {
		p := faultproxy.Start(t, upstream, mode)
		return faults.Row{
			Name: name, Args: append(append([]string(nil), args...), "--proxy", p.Addr()),
			Want: faults.Want{State: check.Unknown, Reason: check.Proxy, Text: strings.ReplaceAll(text, "{P}", p.Addr())},
		}
	}
	healthy := row("healthy", faultproxy.Connect(nil), "")
	healthy.Want, healthy.Timeout = faults.Want{}, 5*time.Second
	refusing := func(status string) faultproxy.Mode {
		return faultproxy.Respond([]byte("HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n"))
	}
	const ask = "ask the proxy {P} for chat.belfry.test:80: "
	faults.Table(t, Definition, faults.Kind{"healthy", "refused", "SYN lost", "silent", "one byte a second", "garbage", "closes at once", "answers too much", "407", "403"}, []faults.Row{
		healthy,
		row("refused", faultproxy.Refused(), "connect to the proxy {P}: connection refused"),
		row("SYN lost", faultproxy.SYNLost(), "connect to the proxy {P}: timed out"),
		row("silent", faultproxy.Silent(), ask+"timed out"),
		row("one byte a second", faultproxy.Answer(trickle), ask+"timed out"),
		row("garbage", faultproxy.Garbage(7), ask+"the answer is not HTTP"),
		row("closes at once", faultproxy.CloseAtOnce(faultproxy.RST), ask+"connection reset"),
		row("answers too much", faultproxy.HTTPHeaderFlood(), ask+"the answer is not HTTP"),
		row("407", refusing("407 Proxy Authentication Required"), ask+"HTTP 407 Proxy Authentication Required: give --proxy-user"),
		row("403", refusing("403 Forbidden"), ask+"HTTP 403 Forbidden: it refuses to connect there"),
	})
}

// trickle says the beginning of an answer, a byte a second.
func trickle(conn net.Conn) {
	for _, b := range []byte("HTTP/1.1 200 OK\r\n") {
		if _, err := conn.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// A proxy that is gone while the message is on its way: back in time, it is
// forgotten; if not, nobody knows of the message.
func TestProxyGoneWhileWaiting(t *testing.T) {
	for name, back := range map[string]bool{"and back": true, "for good": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, zulipserver.Options{Domain: "chat.belfry.test"})
			s.Set(func(k *zulipserver.Knobs) { k.DeliveryDelay = 700 * time.Millisecond })
			p := faultproxy.Start(t, strings.TrimPrefix(s.URL(), "http://"), faultproxy.Connect(nil))
			rc := func(name string, u zulipserver.User) string {
				return writeRC(t, name, strings.ReplaceAll(s.Zuliprc(u), s.URL(), "http://chat.belfry.test"))
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.awaitPoll(t)
				if err := p.Set(faultproxy.Refused()); err != nil {
					t.Error(err)
				}
				p.Cut(faultproxy.FIN)
				if back {
					time.Sleep(200 * time.Millisecond)
					if err := p.Set(faultproxy.Connect(nil)); err != nil {
						t.Error(err)
					}
				}
			}()
			d := look(t, context.Background(), "--sender-zuliprc", rc("s", s.sender), "--receiver-zuliprc", rc("r", s.receiver), "--proxy", p.Addr(), "-t", "6s")
			<-done
			t.Logf("%s: %s", d.State, d.Text)
			if back && (d.State != "OK" || d.Reason != "") {
				t.Errorf("a proxy that came back = %s, reason %s: %s; want OK", d.State, d.Reason, d.Text)
			}
			if !back && (d.State != "UNKNOWN" || d.Reason != "proxy" || !strings.HasPrefix(d.Text, "connect to the proxy "+p.Addr()+": connection refused")) {
				t.Errorf("a proxy that stayed away = %s, reason %s: %s; want UNKNOWN, proxy", d.State, d.Reason, d.Text)
			}
		})
	}
}
