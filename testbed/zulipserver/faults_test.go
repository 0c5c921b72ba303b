package zulipserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed/certs"
)

func TestFaultAnswers(t *testing.T) {
	w := newWorld(t, Options{})
	right := w.ok(w.sender, "GET", "/api/v1/users/me")
	for _, test := range []struct {
		name   string
		fault  Fault
		status int
		kind   string
		is     func(body string) bool
	}{
		{"502 page", Page(502), 502, "text/html", func(b string) bool { return strings.Contains(b, "502 Bad Gateway") }},
		{"503 page", Page(503), 503, "text/html", func(b string) bool { return strings.Contains(b, "503 Service Unavailable") }},
		{"504 page", Page(504), 504, "text/html", func(b string) bool { return strings.Contains(b, "504 Gateway Timeout") }},
		{"200 page", Page(200), 200, "text/html", func(b string) bool { return strings.HasPrefix(b, "<html>") }},
		{"canned", Canned(200, "application/json", "[]"), 200, "application/json", func(b string) bool { return b == "[]" }},
		{"no JSON", NotJSON(), 200, "application/json", func(b string) bool { return strings.HasPrefix(b, `{"result"`) }},
		{"truncated", Truncated(10), 200, "application/json", func(b string) bool { return b == right.raw[:10] }},
		{"not truncated", Truncated(10_000), 200, "application/json", func(b string) bool { return b == right.raw }},
		{"wrong type", WrongType("text/plain"), 200, "text/plain", func(b string) bool { return b == right.raw }},
		{"slow request", SlowRequest(time.Millisecond), 200, "application/json", func(b string) bool { return b == right.raw }},
		{"slow answer", SlowAnswer(time.Millisecond), 200, "application/json", func(b string) bool { return b == right.raw }},
	} {
		w.Heal()
		w.Fail(OwnUser, test.fault)
		got := w.do(w.sender, "GET", "/api/v1/users/me")
		if got.status != test.status || got.header.Get("Content-Type") != test.kind || !test.is(got.raw) {
			t.Errorf("%s: GET = %d %s %q; want %d %s and its body", test.name, got.status, got.header.Get("Content-Type"), got.raw, test.status, test.kind)
		}
	}
}

func TestFaultsCount(t *testing.T) {
	w := newWorld(t, Options{})
	w.Fail(OwnUser, Page(502).After(1).Times(2), Page(503).After(4))
	var got []int
	for range 6 {
		got = append(got, w.do(w.sender, "GET", "/api/v1/users/me").status)
	}
	if want := []int{200, 502, 502, 200, 503, 503}; !slices.Equal(got, want) {
		t.Errorf("statuses = %v; want %v", got, want)
	}
	w.Heal(OwnUser)
	w.ok(w.sender, "GET", "/api/v1/users/me")
	w.Fail(Every, Page(502))
	if got := w.do(User{}, "GET", "/nowhere").status; got != 502 {
		t.Errorf("GET /nowhere with a fault of every endpoint = %d; want 502", got)
	}
}

// A request that hangs ends with its client, and with the server.
func TestHang(t *testing.T) {
	w := newWorld(t, Options{})
	w.Fail(SendMessage, Hang().Times(1), LoseAnswer())
	for range 2 { // first without, then with a message
		ctx, cancel := context.WithCancel(context.Background())
		r := w.request(ctx, w.sender, "POST", "/api/v1/messages", "type", "direct", "to", w.receiver.Email, "content", "x")
		done := make(chan error)
		before := len(w.Requests())
		go func() {
			_, err := w.send(r)
			done <- err
		}()
		w.waitUntil("the request", func() bool { return len(w.Requests()) > before })
		if before > 0 {
			w.waitUntil("the message", func() bool { return len(w.Messages()) == 1 })
		} else if got := w.Messages(); len(got) != 0 {
			t.Errorf("Messages() while hanging = %v; want none", got)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("send = %v; want cancelled", err)
		}
	}
	w.Fail(OwnUser, Hang())
	r := w.request(context.Background(), w.sender, "GET", "/api/v1/users/me")
	done := make(chan error)
	before := len(w.Requests())
	go func() {
		_, err := w.send(r)
		done <- err
	}()
	w.waitUntil("the request", func() bool { return len(w.Requests()) > before })
	if err := w.Close(); err != nil {
		t.Errorf("Close() = %v; want nil", err)
	}
	if err := <-done; err == nil {
		t.Error("request on a closed server = nil; want an error")
	}
}

