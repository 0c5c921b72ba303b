// Package dial opens connections to peers and names what went wrong: name,
// connection, certificate or time. It holds no verdicts.
package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

type resolverKey struct{}

// WithResolver makes dialing under the context use another resolver; tests
// show a silent name server with it.
func WithResolver(ctx context.Context, r *net.Resolver) context.Context {
	return context.WithValue(ctx, resolverKey{}, r)
}

// Resolver returns the resolver of the context, or the system's.
func Resolver(ctx context.Context) *net.Resolver {
	if r, ok := ctx.Value(resolverKey{}).(*net.Resolver); ok {
		return r
	}
	return net.DefaultResolver
}

// Context resolves and connects within the context. It fits http.Transport
// and pgx. The error is the net package's; Fault puts it into words.
func Context(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Resolver: Resolver(ctx), KeepAlive: -1}
	return d.DialContext(ctx, network, address)
}

// Fault names the reason of an error of the net, tls and x509 packages, of a
// context or of a broken connection, that happened at a stage which began at
// started. Errors that are faults already pass as they are; what has no known
// reason is a protocol error, because the peer did answer something.
func Fault(stage, peer string, started time.Time, err error) error {
	if err == nil {
		return nil
	}
	var known *check.Fault
	if errors.As(err, &known) {
		return err
	}
	reason, text := classify(err, started)
	return &check.Fault{Reason: reason, Stage: stage, Peer: peer, Err: &worded{text: text, err: err}}
}

// worded shows its text and unwraps to the cause.
type worded struct {
	text string
	err  error
}

func (w *worded) Error() string { return w.text }
func (w *worded) Unwrap() error { return w.err }

func classify(err error, started time.Time) (check.Reason, string) {
	took := time.Since(started)
	if took > 100*time.Millisecond {
		took = took.Round(10 * time.Millisecond)
	}
	after := "after " + check.FormatDuration(took)
	var dns *net.DNSError
	if errors.As(err, &dns) {
		switch {
		case dns.IsNotFound:
			return check.DNS, "name " + dns.Name + " does not exist"
		case dns.IsTimeout || errors.Is(err, context.DeadlineExceeded):
			return check.DNS, "no answer of the name server for " + dns.Name + " " + after
		}
		return check.DNS, "name " + dns.Name + ": " + dns.Err
	}
	if reason, text, ok := classifyTLS(err); ok {
		return reason, text
	}
	var netErr net.Error
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &netErr) && netErr.Timeout():
		return check.Timeout, "timed out " + after
	case errors.Is(err, context.Canceled):
		return check.Timeout, "interrupted " + after
	case errors.Is(err, syscall.ECONNREFUSED):
		return check.Dial, "connection refused"
	case errors.Is(err, syscall.ENOENT):
		return check.Dial, "no such socket"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return check.Permission, "permission denied"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return check.Protocol, "connection reset " + after
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return check.Protocol, "connection closed early, " + after
	case errors.As(err, &op) && op.Op == "dial":
		return check.Dial, op.Err.Error()
	}
	return check.Protocol, err.Error()
}

func classifyTLS(err error) (check.Reason, string, bool) {
	var (
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		alert    tls.AlertError
		verified *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &name):
		return check.TLS, "certificate is not for this name: " + name.Error(), true
	case errors.As(err, &unknown):
		return check.TLS, "certificate signed by an unknown authority: give its CA with --ca-file", true
	case errors.As(err, &invalid):
		if invalid.Reason == x509.Expired && invalid.Cert != nil {
			return check.TLS, "certificate is not valid now: it ended " + invalid.Cert.NotAfter.UTC().Format("2006-01-02 15:04 MST"), true
		}
		return check.TLS, "certificate: " + invalid.Error(), true
	case errors.As(err, &verified):
		return check.TLS, "certificate: " + verified.Err.Error(), true
	case errors.As(err, &record):
		return check.TLS, "the server does not speak TLS here", true
	case errors.As(err, &alert):
		return check.TLS, alert.Error(), true
	}
	return "", "", false
}
