package postgresreplicationlag

import (
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
	"github.com/belfry-monitoring/belfry/testbed/faults"
)

// TestFaults holds every fault of the way to a server, and of the server
// itself, against the table.
func TestFaults(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	alone := p.bed.Postgres(testbed.PostgresOptions{Name: "alone"})
	secrets := map[string]string{}
	for name, password := range map[string]string{
		testbed.RoleMonitor: p.primary.Password(testbed.RoleMonitor), testbed.RolePlain: p.primary.Password(testbed.RolePlain),
		"wrong": "hunter2", "alone": alone.Password(testbed.RoleMonitor),
	} {
		secrets[name] = p.bed.WriteFileFor("", name+".pw", password+"\n", 0o600)
	}
	to := func(host string, port int, role, secret string, more ...string) []string {
		return append([]string{"-H", host, "-p", strconv.Itoa(port), "-U", role, "--password-file", secrets[secret], "--standbys", "1"}, more...)
	}
	monitor := func(host string, port int, more ...string) []string {
		return to(host, port, testbed.RoleMonitor, testbed.RoleMonitor, more...)
	}
	answer := func(name string, messages []pgproto3.BackendMessage, want faults.Want) faults.Row {
		proxy := faultproxy.Start(t, "", faultproxy.Answer(serve(messages)))
		return faults.Row{Name: name, Args: monitor(proxy.Host(), proxy.Port(), "--sslmode", "disable"), Want: want}
	}
	unknown := func(reason check.Reason, text string) faults.Want {
		return faults.Want{State: check.Unknown, Reason: reason, Text: text}
	}
	down := func(reason check.Reason, text string) faults.Want {
		return faults.Want{State: check.Critical, Reason: reason, Text: text}
	}
	refuse := func(code, text string) []pgproto3.BackendMessage {
		return []pgproto3.BackendMessage{&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: text}}
	}
	subscriber, err := os.ReadFile(recording("15-subscribed", "primary"))
	if err != nil {
		t.Fatal(err)
	}
	row := func(text string) []pgproto3.BackendMessage {
		return append([]pgproto3.BackendMessage(nil), &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("json_build_object"), DataTypeOID: 114}}},
			&pgproto3.DataRow{Values: [][]byte{[]byte(text)}}, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, ready())
	}
	value := func(text string) []pgproto3.BackendMessage { return append(loggedIn(), row(text)...) }
	limited := p.bed.Postgres(testbed.PostgresOptions{Name: "limited"})
	limited.Exec("ALTER ROLE monitor CONNECTION LIMIT 0")
	secrets["limited"] = p.bed.WriteFileFor("", "limited.pw", limited.Password(testbed.RoleMonitor)+"\n", 0o600)

	faults.Server{
		Definition: Definition,
		Upstream:   address(p.primary),
		Args:       func(host string, port int) []string { return monitor(host, port) },
		TLSArgs: func(host string, port int, ca string) []string {
			return monitor(host, port, "--sslmode", "verify-full", "--ca-file", ca)
		},
		StartTLS: func(conn net.Conn) error {
			request := make([]byte, 8)
			if _, err := io.ReadFull(conn, request); err != nil {
				return err
			}
			_, err := conn.Write([]byte("S"))
			return err
		},
		Handshake: faultproxy.Exchanges(4), // no TLS, who are you, SCRAM, SCRAM
		Freeze:    p.primary.Freeze,
		Thaw:      p.primary.Thaw,
		Rows: []faults.Row{
			{Name: "authentication refused", Args: to(p.primary.Host, p.primary.Port, testbed.RoleMonitor, "wrong"),
				Want: unknown(check.Auth, `log in to `+address(p.primary)+`: password authentication failed for user "monitor"`)},
			{Name: "permission missing", Args: to(p.primary.Host, p.primary.Port, testbed.RolePlain, testbed.RolePlain),
				Want: unknown(check.Permission, "GRANT pg_read_all_stats TO plain")},
			{Name: "permission missing on the standby", Args: to(p.standby.Host, p.standby.Port, testbed.RolePlain, testbed.RolePlain),
				Want: unknown(check.Permission, "GRANT pg_read_all_stats TO plain")},
			{Name: "no such database", Args: monitor(p.primary.Host, p.primary.Port, "-d", "nodb"), Want: unknown(check.Config, `database "nodb" does not exist`)},
			{Name: "too many connections", Args: to(limited.Host, limited.Port, testbed.RoleMonitor, "limited"),
				Want: down(check.Unavailable, `too many connections for role "monitor"`)},
			{Name: "no TLS", Args: monitor(p.primary.Host, p.primary.Port, "--sslmode", "require"), Want: down(check.TLS, "the server offers no TLS")},
			answer("starting up", refuse("57P03", "the database system is starting up"), down(check.Unavailable, "the database system is starting up")),
			answer("pooler without our parameters", refuse("08P01", "unsupported startup parameter: search_path"), unknown(check.Config, "unsupported startup parameter")),
			answer("empty answer", append(loggedIn(), &pgproto3.EmptyQueryResponse{}, ready()), unknown(check.Data, "the answer is not one value")),
			answer("no row", append(loggedIn(), &pgproto3.RowDescription{}, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 0")}, ready()),
				unknown(check.Data, "the answer is not one value")),
			answer("empty object", value("{}"), unknown(check.Data, "says nothing of the server's role")),
			answer("half an object", value(`{"recovery" : fal`), unknown(check.Data, "not the JSON that was asked for")),
			answer("half an object of errors", slices.Concat(loggedIn("server_version", "15.18"), row(string(subscriber)), row(`{"1" : `)),
				unknown(check.Data, "the errors of subscriptions are not the JSON that was asked for")),
			answer("errors that nobody may see", append(slices.Concat(loggedIn("server_version", "15.18"), row(string(subscriber))),
				&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42501", Message: "permission denied for view pg_stat_subscription_stats"}, ready()),
				unknown(check.Permission, "permission denied for view pg_stat_subscription_stats")),
			answer("old server", append(loggedIn("server_version", "11.22"), ready()), unknown(check.Config, "PostgreSQL 11 is too old for this check")),
			{Name: "one of two dead", Args: monitor(p.primary.Host, p.primary.Port, "-H", "127.0.0.1:1"), Want: down(check.Dial, "connect to 127.0.0.1:1: connection refused")},
		},
		Timeout: 1500 * time.Millisecond,
	}.Run(t)
	faults.Text(t, Definition, monitor(p.primary.Host, p.primary.Port))
	faults.Text(t, Definition, monitor(p.primary.Host, p.primary.Port, "-H", "127.0.0.1:1", "-v"))
}

// loggedIn is what a server says that lets everybody in.
func loggedIn(parameters ...string) []pgproto3.BackendMessage {
	messages := []pgproto3.BackendMessage{&pgproto3.AuthenticationOk{}}
	for i := 0; i+1 < len(parameters); i += 2 {
		messages = append(messages, &pgproto3.ParameterStatus{Name: parameters[i], Value: parameters[i+1]})
	}
	return append(messages, ready())
}

func ready() pgproto3.BackendMessage { return &pgproto3.ReadyForQuery{TxStatus: 'I'} }

// serve says the messages: until the first ReadyForQuery when it has been
// told who is there, the others after a query.
func serve(messages []pgproto3.BackendMessage) func(net.Conn) {
	return func(conn net.Conn) {
		backend := pgproto3.NewBackend(conn, conn)
		if _, err := backend.ReceiveStartupMessage(); err != nil {
			return
		}
		for _, m := range messages {
			backend.Send(m)
			if _, ok := m.(*pgproto3.ReadyForQuery); !ok {
				continue
			}
			if backend.Flush() != nil {
				return
			}
			if _, err := backend.Receive(); err != nil {
				return
			}
		}
		_ = backend.Flush() // the client may be gone
	}
}
