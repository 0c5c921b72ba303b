package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
)

// The values of --sslmode, with libpq's meaning (PostgreSQL documentation,
// 34.19.1). "allow" is not offered: it sends the password before it asks for
// encryption.
const (
	sslDisable    = "disable"
	sslPrefer     = "prefer"
	sslRequire    = "require"
	sslVerifyCA   = "verify-ca"
	sslVerifyFull = "verify-full"
)

// systemCA is libpq's word for the system's authorities, instead of a file.
const systemCA = "system"

// sslMode settles how a server is spoken to. Without --sslmode certificates
// are verified, but on this machine, where the standard installation has a
// certificate that nobody signed.
func (o *Options) sslMode(host, mode string) (string, error) {
	switch {
	case isSocket(host):
		return sslDisable, nil
	case o.tls.Insecure && (mode == sslVerifyCA || mode == sslVerifyFull):
		return "", check.Faultf(check.Config, "", "", "--insecure and --sslmode %s contradict each other", mode)
	case mode == "" && o.tls.Insecure:
		return sslRequire, nil
	case mode == "" && isLocal(host) && o.tls.CAFile == "":
		return sslPrefer, nil
	case mode == "":
		return sslVerifyFull, nil
	case mode == sslRequire && o.tls.CAFile != "" && o.tls.CAFile != systemCA:
		return sslVerifyCA, nil // as libpq does
	}
	switch mode {
	case sslDisable, sslPrefer, sslRequire, sslVerifyCA, sslVerifyFull:
		return mode, nil
	}
	return "", check.Faultf(check.Config, "", "", "sslmode %q is none of disable, prefer, require, verify-ca, verify-full", mode)
}

// tlsConfig makes the configuration for a mode; nil for no TLS.
func (o *Options) tlsConfig(host, mode string) (*tls.Config, error) {
	if mode == sslDisable {
		return nil, nil
	}
	t := *o.tls
	switch {
	case t.CAFile == systemCA:
		t.CAFile = ""
	case t.CAFile == "" && (mode == sslVerifyCA || mode == sslVerifyFull):
		t.CAFile = o.ownFile("root.crt") // as libpq does
	}
	c, err := t.Config(host)
	if err != nil {
		return nil, err
	}
	switch mode {
	case sslPrefer, sslRequire:
		c.InsecureSkipVerify = true
	case sslVerifyCA:
		c.InsecureSkipVerify = true // of the name only: the chain is verified here
		c.VerifyConnection = verifyChain(c.RootCAs)
	}
	return c, nil
}

// verifyChain verifies that an authority signed the certificate, whatever
// name it carries.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		intermediates := x509.NewCertPool()
		for _, c := range state.PeerCertificates[1:] {
			intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
		return err
	}
}

// sslRequest is the packet that asks for TLS: its length and the code
// 80877103 (PostgreSQL documentation, "Message Formats", SSLRequest).
func sslRequest() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), 80877103)
}

// errNoTLS is the server's plain no.
var errNoTLS = errors.New("the server offers no TLS: turn ssl on there, or say --sslmode disable")

// startTLS asks for TLS and shakes hands. Where the server has none, prefer
// goes on in clear on the same connection.
func (s *Server) startTLS(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if s.tls == nil {
		return conn, nil
	}
	const stage = "start TLS with"
	started := time.Now()
	ctx, cancel := check.Step(ctx, StepLimit)
	defer cancel()
	end, _ := ctx.Deadline()
	if err := conn.SetDeadline(end); err != nil {
		return nil, dial.Fault(stage, s.String(), started, err)
	}
	if _, err := conn.Write(sslRequest()); err != nil {
		return nil, dial.Fault(stage, s.String(), started, err)
	}
	// One byte only: what follows it in clear could be put there by anybody.
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return nil, dial.Fault(stage, s.String(), started, err)
	}
	switch answer[0] {
	case 'S':
		secure := tls.Client(conn, s.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, dial.Fault(stage, s.String(), started, err)
		}
		return secure, secure.SetDeadline(time.Time{})
	case 'N':
		if s.sslMode == sslPrefer {
			return conn, conn.SetDeadline(time.Time{})
		}
		return nil, &check.Fault{Reason: check.TLS, Stage: stage, Peer: s.String(), Err: errNoTLS}
	case 'E':
		return nil, check.Faultf(check.Unavailable, stage, s.String(), "the server could not start a process for the connection: see its log")
	}
	return nil, check.Faultf(check.Protocol, stage, s.String(), "this is no PostgreSQL: it answered byte 0x%02x", answer[0])
}
