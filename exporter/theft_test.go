package exporter

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/exporter/config"
	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/testbed/certs"
)

// password is what the thieves of these tests are after.
const password = "hunter2-e8f1"

// Whoever may ask for any target gets the module's credentials sent to where
// the configuration allows it, and nowhere else.
func TestCredentialsCannotBeStolen(t *testing.T) {
	set, err := certs.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	atGood, atEvil := listenTwice(t)
	_, port, _ := net.SplitHostPort(atGood.Addr().String())
	good := newTrap(t, atGood, nil, func(*http.Request) string {
		return "HTTP/1.1 302 Found\r\nLocation: http://" + atEvil.Addr().String() + "/api/overview\r\nContent-Length: 0\r\n\r\n"
	})
	evil := newTrap(t, atEvil, &tls.Config{Certificates: []tls.Certificate{set.UnknownIssuer.TLS}}, refuseLogin)
	t.Setenv("HTTP_PROXY", "http://"+evil.Addr().String())
	t.Setenv("HTTPS_PROXY", "http://"+evil.Addr().String())
	t.Setenv("PGHOST", "127.0.0.2")
	t.Setenv("PGHOSTADDR", "127.0.0.2")
	t.Setenv("PGPORT", port)

	dir := t.TempDir()
	secret := filepath.Join(dir, "pw")
	write(t, secret, password+"\n")
	evilPassfile := filepath.Join(dir, "passfile")
	write(t, evilPassfile, "*:*:*:*:"+password+"\n")
	path := filepath.Join(dir, "exporter.yml")
	write(t, path, strings.NewReplacer("PW", secret, "PORT", port).Replace(`
defaults: {timeout: 60s}
modules:
  pg:
    check: postgres_replication_lag
    options: {user: monitor, password-file: PW}
    targets: {named: "127.0.0.1:PORT"}
    targets_pattern: 'good\.example(:5432)?|127\.0\.0\.1:PORT'
  pg-any:
    check: postgres_replication_lag
    options: {user: monitor, password-file: PW}
    targets_pattern: '(?s).*127\.0\.0\.1:PORT.*|(?s).*good\.example.*'
  rabbit:
    check: rabbitmq_queues
    options: {user: monitor, password-file: PW, port: PORT}
    targets_pattern: '127\.0\.0\.1'
  rabbit-any:
    check: rabbitmq_queues
    options: {user: monitor, password-file: PW, port: PORT}
    targets_pattern: '(?s).*127\.0\.0\.1.*'
  zulip:
    check: send_receive_time
    options: {sender-email: a@example.org, sender-key-file: PW, receiver-email: a@example.org, receiver-key-file: PW}
    target_option: site
    targets_pattern: '.*127\.0\.0\.[12]:PORT'
  pinned:
    check: send_receive_time
    options: {site: "https://chat.example.org", sender-email: a@example.org, sender-key-file: PW, receiver-email: a@example.org, receiver-key-file: PW}
    target_option: force-address
    targets_pattern: '127\.0\.0\.[12]:PORT'
`))
	var log bytes.Buffer
	e, err := New(Options{ConfigFile: path, Catalog: plugins.Catalog(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err == nil {
		err = e.Reload()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			t.Errorf("Stop = %v; want nil", err)
		}
		if strings.Contains(log.String(), password) {
			t.Errorf("the log tells the password:\n%s", log.String())
		}
	}()
	h, at := e.Handler(), "127.0.0.1:"+port
	there := "127.0.0.2:" + port

	for _, c := range []struct {
		name, module, target, more string // more: further parameters
		headers                    []string
		status                     int
		good                       bool // the password goes to the good server
		evil                       bool // a connection, without the password, reaches the evil one
	}{
		// That the traps work.
		{name: "a named target", module: "pg", target: "named", status: 200, good: true},
		{name: "an allowed target", module: "pg", target: at, status: 200, good: true},
		{name: "an allowed broker, which redirects", module: "rabbit", target: "127.0.0.1", status: 200, good: true},

		{name: "the thief's own server", module: "pg", target: there, status: 404},
		{name: "the thief's own broker", module: "rabbit", target: "127.0.0.2", status: 404},
		{name: "an allowed name before it", module: "pg", target: "good.example." + there, status: 404},
		{name: "an allowed name behind it", module: "pg", target: there + "good.example", status: 404},
		{name: "userinfo", module: "pg-any", target: "good.example@" + there, status: 404},
		{name: "userinfo of a broker", module: "rabbit-any", target: "127.0.0.1@127.0.0.2", status: 404},
		{name: "a password of userinfo", module: "pg-any", target: "good.example:x@" + there, status: 404},
		{name: "a path", module: "pg-any", target: "good.example:5432/../" + there, status: 404},
		{name: "a path of a broker", module: "rabbit-any", target: "127.0.0.2/127.0.0.1", status: 404},
		{name: "a query", module: "rabbit-any", target: "127.0.0.2?127.0.0.1", status: 404},
		{name: "a fragment", module: "rabbit-any", target: "127.0.0.2#127.0.0.1", status: 404},
		{name: "a list of servers", module: "pg-any", target: at + "," + there, status: 404},
		{name: "a list, the thief first", module: "pg-any", target: there + "," + at, status: 404},
		{name: "a line end", module: "pg", target: at + "\n", status: 404},
		{name: "a line of its own", module: "pg-any", target: at + "\n" + there, status: 404},
		{name: "a null byte", module: "pg-any", target: there + "\x00good.example", status: 404},
		{name: "a socket", module: "pg-any", target: dir + "/good.example", status: 404},
		{name: "an abstract socket", module: "pg-any", target: "@good.example", status: 404},
		{name: "a URI", module: "pg-any", target: "postgresql://" + there + "/?application_name=good.example", status: 404},
		{name: "a URI with hostaddr", module: "pg-any", target: "postgresql://good.example/?hostaddr=127.0.0.2&port=" + port, status: 404},
		{name: "a URI with host", module: "pg-any", target: "postgres://good.example/?host=127.0.0.2&port=" + port, status: 404},
		{name: "a URI with sslmode", module: "pg-any", target: "postgresql://" + at + "/?sslmode=disable", status: 404},
		{name: "a URI with passfile", module: "pg-any", target: "postgresql://" + at + "/?passfile=" + evilPassfile, status: 404},
		{name: "a URI with service", module: "pg-any", target: "postgresql://" + at + "/?service=x", status: 404},
		{name: "keywords", module: "pg-any", target: "host=good.example hostaddr=127.0.0.2 port=" + port, status: 404},
		{name: "a zone", module: "pg-any", target: "[::ffff:127.0.0.2%good.example]:" + port, status: 404},
		{name: "the same address in IPv6", module: "pg", target: "[::ffff:127.0.0.2]:" + port, status: 404},
		{name: "full stops of another script", module: "pg", target: "127。0。0。1:" + port, status: 404},
		{name: "digits of another script", module: "pg-any", target: "１２７.0.0.2:" + port + "good.example", status: 404},
		{name: "a letter that prints nothing", module: "pg", target: "good.example\u200b", status: 404},
		{name: "an upper-case name", module: "pg", target: "GOOD.EXAMPLE", status: 404},
		{name: "a final dot", module: "pg", target: "good.example.", status: 404},
		{name: "encoded twice", module: "pg", target: url.QueryEscape(at), status: 404},
		{name: "plain HTTP", module: "zulip", target: "http://127.0.0.1:" + port, status: 404},
		{name: "plain HTTP in capitals", module: "zulip", target: "HTTP://127.0.0.1:" + port, status: 404},
		{name: "another scheme", module: "zulip", target: "gopher://127.0.0.1:" + port, status: 404},
		{name: "a site with userinfo", module: "zulip", target: "https://x@127.0.0.1:" + port, status: 404},

		// Allowed, but TLS stands before the password.
		{name: "an allowed site without the certificate", module: "zulip", target: there, status: 200, evil: true},
		{name: "an allowed backend without the certificate", module: "pinned", target: there, status: 200, evil: true},

		{name: "the option as a parameter", module: "pg", target: at, more: "&host=" + there, status: 400},
		{name: "TLS as a parameter", module: "pg", target: at, more: "&sslmode=disable", status: 400},
		{name: "a proxy as a parameter", module: "rabbit", target: "127.0.0.1", more: "&proxy=http://" + there, status: 400},
		{name: "an option below target", module: "pg", target: at, more: "&target[host]=" + there, status: 400},
		{name: "a second target", module: "pg", target: at, more: "&target=" + there, status: 400},
		{name: "a second module", module: "pg", target: "127.0.0.1", more: "&module=rabbit", status: 400},
		{name: "a semicolon", module: "pg", target: at, more: ";host=" + there, status: 400},

		{name: "headers of proxies", module: "rabbit", target: "127.0.0.1", status: 200, good: true,
			headers: []string{"Host", there, "X-Forwarded-Host", there, "Forwarded", "host=" + there, "Proxy", "http://" + there, "X-Belfry-Target", there}},
		{name: "credentials of the asker", module: "rabbit", target: "127.0.0.1", status: 200, good: true, headers: []string{"Authorization", "Bearer asker"}},
	} {
		request := "/probe?module=" + c.module + "&target=" + url.QueryEscape(c.target) + c.more
		for _, debug := range []string{"", "&debug=true"} {
			response := ask(h, "GET", request+debug, c.headers...)
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != c.status {
				t.Errorf("%s: GET %s = %d %s; want %d", c.name, request, response.StatusCode, body, c.status)
			}
			if strings.Contains(string(body), password) || strings.Contains(string(body), secretly(password)) {
				t.Errorf("%s: the answer tells the password:\n%s", c.name, body)
			}
			_, toGood := good.taken()
			if got := holds(toGood); got != c.good {
				t.Errorf("%s: the password goes where it belongs: %v; want %v\n%s", c.name, got, c.good, body)
			}
			if strings.Contains(toGood, "asker") || strings.Contains(toGood, "X-Belfry-Target") {
				t.Errorf("%s: the asker's headers are sent on:\n%s", c.name, toGood)
			}
			conns, toEvil := evil.taken()
			if holds(toEvil) || (conns > 0) != c.evil {
				t.Errorf("%s: %d connections to the thief, who got %q; want a connection %v, and no password\n%s", c.name, conns, toEvil, c.evil, body)
			}
		}
	}
}

// holds finds the password as it is, or as HTTP's basic authentication sends
// it.
func holds(sent string) bool {
	return strings.Contains(sent, password) || strings.Contains(sent, secretly(password))
}

func secretly(password string) string {
	r := &http.Request{Header: make(http.Header)}
	r.SetBasicAuth("monitor", password)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}

// What a secrets file holds is in no error of the configuration, nor in what
// discovery and the API tell.
func TestSecretsAreInNoOtherAnswer(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "exporter.yml")
	write(t, path, fmt.Sprintf("modules: {fake: {check: fake, options: {password: %s}, targets: {a: {options: {mode: nonsense}}}}}", password))
	e, err := New(Options{ConfigFile: path, Catalog: w.catalog, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = e.Reload()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop(t, e)
	for _, p := range []string{"/", "/discovery", "/metrics", "/api/v1/checks", "/probe?module=fake&target=a", "/probe?module=fake&target=a&debug=true", "/probe?module=fake&target=b"} {
		if _, body := get(e.Handler(), "GET", p); strings.Contains(body, password) {
			t.Errorf("GET %s tells the password:\n%s", p, body)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := e.Reload(); err == nil || strings.Contains(err.Error(), password) {
		t.Errorf("Reload of a file that others can read = %v; want an error without the password", err)
	}
}

// The options that a target may fill are the ones that the documentation
// names, and none is a secret or a file.
func TestOptionsThatATargetMayFill(t *testing.T) {
	page, err := os.ReadFile("../docs/probes.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range plugins.Catalog() {
		fs := pflag.NewFlagSet(d.Name, pflag.ContinueOnError)
		d.New(fs).Close()
		fs.VisitAll(func(f *pflag.Flag) {
			if options.AddressFormOf(f) == options.NoAddress {
				return
			}
			if options.IsSecret(f) || strings.HasSuffix(f.Name, "-file") || f.Value.Type() == "bool" {
				t.Errorf("check %s: --%s is declared as an address; want an option that says where its server is", d.Name, f.Name)
			}
			if !strings.Contains(string(page), "`"+f.Name+"`") {
				t.Errorf("docs/probes.md does not name the option %s of check %s, which a target may fill", f.Name, d.Name)
			}
		})
	}
}

// The configurations of the documentation are right for the real checks.
func TestDocumentedConfigurations(t *testing.T) {
	page, err := os.ReadFile("../docs/probes.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, block := range yamlBlocks(string(page)) {
		if !strings.HasPrefix(block, "modules:") {
			continue
		}
		found++
		path := filepath.Join(t.TempDir(), "exporter.yml")
		write(t, path, block)
		if _, err := config.Load(path, plugins.Catalog()); err != nil {
			t.Errorf("Load = %v; want nil for\n%s", err, block)
		}
	}
	if found == 0 {
		t.Error("docs/probes.md shows no modules")
	}
}
