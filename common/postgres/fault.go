package postgres

import (
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
)

// fault puts an error of the driver into words: the server's own by its
// SQLSTATE, the rest as errors of the connection.
func (s *Server) fault(stage string, started time.Time, err error) error {
	var (
		pgErr   *pgconn.PgError
		tooLong *pgproto3.ExceededMaxBodyLenErr
	)
	switch {
	case errors.As(err, &pgErr):
		text := pgErr.Message
		if pgErr.Detail != "" {
			text += " (" + pgErr.Detail + ")"
		}
		if pgErr.Code == "28P01" && s.password.Empty() {
			text += ": no password was given, use --password-file, --passfile or PGPASSWORD"
		}
		if pgErr.Code == "28000" && s.tls != nil && len(s.tls.Certificates) > 0 && strings.Contains(pgErr.Message, "valid client certificate") {
			// TLS itself sends none that the server did not ask for.
			text += ": the one given is signed by none of the authorities that the server asks for"
		}
		return &check.Fault{Reason: reasonOf(pgErr), Stage: stage, Peer: s.String(), Err: serverError{text: text, err: pgErr}}
	case errors.As(err, &tooLong):
		return check.Faultf(check.Protocol, stage, s.String(), "a message of %s is announced: this is no PostgreSQL", check.FormatBytes(float64(tooLong.ActualBodyLen)))
	}
	err = unwrapConnect(err)
	if strings.HasPrefix(err.Error(), "failed GSS auth") {
		return check.Faultf(check.Auth, stage, s.String(), "the server asks for GSSAPI, which is not offered here: let pg_hba.conf ask this user for scram-sha-256")
	}
	return dial.Fault(stage, s.String(), started, err)
}

// queryFault is fault for what comes back to a query: of a server that has let
// us in, too long an answer is one that cannot be understood.
func (s *Server) queryFault(stage string, started time.Time, err error) error {
	var tooLong *pgproto3.ExceededMaxBodyLenErr
	if errors.Is(err, errTooMuch) || errors.As(err, &tooLong) {
		return &check.Fault{Reason: check.Data, Stage: stage, Peer: s.String(), Err: errTooMuch}
	}
	return s.fault(stage, started, err)
}

// serverError shows what the server said.
type serverError struct {
	text string
	err  error
}

func (e serverError) Error() string { return e.text }
func (e serverError) Unwrap() error { return e.err }

// unwrapConnect drops the driver's own words around an error of connecting,
// which repeat user, database and an address that was not dialled.
func unwrapConnect(err error) error {
	var connect *pgconn.ConnectError
	if !errors.As(err, &connect) {
		return err
	}
	err = connect.Unwrap()
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
		err = joined.Unwrap()[0]
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	return err
}

// reasonOf sorts the server's errors by SQLSTATE (PostgreSQL documentation,
// appendix A). What a serving server says about our query is data.
func reasonOf(e *pgconn.PgError) check.Reason {
	switch e.Code {
	case "57014", "55P03": // query_canceled (by statement_timeout), lock_not_available
		return check.Timeout
	case "42501": // insufficient_privilege
		return check.Permission
	case "3D000", "0A000": // invalid_catalog_name, feature_not_supported
		return check.Config
	case "08P01": // protocol_violation: a pooler that does not know our startup parameters
		if strings.Contains(e.Message, "startup parameter") {
			return check.Config
		}
		return check.Protocol
	}
	if len(e.Code) < 2 {
		return check.Protocol
	}
	switch e.Code[:2] {
	case "28": // invalid authorization
		return check.Auth
	case "08": // connection exception
		return check.Protocol
	case "53", "57", "58", "XX", "F0", "40": // resources, operator (starting up, shutting down), system, internal, recovery conflict
		return check.Unavailable
	}
	return check.Data
}
