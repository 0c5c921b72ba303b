package httpclient_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/httpclient"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/testbed/certs"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
)

const site = "chat.belfry.test"

// answering is a server that answers [] and remembers the Host header.
func answering(t *testing.T, host *atomic.Value) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host.Store(r.Host)
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte("[]")) //nolint:errcheck // the client is gone
	})}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }() //nolint:errcheck // ends with Close
	t.Cleanup(func() { s.Close(); <-done })       //nolint:errcheck // likewise
	return l.Addr().String()
}

// caFor returns a certificate for the site and the file of its authority.
func caFor(t *testing.T, name string) (*certs.Certificate, string) {
	t.Helper()
	authority, err := certs.NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.Issue(certs.Leaf{CommonName: name, Names: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	return cert, writeFile(t, "ca.crt", string(authority.CertPEM))
}

// through asks the site once on the route; no name server knows it.
func through(t *testing.T, base string, tls dial.TLS, r *httpclient.Route) error {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	c, err := httpclient.New(httpclient.Config{Base: u, Limit: 2 * time.Second, TLS: &tls, Route: r})
	if err != nil {
		return err
	}
	defer c.Close()
	ctx := dial.WithResolver(context.Background(), faultproxy.StartDNS(t, faultproxy.DNSNXDomain).Resolver())
	answer, err := c.Do(ctx, httpclient.Request{Stage: "read the queues of", Path: "/api"})
	if err != nil {
		return err
	}
	if err := answer.StatusFault("read the queues of", c.Peer()); err != nil {
		return err
	}
	var into []any
	return answer.JSON("read the queues of", c.Peer(), &into)
}

func wantFault(t *testing.T, err error, reason check.Reason, text string) {
	t.Helper()
	switch {
	case reason == "" && err != nil:
		t.Errorf("error %v; want none", err)
	case reason == "":
	case err == nil || check.ReasonOf(err) != reason || !strings.HasPrefix(err.Error(), text):
		t.Errorf("error %v, reason %s; want reason %s and the beginning %q", err, check.ReasonOf(err), reason, text)
	}
}

// The forced address is dialled; Host header, TLS name and the certificate's
// verification are the site's.
func TestForceAddress(t *testing.T) {
	var host atomic.Value
	server := answering(t, &host)
	right, ca := caFor(t, site)
	wrong, otherCA := caFor(t, "other.belfry.test")
	plain := faultproxy.Start(t, server, faultproxy.Pass())
	good := faultproxy.Start(t, server, faultproxy.TLS(right.TLS, faultproxy.Pass()))
	bad := faultproxy.Start(t, server, faultproxy.TLS(wrong.TLS, faultproxy.Pass()))
	down := faultproxy.Start(t, "", faultproxy.Refused())
	_, port, _ := net.SplitHostPort(plain.Addr())
	tests := []struct {
		name, base, address, ca string
		reason                  check.Reason
		text                    string
	}{
		{"http", "http://" + site, plain.Addr(), "", "", ""},
		{"the site's port", "http://" + site + ":" + port, "127.0.0.1", "", "", ""},
		{"https", "https://" + site, good.Addr(), ca, "", ""},
		{"another certificate", "https://" + site, bad.Addr(), otherCA, check.TLS, "TLS handshake with " + site + ":443 at " + bad.Addr() + ": certificate is not for this name"},
		{"refused", "https://" + site, down.Addr(), ca, check.Dial, "connect to " + site + ":443 at " + down.Addr() + ": connection refused"},
		{"no such name", "https://" + site, "backend.belfry.test", ca, check.DNS, "connect to " + site + ":443 at backend.belfry.test:443: name backend.belfry.test does not exist"},
		{"not an address", "https://" + site, "http://10.0.0.5", ca, check.Config, "--force-address: must be an address or a name"},
		{"no port", "https://" + site, "10.0.0.5:", ca, check.Config, "--force-address: must be"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			host.Store("")
			err := through(t, tt.base, dial.TLS{CAFile: tt.ca}, &httpclient.Route{ForceAddress: tt.address})
			wantFault(t, err, tt.reason, tt.text)
			if got, want := host.Load(), strings.SplitN(tt.base, "//", 2)[1]; tt.reason == "" && got != want {
				t.Errorf("Host header %v; want %s", got, want)
			}
		})
	}
}

// What goes wrong before the proxy has connected is the proxy's and never the
// server's.
func TestProxy(t *testing.T) {
	var host atomic.Value
	server := answering(t, &host)
	cert, ca := caFor(t, site)
	wrong, otherCA := caFor(t, "other.belfry.test")
	secure := faultproxy.Start(t, server, faultproxy.TLS(cert.TLS, faultproxy.Pass()))
	impostor := faultproxy.Start(t, server, faultproxy.TLS(wrong.TLS, faultproxy.Pass()))
	silent := faultproxy.Start(t, "", faultproxy.Silent())
	bad502 := faultproxy.Start(t, "", faultproxy.HTMLPage(502))
	proxy := faultproxy.Start(t, secure.Addr(), faultproxy.Connect(nil))
	says := func(head string) faultproxy.Mode {
		return faultproxy.Respond([]byte("HTTP/1.1 " + head + "\r\nContent-Length: 0\r\n\r\n"))
	}
	tests := []struct {
		name, base, upstream, ca string
		mode                     faultproxy.Mode
		reason                   check.Reason
		text                     string // {P} is the proxy
	}{
		{"https", "https://" + site, secure.Addr(), ca, faultproxy.Connect(nil), "", ""},
		{"http", "http://" + site + ":9991", server, "", faultproxy.Connect(nil), "", ""},
		{"200 without more", "https://" + site, "", ca, says("200 OK"), check.Protocol, "TLS handshake with " + site + ":443 through the proxy {P}: connection closed early"},
		{"certificate behind it", "https://" + site, impostor.Addr(), otherCA, faultproxy.Connect(nil), check.TLS, "TLS handshake with " + site + ":443 through the proxy {P}: certificate is not for this name"},
		{"silence behind it", "https://" + site, silent.Addr(), ca, faultproxy.Connect(nil), check.Timeout, "TLS handshake with " + site + ":443 through the proxy {P}: timed out"},
		{"502 behind it", "http://" + site, bad502.Addr(), "", faultproxy.Connect(nil), check.Unavailable, "read the queues of " + site + ":80 through the proxy {P}: HTTP 502"},

		{"refused", "https://" + site, "", ca, faultproxy.Refused(), check.Proxy, "connect to the proxy {P}: connection refused"},
		{"SYN lost", "https://" + site, "", ca, faultproxy.SYNLost(), check.Proxy, "connect to the proxy {P}: timed out after"},
		{"silent", "https://" + site, "", ca, faultproxy.Silent(), check.Proxy, "ask the proxy {P} for " + site + ":443: timed out after"},
		{"one byte a second", "https://" + site, proxy.Addr(), ca, faultproxy.OneByteEvery(time.Second), check.Proxy, "ask the proxy {P} for " + site + ":443: timed out"},
		{"garbage", "https://" + site, "", ca, faultproxy.Garbage(5), check.Proxy, "ask the proxy {P} for " + site + ":443: the answer is not HTTP"},
		{"closes at once", "https://" + site, "", ca, faultproxy.CloseAtOnce(faultproxy.FIN), check.Proxy, "ask the proxy {P} for " + site + ":443: connection closed early"},
		{"resets", "https://" + site, "", ca, faultproxy.CloseAtOnce(faultproxy.RST), check.Proxy, "ask the proxy {P} for " + site + ":443: connection reset"},
		{"too many headers", "https://" + site, "", ca, faultproxy.HTTPHeaderFlood(), check.Proxy, "ask the proxy {P} for " + site + ":443: the answer is not HTTP"},
		{"407", "https://" + site, "", ca, says("407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\""), check.Proxy, "ask the proxy {P} for " + site + ":443: HTTP 407 Proxy Authentication Required: give --proxy-user"},
		{"403", "https://" + site, "", ca, says("403 Forbidden"), check.Proxy, "ask the proxy {P} for " + site + ":443: HTTP 403 Forbidden: it refuses to connect there"},
		{"a web server", "https://" + site, "", ca, faultproxy.HTMLPage(405), check.Proxy, "ask the proxy {P} for " + site + ":443: HTTP 405 Method Not Allowed: it refuses to connect there"},
		{"it cannot reach the server", "https://" + site, "", ca, says("503 Service Unavailable\r\nX-Squid-Error: ERR_CONNECT_FAIL 111"), check.Dial, "connect to " + site + ":443: the proxy {P} cannot: HTTP 503 Service Unavailable (ERR_CONNECT_FAIL 111)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := faultproxy.Start(t, tt.upstream, tt.mode)
			err := through(t, tt.base, dial.TLS{CAFile: tt.ca}, &httpclient.Route{Proxy: check.NewSecret("http://" + p.Addr())})
			wantFault(t, err, tt.reason, strings.ReplaceAll(tt.text, "{P}", p.Addr()))
			if tt.reason == check.Proxy && !strings.Contains(tt.text, "{P} for") && !strings.Contains(tt.text, "proxy {P}:") {
				t.Error("a fault of the proxy must name it")
			}
		})
	}
	t.Run("no such name", func(t *testing.T) {
		err := through(t, "https://"+site, dial.TLS{}, &httpclient.Route{Proxy: check.NewSecret("http://proxy.belfry.test:3128")})
		wantFault(t, err, check.Proxy, "connect to the proxy proxy.belfry.test:3128: name proxy.belfry.test does not exist")
	})
}

