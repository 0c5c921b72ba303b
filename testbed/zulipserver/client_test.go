package zulipserver

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server with a sender and a receiver.
type world struct {
	*Server
	t                *testing.T
	http             *http.Client
	sender, receiver User
}

func newWorld(t *testing.T, opts Options) *world {
	t.Helper()
	w := &world{Server: StartTest(t, opts), t: t}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w.http = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	w.sender = w.AddUser(User{Email: "send-bot@zulip.example", Bot: true})
	w.receiver = w.AddUser(User{Email: "receive-bot@zulip.example", Bot: true})
	return w
}

type answer struct {
	status int
	header http.Header
	raw    string
	json   map[string]any // nil when the body is no JSON object
}

func (a answer) text(key string) string {
	text, _ := a.json[key].(string)
	return text
}

// request makes a request without sending it. Arguments go where clients put
// them: into the query of GET and DELETE, into the body of POST.
func (w *world) request(ctx context.Context, u User, method, path string, args ...string) *http.Request {
	w.t.Helper()
	form := url.Values{}
	for i := 0; i < len(args); i += 2 {
		form.Add(args[i], args[i+1])
	}
	var body io.Reader
	target := w.URL() + path
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	} else if len(form) > 0 {
		target += "?" + form.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if u.Email != "" {
		r.SetBasicAuth(u.Email, u.APIKey)
	}
	r.Header.Set("User-Agent", "ZulipTest/0.1")
	return r
}

func (w *world) send(r *http.Request) (answer, error) {
	got, err := w.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	raw, err := io.ReadAll(got.Body)
	a := answer{status: got.StatusCode, header: got.Header, raw: string(raw)}
	if json.Unmarshal(raw, &a.json) != nil {
		a.json = nil
	}
	return a, err
}

func (w *world) do(u User, method, path string, args ...string) answer {
	w.t.Helper()
	a, err := w.send(w.request(context.Background(), u, method, path, args...))
	if err != nil {
		w.t.Fatalf("%s %s = %v; want an answer", method, path, err)
	}
	return a
}

func (w *world) ok(u User, method, path string, args ...string) answer {
	w.t.Helper()
	a := w.do(u, method, path, args...)
	if a.status != 200 || a.json["result"] != "success" || a.json["msg"] != "" {
		w.t.Fatalf("%s %s = %d %s; want success", method, path, a.status, a.raw)
	}
	return a
}

func (w *world) register(args ...string) string {
	w.t.Helper()
	return w.ok(w.receiver, "POST", "/api/v1/register", append([]string{"event_types", `["message"]`}, args...)...).text("queue_id")
}

func (w *world) message(content string) int64 {
	w.t.Helper()
	a := w.ok(w.sender, "POST", "/api/v1/messages", "type", "private", "to", `["receive-bot@zulip.example"]`, "content", content)
	return int64(a.json["id"].(float64))
}

// events asks a queue; "now" does not block.
func (w *world) events(id string, last int, args ...string) answer {
	w.t.Helper()
	return w.ok(w.receiver, "GET", "/api/v1/events", append([]string{"queue_id", id, "last_event_id", strconv.Itoa(last)}, args...)...)
}

func (w *world) now(id string, last int) answer {
	w.t.Helper()
	return w.events(id, last, "dont_block", "true")
}

// waitUntil polls a condition of the server.
func (w *world) waitUntil(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s has not happened", what)
		}
	}
}

func (w *world) waiting(n int) func() bool {
	return func() bool {
		count := 0
		for _, q := range w.Queues() {
			if q.Waiting {
				count++
			}
		}
		return count == n
	}
}

// poll asks in the background; the answer comes on the channel.
func (w *world) poll(id string, last int) <-chan answer {
	w.t.Helper()
	r := w.request(context.Background(), w.receiver, "GET", "/api/v1/events", "queue_id", id, "last_event_id", strconv.Itoa(last))
	out := make(chan answer, 1)
	go func() {
		a, err := w.send(r)
		if err != nil {
			a.raw = err.Error()
		}
		out <- a
	}()
	return out
}

func contents(a answer) []string {
	out := []string{}
	events, _ := a.json["events"].([]any)
	for _, e := range events {
		event := e.(map[string]any)
		kind := event["type"].(string)
		if m, ok := event["message"].(map[string]any); ok {
			kind = m["content"].(string)
		}
		out = append(out, kind)
	}
	return out
}

// clock is a clock that tests move.
type clock struct{ now chan time.Time }

func newClock() *clock {
	c := &clock{now: make(chan time.Time, 1)}
	c.now <- time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return c
}

func (c *clock) Now() time.Time {
	now := <-c.now
	c.now <- now
	return now
}

func (c *clock) Advance(d time.Duration) { c.now <- (<-c.now).Add(d) }
