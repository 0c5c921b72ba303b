package zulipserver

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Bodies as Zulip's API documentation and its servers show them; the keys are
// in Go's order.
func TestErrorShapes(t *testing.T) {
	nobody := User{}
	for _, test := range []struct {
		name         string
		old          bool
		prepare      func(w *world)
		user         func(w *world) User
		method, path string
		args         []string
		status       int
		want         string
		header       map[string]string
	}{
		{
			name: "no login", user: func(*world) User { return nobody }, method: "POST", path: "/api/v1/register", status: 401,
			want:   `{"code":"UNAUTHORIZED","msg":"Not logged in: API authentication or user session required","result":"error"}`,
			header: map[string]string{"WWW-Authenticate": `Basic realm="zulip"`},
		},
		{
			name: "no login, old", old: true, user: func(*world) User { return nobody }, method: "POST", path: "/api/v1/register", status: 401,
			want: `{"msg":"Not logged in: API authentication or user session required","result":"error"}`,
		},
		{
			name: "unknown user", user: func(w *world) User { return User{Email: "x@zulip.example", APIKey: w.sender.APIKey} },
			method: "GET", path: "/api/v1/users/me", status: 401,
			want: `{"code":"INVALID_API_KEY","msg":"Invalid API key","result":"error"}`,
		},
		{
			name: "wrong key", user: func(w *world) User { return User{Email: w.sender.Email, APIKey: strings.Repeat("a", 32)} },
			method: "GET", path: "/api/v1/users/me", status: 401,
			want: `{"code":"INVALID_API_KEY","msg":"Invalid API key","result":"error"}`,
		},
		{
			name: "malformed key", user: func(w *world) User { return User{Email: w.sender.Email, APIKey: "short"} },
			method: "GET", path: "/api/v1/users/me", status: 401,
			want: `{"code":"INVALID_API_KEY","msg":"Malformed API key","result":"error"}`,
		},
		{
			name: "user deactivated", method: "GET", path: "/api/v1/users/me", status: 401,
			prepare: func(w *world) { w.EditUser(w.sender.Email, func(u *User) { u.Deactivated = true }) },
			want:    `{"code":"USER_DEACTIVATED","msg":"Account is deactivated","result":"error"}`,
		},
		{
			name: "realm deactivated", method: "GET", path: "/api/v1/users/me", status: 401,
			prepare: func(w *world) { w.DeactivateRealm("", true) },
			want:    `{"code":"REALM_DEACTIVATED","msg":"This organization has been deactivated","result":"error"}`,
		},
		{
			name: "method", method: "PATCH", path: "/api/v1/events", status: 405,
			want: `{"allowed_methods":["DELETE","GET"],"code":"METHOD_NOT_ALLOWED","msg":"Method Not Allowed","result":"error"}`,
		},
		{
			name: "method, old", old: true, method: "PATCH", path: "/api/v1/messages/1", status: 405,
			want: `{"allowed_methods":["DELETE"],"msg":"Method Not Allowed","result":"error"}`,
		},
		{
			name: "rate limit", method: "GET", path: "/api/v1/users/me", status: 429,
			prepare: func(w *world) { w.Fail(OwnUser, RateLimited(28706*time.Millisecond)) },
			want:    `{"code":"RATE_LIMIT_HIT","msg":"API usage exceeded rate limit","result":"error","retry-after":28.706}`,
			header:  map[string]string{"Retry-After": "28.706", "X-RateLimit-Remaining": "0"},
		},
		{
			name: "unknown queue", method: "GET", path: "/api/v1/events", args: []string{"queue_id", "fb67", "last_event_id", "-1"}, status: 400,
			want: `{"code":"BAD_EVENT_QUEUE_ID","msg":"Bad event queue ID: fb67","queue_id":"fb67","result":"error"}`,
		},
		{
			name: "unknown queue, old", old: true, method: "GET", path: "/api/v1/events",
			args: []string{"queue_id", "1:2", "last_event_id", "-1"}, status: 400,
			want: `{"msg":"Bad event queue id: 1:2","result":"error"}`,
		},
		{
			name: "delete unknown queue", method: "DELETE", path: "/api/v1/events", args: []string{"queue_id", "fb67"}, status: 400,
			want: `{"code":"BAD_EVENT_QUEUE_ID","msg":"Bad event queue ID: fb67","queue_id":"fb67","result":"error"}`,
		},
		{
			name: "no queue", method: "GET", path: "/api/v1/events", status: 400,
			want: `{"code":"BAD_REQUEST","msg":"Missing 'queue_id' argument","result":"error"}`,
		},
		{
			name: "no last event", method: "GET", path: "/api/v1/events", args: []string{"queue_id", "fb67"}, status: 400,
			want: `{"code":"BAD_REQUEST","msg":"Missing 'last_event_id' argument","result":"error"}`,
		},
		{
			name: "no last event, old", old: true, method: "GET", path: "/api/v1/events", args: []string{"queue_id", "1:2"}, status: 400,
			want: `{"msg":"Missing 'last_event_id' argument","result":"error"}`,
		},
		{
			name: "bad last event", method: "GET", path: "/api/v1/events", args: []string{"queue_id", "fb67", "last_event_id", `"x"`}, status: 400,
			want: `{"code":"BAD_REQUEST","msg":"last_event_id is not an integer","result":"error"}`,
		},
		{
			name: "no queue to delete", method: "DELETE", path: "/api/v1/events", status: 400,
			want: `{"code":"REQUEST_VARIABLE_MISSING","msg":"Missing 'queue_id' argument","result":"error","var_name":"queue_id"}`,
		},
		{
			name: "no content", method: "POST", path: "/api/v1/messages", args: []string{"type", "private", "to", "x"}, status: 400,
			want: `{"code":"REQUEST_VARIABLE_MISSING","msg":"Missing 'content' argument","result":"error","var_name":"content"}`,
		},
		{
			name: "bad JSON", method: "POST", path: "/api/v1/register", args: []string{"event_types", "message"}, status: 400,
			want: `{"code":"BAD_REQUEST","msg":"event_types is not valid JSON","result":"error"}`,
		},
		{
			name: "bad JSON, old", old: true, method: "POST", path: "/api/v1/register", args: []string{"event_types", "message"}, status: 400,
			want: `{"msg":"Argument \"event_types\" is not valid JSON.","result":"error"}`,
		},
		{
			name: "not a list", method: "POST", path: "/api/v1/register", args: []string{"event_types", `"message"`}, status: 400,
			want: `{"code":"BAD_REQUEST","msg":"event_types is not a list","result":"error"}`,
		},
		{
			name: "unknown receiver", method: "POST", path: "/api/v1/messages",
			args: []string{"type", "direct", "to", `["nobody@zulip.example"]`, "content", "x"}, status: 400,
			want: `{"code":"BAD_REQUEST","msg":"Invalid email 'nobody@zulip.example'","result":"error"}`,
		},
		{
			name: "unknown stream", method: "POST", path: "/api/v1/messages",
			args: []string{"type", "channel", "to", "nowhere", "topic", "x", "content", "x"}, status: 400,
			want: `{"code":"STREAM_DOES_NOT_EXIST","msg":"Channel 'nowhere' does not exist","result":"error","stream":"nowhere"}`,
		},
		{
			name: "unknown message", method: "DELETE", path: "/api/v1/messages/7", status: 400,
			want: `{"code":"BAD_REQUEST","msg":"Invalid message(s)","result":"error"}`,
		},
		{
			name: "message not to be deleted", method: "DELETE", path: "/api/v1/messages/1", status: 400,
			prepare: func(w *world) {
				w.Set(func(k *Knobs) { k.ForbidDelete = true })
				w.message("x")
			},
			want: `{"code":"BAD_REQUEST","msg":"You don't have permission to delete this message","result":"error"}`,
		},
		{
			name: "not ready", user: func(*world) User { return nobody }, method: "GET", path: "/health", status: 500,
			prepare: func(w *world) { w.Set(func(k *Knobs) { k.NotReady = NotReadyRabbitMQ }) },
			want:    `{"code":"SERVER_NOT_READY","msg":"Cannot query rabbitmq","result":"error"}`,
		},
		{
			name: "any error", method: "GET", path: "/api/v1/users/me", status: 403,
			prepare: func(w *world) { w.Fail(OwnUser, Refuse(403, "BAD_REQUEST", "Access denied")) },
			want:    `{"code":"BAD_REQUEST","msg":"Access denied","result":"error"}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, Options{OldFormats: test.old})
			if test.prepare != nil {
				test.prepare(w)
			}
			user := w.sender
			if test.user != nil {
				user = test.user(w)
			}
			got := w.do(user, test.method, test.path, test.args...)
			if got.status != test.status || got.raw != test.want+"\n" {
				t.Errorf("%s %s = %d %s; want %d %s", test.method, test.path, got.status, got.raw, test.status, test.want)
			}
			if kind := got.header.Get("Content-Type"); kind != "application/json" {
				t.Errorf("Content-Type = %q; want application/json", kind)
			}
			for name, want := range test.header {
				if got := got.header.Get(name); got != want {
					t.Errorf("%s = %q; want %q", name, got, want)
				}
			}
		})
	}
}

func TestLoginHeaders(t *testing.T) {
	w := newWorld(t, Options{})
	for header, want := range map[string]string{
		"Bearer abc":    "This endpoint requires HTTP basic authentication.",
		"Basic":         "Invalid authorization header for basic auth",
		"Basic !!!":     "Invalid authorization header for basic auth",
		"Basic bm9rZXk": "Invalid authorization header for basic auth", // no colon
	} {
		r := w.request(context.Background(), User{}, "GET", "/api/v1/users/me")
		r.Header.Set("Authorization", header)
		if got, err := w.send(r); err != nil || got.status != 401 || got.text("code") != "UNAUTHORIZED" || got.text("msg") != want {
			t.Errorf("login with %q = %d %s, %v; want 401 %s", header, got.status, got.raw, err, want)
		}
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t, Options{})
	for _, path := range []string{"/", "/api/v1/nothing", "/api/v1/messages/x"} {
		got := w.do(w.sender, "DELETE", path)
		if got.status != 404 || got.header.Get("Content-Type") != "text/html" || !strings.Contains(got.raw, "404 Not Found") {
			t.Errorf("DELETE %s = %d %s; want a 404 page", path, got.status, got.raw)
		}
	}
	w.Set(func(k *Knobs) { k.HealthUntrusted = true })
	if got := w.do(User{}, "GET", "/health"); got.status != 403 || got.json != nil {
		t.Errorf("GET /health = %d %s; want a 403 page", got.status, got.raw)
	}
	w.Set(func(k *Knobs) { k.HealthUntrusted = false })
	if got := w.do(User{}, "GET", "/health"); got.raw != `{"msg":"","result":"success"}`+"\n" {
		t.Errorf("GET /health = %s; want success", got.raw)
	}
	if got := w.do(w.sender, "POST", "/api/v1/messages", "content", strings.Repeat("x", maxBody)); got.status != 413 {
		t.Errorf("POST of %d bytes = %d; want 413", maxBody, got.status)
	}
}

// Load balancers ask by HTTP/1.0 without Host, which Zulip refuses.
func TestHealthWithoutHost(t *testing.T) {
	w := newWorld(t, Options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /health HTTP/1.0\r\n\r\n")
	if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.0 400") {
		t.Errorf("GET /health = %q, %v; want 400", got, err)
	}
}

func TestSubdomains(t *testing.T) {
	w := newWorld(t, Options{Domain: "zulip.example", Realms: []Realm{{Subdomain: "zulipinternal", Name: "System"}}})
	u := w.AddUser(User{Email: "bot@zulip.example", Realm: "zulipinternal"})
	for _, test := range []struct {
		host, path string
		user       User
		status     int
		want       string
	}{
		{"zulipinternal.zulip.example", "/api/v1/users/me", u, 200, ""},
		{"ZulipInternal.Zulip.Example:443", "/api/v1/users/me", u, 200, ""},
		{"nope.zulip.example", "/api/v1/users/me", u, 404, "Invalid subdomain"},
		{"elsewhere.example", "/api/v1/server_settings", User{}, 404, "Invalid subdomain"},
		{"zulip.example", "/api/v1/server_settings", User{}, 400, "Subdomain required"},
		{"zulip.example", "/api/v1/users/me", u, 400, "Subdomain required"},
		{"zulipinternal.zulip.example", "/api/v1/users/me", w.sender, 400, "Account is not associated with this subdomain"},
		{"nope.zulip.example", "/health", User{}, 200, ""},
	} {
		r := w.request(context.Background(), test.user, "GET", test.path)
		r.Host = test.host
		got, err := w.send(r)
		if err != nil || got.status != test.status || got.text("msg") != test.want {
			t.Errorf("GET %s on %s = %d %s, %v; want %d %s", test.path, test.host, got.status, got.raw, err, test.status, test.want)
		}
	}
	w.Set(func(k *Knobs) { k.LandingPage = true })
	r := w.request(context.Background(), User{}, "GET", "/api/v1/server_settings")
	r.Host = "zulip.example"
	if got, err := w.send(r); err != nil || got.status != 200 || got.json["realm_name"] != nil {
		t.Errorf("server_settings of the root = %s, %v; want no realm", got.raw, err)
	}
}

func TestRateLimit(t *testing.T) {
	c := newClock()
	w := newWorld(t, Options{Now: c.Now})
	w.Set(func(k *Knobs) { k.RateLimit, k.RateWindow = 2, 60*time.Second })
	for i, want := range []string{"1", "0"} {
		got := w.ok(w.sender, "GET", "/api/v1/users/me")
		if limit, left := got.header.Get("X-RateLimit-Limit"), got.header.Get("X-RateLimit-Remaining"); limit != "2" || left != want {
			t.Errorf("request %d: limit %s, remaining %s; want 2, %s", i+1, limit, left, want)
		}
		if reset, want := got.header.Get("X-RateLimit-Reset"), strconv.FormatInt(c.Now().Unix()+60, 10); reset != want {
			t.Errorf("request %d: reset %s; want %s", i+1, reset, want)
		}
		c.Advance(10 * time.Second)
	}
	got := w.do(w.sender, "GET", "/api/v1/users/me")
	if got.status != 429 || got.text("code") != "RATE_LIMIT_HIT" || got.json["retry-after"] != 40.0 || got.header.Get("Retry-After") != "40" {
		t.Errorf("third request = %d %s, Retry-After %s; want 429 for 40 s", got.status, got.raw, got.header.Get("Retry-After"))
	}
	w.ok(w.receiver, "GET", "/api/v1/users/me") // others have limits of their own
	if got := w.do(w.sender, "GET", "/api/v1/events"); got.status != 400 {
		t.Errorf("request to Tornado = %d; want 400, it counts apart", got.status)
	}
	c.Advance(41 * time.Second)
	w.ok(w.sender, "GET", "/api/v1/users/me")
	w.Set(func(k *Knobs) { k.RateLimit = 0 })
	if got := w.ok(w.sender, "GET", "/api/v1/users/me").header.Get("X-RateLimit-Limit"); got != "" {
		t.Errorf("X-RateLimit-Limit without limit = %q; want none", got)
	}
}

func TestArguments(t *testing.T) {
	w := newWorld(t, Options{})
	got := w.ok(w.receiver, "POST", "/api/v1/register", "event_types", `["message"]`, "nonsense", "1", "client", "x")
	if ignored, _ := got.json["ignored_parameters_unsupported"].([]any); len(ignored) != 1 || ignored[0] != "nonsense" {
		t.Errorf("ignored_parameters_unsupported = %v; want [nonsense]", ignored)
	}
	// A multipart form, and a form in the body of DELETE.
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	form.WriteField("queue_id", got.text("queue_id"))
	form.Close()
	r := w.request(context.Background(), w.receiver, "DELETE", "/api/v1/events")
	r.Body, r.ContentLength = io.NopCloser(&body), int64(body.Len())
	r.Header.Set("Content-Type", form.FormDataContentType())
	if got, err := w.send(r); err != nil || got.status != http.StatusOK {
		t.Errorf("DELETE with a multipart form = %s, %v; want success", got.raw, err)
	}
}
