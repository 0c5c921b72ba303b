package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Reason says why a look failed. The set is closed: it is a label value of
// belfry_check_failure_info.
type Reason string

// The reasons of faults. Unavailable is a peer that answers but cannot serve:
// HTTP 5xx, "the database system is starting up", too many connections. Proxy
// is a proxy that the operator chose and that does not let the look through,
// which says nothing of what is behind it.
const (
	DNS         Reason = "dns"
	Dial        Reason = "dial"
	TLS         Reason = "tls"
	Auth        Reason = "auth"
	Timeout     Reason = "timeout"
	Protocol    Reason = "protocol"
	Unavailable Reason = "unavailable"
	Permission  Reason = "permission"
	Config      Reason = "config"
	Data        Reason = "data"
	Proxy       Reason = "proxy"
	Internal    Reason = "internal"
)

// Reasons lists the closed set.
func Reasons() []Reason {
	return []Reason{DNS, Dial, TLS, Auth, Timeout, Protocol, Unavailable, Permission, Config, Data, Proxy, Internal}
}

// State is the verdict of a fault: CRITICAL where the thing looked at fails
// its users, UNKNOWN where only the look failed.
func (r Reason) State() State {
	switch r {
	case DNS, Dial, TLS, Timeout, Protocol, Unavailable:
		return Critical
	}
	return Unknown
}

// Fault is an error of a peer: what was tried, on what, and why it failed.
type Fault struct {
	Reason Reason
	Stage  string // what was tried: "connect", "log in", "read the queues"
	Peer   string // on what, without credentials: "10.0.0.5:5432", "/var/backups"; may be empty
	Err    error
}

// Error reads "connect to 10.0.0.5:5432: timed out after 3s"; stages that end
// in a preposition ("read from") are joined to the peer as they are.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.Stage)
	if f.Peer != "" {
		if f.Stage != "" {
			b.WriteByte(' ')
		}
		b.WriteString(f.Peer)
	}
	if f.Err != nil {
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(f.Err.Error())
	}
	return b.String()
}

func (f *Fault) Unwrap() error { return f.Err }

// Faultf makes a fault whose error is formatted, "%w" included. The stage
// reads on into the peer: "connect to", "log in at", "read".
func Faultf(reason Reason, stage, peer, format string, args ...any) *Fault {
	return &Fault{Reason: reason, Stage: stage, Peer: peer, Err: fmt.Errorf(format, args...)}
}

// ReasonOf finds the reason of an error: the outermost fault's, config for an
// error of Prepare, data otherwise; a context that ended is a timeout.
func ReasonOf(err error) Reason {
	var f *Fault
	if errors.As(err, &f) {
		return f.Reason
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return Timeout
	}
	return Data
}
