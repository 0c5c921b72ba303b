package postgres

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/certs"
)

// TestClientCertificate logs in to a server that asks for a certificate, with
// one from every source that there is.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	set, err := certs.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := set.Write(dir); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	server := testbed.New(t).Postgres(testbed.PostgresOptions{
		TLS: &testbed.TLSFiles{Cert: in("ok.crt"), Key: in("ok.key"), CA: in("ca.crt")},
		HBA: []string{"hostssl all monitor 127.0.0.1/32 scram-sha-256 clientcert=verify-ca"},
	})
	stranger, err := certs.NewAuthority("stranger")
	if err != nil {
		t.Fatal(err)
	}
	other, err := stranger.Issue(certs.Leaf{CommonName: "monitor", Client: true})
	if err != nil {
		t.Fatal(err)
	}
	write(t, in("other.crt"), string(other.CertPEM), 0o644)
	write(t, in("other.key"), string(other.KeyPEM), 0o600)
	old, err := set.CA.Issue(certs.Leaf{CommonName: "belfry", Client: true, NotBefore: time.Now().AddDate(0, 0, -30), NotAfter: time.Now().AddDate(0, 0, -1)})
	if err != nil {
		t.Fatal(err)
	}
	write(t, in("old.crt"), string(old.CertPEM), 0o644)
	write(t, in("old.key"), string(old.KeyPEM), 0o600)
	key, err := os.ReadFile(in("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, in("shared.key"), string(key), 0o644)
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".postgresql"), 0o700); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"client.crt": "postgresql.crt", "client.key": "postgresql.key", "ca.crt": "root.crt"} {
		data, err := os.ReadFile(in(from))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(home, ".postgresql", to), string(data), 0o600)
	}
	address := "127.0.0.1:" + strconv.Itoa(server.Port)
	services := write(t, "services", "[prod]\nhost="+address+"\nsslmode=verify-full\nsslrootcert="+in("ca.crt")+"\nsslcert="+in("client.crt")+"\nsslkey="+in("client.key")+"\n", 0o644)
	uri := write(t, "uri", "postgresql://"+address+"/postgres?sslmode=verify-full&sslrootcert="+in("ca.crt")+"&sslcert="+in("client.crt")+"&sslkey="+in("client.key")+"\n", 0o600)
	for _, tc := range []struct {
		name   string
		args   []string
		env    map[string]string
		reason check.Reason // "" for success
		want   string
	}{
		{"flags", []string{"-H", address, "--ca-file", in("ca.crt"), "--client-cert-file", in("client.crt"), "--client-key-file", in("client.key")}, nil, "", ""},
		{"environment", []string{"-H", address}, map[string]string{"PGSSLCERT": in("client.crt"), "PGSSLKEY": in("client.key"), "PGSSLROOTCERT": in("ca.crt")}, "", ""},
		{"service", []string{"--service", "prod", "--service-file", services}, nil, "", ""},
		{"URI", []string{"--uri-file", uri}, nil, "", ""},
		{"home", []string{"-H", address, "--sslmode", "verify-full"}, map[string]string{"HOME": home}, "", ""},
		{"none", []string{"-H", address}, nil, check.Auth, "connection requires a valid client certificate"},
		{"of another authority", []string{"-H", address, "--client-cert-file", in("other.crt"), "--client-key-file", in("other.key")}, nil, check.Auth,
			"connection requires a valid client certificate: the one given is signed by none of the authorities that the server asks for"},
		{"expired", []string{"-H", address, "--client-cert-file", in("old.crt"), "--client-key-file", in("old.key")}, nil, check.Config, "the client certificate is not valid any more: it ended "},
		{"key for everybody", []string{"-H", address, "--client-cert-file", in("client.crt"), "--client-key-file", in("shared.key")}, nil, check.Permission, "mode 0644"},
		{"key of another", []string{"-H", address, "--client-cert-file", in("client.crt"), "--client-key-file", in("other.key")}, nil, check.Config, "no key in PEM that fits"},
	} {
		env := map[string]string{"PGUSER": testbed.RoleMonitor, "PGPASSWORD": server.Password(testbed.RoleMonitor)}
		for name, value := range tc.env {
			env[name] = value
		}
		var got string
		servers, err := parse(t, tc.args, env).Servers()
		if err == nil {
			got, err = ask(t.Context(), servers[0], "SELECT current_user")
		}
		switch {
		case tc.reason == "" && (err != nil || got != testbed.RoleMonitor):
			t.Errorf("%s: logged in as %q, %v; want %s", tc.name, got, err, testbed.RoleMonitor)
		case tc.reason != "" && (err == nil || check.ReasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v (%s); want %q (%s)", tc.name, err, check.ReasonOf(err), tc.want, tc.reason)
		}
	}
}