// A backend behind a proxy: the proxy is asked for the forced address, the
// server for the site.
func TestProxyToAForcedAddress(t *testing.T) {
	var host, asked, auth atomic.Value
	cert, ca := caFor(t, site)
	secure := faultproxy.Start(t, answering(t, &host), faultproxy.TLS(cert.TLS, faultproxy.Pass()))
	p := faultproxy.Start(t, secure.Addr(), faultproxy.Connect(func(r *http.Request) {
		asked.Store(r.Host)
		auth.Store(r.Header.Get("Proxy-Authorization"))
	}))
	err := through(t, "https://"+site, dial.TLS{CAFile: ca}, &httpclient.Route{
		ForceAddress: "10.0.0.5:8443", Proxy: check.NewSecret("http://monitor:hunter2@" + p.Addr()),
	})
	if err != nil || asked.Load() != "10.0.0.5:8443" || host.Load() != site {
		t.Errorf("error %v, the proxy was asked for %v, Host header %v; want none, 10.0.0.5:8443 and %s", err, asked.Load(), host.Load(), site)
	}
	if got, want := auth.Load(), "Basic bW9uaXRvcjpodW50ZXIy"; got != want {
		t.Errorf("Proxy-Authorization %v; want %s", got, want)
	}
}

// Which proxy a site is reached through, from the options as people set them.
func TestRouteFlags(t *testing.T) {
	password := writeFile(t, "password", "hunter2\n")
	env := func(pairs ...string) map[string]string {
		m := make(map[string]string)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	tests := []struct {
		name string
		args []string
		env  map[string]string
		base string
		want string // the way; an error's beginning
	}{
		{"nothing", nil, nil, "https://" + site, "peer"},
		{"option", []string{"--proxy", "http://p:3128"}, nil, "https://" + site, "peer through the proxy p:3128"},
		{"without scheme and port", []string{"--proxy", "p"}, nil, "https://" + site, "peer through the proxy p:80"},
		{"option for http", []string{"--proxy", "p:3128"}, nil, "http://" + site, "peer through the proxy p:3128"},
		{"environment", nil, env("HTTPS_PROXY", "http://u:hunter2@p:3128"), "https://" + site, "peer through the proxy p:3128"},
		{"environment, lower case", nil, env("https_proxy", "p:3128"), "https://" + site, "peer through the proxy p:3128"},
		{"environment is for https", nil, env("HTTPS_PROXY", "p:3128"), "http://" + site, "peer"},
		{"option before environment", []string{"--proxy", "q:1"}, env("HTTPS_PROXY", "p:3128"), "https://" + site, "peer through the proxy q:1"},
		{"loopback", []string{"--proxy", "p:3128"}, nil, "https://127.0.0.1:9991", "peer"},
		{"localhost", []string{"--proxy", "p:3128"}, nil, "https://localhost", "peer"},
		{"NO_PROXY", nil, env("HTTPS_PROXY", "p:3128", "NO_PROXY", "other.test,.belfry.test"), "https://" + site, "peer"},
		{"no_proxy with a network", nil, env("HTTPS_PROXY", "p:3128", "no_proxy", "10.0.0.0/8"), "https://10.1.2.3", "peer"},
		{"everything", []string{"--proxy", "p:3128", "--no-proxy", "*"}, nil, "https://" + site, "peer"},
		{"not for this one", []string{"--proxy", "p:3128", "--no-proxy", "other.test"}, nil, "https://" + site, "peer through the proxy p:3128"},
		{"a proxy of another kind that is not used", nil, env("HTTPS_PROXY", "socks5://u:hunter2@p:1080"), "https://localhost", "peer"},
		{"a proxy of another kind", nil, env("HTTPS_PROXY", "socks5://u:hunter2@p:1080"), "https://" + site, "--https-proxy: only proxies that are spoken to in plain HTTP"},
		{"no proxy's address", []string{"--proxy", "http://p:3128/path"}, nil, "https://" + site, "--proxy: not the address of a proxy"},
		{"no port", []string{"--proxy", "http://p:99999"}, nil, "https://" + site, "--proxy: there is no such port"},
		{"password in the address", []string{"--proxy", "http://u:hunter2@p"}, nil, "https://" + site, "a password in --proxy on the command line can be read by every local user: use --proxy-user and --proxy-password-file"},
		{"password as an option", []string{"--proxy-password", "hunter2"}, nil, "https://" + site, "--proxy-password on the command line"},
		{"password in a file", []string{"--proxy", "p:1", "--proxy-user", "u", "--proxy-password-file", password}, nil, "https://" + site, "peer through the proxy p:1 as u:hunter2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
			r := httpclient.RouteFlags(fs)
			err := options.FromArgs(fs, tt.args)
			if err == nil {
				err = options.FromEnv(fs, func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok })
			}
			base, parseErr := url.Parse(tt.base)
			if parseErr != nil {
				t.Fatal(parseErr)
			}
			got := ""
			if err == nil {
				got, err = httpclient.WayOf(r, base)
			}
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, tt.want) || strings.Contains(tt.want, "peer") && !strings.Contains(tt.want, " as ") && strings.TrimSuffix(got, " as u:hunter2") != tt.want {
				t.Errorf("the way is %q; want %q", got, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error %v quotes a password", err)
			}
			fs.VisitAll(func(f *pflag.Flag) {
				if strings.Contains(f.Value.String(), "hunter2") {
					t.Errorf("--%s shows a password", f.Name)
				}
			})
		})
	}
}

