package rabbitmqconsumers

import (
	"net"
	"strconv"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
	"github.com/belfry-monitoring/belfry/testbed/faults"
)

func testFaults(t *testing.T, broker *testbed.RabbitMQ) {
	secrets := map[string]string{}
	for _, user := range []string{testbed.UserMonitor, testbed.UserBlind} {
		secrets[user] = passwordFile(t, broker, user)
	}
	to := func(host string, port int, user, secret string) []string {
		return []string{"-H", host, "-p", strconv.Itoa(port), "-u", user, "--password-file", secrets[secret]}
	}
	answer := func(name string, mode faultproxy.Mode, want faults.Want) faults.Row {
		p := faultproxy.Start(t, "", mode)
		return faults.Row{Name: name, Args: to(p.Host(), p.Port(), testbed.UserMonitor, testbed.UserMonitor), Want: want}
	}
	unknown := func(reason check.Reason, text string) faults.Want {
		return faults.Want{State: check.Unknown, Reason: reason, Text: text}
	}
	const json = "application/json"
	flood := faultproxy.HTTPFlood()
	faults.Server{
		Definition: Definition,
		Upstream:   net.JoinHostPort(broker.Host, strconv.Itoa(broker.ManagementPort)),
		Args: func(host string, port int) []string {
			return to(host, port, testbed.UserMonitor, testbed.UserMonitor)
		},
		TLSArgs: func(host string, port int, ca string) []string {
			return append(to(host, port, testbed.UserMonitor, testbed.UserMonitor), "--tls", "--ca-file", ca)
		},
		Handshake: faultproxy.Bytes(20), // of the first answer
		TooMuch:   &flood,
		Freeze:    broker.Freeze,
		Thaw:      broker.Thaw,
		Rows: []faults.Row{
			{Name: "authentication refused", Args: to(broker.Host, broker.ManagementPort, testbed.UserMonitor, testbed.UserBlind),
				Want: unknown(check.Auth, "user monitor is refused: wrong password or no such user")},
			{Name: "permission missing", Args: to(broker.Host, broker.ManagementPort, testbed.UserBlind, testbed.UserBlind),
				Want: unknown(check.Permission, "rabbitmqctl set_permissions -p / blind '^$' '^$' '^$'")},
			answer("empty answer", faultproxy.HTTP(200, json, "[]"),
				unknown(check.Permission, "the broker shows neither queues nor exchanges: rabbitmqctl set_permissions -p / monitor")),
			answer("no answer at all", faultproxy.HTTP(200, json, ""), unknown(check.Data, "not the list that was expected")),
			answer("broken page", faultproxy.HTTP(200, json, `{"items":[{"name":"a"},{"na`), unknown(check.Data, "not the list that was expected")),
			answer("short page", faultproxy.HTTP(200, json, `{"item_count":0,"items":[],"page":1,"page_count":1,"total_count":24}`),
				unknown(check.Data, "not the list that was expected")),
			answer("no management API", faultproxy.HTMLPage(404), unknown(check.Config, "rabbitmq-plugins enable rabbitmq_management")),
			answer("page of a web server", faultproxy.HTMLPage(200), faults.Want{State: check.Critical, Reason: check.Unavailable, Text: "an HTML page"}),
			answer("proxy without broker", faultproxy.HTMLPage(502), faults.Want{State: check.Critical, Reason: check.Unavailable, Text: "HTTP 502"}),
		},
	}.Run(t)
	faults.Text(t, Definition, to(broker.Host, broker.ManagementPort, testbed.UserMonitor, testbed.UserMonitor))
}
