// Package httpclient asks one question of an HTTP server and names what went
// wrong: name, connection, certificate, time, status or answer. Every request
// has its own connection, deadline and bound on the body.
package httpclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
)

// DefaultMaxBody bounds an answer's body in bytes where nothing else is said.
const DefaultMaxBody = 8 << 20

// Client talks to one server. Make it anew for each look and Close it, so
// that each look dials afresh; within a look its connection is kept alive.
type Client struct {
	base      *url.URL
	transport *http.Transport
	limit     time.Duration
	header    http.Header
	user      string
	password  check.Secret
	sign      func(*http.Request) error
	way       *way
}

// Config is what a client is made from.
type Config struct {
	Base     *url.URL      // scheme, host and a path prefix; no credentials in it
	TLS      *dial.TLS     // nil: the system's authorities
	Route    *Route        // nil: straight
	Limit    time.Duration // of one request, from name to the end of the body
	User     string        // basic authentication where not empty
	Password check.Secret
	Header   http.Header // sent with every request
	// Sign completes each request before it is sent, for peers that want a
	// signature over it. Its error is the request's.
	Sign func(*http.Request) error
}

// New makes a client; it opens nothing.
func New(c Config) (*Client, error) {
	if c.TLS == nil {
		c.TLS = &dial.TLS{}
	}
	tlsConfig, err := c.TLS.Config(c.Base.Hostname())
	if err != nil {
		return nil, err
	}
	route, err := c.Route.to(c.Base)
	if err != nil {
		return nil, err
	}
	client := &Client{base: c.Base, limit: c.Limit, header: c.Header, user: c.User, password: c.Password, sign: c.Sign, way: route}
	client.transport = &http.Transport{
		DialContext: client.dial, TLSClientConfig: tlsConfig, MaxIdleConns: 2,
		DisableCompression: true, ForceAttemptHTTP2: false, MaxResponseHeaderBytes: 256 << 10,
	}
	return client, nil
}

// Close ends the kept connection.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Peer is the server's host:port as errors name it, with the way to it where
// that is not the straight one: "chat.example.org:443 at 10.0.0.5:443".
func (c *Client) Peer() string { return c.way.peer(Peer(c.base)) }

// Peer is the host:port of a URL, with the scheme's port where none is given.
func Peer(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "https" {
		return u.Host + ":443"
	}
	return u.Host + ":80"
}

// Request is one question.
type Request struct {
	Stage  string        // what is tried, as it begins an error: "register a queue at"
	Method string        // empty: GET
	Path   string        // below the base, already escaped; may carry a query
	Form   url.Values    // sent as a form body where not nil
	Body   string        // sent as it is where there is no form
	Limit  time.Duration // zero: the client's
	Max    int64         // bound of the body in bytes; zero: DefaultMaxBody
}

// Answer is what came back, whatever its status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	HTML   bool // an HTML page, by its type or its first bytes
}

// Do sends the request. Redirects are not followed: credentials go to the
// configured host only. The error is a *check.Fault of connection, TLS, time,
// or of a body beyond its bound; every status is an answer.
func (c *Client) Do(ctx context.Context, r Request) (*Answer, error) {
	limit := c.limit
	if r.Limit > 0 {
		limit = r.Limit
	}
	ctx, cancel := check.Step(ctx, limit)
	defer cancel()
	started := time.Now()
	stage := &stages{}
	stage.set("connect to")
	req, err := c.request(httptrace.WithClientTrace(context.WithValue(ctx, stagesKey{}, stage), stage.trace(r.Stage)), r)
	if err != nil {
		return nil, err
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		now := stage.get()
		err = c.nameServer(stage, httpCause(err))
		if now.proxy != "" {
			return nil, proxyFault(now.stage, now.proxy, started, err)
		}
		return nil, dial.Fault(now.stage, c.Peer(), started, err)
	}
	defer resp.Body.Close()
	maxBody := r.Max
	if maxBody == 0 {
		maxBody = DefaultMaxBody
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, dial.Fault(r.Stage, c.Peer(), started, err)
	}
	if int64(len(body)) > maxBody {
		return nil, check.Faultf(check.Data, r.Stage, c.Peer(), "answer is larger than %s", check.FormatBytes(float64(maxBody)))
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, HTML: isHTML(resp.Header, body)}, nil
}

func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	var body io.Reader
	switch {
	case r.Form != nil:
		body = strings.NewReader(r.Form.Encode())
	case r.Body != "":
		body = strings.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.base.String(), "/")+r.Path, body)
	if err != nil {
		return nil, check.Faultf(check.Config, r.Stage, c.Peer(), "not a URL with this path: %q", r.Path)
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	if r.Form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.user != "" {
		req.SetBasicAuth(c.user, c.password.Reveal())
	}
	if c.sign != nil {
		if err := c.sign(req); err != nil {
			return nil, err
		}
	}
	return req, nil
}