func TestCloseEndsLongPoll(t *testing.T) {
	w := newWorld(t, Options{})
	answered := w.poll(w.register(), -1)
	w.waitUntil("a waiting request", w.waiting(1))
	if err := w.Close(); err != nil {
		t.Errorf("Close() = %v; want nil", err)
	}
	if got := <-answered; got.status == 200 {
		t.Errorf("long poll on a closed server = %s; want an error", got.raw)
	}
	answer := &recorded{header: make(http.Header)} // as a handler it is closed too
	w.ServeHTTP(answer, w.request(context.Background(), w.sender, "GET", "/api/v1/users/me"))
	if answer.status != 502 {
		t.Errorf("closed server = %d; want 502", answer.status)
	}
}

func TestLostQueue(t *testing.T) {
	w := newWorld(t, Options{})
	first, second := w.register(), w.register()
	w.Fail(GetEvents, LostQueue().Times(1))
	if got := w.do(w.receiver, "GET", "/api/v1/events", "queue_id", first, "last_event_id", "-1"); got.text("code") != "BAD_EVENT_QUEUE_ID" {
		t.Errorf("events of a lost queue = %d %s; want BAD_EVENT_QUEUE_ID", got.status, got.raw)
	}
	w.now(second, -1)
	if got := w.Queues(); len(got) != 1 || got[0].ID != second {
		t.Errorf("Queues() = %+v; want the second alone", got)
	}
}

func TestDelivery(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(*Knobs)
		want []string // content of the receiver's events
		kept int      // messages
	}{
		{"healthy", func(*Knobs) {}, []string{"ours"}, 1},
		{"dropped", func(k *Knobs) { k.DropDelivery = true }, []string{}, 1},
		{"duplicated", func(k *Knobs) { k.Duplicates = 2 }, []string{"ours", "ours", "ours"}, 1},
		{"foreign before", func(k *Knobs) { k.ForeignBefore = 2 }, []string{"foreign message 1", "foreign message 2", "ours"}, 3},
		{"foreign only", func(k *Knobs) { k.ForeignBefore, k.DropDelivery = 1, true }, []string{"foreign message 1"}, 2},
		{"wrong queue", func(k *Knobs) { k.WrongQueue = true }, []string{}, 1},
	} {
		w := newWorld(t, Options{})
		stranger := w.AddUser(User{Email: "stranger@zulip.example"})
		w.Set(test.set)
		id := w.register()
		theirs := w.ok(stranger, "POST", "/api/v1/register", "event_types", `["message"]`).text("queue_id")
		w.message("ours")
		if got := contents(w.now(id, -1)); !slices.Equal(got, test.want) {
			t.Errorf("%s: events = %v; want %v", test.name, got, test.want)
		}
		if got := w.Messages(); len(got) != test.kept {
			t.Errorf("%s: %d messages; want %d", test.name, len(got), test.kept)
		}
		got := contents(w.ok(stranger, "GET", "/api/v1/events", "queue_id", theirs, "last_event_id", "-1", "dont_block", "true"))
		if want := test.name == "wrong queue"; (len(got) == 1) != want {
			t.Errorf("%s: a stranger's events = %v; want some: %v", test.name, got, want)
		}
	}
}

func TestDeliveryDelay(t *testing.T) {
	w := newWorld(t, Options{})
	w.Set(func(k *Knobs) { k.DeliveryDelay = 10 * time.Millisecond })
	id := w.register()
	w.message("late")
	if got := contents(w.events(id, -1)); !slices.Equal(got, []string{"late"}) {
		t.Errorf("events = %v; want [late]", got)
	}
	w.Set(func(k *Knobs) { k.DeliveryDelay = time.Hour })
	w.message("never") // Close must not wait for it
}

