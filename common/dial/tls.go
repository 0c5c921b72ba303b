package dial

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// TLS holds the options with which a peer's certificate is verified. The zero
// value verifies against the system's authorities.
type TLS struct {
	CAFile     string
	ServerName string
	CertFile   string // client certificate
	KeyFile    string
	Insecure   bool

	lax *bool // --insecure-permissions, for the key file
}

// TLSFlags declares --ca-file, --tls-server-name, --client-cert-file,
// --client-key-file, --insecure and --insecure-permissions.
func TLSFlags(fs *pflag.FlagSet) *TLS {
	t := &TLS{lax: options.InsecurePermissions(fs)}
	fs.StringVar(&t.CAFile, "ca-file", "", "verify the server's certificate against these authorities (PEM) instead of the system's")
	fs.StringVar(&t.ServerName, "tls-server-name", "", "name that the server's certificate must carry, if not the host's")
	fs.StringVar(&t.CertFile, "client-cert-file", "", "client certificate (PEM)")
	fs.StringVar(&t.KeyFile, "client-key-file", "", "key of the client certificate (PEM)")
	fs.BoolVar(&t.Insecure, "insecure", false, "do not verify the server's certificate; said on line 1")
	return t
}

// Notice is what line 1 must say of these options; empty for nothing.
func (t *TLS) Notice() string {
	if t.Insecure {
		return "TLS certificate not verified"
	}
	return ""
}

// Config makes the TLS configuration for a server. The files are read anew at
// each call, so that a renewed certificate is seen at the next look.
func (t *TLS) Config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Insecure} //nolint:gosec // asked for, and said on line 1
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CAFile != "" {
		pem, err := safefile.Read(t.CAFile, 4<<20)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, check.Faultf(check.Config, "read", t.CAFile, "no PEM certificate in it")
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, check.Faultf(check.Config, "", "", "--client-cert-file and --client-key-file go together")
	}
	if t.CertFile != "" {
		cert, err := t.clientCertificate()
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

func (t *TLS) clientCertificate() (tls.Certificate, error) {
	certPEM, err := safefile.Read(t.CertFile, 1<<20)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := safefile.ReadSecret(t.KeyFile, t.lax != nil && *t.lax)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		// The library's error may hold parts of the key file.
		return tls.Certificate{}, check.Faultf(check.Config, "read", t.KeyFile, "no key in PEM that fits the certificate in %s", t.CertFile)
	}
	// A server that refuses it mostly just resets the connection.
	if leaf := cert.Leaf; leaf != nil && time.Now().After(leaf.NotAfter) {
		return tls.Certificate{}, check.Faultf(check.Config, "read", t.CertFile, "the client certificate is not valid any more: it ended %s",
			leaf.NotAfter.UTC().Format("2006-01-02 15:04 MST"))
	}
	return cert, nil
}
