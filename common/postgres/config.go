package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"

	"github.com/belfry-monitoring/belfry/common/check"
)

const (
	// StepLimit bounds each step (connect, start TLS, log in, one query).
	// Four of them that hang one after the other are longer than a look, but
	// a peer that hangs does so in one of them.
	StepLimit = 3 * time.Second
	// statementTimeout makes the server itself give up before the step ends,
	// so that no query is left running on it.
	statementTimeout = 2500 * time.Millisecond
	lockTimeout      = time.Second

	// MaxMessage and MaxAnswer bound one message and all that a connection
	// reads, in bytes.
	MaxMessage = 4 << 20
	MaxAnswer  = 8 << 20
)

// isolated is a connection string that leaves nothing to the environment or
// to files of the home directory: pgconn reads both and a Config can only
// come from its parser. Every value here is replaced afterwards.
const isolated = "host=/ port=5432 dbname=x user=x password=x passfile=/dev/null sslmode=disable sslcertmode=disable " +
	"sslnegotiation=postgres target_session_attrs=any connect_timeout=0 " +
	"min_protocol_version=3.0 max_protocol_version=3.0 channel_binding=prefer require_auth=''"

// config makes the driver's configuration for a connection that is dialled
// already.
func (s *Server) config(conn net.Conn, application string) (*pgconn.Config, error) {
	c, err := parseIsolated()
	if err != nil {
		return nil, err
	}
	c.Host, c.Port, c.Database, c.User, c.Password = s.Host, s.Port, s.Database, s.User, s.password.Reveal()
	c.SSLNegotiation, c.KerberosSrvName, c.KerberosSpn = "", "", ""
	c.Fallbacks, c.TLSConfig = nil, nil
	c.MaxProtocolMessageBodyLen = MaxMessage
	c.RuntimeParams = map[string]string{
		"application_name":              application,
		"client_encoding":               "UTF8",
		"default_transaction_read_only": "on",
		"lock_timeout":                  milliseconds(lockTimeout),
		"search_path":                   "pg_catalog", // nobody's functions instead of the system's
		"statement_timeout":             milliseconds(statementTimeout),
	}
	c.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"0.0.0.0"}, nil } // not dialled
	dialled := conn
	c.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		if dialled == nil {
			// The driver wants to cancel a query over a second connection;
			// the statement's own timeout does.
			return nil, errSecondDial
		}
		conn := dialled
		dialled = nil
		return conn, nil
	}
	return c, nil
}

// parseIsolated parses the isolated string. A service that PGSERVICE names and
// that cannot be read fails even that: it cannot be switched off, only
// answered.
func parseIsolated() (*pgconn.Config, error) {
	c, err := pgconn.ParseConfig(isolated)
	if err == nil {
		return c, nil
	}
	file, err := emptyService()
	if err != nil {
		return nil, check.Faultf(check.Config, "", "", "unset PGSERVICE in the environment of this process, it cannot be kept from the connection: %w", err)
	}
	defer file.Close()
	c, err = pgconn.ParseConfig(isolated + " service=none servicefile=/proc/self/fd/" + strconv.Itoa(int(file.Fd())))
	if err != nil {
		// The library's error may hold what stood in the environment.
		return nil, check.Faultf(check.Config, "", "", "PG variables in the environment of this process cannot be kept from the connection: unset them")
	}
	return c, nil
}

var errSecondDial = errors.New("one connection for each look")

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// emptyService makes a service file in memory whose one service says nothing.
func emptyService() (*os.File, error) {
	fd, err := unix.MemfdCreate("pg_service.conf", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), "pg_service.conf")
	if _, err := file.WriteString("[none]\n"); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
