// Package certs makes certificate authorities and certificates for tests, in
// memory, and writes them as PEM files for servers and clients that read files.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority is a certificate authority that lives as long as its value.
type Authority struct {
	Cert    *x509.Certificate
	CertPEM []byte
	key     *ecdsa.PrivateKey
}

// Leaf says what a certificate is for. Names are DNS names and IP addresses.
// The zero times mean: valid from an hour ago for a day. A Client certificate
// proves a client, a Peer's both ends, any other a server.
type Leaf struct {
	CommonName          string
	Names               []string
	NotBefore, NotAfter time.Time
	Client, Peer        bool
}

// Certificate is a leaf certificate with its key.
type Certificate struct {
	TLS             tls.Certificate
	CertPEM, KeyPEM []byte
}

// NewAuthority makes a self-signed authority, valid from a year ago for ten
// years, so that it can also issue certificates that have expired.
func NewAuthority(name string) (*Authority, error) {
	key, serial, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make authority %s: %w", name, err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.AddDate(-1, 0, 0),
		NotAfter:              now.AddDate(9, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make authority %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make authority %s: %w", name, err)
	}
	return &Authority{Cert: cert, CertPEM: encode("CERTIFICATE", der), key: key}, nil
}

// Pool holds the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	return pool
}

// Issue signs a certificate.
func (a *Authority) Issue(leaf Leaf) (*Certificate, error) {
	key, serial, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %v: %w", leaf.Names, err)
	}
	if leaf.NotBefore.IsZero() {
		leaf.NotBefore = time.Now().Add(-time.Hour)
	}
	if leaf.NotAfter.IsZero() {
		leaf.NotAfter = leaf.NotBefore.Add(25 * time.Hour)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: leaf.CommonName},
		NotBefore:    leaf.NotBefore,
		NotAfter:     leaf.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if leaf.Client {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if leaf.Peer {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	for _, name := range leaf.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %v: %w", leaf.Names, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %v: %w", leaf.Names, err)
	}
	cert := &Certificate{CertPEM: encode("CERTIFICATE", der), KeyPEM: encode("PRIVATE KEY", keyDER)}
	if cert.TLS, err = tls.X509KeyPair(cert.CertPEM, cert.KeyPEM); err != nil {
		return nil, fmt.Errorf("issue certificate for %v: %w", leaf.Names, err)
	}
	return cert, nil
}

// Write writes base.crt (0644) and base.key (0600) and returns their paths.
func (c *Certificate) Write(dir, base string) (certFile, keyFile string, err error) {
	certFile, keyFile = filepath.Join(dir, base+".crt"), filepath.Join(dir, base+".key")
	if err := os.WriteFile(certFile, c.CertPEM, 0o644); err != nil {
		return "", "", fmt.Errorf("write certificate: %w", err)
	}
	if err := os.WriteFile(keyFile, c.KeyPEM, 0o600); err != nil {
		return "", "", fmt.Errorf("write key: %w", err)
	}
	return certFile, keyFile, nil
}

// Set is what the TLS faults need. All but WrongName and Client are for
// localhost, 127.0.0.1 and ::1; all but UnknownIssuer are signed by CA.
type Set struct {
	CA, OtherCA *Authority
	OK          *Certificate
	Expired     *Certificate // ended yesterday
	WrongName   *Certificate // for wrong.example
	// UnknownIssuer is signed by OtherCA, which no client is told to trust.
	UnknownIssuer *Certificate
	Client        *Certificate // proves a client named "belfry"
}

// NewSet makes one of each.
func NewSet() (*Set, error) {
	ca, err := NewAuthority("Belfry test CA")
	if err != nil {
		return nil, err
	}
	other, err := NewAuthority("Another CA")
	if err != nil {
		return nil, err
	}
	s := &Set{CA: ca, OtherCA: other}
	local := []string{"localhost", "127.0.0.1", "::1"}
	now := time.Now()
	for _, want := range []struct {
		into *(*Certificate)
		by   *Authority
		leaf Leaf
	}{
		{&s.OK, ca, Leaf{CommonName: "localhost", Names: local}},
		{&s.Expired, ca, Leaf{CommonName: "localhost", Names: local, NotBefore: now.AddDate(0, 0, -30), NotAfter: now.AddDate(0, 0, -1)}},
		{&s.WrongName, ca, Leaf{CommonName: "wrong.example", Names: []string{"wrong.example"}}},
		{&s.UnknownIssuer, other, Leaf{CommonName: "localhost", Names: local}},
		{&s.Client, ca, Leaf{CommonName: "belfry", Client: true}},
	} {
		if *want.into, err = want.by.Issue(want.leaf); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Write puts every certificate into dir: ca.crt, other-ca.crt, and .crt and
// .key of ok, expired, wrong-name, unknown-issuer and client.
func (s *Set) Write(dir string) error {
	for base, authority := range map[string]*Authority{"ca": s.CA, "other-ca": s.OtherCA} {
		if err := os.WriteFile(filepath.Join(dir, base+".crt"), authority.CertPEM, 0o644); err != nil {
			return fmt.Errorf("write authority: %w", err)
		}
	}
	for base, cert := range map[string]*Certificate{
		"ok": s.OK, "expired": s.Expired, "wrong-name": s.WrongName, "unknown-issuer": s.UnknownIssuer, "client": s.Client,
	} {
		if _, _, err := cert.Write(dir, base); err != nil {
			return err
		}
	}
	return nil
}

func newKey() (*ecdsa.PrivateKey, *big.Int, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return key, serial, err
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
