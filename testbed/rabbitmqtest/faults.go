package rabbitmqtest

import (
	"net"
	"strconv"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
	"github.com/belfry-monitoring/belfry/testbed/faults"
)

// Faults is the table of faults of a check that reads queues from the
// management API; the broker must be in good health.
func (s *Stage) Faults(t *testing.T) faults.Server {
	t.Helper()
	const json = "application/json"
	monitor := func(host string, port int) []string {
		return s.To(host, port, testbed.UserMonitor, testbed.UserMonitor)
	}
	answer := func(name string, mode faultproxy.Mode, want faults.Want) faults.Row {
		p := faultproxy.Start(t, "", mode)
		return faults.Row{Name: name, Args: monitor(p.Host(), p.Port()), Want: want}
	}
	unknown := func(reason check.Reason, text string) faults.Want {
		return faults.Want{State: check.Unknown, Reason: reason, Text: text}
	}
	unavailable := func(text string) faults.Want {
		return faults.Want{State: check.Critical, Reason: check.Unavailable, Text: text}
	}
	flood := faultproxy.HTTPFlood()
	return faults.Server{
		Definition: s.Definition,
		Upstream:   net.JoinHostPort(s.Host, strconv.Itoa(s.ManagementPort)),
		Args:       monitor,
		TLSArgs: func(host string, port int, ca string) []string {
			return append(monitor(host, port), "--tls", "--ca-file", ca)
		},
		Handshake: faultproxy.Bytes(20), // of the first answer
		TooMuch:   &flood,
		Freeze:    s.Freeze,
		Thaw:      s.Thaw,
		Rows: []faults.Row{
			{Name: "authentication refused", Args: s.To(s.Host, s.ManagementPort, testbed.UserMonitor, testbed.UserBlind),
				Want: unknown(check.Auth, "user monitor is refused: wrong password or no such user")},
			{Name: "permission missing", Args: s.As(testbed.UserBlind),
				Want: unknown(check.Permission, "user blind has no access to it: rabbitmqctl set_permissions -p / blind '^$' '^$' '^$'")},
			{Name: "tag missing", Args: s.As(testbed.UserZulip),
				Want: unknown(check.Permission, "user zulip lacks the tag: rabbitmqctl set_user_tags zulip monitoring")},
			{Name: "vhost missing", Args: append(s.As(testbed.UserMonitor), "--vhost", "gone"),
				Want: unknown(check.Config, "there is no vhost of this name (rabbitmqctl list_vhosts)")},
			{Name: "AMQP port", Args: monitor(s.Host, s.AMQPPort),
				Want: faults.Want{State: check.Critical, Reason: check.Protocol, Text: "it speaks AMQP, not HTTP: the management API is on port 15672"}},
			answer("plugin not enabled", faultproxy.Refused(),
				faults.Want{State: check.Critical, Reason: check.Dial, Text: "rabbitmq-plugins enable rabbitmq_management"}),
			answer("empty answer", faultproxy.HTTP(200, json, "[]"),
				unknown(check.Permission, "the broker shows neither queues nor exchanges: rabbitmqctl set_permissions -p / monitor")),
			answer("no answer at all", faultproxy.HTTP(200, json, ""), unknown(check.Data, "not the list that was expected")),
			answer("broken page", faultproxy.HTTP(200, json, `{"items":[{"name":"a"},{"na`), unknown(check.Data, "not the list that was expected")),
			answer("short page", faultproxy.HTTP(200, json, `{"item_count":0,"items":[],"page":1,"page_count":1,"total_count":24}`),
				unknown(check.Data, "not the list that was expected")),
			answer("no management API", faultproxy.HTMLPage(404), unknown(check.Config, "rabbitmq-plugins enable rabbitmq_management")),
			answer("page of a web server", faultproxy.HTMLPage(200), unavailable("an HTML page")),
			answer("proxy without broker", faultproxy.HTMLPage(502), unavailable("HTTP 502")),
		},
	}
}
