package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/certs"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// real is a server with TLS and the files to verify it.
type real struct {
	*testbed.Postgres
	dir string // of the certificates
	set *certs.Set
}

func start(t *testing.T) *real {
	t.Helper()
	set, err := certs.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := set.Write(dir); err != nil {
		t.Fatal(err)
	}
	bed := testbed.New(t)
	return &real{dir: dir, set: set, Postgres: bed.Postgres(testbed.PostgresOptions{
		TLS: &testbed.TLSFiles{Cert: filepath.Join(dir, "ok.crt"), Key: filepath.Join(dir, "ok.key")},
		HBA: []string{"host all superfluous 127.0.0.1/32 reject"},
	})}
}

// server settles one server of the options.
func (r *real) server(t *testing.T, env map[string]string, args ...string) *Server {
	t.Helper()
	all := map[string]string{"PGUSER": testbed.RoleMonitor, "PGPASSWORD": r.Password(testbed.RoleMonitor), "PGHOST": fmt.Sprintf("127.0.0.1:%d", r.Port)}
	for name, value := range env {
		all[name] = value
	}
	servers, err := parse(t, args, all).Servers()
	if err != nil {
		t.Fatal(err)
	}
	return servers[0]
}

// ask logs in, asks and says goodbye.
func ask(ctx context.Context, s *Server, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := s.Connect(ctx, "belfry test")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	value, err := conn.QueryValue(ctx, "read from", sql)
	return string(value), err
}

func TestRealServer(t *testing.T) {
	r := start(t)
	socket := r.SocketDir + ":" + fmt.Sprint(r.Port)
	ca := filepath.Join(r.dir, "ca.crt")

	t.Run("session", func(t *testing.T) {
		const sql = `SELECT concat_ws(' ', current_setting('default_transaction_read_only'), current_setting('statement_timeout'),
			current_setting('lock_timeout'), current_setting('search_path'), current_setting('application_name'), current_user, current_database(),
			(SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()))`
		for _, tc := range []struct {
			name string
			args []string
			want string
		}{
			{"this machine", nil, "on 2500ms 1s pg_catalog belfry test monitor postgres t"},
			{"disable", []string{"--sslmode", "disable"}, "on 2500ms 1s pg_catalog belfry test monitor postgres f"},
			{"verify-full", []string{"--sslmode", "verify-full", "--ca-file", ca}, "on 2500ms 1s pg_catalog belfry test monitor postgres t"},
			{"socket", []string{"-H", socket}, "on 2500ms 1s pg_catalog belfry test monitor postgres f"},
			{"name and template1", []string{"-H", "localhost", "-p", fmt.Sprint(r.Port), "-d", "template1"}, "on 2500ms 1s pg_catalog belfry test monitor template1 t"},
		} {
			got, err := ask(t.Context(), r.server(t, nil, tc.args...), sql)
			if err != nil || got != tc.want {
				t.Errorf("%s: session = %q, %v; want %q", tc.name, got, err, tc.want)
			}
		}
	})

	t.Run("version", func(t *testing.T) {
		conn, err := r.server(t, nil).Connect(t.Context(), "belfry test")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got, want := fmt.Sprint(conn.Version()), filepath.Base(filepath.Dir(r.BinDir)); got != want {
			t.Errorf("Version() = %s; want %s", got, want)
		}
	})

	t.Run("faults", func(t *testing.T) {
		for _, tc := range []struct {
			name   string
			server *Server
			sql    string
			reason check.Reason
			want   string
		}{
			{"wrong password", r.server(t, map[string]string{"PGPASSWORD": "hunter2"}), "SELECT 1", check.Auth,
				`log in to 127.0.0.1:%d: password authentication failed for user "monitor"`},
			{"no password", r.server(t, map[string]string{"PGPASSWORD": ""}), "SELECT 1", check.Auth, "no password was given, use --password-file"},
			{"no such role", r.server(t, nil, "-U", "nobody"), "SELECT 1", check.Auth, `password authentication failed for user "nobody"`},
			{"not in pg_hba.conf", r.server(t, nil, "-U", "superfluous"), "SELECT 1", check.Auth, "pg_hba.conf rejects connection"},
			{"no such database", r.server(t, nil, "-d", "nodb"), "SELECT 1", check.Config, `database "nodb" does not exist`},
			{"no permission", r.server(t, nil), "SELECT pg_ls_waldir()", check.Permission, "read from 127.0.0.1:%d: permission denied for function pg_ls_waldir"},
			{"writing", r.server(t, nil), "CREATE TABLE t (n int)", check.Data, "cannot execute CREATE TABLE in a read-only transaction"},
			{"slow statement", r.server(t, nil), "SELECT pg_sleep(9)", check.Timeout, "canceling statement due to statement timeout"},
			{"several rows", r.server(t, nil), "SELECT generate_series(1, 2)", check.Data, "the answer is not one value"},
			{"long value", r.server(t, nil), "SELECT repeat('x', 5000000)", check.Data, "too long"},
			{"many rows", r.server(t, nil), "SELECT repeat('x', 1000) FROM generate_series(1, 20000)", check.Data, "too long"},
			{"unknown issuer", r.server(t, nil, "--sslmode", "verify-full", "--ca-file", filepath.Join(r.dir, "other-ca.crt")), "SELECT 1", check.TLS,
				"start TLS with 127.0.0.1:%d: certificate signed by an unknown authority"},
			{"unknown issuer, no name", r.server(t, nil, "--sslmode", "verify-ca", "--ca-file", filepath.Join(r.dir, "other-ca.crt")), "SELECT 1", check.TLS,
				"certificate signed by an unknown authority"},
			{"wrong name", r.server(t, nil, "--sslmode", "verify-full", "--ca-file", ca, "--tls-server-name", "db1.example.org"), "SELECT 1", check.TLS,
				"certificate is not for this name"},
			{"no such socket", r.server(t, nil, "-H", "/nonexistent"), "SELECT 1", check.Dial, "connect to /nonexistent:5432: no such socket"},
		} {
			want := tc.want
			if strings.Contains(want, "%d") {
				want = fmt.Sprintf(want, r.Port)
			}
			got, err := ask(t.Context(), tc.server, tc.sql)
			if err == nil || check.ReasonOf(err) != tc.reason || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: got %q, %v (%s); want %q (%s)", tc.name, got, err, check.ReasonOf(err), want, tc.reason)
			}
		}
	})

	t.Run("verify-ca takes another name", func(t *testing.T) {
		s := r.server(t, nil, "--sslmode", "verify-ca", "--ca-file", ca, "--tls-server-name", "db1.example.org")
		if _, err := ask(t.Context(), s, "SELECT 1"); err != nil {
			t.Errorf("verify-ca with another name: %v; want no error", err)
		}
	})

	t.Run("environment", func(t *testing.T) { testEnvironment(t, r) })
	t.Run("too many connections", func(t *testing.T) { testTooMany(t, r) })
	t.Run("proxy", func(t *testing.T) { testProxy(t, r) })
	t.Run("frozen", func(t *testing.T) {
		s := r.server(t, nil)
		r.Freeze()
		defer r.Thaw()
		_, err := ask(t.Context(), s, "SELECT 1")
		if err == nil || check.ReasonOf(err) != check.Timeout || !strings.Contains(err.Error(), "start TLS with") {
			t.Errorf("frozen server: %v (%s); want a timeout of starting TLS", err, check.ReasonOf(err))
		}
	})
	t.Run("stopped", func(t *testing.T) {
		s := r.server(t, nil)
		r.Kill()
		_, err := ask(t.Context(), s, "SELECT 1")
		if want := fmt.Sprintf("connect to 127.0.0.1:%d: connection refused", r.Port); err == nil || err.Error() != want {
			t.Errorf("stopped server: %v; want %s", err, want)
		}
	})
}

