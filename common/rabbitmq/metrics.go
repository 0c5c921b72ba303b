package rabbitmq

import "github.com/belfry-monitoring/belfry/common/check"

// Metrics that both checks of queues report. None has a limit of its own: a
// check adds what it judges.
var (
	Queues = &check.Metric{
		Family: "rabbitmq", Key: "queues",
		Help: "Queues that are looked at.",
	}
	Consumers = &check.Metric{
		Family: "rabbitmq_queue", Key: "consumers", Labels: []string{"queue"},
		Help: "Consumers of the queue by the broker's statistics, up to 8 s old.",
	}
	Unacknowledged = &check.Metric{
		Family: "rabbitmq_queue", Key: "unacknowledged", Labels: []string{"queue"},
		Help: "Messages that consumers hold and have not acknowledged yet.",
	}
	DeliverRate = &check.Metric{
		Family: "rabbitmq_queue", Key: "deliver_rate", Labels: []string{"queue"},
		Help: "Messages per second that the queue gives to its users, by the broker's statistics.",
	}
	AckRate = &check.Metric{
		Family: "rabbitmq_queue", Key: "ack_rate", Labels: []string{"queue"},
		Help: "Messages per second that consumers acknowledge, by the broker's statistics.",
	}
)
