package discover

import (
	"bytes"
	"net"
	"path"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

const memcachedPort = 11211

func isMemcached(args []string) bool { return path.Base(args[0]) == "memcached" }

// memcached finds servers by their command lines, and whatever listens at the
// product's port.
func memcached(m *Machine) []candidate {
	q := asked{question: "version\r\n", judge: memcachedThing}
	for _, p := range m.of(isMemcached) {
		network, address := memcachedAddress(p.Args)
		if address == "" {
			q.hidden(m.Accounts[p.UID], "memcached runs, and its command line does not say where it listens.")
			continue
		}
		q.add(network, address, true)
	}
	if l, ok := m.at(memcachedPort); ok {
		q.add("tcp", net.JoinHostPort(l.host(), strconv.Itoa(memcachedPort)), false)
	}
	return q.list
}

// memcachedAddress reads -p, -l and -s of memcached(1), with the value in the
// same argument or the next.
func memcachedAddress(args []string) (network, address string) {
	host, port, socket := "", strconv.Itoa(memcachedPort), ""
	for i := 1; i < len(args); i++ {
		value := func(short, long string) (string, bool) {
			switch arg := args[i]; {
			case arg == short || arg == long:
				if i+1 < len(args) {
					return args[i+1], true
				}
			case strings.HasPrefix(arg, short) && !strings.HasPrefix(arg, "--"):
				return strings.TrimPrefix(strings.TrimPrefix(arg, short), "="), true
			case strings.HasPrefix(arg, long+"="):
				return strings.TrimPrefix(arg, long+"="), true
			}
			return "", false
		}
		if v, ok := value("-p", "--port"); ok {
			port = v
		} else if v, ok := value("-l", "--listen"); ok && host == "" {
			host, _, _ = strings.Cut(v, ",")
		} else if v, ok := value("-s", "--unix-socket"); ok {
			socket = v
		}
	}
	if socket != "" {
		if !strings.HasPrefix(socket, "/") {
			return "", ""
		}
		return "unix", socket
	}
	if h, p, err := net.SplitHostPort(host); err == nil {
		host, port = h, p
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", ""
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	switch {
	case host == "" || host == "localhost" || ip != nil && ip.IsUnspecified():
		host = "127.0.0.1"
	case ip == nil: // a name leads to the network, an interface's to nobody knows where
		return "", ""
	default:
		host = ip.String()
	}
	return "tcp", net.JoinHostPort(host, port)
}

// memcachedThing judges the reply to "version". A server with SASL speaks the
// binary protocol only and hangs up.
func memcachedThing(address string, sure bool, reply []byte, err error) (Thing, bool) {
	t := Thing{Name: address, Outcome: Unwatched}
	first := string(bytes.TrimRight(reply, "\r\n"))
	said := ""
	switch version, ok := strings.CutPrefix(first, "VERSION "); {
	case ok:
		said = "memcached " + version + " answers."
	case strings.HasPrefix(first, "CLIENT_ERROR unauthenticated"):
		said = "memcached answers and asks for a password."
	case !sure:
		return Thing{}, false
	case err != nil && check.ReasonOf(err) == check.Protocol:
		said = "memcached runs and hangs up on the text protocol, as it does where it asks for a password (SASL)."
	case err != nil:
		said, t.again = "memcached runs and does not answer: "+err.Error()+".", check.ReasonOf(err) != check.Permission
	default:
		said = "A process named as memcached answers version with " + strconv.Quote(first) + "."
	}
	t.Text = said + " " + noCheck
	return t, true
}
