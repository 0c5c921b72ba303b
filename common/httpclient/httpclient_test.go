package httpclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/httpclient"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
)

// ask sends one request and decodes the answer, as a check does.
func ask(t *testing.T, base string) error {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	c, err := httpclient.New(httpclient.Config{Base: u, Limit: 2 * time.Second, User: "monitor", Password: check.NewSecret("hunter2")})
	if err != nil {
		return err
	}
	defer c.Close()
	const stage = "read the queues of"
	answer, err := c.Do(context.Background(), httpclient.Request{Stage: stage, Path: "/api", Max: 1 << 16})
	if err != nil {
		return err
	}
	if err := answer.StatusFault(stage, c.Peer()); err != nil {
		return err
	}
	var into []struct{ Name string }
	return answer.JSON(stage, c.Peer(), &into)
}

func TestAnswersAreNamed(t *testing.T) {
	at := func(m faultproxy.Mode) string { return "http://" + faultproxy.Start(t, "", m).Addr() }
	tests := []struct {
		name, base string
		reason     check.Reason // "" for success
		text       string
	}{
		{"fine", at(faultproxy.HTTP(200, "application/json", `[{"name":"q"}]`)), "", ""},
		{"unauthorized", at(faultproxy.HTTP(401, "application/json", `{}`)), check.Auth, "read the queues of 127.0.0.1:"},
		{"forbidden", at(faultproxy.HTTP(403, "application/json", `{}`)), check.Permission, "HTTP 403 Forbidden"},
		{"not found", at(faultproxy.HTTP(404, "application/json", `{}`)), check.Data, "HTTP 404 Not Found"},
		{"bad gateway", at(faultproxy.HTMLPage(502)), check.Unavailable, "HTTP 502 Bad Gateway"},
		{"redirect", at(faultproxy.Respond([]byte("HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\n\r\n"))), check.Config, "https://elsewhere/"},
		{"HTML for JSON", at(faultproxy.HTMLPage(200)), check.Unavailable, "an HTML page instead of JSON"},
		{"HTML with a wrong type", at(faultproxy.HTTP(200, "application/json", "  <!DOCTYPE html><p>")), check.Unavailable, "an HTML page"},
		{"empty", at(faultproxy.HTTP(200, "application/json", "")), check.Data, "an empty answer"},
		{"truncated", at(faultproxy.HTTP(200, "application/json", `[{"name":"q"`)), check.Data, "not the JSON that was expected"},
		{"another shape", at(faultproxy.HTTP(200, "application/json", `{"error":"x"}`)), check.Data, "not the JSON that was expected"},
		{"too much", at(faultproxy.HTTPFlood()), check.Data, "answer is larger than 64 KiB"},
		{"too many headers", at(faultproxy.HTTPHeaderFlood()), check.Protocol, ""},
		{"garbage", at(faultproxy.Garbage(3)), check.Protocol, "the answer is not HTTP"},
		{"silent", at(faultproxy.Silent()), check.Timeout, "read the queues of 127.0.0.1:"},
		{"refused", at(faultproxy.Refused()), check.Dial, "connect to 127.0.0.1:"},
		{"SYN lost", at(faultproxy.SYNLost()), check.Timeout, "connect to 127.0.0.1:"},
		{"no TLS", strings.Replace(at(faultproxy.HTTP(200, "application/json", "[]")), "http:", "https:", 1), check.Protocol, "TLS handshake with"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := ask(t, tt.base)
			if tt.reason == "" {
				if err != nil {
					t.Errorf("ask() = %v; want nil", err)
				}
				return
			}
			if err == nil || check.ReasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("ask() = %v (%s); want %s with %q and no password", err, check.ReasonOf(err), tt.reason, tt.text)
			}
		})
	}
}

// A signature is made over the whole request, and its error is the request's.
func TestSign(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		got = fmt.Sprint(r.Method, " ", r.URL, " ", r.Header.Get("Signature"), " ", string(body), " ", err)
	}))
	defer server.Close()
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var refused error
	c, err := httpclient.New(httpclient.Config{Base: base, Limit: 5 * time.Second, Sign: func(r *http.Request) error {
		r.Header.Set("Signature", r.Method+r.URL.Path)
		return refused
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := httpclient.Request{Stage: "ask", Method: http.MethodPost, Path: "/a%20b?c", Body: "<d/>"}
	if _, err := c.Do(t.Context(), ask); err != nil || got != "POST /a%20b?c POST/a b <d/> <nil>" {
		t.Errorf("Do() = %v and the server got %q; want it with signature and body", err, got)
	}
	refused = errors.New("no key")
	if _, err := c.Do(t.Context(), ask); !errors.Is(err, refused) {
		t.Errorf("Do() = %v; want the error of the signature", err)
	}
}

// A redirect must not carry the credentials anywhere.
func TestRedirectIsNotFollowed(t *testing.T) {
	visited := false
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited = true }))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	if err := ask(t, server.URL); err == nil || visited {
		t.Errorf("ask() = %v, the other host was asked: %v; want an error and no request", err, visited)
	}
}

// A name server that does not answer is named, not the server that nobody
// found.
func TestSilentNameServer(t *testing.T) {
	dns := faultproxy.StartDNS(t, faultproxy.DNSSilent)
	c, err := httpclient.New(httpclient.Config{Base: &url.URL{Scheme: "http", Host: "slow.belfry.test"}, Limit: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Do(dial.WithResolver(context.Background(), dns.Resolver()), httpclient.Request{Stage: "ask"})
	if check.ReasonOf(err) != check.DNS || !strings.Contains(err.Error(), "no answer of the name server for slow.belfry.test") {
		t.Errorf("Do() = %v (%s); want the name server blamed", err, check.ReasonOf(err))
	}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