// httpCause drops wrappers that only repeat the URL, and the garbage that
// net/http quotes of an answer that is no HTTP.
func httpCause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if strings.Contains(err.Error(), "malformed HTTP") || strings.Contains(err.Error(), "malformed MIME header") {
		return &NotHTTPError{err: err}
	}
	return err
}

// NotHTTPError is an answer that begins like no answer of an HTTP server. It
// unwraps to net/http's own error, which quotes the answer.
type NotHTTPError struct{ err error }

func (*NotHTTPError) Error() string   { return "the answer is not HTTP" }
func (e *NotHTTPError) Unwrap() error { return e.err }

// nameServer blames a silent name server: the transport gives up waiting for
// its connection before the resolver says what it waits for.
func (c *Client) nameServer(stage *stages, err error) error {
	if !stage.resolving.Load() || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	host := c.base.Hostname()
	switch {
	case c.way.proxy != "":
		host, _, _ = net.SplitHostPort(c.way.proxy) // a way's proxy has both
	case c.way.host != "":
		host = c.way.host
	}
	return &net.DNSError{Err: "no answer", Name: host, IsTimeout: true, UnwrapErr: err}
}

// stages follows a request so that an error names the stage it happened in.
// The transport calls the trace from goroutines of its own.
type stages struct {
	now       atomic.Value // of type moment
	resolving atomic.Bool
}

type stagesKey struct{}

// moment is a stage, and who it is of where that is the proxy.
type moment struct{ stage, proxy string }

func stagesOf(ctx context.Context) *stages {
	if s, ok := ctx.Value(stagesKey{}).(*stages); ok {
		return s
	}
	return &stages{}
}

func (s *stages) set(stage string)            { s.now.Store(moment{stage: stage}) }
func (s *stages) atProxy(stage, proxy string) { s.now.Store(moment{stage, proxy}) }
func (s *stages) get() moment                 { return s.now.Load().(moment) }

func (s *stages) trace(ask string) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { s.resolving.Store(true) },
		DNSDone:           func(info httptrace.DNSDoneInfo) { s.resolving.Store(info.Err != nil) },
		TLSHandshakeStart: func() { s.set("TLS handshake with") },
		GotConn:           func(httptrace.GotConnInfo) { s.set(ask) },
	}
}

func isHTML(h http.Header, body []byte) bool {
	if t, _, err := mime.ParseMediaType(h.Get("Content-Type")); err == nil && t == "text/html" {
		return true
	}
	head := bytes.ToLower(bytes.TrimLeft(body[:min(len(body), 256)], " \t\r\n\ufeff"))
	return bytes.HasPrefix(head, []byte("<!doctype html")) || bytes.HasPrefix(head, []byte("<html"))
}

// StatusFault judges a status outside 2xx: 5xx is a server that cannot serve,
// 401 a refused login, 403 a missing right, anything else an answer that
// cannot be understood. It returns nil for 2xx.
func (a *Answer) StatusFault(stage, peer string) error {
	detail := http.StatusText(a.Status)
	if detail == "" {
		detail = "no standard status"
	}
	status := "HTTP " + strconv.Itoa(a.Status) + " " + detail
	switch {
	case a.Status >= 200 && a.Status < 300:
		return nil
	case a.Status >= 500:
		return check.Faultf(check.Unavailable, stage, peer, "%s", status)
	case a.Status == http.StatusUnauthorized:
		return check.Faultf(check.Auth, stage, peer, "%s", status)
	case a.Status == http.StatusForbidden:
		return check.Faultf(check.Permission, stage, peer, "%s", status)
	case a.Status >= 300 && a.Status < 400:
		return check.Faultf(check.Config, stage, peer, "%s to %q: give that address", status, check.Clean(a.Header.Get("Location")))
	}
	return check.Faultf(check.Data, stage, peer, "%s", status)
}

// JSON decodes the body. An HTML page where JSON is due is a server (or a
// proxy before it) that cannot serve; anything else that is no JSON cannot be
// understood.
func (a *Answer) JSON(stage, peer string, into any) error {
	if a.HTML {
		return check.Faultf(check.Unavailable, stage, peer, "an HTML page instead of JSON (HTTP %d): is this the right address, or a proxy's error page?", a.Status)
	}
	if len(bytes.TrimSpace(a.Body)) == 0 {
		return check.Faultf(check.Data, stage, peer, "an empty answer (HTTP %d)", a.Status)
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return check.Faultf(check.Data, stage, peer, "not the JSON that was expected (HTTP %d): %w", a.Status, err)
	}
	return nil
}
