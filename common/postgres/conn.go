package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
)

// Server is where and as whom to log in.
type Server struct {
	Host     string // name, address or directory of a Unix socket
	Port     uint16
	Database string
	User     string

	addr     string // to dial instead of the host's name
	password check.Secret
	sslMode  string
	tls      *tls.Config // nil for none
}

// String names the server without credentials: "db1:5432",
// "/run/postgresql:5432".
func (s *Server) String() string {
	if isSocket(s.Host) {
		return s.Host + ":" + strconv.Itoa(int(s.Port))
	}
	return net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port)))
}

// Conn is one connection for one look. It is not safe for use by several
// goroutines.
type Conn struct {
	server *Server
	pg     *pgconn.PgConn
	raw    net.Conn
}

// Connect dials, starts TLS where asked for, and logs in. The application is
// what pg_stat_activity shows, 63 bytes at most. Errors are faults; a server
// that cannot be reached or cannot serve is CRITICAL, one that refuses who we
// are is UNKNOWN.
func (s *Server) Connect(ctx context.Context, application string) (*Conn, error) {
	raw, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	secure, err := s.startTLS(ctx, raw)
	if err != nil {
		raw.Close()
		return nil, err
	}
	pg, err := s.logIn(ctx, secure, application)
	if err != nil {
		raw.Close()
		return nil, err
	}
	return &Conn{server: s, pg: pg, raw: raw}, nil
}

func (s *Server) dial(ctx context.Context) (net.Conn, error) {
	network, address := "tcp", s.String()
	if s.addr != "" {
		address = net.JoinHostPort(s.addr, strconv.Itoa(int(s.Port)))
	}
	if isSocket(s.Host) {
		network, address = "unix", filepath.Join(s.Host, ".s.PGSQL."+strconv.Itoa(int(s.Port)))
	}
	started := time.Now()
	ctx, cancel := check.Step(ctx, StepLimit)
	defer cancel()
	conn, err := dial.Context(ctx, network, address)
	if err != nil {
		return nil, dial.Fault("connect to", s.String(), started, err)
	}
	return &boundedConn{Conn: conn}, nil
}

func (s *Server) logIn(ctx context.Context, conn net.Conn, application string) (*pgconn.PgConn, error) {
	config, err := s.config(conn, application)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	ctx, cancel := check.Step(ctx, StepLimit)
	defer cancel()
	pg, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, s.fault("log in to", started, err)
	}
	return pg, nil
}

// QueryValue asks a query whose answer is one row of one column, in one round
// trip, and returns the value's text; nil for NULL. The stage reads on into
// the server: "read replication from".
func (c *Conn) QueryValue(ctx context.Context, stage, sql string) ([]byte, error) {
	started := time.Now()
	ctx, cancel := check.Step(ctx, StepLimit)
	defer cancel()
	rows, err := c.query(ctx, sql)
	if err != nil {
		return nil, c.server.queryFault(stage, started, err)
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return nil, check.Faultf(check.Data, stage, c.server.String(), "the answer is not one value")
	}
	return rows[0][0], nil
}

// Version is the server's major version (15 for 15.18), 0 where it does not
// say.
func (c *Conn) Version() int { return majorVersion(c.pg.ParameterStatus("server_version")) }

// majorVersion reads "15.18 (Debian 15.18-0+deb12u1)", "17beta1" and such.
func majorVersion(text string) int {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	version, err := strconv.Atoi(text[:end])
	if err != nil {
		return 0
	}
	return version
}

// closeLimit bounds the goodbye, which needs no answer.
const closeLimit = 100 * time.Millisecond

// Close says goodbye and closes the connection.
func (c *Conn) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	_ = c.pg.Close(ctx) // what the server makes of the goodbye does not matter
	_ = c.raw.Close()
}

// boundedConn ends a connection that answers too much, however small its
// messages are.
type boundedConn struct {
	net.Conn
	read atomic.Int64
}

// errTooMuch is what a bounded connection fails with.
var errTooMuch = errors.New("the answer is too long to be one")

func (b *boundedConn) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if b.read.Add(int64(n)) > MaxAnswer {
		return 0, errTooMuch
	}
	return n, err
}
