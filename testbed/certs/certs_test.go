package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func newSet(t *testing.T) *Set {
	t.Helper()
	set, err := NewSet()
	if err != nil {
		t.Fatalf("NewSet() = %v; want a set", err)
	}
	return set
}

// verify judges a certificate as a client of 127.0.0.1 does that trusts the CA.
func verify(set *Set, c *Certificate, usage x509.ExtKeyUsage, name string) error {
	_, err := c.TLS.Leaf.Verify(x509.VerifyOptions{
		Roots: set.CA.Pool(), DNSName: name, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}

func TestSetShowsEachFault(t *testing.T) {
	set := newSet(t)
	for _, name := range []string{"127.0.0.1", "localhost", "::1"} {
		if err := verify(set, set.OK, x509.ExtKeyUsageServerAuth, name); err != nil {
			t.Errorf("verify(OK, %s) = %v; want nil", name, err)
		}
	}
	var invalid x509.CertificateInvalidError
	if err := verify(set, set.Expired, x509.ExtKeyUsageServerAuth, "localhost"); !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("verify(Expired) = %v; want expired", err)
	}
	var host x509.HostnameError
	if err := verify(set, set.WrongName, x509.ExtKeyUsageServerAuth, "localhost"); !errors.As(err, &host) {
		t.Errorf("verify(WrongName) = %v; want a host name error", err)
	}
	if err := verify(set, set.WrongName, x509.ExtKeyUsageServerAuth, "wrong.example"); err != nil {
		t.Errorf("verify(WrongName, its own name) = %v; want nil", err)
	}
	var unknown x509.UnknownAuthorityError
	if err := verify(set, set.UnknownIssuer, x509.ExtKeyUsageServerAuth, "localhost"); !errors.As(err, &unknown) {
		t.Errorf("verify(UnknownIssuer) = %v; want an unknown authority", err)
	}
	if err := verify(set, set.Client, x509.ExtKeyUsageClientAuth, ""); err != nil {
		t.Errorf("verify(Client) = %v; want nil", err)
	}
	if err := verify(set, set.Client, x509.ExtKeyUsageServerAuth, ""); !errors.As(err, &invalid) || invalid.Reason != x509.IncompatibleUsage {
		t.Errorf("verify(Client as server) = %v; want incompatible usage", err)
	}
}

func TestWrittenFilesLoad(t *testing.T) {
	dir := t.TempDir()
	if err := newSet(t).Write(dir); err != nil {
		t.Fatalf("Write() = %v; want nil", err)
	}
	for _, base := range []string{"ok", "expired", "wrong-name", "unknown-issuer", "client"} {
		key := filepath.Join(dir, base+".key")
		if _, err := tls.LoadX509KeyPair(filepath.Join(dir, base+".crt"), key); err != nil {
			t.Errorf("LoadX509KeyPair(%s) = %v; want a pair", base, err)
		}
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("Stat(%s.key) = %v, %v; want mode 0600", base, info, err)
		}
	}
	for _, base := range []string{"ca.crt", "other-ca.crt"} {
		pem, err := os.ReadFile(filepath.Join(dir, base))
		if err != nil || !x509.NewCertPool().AppendCertsFromPEM(pem) {
			t.Errorf("%s = %v; want a PEM certificate", base, err)
		}
	}
}

func TestWriteSaysWhere(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if err := newSet(t).Write(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Write(missing directory) = %v; want not exist", err)
	}
}
