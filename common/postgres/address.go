package postgres

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"
)

// parseAddress reads what -H takes: a host name, an address, host:port,
// [address]:port, or the directory of a Unix socket with or without a port.
// The port is 0 where none is given.
//
// A connection string among them is refused without repeating it, because it may hold a
// password.
func parseAddress(text string) (host string, port uint16, err error) {
	switch {
	case text == "":
		return "", 0, errors.New("empty server: write a host name, host:port or the directory of a socket")
	case strings.ContainsAny(text, "=@") || strings.Contains(text, "://"):
		return "", 0, errors.New("a connection string stands alone and holds no password: write host:port, and --user, --dbname and --password-file beside it")
	case strings.HasPrefix(text, "/"):
		host, port, err = parseSocket(text)
	default:
		host, port, err = parseTCP(text)
	}
	if err != nil {
		return "", 0, fmt.Errorf("server %q: %w", text, err)
	}
	return host, port, nil
}

// parseSocket reads /run/postgresql, /run/postgresql:5433 and
// /run/postgresql/.s.PGSQL.5433.
func parseSocket(text string) (dir string, port uint16, err error) {
	text = path.Clean(text)
	if digits, ok := strings.CutPrefix(path.Base(text), ".s.PGSQL."); ok {
		port, err = parsePort(digits)
		return path.Dir(text), port, err
	}
	if colon := strings.LastIndexByte(text, ':'); colon > 0 {
		if port, err = parsePort(text[colon+1:]); err == nil {
			return text[:colon], port, nil
		}
	}
	return text, 0, nil
}

func parseTCP(text string) (host string, port uint16, err error) {
	host = text
	if _, ipErr := netip.ParseAddr(text); ipErr != nil {
		if strings.HasPrefix(text, "[") || strings.Contains(text, ":") {
			var digits string
			if host, digits, err = net.SplitHostPort(text); err != nil {
				if host, err = unbracket(text); err != nil {
					return "", 0, err
				}
			} else if port, err = parsePort(digits); err != nil {
				return "", 0, err
			}
		}
	}
	if host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("/[],", r) }) {
		return "", 0, errors.New("not a host name: write a host name, host:port or the directory of a socket")
	}
	return host, port, nil
}

// unbracket reads an address in brackets without a port.
func unbracket(text string) (string, error) {
	inner, open := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if _, err := netip.ParseAddr(inner); err != nil || !open || !closed {
		return "", errors.New("too many colons: write host:port, or [address]:port for IPv6")
	}
	return inner, nil
}

func parsePort(digits string) (uint16, error) {
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("port %q is none of 1 to 65535", digits)
	}
	return uint16(port), nil
}

// isSocket reports whether the host is the directory of a Unix socket.
func isSocket(host string) bool { return strings.HasPrefix(host, "/") }

// isLocal reports whether what is sent to the host stays on this machine.
func isLocal(host string) bool {
	addr, err := netip.ParseAddr(host)
	return isSocket(host) || host == "localhost" || err == nil && addr.IsLoopback()
}