func FuzzRoute(f *testing.F) {
	f.Add("10.0.0.5:8443", "http://u:p@proxy:3128")
	f.Add("[::1]", "p")
	f.Add(":::", "socks5://")
	f.Fuzz(func(t *testing.T, address, proxy string) {
		base := &url.URL{Scheme: "https", Host: site}
		way, err := httpclient.WayOf(&httpclient.Route{ForceAddress: address, Proxy: check.NewSecret(proxy)}, base)
		if err == nil && check.Clean(way) != way {
			t.Errorf("--force-address %q --proxy %q gives the way %q; want it clean", address, proxy, way)
		}
	})
}

// A look that gave up waiting for a proxy leaves no connection behind.
func TestProxyConnectionsEnd(t *testing.T) {
	for name, mode := range map[string]faultproxy.Mode{"silent": faultproxy.Silent(), "refusing": faultproxy.HTMLPage(403), "garbage": faultproxy.Garbage(1)} {
		p := faultproxy.Start(t, "", mode)
		u := &url.URL{Scheme: "https", Host: site}
		c, err := httpclient.New(httpclient.Config{Base: u, Limit: 300 * time.Millisecond, Route: &httpclient.Route{Proxy: check.NewSecret(p.Addr())}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Do(context.Background(), httpclient.Request{Stage: "read", Path: "/"}); err == nil {
			t.Errorf("%s: no error; want one", name)
		}
		c.Close()
		for end := time.Now().Add(10 * time.Second); p.Live() > 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d connections are open 10s after the look; want none", name, p.Live())
			}
		}
	}
}
