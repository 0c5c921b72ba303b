package faults

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/testbed/certs"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
)

// Server says how a check is pointed at a server, so that every fault of the
// way to it can be put in between.
type Server struct {
	Definition *check.Definition
	Upstream   string                                          // host:port of the healthy server, in plain
	Args       func(host string, port int) []string            // the look at a server in plain
	TLSArgs    func(host string, port int, ca string) []string // the look at a server with TLS, verified against ca; nil where the check has no TLS
	StartTLS   func(net.Conn) error                            // reads the protocol's request for TLS and agrees; nil: TLS from the first byte
	Env        map[string]string                               // for every row
	Handshake  faultproxy.Limit                                // after which "silent after the handshake" and "closes half-way" begin
	TooMuch    *faultproxy.Mode                                // "answers too much"; nil: junk without end after the handshake. HTTP: faultproxy.HTTPFlood()
	Freeze     func()                                          // stops the real server with SIGSTOP
	Thaw       func()                                          // lets it go on
	Healthy    Want                                            // what the look says of the healthy server; zero is OK
	Differs    map[string]Want                                 // rows whose right verdict is another one; Why says why
	Rows       []Row                                           // the check's own: at least "authentication refused", "permission missing", "empty answer"
	Timeout    time.Duration                                   // -t of every row; zero is 1 s
}

// Run runs the whole table.
func (s Server) Run(t *testing.T) {
	t.Helper()
	set, err := certs.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	rows := append(s.wayRows(t), s.tlsRows(t, set)...)
	rows = append(rows, s.Rows...)
	if s.Freeze != nil {
		host, port := split(t, s.Upstream)
		rows = append(rows, Row{Name: "frozen with SIGSTOP", Args: s.Args(host, port), Want: Want{State: check.Critical, Reason: check.Timeout},
			Before: func(t *testing.T) { s.Freeze(); t.Cleanup(s.Thaw) }})
	}
	for i := range rows {
		if rows[i].Env == nil {
			rows[i].Env = s.Env
		}
		if rows[i].Timeout == 0 {
			rows[i].Timeout = s.Timeout
		}
		if want, ok := s.Differs[rows[i].Name]; ok {
			if want.Why == "" {
				t.Errorf("fault %q differs from the table without a why", rows[i].Name)
			}
			rows[i].Want = want
		}
	}
	required := Kind{"healthy", "name unknown", "name server silent", "refused", "SYN lost", "silent after connect",
		"silent after the handshake", "one byte a second", "garbage", "closes at once", "closes half-way", "answers too much",
		"authentication refused", "permission missing", "empty answer", "frozen with SIGSTOP"}
	if s.TLSArgs != nil {
		required = append(required, "TLS", "TLS expired", "TLS wrong name", "TLS unknown issuer")
	}
	Table(t, s.Definition, required, rows)
}

// wayRows are the faults of the way to the server.
func (s Server) wayRows(t *testing.T) []Row {
	row := func(name string, mode faultproxy.Mode, reason check.Reason) Row {
		p := faultproxy.Start(t, s.Upstream, mode)
		return Row{Name: name, Args: s.Args(p.Host(), p.Port()), Want: Want{State: reason.State(), Reason: reason}}
	}
	resolver := func(answer faultproxy.DNSAnswer) func(context.Context) context.Context {
		dns := faultproxy.StartDNS(t, answer)
		return func(ctx context.Context) context.Context { return dial.WithResolver(ctx, dns.Resolver()) }
	}
	_, port := split(t, s.Upstream)
	healthy := row("healthy", faultproxy.Pass(), "")
	healthy.Want = s.Healthy
	healthy.Timeout = 5 * time.Second
	unknown := Row{Name: "name unknown", Args: s.Args("gone.belfry.test", port), Want: Want{State: check.Critical, Reason: check.DNS},
		Context: resolver(faultproxy.DNSNXDomain)}
	silent := Row{Name: "name server silent", Args: s.Args("slow.belfry.test", port), Want: Want{State: check.Critical, Reason: check.DNS},
		Context: resolver(faultproxy.DNSSilent)}
	tooMuch := faultproxy.FloodAfter(s.Handshake, []byte(`{"name":"flood"},`))
	if s.TooMuch != nil {
		tooMuch = *s.TooMuch
	}
	return []Row{
		healthy, unknown, silent,
		row("refused", faultproxy.Refused(), check.Dial),
		row("SYN lost", faultproxy.SYNLost(), check.Timeout),
		row("silent after connect", faultproxy.Silent(), check.Timeout),
		row("silent after the handshake", faultproxy.SilentAfter(s.Handshake), check.Timeout),
		row("one byte a second", faultproxy.OneByteEvery(time.Second), check.Timeout),
		row("garbage", faultproxy.Garbage(7), check.Protocol),
		row("closes at once", faultproxy.CloseAtOnce(faultproxy.RST), check.Protocol),
		row("closes half-way", faultproxy.CloseAfter(s.Handshake, faultproxy.FIN), check.Protocol),
		row("answers too much", tooMuch, check.Data),
	}
}

// tlsRows are the faults of certificates, with a terminator in front of the
// plain server.
func (s Server) tlsRows(t *testing.T, set *certs.Set) []Row {
	if s.TLSArgs == nil {
		return nil
	}
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(ca, set.CA.CertPEM, 0o644); err != nil {
		t.Fatal(err)
	}
	row := func(name string, cert tls.Certificate, want Want) Row {
		mode := faultproxy.TLS(cert, faultproxy.Pass())
		if s.StartTLS != nil {
			mode = faultproxy.Answer(s.terminate(cert))
		}
		p := faultproxy.Start(t, s.Upstream, mode)
		return Row{Name: name, Args: s.TLSArgs(p.Host(), p.Port(), ca), Want: want, Timeout: 5 * time.Second}
	}
	broken := Want{State: check.Critical, Reason: check.TLS}
	return []Row{
		row("TLS", set.OK.TLS, s.Healthy),
		row("TLS expired", set.Expired.TLS, broken),
		row("TLS wrong name", set.WrongName.TLS, broken),
		row("TLS unknown issuer", set.UnknownIssuer.TLS, broken),
	}
}

// terminate answers the protocol's own request for TLS before the handshake,
// then passes everything to the server in plain.
func (s Server) terminate(cert tls.Certificate) func(net.Conn) {
	return func(conn net.Conn) {
		if s.StartTLS(conn) != nil {
			return
		}
		client := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
		if client.Handshake() != nil {
			return
		}
		server, err := net.Dial("tcp", s.Upstream)
		if err != nil {
			return
		}
		defer server.Close()
		done := make(chan struct{})
		go func() { defer close(done); io.Copy(server, client); server.(*net.TCPConn).CloseWrite() }() //nolint:errcheck // ends with either side
		io.Copy(client, server)                                                                        //nolint:errcheck // likewise
		client.Close()
		<-done
	}
}

func split(t *testing.T, address string) (host string, port int) {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatalf("upstream %q: %v", address, err)
	}
	port, err = net.LookupPort("tcp", text)
	if err != nil {
		t.Fatalf("upstream %q: %v", address, err)
	}
	return host, port
}
