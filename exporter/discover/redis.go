package discover

import (
	"bytes"
	"net"
	"path"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

const redisPort = 6379

// isRedis knows redis-server and its fork, which write where they listen into
// their title: "redis-server 127.0.0.1:6379", "redis-server *:6379 [cluster]",
// "redis-server unixsocket:/run/redis/redis.sock" (server.c, redisSetProcTitle).
func isRedis(args []string) bool {
	program, _, _ := strings.Cut(args[0], " ")
	switch path.Base(program) {
	case "redis-server", "valkey-server", "redis-sentinel", "valkey-sentinel":
		return true
	}
	return false
}

// redis finds servers by their titles, and whatever listens at the product's
// port.
func redis(m *Machine) []candidate {
	q := asked{question: "PING\r\n", judge: redisThing}
	for _, p := range m.of(isRedis) {
		network, address := redisAddress(p.Args)
		if address == "" { // no title: started a moment ago, or set_proc_title is off
			if l, ok := m.at(redisPort); ok && p.owns(l, true) {
				network, address = "tcp", net.JoinHostPort(l.host(), strconv.Itoa(redisPort))
			}
		}
		switch {
		case address == "":
			q.hidden(m.Accounts[p.UID], "Redis runs, and its title does not say where it listens.")
		default:
			q.add(network, address, true)
		}
	}
	if l, ok := m.at(redisPort); ok {
		q.add("tcp", net.JoinHostPort(l.host(), strconv.Itoa(redisPort)), false)
	}
	return q.list
}

// redisAddress reads where a server listens out of its title.
func redisAddress(args []string) (network, address string) {
	words := strings.Fields(strings.Join(args, " "))
	if len(words) < 2 {
		return "", ""
	}
	if socket, ok := strings.CutPrefix(words[1], "unixsocket:"); ok && strings.HasPrefix(socket, "/") {
		return "unix", socket
	}
	at := strings.LastIndexByte(words[1], ':')
	if at < 0 {
		return "", ""
	}
	host, port := strings.Trim(words[1][:at], "[]"), words[1][at+1:]
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", ""
	}
	if host == "*" || host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	if net.ParseIP(host) == nil { // a title that was set to something else must lead nowhere
		return "", ""
	}
	return "tcp", net.JoinHostPort(host, port)
}

// redisThing judges the reply to PING. A server that asks for a password says
// so, which is all that is to be known.
func redisThing(address string, sure bool, reply []byte, err error) (Thing, bool) {
	t := Thing{Name: address, Outcome: Unwatched}
	first := string(bytes.TrimRight(reply, "\r\n"))
	said := ""
	switch {
	case first == "+PONG":
		said = "Redis answers."
	case strings.HasPrefix(first, "-NOAUTH"), strings.HasPrefix(first, "-NOPERM"), strings.HasPrefix(first, "-WRONGPASS"):
		said = "Redis answers and asks for a password."
	case strings.HasPrefix(first, "-LOADING"):
		said = "Redis loads its data."
	case strings.HasPrefix(first, "-DENIED"), strings.HasPrefix(first, "-MASTERDOWN"), strings.HasPrefix(first, "-ERR"):
		said = "Redis answers: " + strings.TrimPrefix(first, "-")
	case !sure:
		return Thing{}, false
	case err != nil:
		said, t.again = "Redis runs and does not answer: "+err.Error()+".", check.ReasonOf(err) != check.Permission
	default:
		said = "A process named as Redis answers PING with " + strconv.Quote(first) + "."
	}
	t.Text = said + " " + noCheck
	return t, true
}
