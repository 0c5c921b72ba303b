package httpclient

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
)

// maxProxyAnswer bounds in bytes what a proxy says to CONNECT.
const maxProxyAnswer = 64 << 10

// dial opens the connection for net/http, which speaks TLS over it where the
// site does. net/http can CONNECT by itself, but for https only, to no other
// address than the URL's, and without saying which stage it is at.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	address = c.way.address(address)
	if c.way.proxy == "" {
		return dial.Context(ctx, network, address)
	}
	stage := stagesOf(ctx)
	stage.atProxy("connect to the proxy", c.way.proxy)
	conn, err := dial.Context(ctx, network, c.way.proxy)
	if err != nil {
		return nil, err
	}
	stage.atProxy("ask the proxy", c.way.proxy+" for "+address)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // a closed connection ends as well
	through, err := c.connect(conn, address)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close() //nolint:errcheck // it is of no use any more
		return nil, err
	}
	stage.set("connect to")
	return through, nil
}

// connect asks the proxy for a connection to the address.
func (c *Client) connect(conn net.Conn, address string) (net.Conn, error) {
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: make(http.Header)}
	if agent := c.header.Get("User-Agent"); agent != "" {
		request.Header.Set("User-Agent", agent)
	}
	if c.way.auth != "" {
		request.Header.Set("Proxy-Authorization", c.way.auth)
	}
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	in := bufio.NewReader(io.LimitReader(conn, maxProxyAnswer))
	answer, err := http.ReadResponse(in, request)
	if err != nil {
		return nil, httpCause(err)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return nil, c.refusal(answer, address)
	}
	early, err := in.Peek(in.Buffered()) // what the server said before it was spoken to
	if err != nil {
		return nil, err
	}
	return &tunnel{Conn: conn, early: io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn)}, nil
}

// tunnel is a connection of which some bytes have been read already.
type tunnel struct {
	net.Conn
	early io.Reader
}

func (t *tunnel) Read(p []byte) (int, error) { return t.early.Read(p) }

// refusal says why a proxy does not connect. That it cannot reach the server
// (5xx) is the server's fault as far as anybody can tell; that it does not want
// to is the proxy's.
func (c *Client) refusal(answer *http.Response, address string) error {
	said := "HTTP " + check.CleanMax(strings.TrimSpace(answer.Status), 100)
	if detail := answer.Header.Get("X-Squid-Error"); detail != "" {
		said += " (" + check.CleanMax(detail, 100) + ")"
	}
	peer := c.way.proxy + " for " + address
	switch {
	case answer.StatusCode >= 500:
		return check.Faultf(check.Dial, "connect to", address, "the proxy %s cannot: %s", c.way.proxy, said)
	case answer.StatusCode == http.StatusProxyAuthRequired && c.way.auth == "":
		return check.Faultf(check.Proxy, "ask the proxy", peer, "%s: give --proxy-user and --proxy-password-file", said)
	case answer.StatusCode == http.StatusProxyAuthRequired, answer.StatusCode == http.StatusUnauthorized: // tinyproxy says 401 of a wrong password
		return check.Faultf(check.Proxy, "ask the proxy", peer, "%s: it refuses the user or the password", said)
	}
	return check.Faultf(check.Proxy, "ask the proxy", peer, "%s: it refuses to connect there", said)
}

// proxyFault is a failure before the proxy has connected: whatever it is, it is
// not the server's.
func proxyFault(stage, peer string, started time.Time, err error) error {
	err = dial.Fault(stage, peer, started, err)
	if fault, ok := err.(*check.Fault); ok && fault.Stage == stage {
		fault.Reason = check.Proxy
	}
	return err
}
