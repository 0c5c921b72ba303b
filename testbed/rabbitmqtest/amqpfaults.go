package rabbitmqtest

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
	"github.com/belfry-monitoring/belfry/testbed/faults"
)

// AMQP is the command line of a look by AMQP as the user.
func (s *Stage) AMQP(user string, args ...string) []string {
	return append(append(s.To(s.Host, s.AMQPPort, user, user), "--amqp"), args...)
}

// AMQPFaults is the table of faults of a check that reads queues by AMQP; the
// broker must be in good health. The further arguments name the queues.
func (s *Stage) AMQPFaults(t *testing.T, args ...string) faults.Server {
	t.Helper()
	look := func(host string, port int, user, passwordOf string, more ...string) []string {
		return append(append(append(s.To(host, port, user, passwordOf), "--amqp"), args...), more...)
	}
	monitor := func(host string, port int) []string {
		return look(host, port, testbed.UserMonitor, testbed.UserMonitor)
	}
	answer := func(name string, mode faultproxy.Mode, want faults.Want) faults.Row {
		p := faultproxy.Start(t, "", mode)
		return faults.Row{Name: name, Args: monitor(p.Host(), p.Port()), Want: want}
	}
	unknown := func(reason check.Reason, text string) faults.Want {
		return faults.Want{State: check.Unknown, Reason: reason, Text: text}
	}
	// Frames of the protocol without end.
	flood := faultproxy.Flood(nil, []byte{8, 0, 0, 0, 0, 0, 0, 0xCE})
	return faults.Server{
		Definition: s.Definition,
		Upstream:   net.JoinHostPort(s.Host, strconv.Itoa(s.AMQPPort)),
		Args:       monitor,
		TLSArgs: func(host string, port int, ca string) []string {
			return append(monitor(host, port), "--tls", "--ca-file", ca)
		},
		Handshake: faultproxy.Bytes(20), // of the broker's first frame
		TooMuch:   &flood,
		Freeze:    s.Freeze,
		Thaw:      s.Thaw,
		Rows: []faults.Row{
			{Name: "authentication refused", Args: look(s.Host, s.AMQPPort, testbed.UserMonitor, testbed.UserBlind),
				Timeout: 5 * time.Second, // the broker takes a second to refuse
				Want:    unknown(check.Auth, "user monitor is refused: wrong password or no such user")},
			{Name: "permission missing", Args: look(s.Host, s.AMQPPort, testbed.UserBlind, testbed.UserBlind),
				Want: unknown(check.Permission, "user blind has no access to it: rabbitmqctl set_permissions -p / blind '^$' '^$' '^$'")},
			{Name: "vhost missing", Args: look(s.Host, s.AMQPPort, testbed.UserMonitor, testbed.UserMonitor, "--vhost", "gone"),
				Want: unknown(check.Config, "there is no vhost of this name (rabbitmqctl list_vhosts)")},
			{Name: "management port", Args: monitor(s.Host, s.ManagementPort),
				Want: faults.Want{State: check.Critical, Reason: check.Timeout, Text: "it says nothing: does the broker hang, or is this not its AMQP port (5672, 5671 with --tls)?"}},
			answer("empty answer", faultproxy.Respond([]byte("AMQP\x00\x00\x09\x01")), faults.Want{State: check.Critical, Reason: check.Protocol}),
			answer("web server that does not wait", faultproxy.Respond([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")),
				faults.Want{State: check.Critical, Reason: check.Protocol, Text: "it speaks HTTP, not AMQP: AMQP is on port 5672"}),
		},
	}
}
