package sendreceivetime

import (
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/certs"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// backend is a Zulip server of the domain chat.belfry.test, which no name
// server knows, with TLS; its zuliprc files name the site as people see it.
type backend struct {
	*zulipserver.Server
	addr, ca string
	args     []string
}

func newBackend(t *testing.T, bed *testbed.Bed) *backend {
	t.Helper()
	const domain = "chat.belfry.test"
	authority, err := certs.NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := authority.Issue(certs.Leaf{CommonName: domain, Names: []string{domain}})
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{Server: zulipserver.StartTest(t, zulipserver.Options{Domain: domain, TLS: &tls.Config{Certificates: []tls.Certificate{cert.TLS}}})}
	b.addr = strings.TrimPrefix(b.URL(), "https://")
	b.ca = bed.WriteFileFor("nobody", "ca.crt", string(authority.CertPEM), 0o644)
	rc := func(name, email string) string {
		u := b.AddUser(zulipserver.User{Email: email, Bot: true})
		return bed.WriteFileFor("nobody", name, strings.ReplaceAll(b.Zuliprc(u), b.URL(), "https://"+domain), 0o400)
	}
	b.args = []string{"--sender-zuliprc", rc("s", sendBot), "--receiver-zuliprc", rc("r", receiveBot), "--ca-file", b.ca, "-t", "8s"}
	return b
}

// The released binary, as an unprivileged user, straight to one backend and
// through Debian's tinyproxy, which is then broken.
func TestRoutes(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	b := newBackend(t, bed)
	binary := bed.Build("./plugins/sendreceivetime/check_send_receive_time")
	_, portText, err := net.SplitHostPort(b.addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		t.Fatal(err)
	}
	open := bed.Tinyproxy(testbed.TinyproxyOptions{})
	locked := bed.Tinyproxy(testbed.TinyproxyOptions{Name: "locked", User: "monitor", Password: "hunter2"})
	narrow := bed.Tinyproxy(testbed.TinyproxyOptions{Name: "narrow", ConnectPorts: []int{port}})
	password := bed.WriteFileFor("nobody", "password", "hunter2\n", 0o400)
	nobody := faultproxy.Start(t, "", faultproxy.Refused())

	wantEnv := func(name string, env []string, exit int, text string, args ...string) {
		t.Helper()
		argv := append(append([]string{binary}, b.args...), args...)
		got := testbed.RunAs(t, "nobody", argv, env)
		line, _, _ := strings.Cut(got.Stdout, "\n")
		t.Logf("%s: %s", name, line)
		if got.Exit != exit || !strings.Contains(line, text) || got.Stderr != "" {
			t.Errorf("%s: exit %d, %s, stderr %q; want %d, %q", name, got.Exit, line, got.Stderr, exit, text)
		}
		if strings.Contains(got.Stdout, "hunter2") {
			t.Errorf("%s: the output holds the password", name)
		}
		if m, q := len(b.Messages()), len(b.Queues()); m != 0 || q != 0 {
			t.Errorf("%s: %d messages and %d queues are left; want none", name, m, q)
		}
	}
	want := func(name string, exit int, text string, args ...string) {
		t.Helper()
		wantEnv(name, nil, exit, text, args...)
	}
	forced := []string{"--force-address", b.addr}
	with := func(more ...string) []string { return append(append([]string(nil), forced...), more...) }

	want("no name", 2, "CRITICAL: connect to chat.belfry.test:443: name chat.belfry.test does not exist")
	want("one backend", 0, "OK: delivered in ", forced...)
	want("one backend, said", 0, "address forced to "+b.addr, forced...)
	want("not the site's backend", 2, "TLS handshake with other.belfry.test:443 at "+b.addr+": certificate is not for this name", with("--site", "https://other.belfry.test")...)
	want("backend down", 2, "connect to chat.belfry.test:443 at "+nobody.Addr()+": connection refused", "--force-address", nobody.Addr())

	proxy := func(p *testbed.Tinyproxy) string { return "http://" + p.Addr() }
	want("proxy", 0, "OK: delivered in ", with("--proxy", proxy(open))...)
	want("proxy that lets in", 0, "OK: delivered in ", with("--proxy", proxy(locked), "--proxy-user", "monitor", "--proxy-password-file", password)...)
	want("proxy that wants a password", 3, "UNKNOWN: ask the proxy "+locked.Addr()+" for "+b.addr+": HTTP 407 Proxy Authentication Required: give --proxy-user", with("--proxy", proxy(locked))...)
	want("proxy that refuses the password", 3, "HTTP 401 Unauthorized: it refuses the user or the password", with("--proxy", proxy(locked), "--proxy-user", "somebody", "--proxy-password-file", password)...)
	want("proxy that does not connect there", 3, "UNKNOWN: ask the proxy "+narrow.Addr()+" for "+nobody.Addr()+": HTTP 403", "--force-address", nobody.Addr(), "--proxy", proxy(narrow))
	want("backend down behind the proxy", 2, "CRITICAL: connect to "+nobody.Addr()+": the proxy "+open.Addr()+" cannot: HTTP 500 Unable to connect", "--force-address", nobody.Addr(), "--proxy", proxy(open))
	want("no name at the proxy", 2, "CRITICAL: connect to chat.belfry.test:443: the proxy "+open.Addr()+" cannot: HTTP 500", "--proxy", proxy(open))
	want("password on the command line", 3, "use --proxy-user and --proxy-password-file", with("--proxy", "http://monitor:hunter2@"+locked.Addr())...)

	wantEnv("environment", []string{"HTTPS_PROXY=http://monitor:hunter2@" + locked.Addr()}, 0, "OK: delivered in ", forced...)
	wantEnv("NO_PROXY", []string{"HTTPS_PROXY=" + nobody.Addr(), "NO_PROXY=.belfry.test"}, 0, "OK: delivered in ", forced...)
	wantEnv("environment's proxy is down", []string{"https_proxy=" + nobody.Addr()}, 3, "UNKNOWN: connect to the proxy "+nobody.Addr()+": connection refused", forced...)

	open.Freeze()
	want("proxy frozen", 3, "UNKNOWN: ask the proxy "+open.Addr()+" for "+b.addr+": timed out after ", with("--proxy", proxy(open), "-t", "2s")...)
	open.Thaw()
	open.Stop()
	want("proxy stopped", 3, "UNKNOWN: connect to the proxy "+open.Addr()+": connection refused", with("--proxy", proxy(open))...)
}
