package rabbitmq

import "github.com/belfry-monitoring/belfry/common/check"

// Metrics that both checks of queues report. None has a limit of its own: a
// check adds what it judges. Those of each queue are quiet: a vhost has many.
var (
	Queues = &check.Metric{
		Family: "rabbitmq", Key: "queues",
		Help: "Queues that are looked at.",
	}
	Consumers = &check.Metric{
		Family: "rabbitmq_queue", Key: "consumers", Labels: []string{"queue"}, Quiet: true,
		Help: "Consumers of the queue by the broker's statistics, up to 8 s old.",
	}
	Unacknowledged = &check.Metric{
		Family: "rabbitmq_queue", Key: "unacknowledged", Labels: []string{"queue"}, Quiet: true,
		Help: "Messages that consumers hold and have not acknowledged yet.",
	}
	DeliverRate = &check.Metric{
		Family: "rabbitmq_queue", Key: "deliver_rate", Labels: []string{"queue"}, Quiet: true,
		Help: "Messages per second that the queue gives to its users, by the broker's statistics.",
	}
	AckRate = &check.Metric{
		Family: "rabbitmq_queue", Key: "ack_rate", Labels: []string{"queue"}, Quiet: true,
		Help: "Messages per second that consumers acknowledge, by the broker's statistics.",
	}
)

// Findings that both checks of queues report.
var (
	QueueDown = &check.Finding{
		Key: "queue_down", State: check.Critical, Labels: []string{"queue"},
		Help: "The broker says that the queue is down, stopped, crashed or without its quorum.",
	}
	NoQueue = &check.Finding{
		Key: "no_queue", State: check.Unknown,
		Help: "There is no queue to look at, or none that a glob of --queue matches; --allow-empty makes that fine.",
	}
)

// Privileges is what a check of queues needs.
var Privileges = []string{
	"a RabbitMQ user with the tag monitoring (management will do) and access to the vhost without any right in it: " +
		"rabbitmqctl set_user_tags monitor monitoring; rabbitmqctl set_permissions -p / monitor '^$' '^$' '^$'",
	"the management plugin on the broker: rabbitmq-plugins enable rabbitmq_management",
}
