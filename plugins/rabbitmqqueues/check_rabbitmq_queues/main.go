// Command check_rabbitmq_queues looks at the queues of a RabbitMQ vhost: how
// many messages each holds, whether somebody consumes from it, and whether it
// is up. It asks the management API as a user who may read and change nothing.
//
// Examples:
//
//	check_rabbitmq_queues -H mq.example.org -u monitor --password-file /etc/belfry/rabbitmq.pw
//	check_rabbitmq_queues -u monitor --password-file PW -w 50 -c 'messages{queue=email_*}=2000'
//	check_rabbitmq_queues -u monitor --password-file PW --vhost shop --queue orders --allow-unconsumed '*.dead'
//
// Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. All options: -h.
package main

import (
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/plugins/rabbitmqqueues"
)

func main() { plugin.Main(rabbitmqqueues.Definition) }
