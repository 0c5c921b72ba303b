package faultproxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed/certs"
)

func client(t *testing.T, set *certs.Set) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	if set != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: set.CA.Pool()}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	answer, err := c.Get(url)
	if err != nil {
		t.Fatalf("Get(%s) = %v; want an answer", url, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("Get(%s): read body: %v", url, err)
	}
	return answer, string(body)
}

func TestHTTP(t *testing.T) {
	for _, test := range []struct {
		mode         Mode
		status       int
		kind, inBody string
	}{
		{HTMLPage(502), 502, "text/html", "<h1>502 Bad Gateway</h1>"},
		{HTMLPage(200), 200, "text/html", "<center>nginx</center>"},
		{HTMLPage(401), 401, "text/html", "401 Unauthorized"},
		{HTMLPage(403), 403, "text/html", "403 Forbidden"},
		{HTTP(200, "application/json", "[]"), 200, "application/json", "[]"},
		{HTTP(200, "application/json", ""), 200, "application/json", ""},
	} {
		p := Start(t, "", test.mode)
		c := client(t, nil)
		for range 2 {
			answer, body := get(t, c, "http://"+p.Addr()+"/x")
			if got := answer.Header.Get("Content-Type"); answer.StatusCode != test.status || got != test.kind {
				t.Errorf("%v: Get() = %d %s; want %d %s", test.mode, answer.StatusCode, got, test.status, test.kind)
			}
			if !strings.Contains(body, test.inBody) || test.inBody == "" && body != "" {
				t.Errorf("%v: body = %q; want %q in it", test.mode, body, test.inBody)
			}
		}
		if got := p.Connections(); got != 1 {
			t.Errorf("%v: Connections() = %d; want 1, kept alive", test.mode, got)
		}
	}
}

func TestTLS(t *testing.T) {
	set, err := certs.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "plain upstream") }))
	t.Cleanup(plain.Close)
	p := Start(t, plain.Listener.Addr().String(), TLS(set.OK.TLS, Pass()))
	url := "https://" + p.Addr() + "/"
	if _, body := get(t, client(t, set), url); body != "plain upstream" {
		t.Errorf("Get() through TLS = %q; want the upstream's answer", body)
	}

	var invalid x509.CertificateInvalidError
	var wrong x509.HostnameError
	var unknown x509.UnknownAuthorityError
	for _, test := range []struct {
		name string
		cert *certs.Certificate
		want any
	}{
		{"expired", set.Expired, &invalid},
		{"wrong name", set.WrongName, &wrong},
		{"unknown issuer", set.UnknownIssuer, &unknown},
	} {
		if err := p.Set(TLS(test.cert.TLS, Pass())); err != nil {
			t.Fatal(err)
		}
		if _, err := client(t, set).Get(url); !errors.As(err, test.want) {
			t.Errorf("%s: Get() = %v; want a %T", test.name, err, test.want)
		}
	}

	if err := p.Set(TLS(set.OK.TLS, HTMLPage(502))); err != nil {
		t.Fatal(err)
	}
	if answer, _ := get(t, client(t, set), url); answer.StatusCode != 502 {
		t.Errorf("Get() = %d; want 502", answer.StatusCode)
	}
	if err := p.Set(TLS(set.OK.TLS, Refused())); err == nil {
		t.Error("Set(TLS(Refused())) = nil; want an error")
	}
}

func TestTLSEnds(t *testing.T) {
	set, err := certs.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: set.CA.Pool(), ServerName: "127.0.0.1"}
	for _, test := range []struct {
		mode Mode
		want error
	}{
		{SilentAfter(Exchanges(1)), os.ErrDeadlineExceeded},
		{CloseAfter(Exchanges(1), FIN), io.EOF},
		{CloseAfter(Exchanges(1), RST), syscall.ECONNRESET},
	} {
		p := Start(t, echoServer(t), TLS(set.OK.TLS, test.mode))
		raw := dial(t, p)
		conn := tls.Client(raw, config)
		say(t, conn, "hello")
		hear(t, conn, "hello")
		say(t, conn, "again")
		if test.want == os.ErrDeadlineExceeded {
			raw.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, test.want) {
			t.Errorf("%v: Read() = %v; want %v", test.mode, err, test.want)
		}
	}
	// A client that never shakes hands is let go by Close.
	p := Start(t, "", TLS(set.OK.TLS, Pass()))
	dial(t, p)
}

func TestAnswer(t *testing.T) {
	p := Start(t, "", Answer(func(c net.Conn) { io.WriteString(c, "mine") }))
	if got, err := io.ReadAll(dial(t, p)); string(got) != "mine" || err != nil {
		t.Errorf("ReadAll() = %q, %v; want mine", got, err)
	}
}