func TestInject(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.register()
	if err := w.Inject(w.receiver.Email, map[string]any{"type": "restart", "immediate": false}); err != nil {
		t.Fatal(err)
	}
	if got := contents(w.now(id, -1)); !slices.Equal(got, []string{"restart"}) {
		t.Errorf("events = %v; want [restart]", got)
	}
	if err := w.Inject("nobody", nil); err == nil {
		t.Error("Inject(nobody) = nil; want an error")
	}
	if err := w.EditUser("nobody", nil); err == nil {
		t.Error("EditUser(nobody) = nil; want an error")
	}
	if err := w.DeactivateRealm("nowhere", true); err == nil {
		t.Error("DeactivateRealm(nowhere) = nil; want an error")
	}
	if _, err := w.AddStream("x", "nobody"); err == nil {
		t.Error("AddStream(of nobody) = nil; want an error")
	}
}

func TestRequests(t *testing.T) {
	w := newWorld(t, Options{})
	w.ok(w.sender, "GET", "/api/v1/users/me")
	w.do(User{}, "DELETE", "/api/v1/messages/5")
	w.do(w.sender, "GET", "/nowhere")
	var got []string
	for _, r := range w.Requests() {
		got = append(got, fmt.Sprintf("%s|%s %s|%s|%s|%d", r.Endpoint, r.Method, r.Path, r.UserAgent, r.User, r.Status))
	}
	want := []string{
		"GET /api/v1/users/me|GET /api/v1/users/me|ZulipTest/0.1|send-bot@zulip.example|200",
		"DELETE /api/v1/messages/{id}|DELETE /api/v1/messages/5|ZulipTest/0.1||401",
		"|GET /nowhere|ZulipTest/0.1|send-bot@zulip.example|404",
	}
	if !slices.Equal(got, want) {
		t.Errorf("Requests() =\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	w.ForgetRequests()
	if got := w.Requests(); len(got) != 0 {
		t.Errorf("Requests() after ForgetRequests = %v; want none", got)
	}
}

func TestRequestRecordIsBounded(t *testing.T) {
	s := New(Options{})
	for range maxRequests + 1 {
		r, err := http.NewRequest("GET", "http://zulip.example/health", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Body = http.NoBody
		s.ServeHTTP(&recorded{header: make(http.Header)}, r)
	}
	if got := len(s.Requests()); got != maxRequests/2+1 {
		t.Errorf("%d requests are kept; want %d", got, maxRequests/2+1)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v; want nil", err)
	}
}

func TestTLS(t *testing.T) {
	set, err := certs.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		cert *certs.Certificate
		want bool
	}{{set.OK, true}, {set.Expired, false}} {
		w := newWorld(t, Options{TLS: &tls.Config{Certificates: []tls.Certificate{test.cert.TLS}}})
		w.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: set.CA.Pool()}
		got, err := w.send(w.request(context.Background(), w.sender, "GET", "/api/v1/users/me"))
		if (err == nil) != test.want || test.want && got.status != 200 {
			t.Errorf("GET %s = %s, %v; want an answer: %v", w.URL(), got.raw, err, test.want)
		}
		if !strings.HasPrefix(w.URL(), "https://127.0.0.1:") {
			t.Errorf("URL() = %s; want https", w.URL())
		}
		want := fmt.Sprintf("[api]\nemail=%s\nkey=%s\nsite=%s\n", w.sender.Email, w.sender.APIKey, w.URL())
		if got := w.Zuliprc(w.sender); got != want {
			t.Errorf("Zuliprc() = %q; want %q", got, want)
		}
	}
}

func TestStartSaysWhere(t *testing.T) {
	w := newWorld(t, Options{})
	taken := New(Options{Listen: strings.TrimPrefix(w.URL(), "http://")})
	err := taken.Start()
	if err == nil || !strings.Contains(err.Error(), taken.opts.Listen) {
		t.Errorf("Start() on a taken port = %v; want an error that names it", err)
	}
	if err := taken.Close(); err != nil {
		t.Errorf("Close() = %v; want nil", err)
	}
	if got := taken.URL(); got != "" {
		t.Errorf("URL() = %q; want none", got)
	}
}
