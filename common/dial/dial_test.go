package dial_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/testbed/certs"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
)

// Each fault of the way to a peer is named for what it is.
func TestFaultNamesTheReason(t *testing.T) {
	set, err := certs.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := set.Write(dir); err != nil {
		t.Fatal(err)
	}
	trust := &dial.TLS{CAFile: filepath.Join(dir, "ca.crt")}
	at := func(m faultproxy.Mode) string { return faultproxy.Start(t, "", m).Addr() }
	secure := func(c *certs.Certificate) string { return at(faultproxy.TLS(c.TLS, faultproxy.Silent())) }
	tests := []struct {
		name, address string
		tls           *dial.TLS
		dns           faultproxy.DNSAnswer
		reason        check.Reason
		text          string
	}{
		{"refused", at(faultproxy.Refused()), nil, 0, check.Dial, "connection refused"},
		{"SYN lost", at(faultproxy.SYNLost()), nil, 0, check.Timeout, "timed out after"},
		{"no such name", "gone.belfry.test:1", nil, faultproxy.DNSNXDomain, check.DNS, "name gone.belfry.test does not exist"},
		{"silent name server", "slow.belfry.test:1", nil, faultproxy.DNSSilent, check.DNS, "no answer of the name server for slow.belfry.test"},
		{"broken name server", "sad.belfry.test:1", nil, faultproxy.DNSServFail, check.DNS, "name sad.belfry.test"},
		{"no such socket", "/nonexistent/socket", nil, 0, check.Dial, "no such socket"},
		{"expired", secure(set.Expired), trust, 0, check.TLS, "certificate is not valid now: it ended"},
		{"wrong name", secure(set.WrongName), trust, 0, check.TLS, "certificate is not for this name"},
		{"unknown issuer", secure(set.UnknownIssuer), trust, 0, check.TLS, "unknown authority"},
		{"no TLS there", at(faultproxy.Garbage(1)), trust, 0, check.TLS, "does not speak TLS"},
		{"silent in the handshake", at(faultproxy.Silent()), trust, 0, check.Timeout, "timed out after"},
		{"reset in the handshake", at(faultproxy.CloseAtOnce(faultproxy.RST)), trust, 0, check.Protocol, "connection reset"},
		{"closed in the handshake", at(faultproxy.CloseAtOnce(faultproxy.FIN)), trust, 0, check.Protocol, "connection closed early"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 700*time.Millisecond)
			defer cancel()
			if strings.HasSuffix(tt.address, ".belfry.test:1") {
				ctx = dial.WithResolver(ctx, faultproxy.StartDNS(t, tt.dns).Resolver())
			}
			err := connect(ctx, tt.address, tt.tls)
			if check.ReasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("connect(%s) = %v (%s); want %s with %q", tt.address, err, check.ReasonOf(err), tt.reason, tt.text)
			}
		})
	}
}

func connect(ctx context.Context, address string, options *dial.TLS) error {
	started := time.Now()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	conn, err := dial.Context(ctx, network, address)
	if err != nil {
		return dial.Fault("connect to", address, started, err)
	}
	defer conn.Close()
	if options == nil {
		return nil
	}
	host, _, _ := net.SplitHostPort(address)
	config, err := options.Config(host)
	if err != nil {
		return err
	}
	return dial.Fault("TLS handshake with", address, started, tls.Client(conn, config).HandshakeContext(ctx))
}

func TestTLSOptions(t *testing.T) {
	set, err := certs.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := set.Write(dir); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Chmod(in("expired.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := set.Expired.Write(dir, "old"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		options dial.TLS
		want    string // of the error; empty for none
	}{
		{dial.TLS{CAFile: in("ca.crt"), CertFile: in("client.crt"), KeyFile: in("client.key")}, ""},
		{dial.TLS{CAFile: in("missing.crt")}, "no such file"},
		{dial.TLS{CAFile: in("ok.key")}, "no PEM certificate"},
		{dial.TLS{CertFile: in("client.crt")}, "go together"},
		{dial.TLS{CertFile: in("client.crt"), KeyFile: in("ok.key")}, "no key in PEM that fits"},
		{dial.TLS{CertFile: in("old.crt"), KeyFile: in("old.key")}, "the client certificate is not valid any more: it ended "},
		{dial.TLS{CertFile: in("expired.crt"), KeyFile: in("expired.key")}, "mode 0644 lets others read"},
	} {
		_, err := tt.options.Config("localhost")
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("Config(%+v) = %v; want %q", tt.options, err, tt.want)
		}
	}
	if c, _ := (&dial.TLS{}).Config("db.example"); c.InsecureSkipVerify || c.ServerName != "db.example" || c.MinVersion < tls.VersionTLS12 {
		t.Errorf("Config() = verify %v, name %q, from %x; want verification by default, TLS 1.2 at least", !c.InsecureSkipVerify, c.ServerName, c.MinVersion)
	}
}
