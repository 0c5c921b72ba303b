// Command check_rabbitmq_consumers counts the consumers of each queue of a
// RabbitMQ vhost and compares them with the number expected: at least one for
// every durable queue, or what --expect says. It asks the management API as a
// user who may read and change nothing.
//
// Examples:
//
//	check_rabbitmq_consumers -H mq.example.org -u monitor --password-file /etc/belfry/rabbitmq.pw
//	check_rabbitmq_consumers -u monitor --password-file PW --expect 'shard*=1' --expect email_senders=2:4
//
// Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. All options: -h.
package main

import (
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/plugins/rabbitmqconsumers"
)

func main() { plugin.Main(rabbitmqconsumers.Definition) }