// testEnvironment shows that nothing of the process's environment and home
// reaches a connection.
func testEnvironment(t *testing.T, r *real) {
	home := t.TempDir()
	write(t, filepath.Join(home, ".pgpass"), "*:*:*:*:"+r.Password(testbed.RoleMonitor)+"\n", 0o600)
	if err := os.Mkdir(filepath.Join(home, ".postgresql"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"root.crt", "postgresql.crt", "postgresql.key"} {
		write(t, filepath.Join(home, ".postgresql", name), "no certificate", 0o600)
	}
	for name, value := range map[string]string{
		"HOME": home, "PGHOST": "gone.belfry.test", "PGPORT": "x", "PGDATABASE": "nodb", "PGUSER": "nobody", "PGPASSWORD": r.Password(testbed.RoleMonitor),
		"PGPASSFILE": filepath.Join(home, ".pgpass"), "PGAPPNAME": "x", "PGCONNECT_TIMEOUT": "x", "PGSSLMODE": "x", "PGSSLKEY": "x", "PGSSLCERT": "x",
		"PGSSLCERTMODE": "x", "PGSSLSNI": "x", "PGSSLROOTCERT": "/nonexistent", "PGSSLPASSWORD": "x", "PGSSLNEGOTIATION": "x",
		"PGTARGETSESSIONATTRS": "x", "PGSERVICE": "gone", "PGSERVICEFILE": "/nonexistent", "PGTZ": "x", "PGOPTIONS": "-c nonsense=1",
		"PGMINPROTOCOLVERSION": "x", "PGMAXPROTOCOLVERSION": "x", "PGCHANNELBINDING": "x", "PGREQUIREAUTH": "none", "PGKRBSRVNAME": "x",
	} {
		t.Setenv(name, value)
	}
	if got, err := ask(t.Context(), r.server(t, nil), "SELECT current_user"); err != nil || got != testbed.RoleMonitor {
		t.Errorf("with a poisoned environment: %q, %v; want %s", got, err, testbed.RoleMonitor)
	}
	_, err := ask(t.Context(), r.server(t, map[string]string{"PGPASSWORD": ""}), "SELECT current_user")
	if err == nil || check.ReasonOf(err) != check.Auth {
		t.Errorf("without a password of the options: %v; want refused, and not that of the environment or the home directory", err)
	}
}

func testTooMany(t *testing.T, r *real) {
	r.Exec("ALTER ROLE monitor CONNECTION LIMIT 1")
	defer r.Exec("ALTER ROLE monitor CONNECTION LIMIT -1")
	conn, err := r.server(t, nil).Connect(t.Context(), "belfry test")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = ask(t.Context(), r.server(t, nil), "SELECT 1")
	if err == nil || check.ReasonOf(err) != check.Unavailable || !strings.Contains(err.Error(), `too many connections for role "monitor"`) {
		t.Errorf("second connection: %v (%s); want it unavailable", err, check.ReasonOf(err))
	}
}

// message is one of the protocol: type, length, body.
func message(kind byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
}

func testProxy(t *testing.T, r *real) {
	// A long one: the bound is on bytes, and must be met before the step's time is over.
	notice := message('N', append([]byte("SNOTICE\x00M"+strings.Repeat("To be or not to be ", 2000)+"\x00"), 0))
	starting := message('E', []byte("SFATAL\x00VFATAL\x00C57P03\x00Mthe database system is starting up\x00\x00"))
	upstream := fmt.Sprintf("127.0.0.1:%d", r.Port)
	for _, tc := range []struct {
		name   string
		mode   faultproxy.Mode
		args   []string
		reason check.Reason
		want   string
	}{
		{"closes at once", faultproxy.CloseAtOnce(faultproxy.FIN), nil, check.Protocol, "start TLS with %s: connection closed early"},
		{"no PostgreSQL", faultproxy.Respond([]byte("220 mail ESMTP\r\n")), nil, check.Protocol, "start TLS with %s: this is no PostgreSQL: it answered byte 0x32"},
		{"no PostgreSQL, no TLS", faultproxy.Respond([]byte("220 mail ESMTP\r\n")), []string{"--sslmode", "disable"}, check.Protocol, "log in to %s: a message of"},
		{"garbage", faultproxy.Garbage(7), []string{"--sslmode", "disable"}, check.Protocol, "log in to %s: "},
		{"no TLS", faultproxy.Respond([]byte("N")), []string{"--sslmode", "require"}, check.TLS, "start TLS with %s: the server offers no TLS"},
		{"cannot fork", faultproxy.Respond([]byte("Ecould not fork\x00")), nil, check.Unavailable, "could not start a process"},
		{"plain after prefer", faultproxy.Respond(append([]byte("N"), starting...)), nil, check.Unavailable, "log in to %s: the database system is starting up"},
		{"starting up", faultproxy.Respond(starting), []string{"--sslmode", "disable"}, check.Unavailable, "log in to %s: the database system is starting up"},
		{"notices without end", faultproxy.Flood(nil, notice), []string{"--sslmode", "disable"}, check.Protocol, "log in to %s: "},
		{"Kerberos only", faultproxy.Respond(message('R', []byte{0, 0, 0, 7})), []string{"--sslmode", "disable"}, check.Auth, "asks for GSSAPI"},
	} {
		proxy := faultproxy.Start(t, upstream, tc.mode)
		want := tc.want
		if strings.Contains(want, "%s") {
			want = fmt.Sprintf(want, proxy.Addr())
		}
		_, err := ask(t.Context(), r.server(t, nil, append(tc.args, "-H", proxy.Addr())...), "SELECT 1")
		if err == nil || check.ReasonOf(err) != tc.reason || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v (%s); want %q (%s)", tc.name, err, check.ReasonOf(err), want, tc.reason)
		}
	}
}

// A server that has TLS is not spoken to in clear by prefer, and what is
// pushed in before the handshake is not taken for its answer.
func TestInjectedBeforeTLS(t *testing.T) {
	proxy := faultproxy.Start(t, "", faultproxy.Answer(func(conn net.Conn) {
		var request [8]byte
		if _, err := conn.Read(request[:]); err != nil || !bytes.Equal(request[:], sslRequest()) {
			t.Errorf("first packet = %x, %v; want the request for TLS", request, err)
		}
		_, _ = conn.Write(append([]byte("S"), message('E', []byte("C57P03\x00Minjected\x00\x00"))...))
		_, _ = conn.Read(make([]byte, 4096))
	}))
	servers, err := parse(t, []string{"-H", proxy.Addr(), "-U", "mon"}, nil).Servers()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t.Context(), servers[0], "SELECT 1"); err == nil || check.ReasonOf(err) != check.TLS {
		t.Errorf("text before the handshake: %v (%s); want a fault of TLS", err, check.ReasonOf(err))
	}
}
