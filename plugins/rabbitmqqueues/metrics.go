package rabbitmqqueues

import (
	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

// Limits on depth, for every queue that has no others. They count where it is
// not known how fast the queue is worked off.
const (
	depthWarning  = "100"
	depthCritical = "1000"
)

var (
	messages = &check.Metric{
		Family: "rabbitmq_queue", Key: "messages", Labels: []string{"queue"}, Warning: depthWarning, Critical: depthCritical, Effect: true,
		Help: "Messages in the queue, those that consumers hold unacknowledged included.",
	}
	drainTime = &check.Metric{
		Family: "rabbitmq_queue", Key: "drain_time", Title: "drain time", Unit: check.Seconds, Labels: []string{"queue"}, Warning: "5min", Critical: "15min",
		Help: "Time until what is in the queue is worked off, at the pace of its consumers; not there where the pace is not known.",
	}
	stalled = &check.Metric{
		Family: "rabbitmq_queue", Key: "stalled", Title: "nothing done for", Unit: check.Seconds, Labels: []string{"queue"}, Warning: "15min", Critical: "30min",
		Help: "How long messages have been in the queue and none was acknowledged, as far as the looks saw; 0 for an empty queue.",
	}
	ready = &check.Metric{
		Family: "rabbitmq_queue", Key: "ready", Labels: []string{"queue"}, Quiet: true, Effect: true,
		Help: "Messages in the queue that no consumer has taken yet.",
	}
	publishRate = &check.Metric{
		Family: "rabbitmq_queue", Key: "publish_rate", Labels: []string{"queue"}, Quiet: true,
		Help: "Messages per second that come into the queue, by the broker's statistics.",
	}
	redeliverRate = &check.Metric{
		Family: "rabbitmq_queue", Key: "redeliver_rate", Labels: []string{"queue"}, Quiet: true,
		Help: "Messages per second that the queue gives out again, because a consumer returned or dropped them, by the broker's statistics.",
	}
	headMessage = &check.Metric{
		Family: "rabbitmq_queue", Key: "head_message", Title: "head message", Kind: check.Since, Labels: []string{"queue"}, Quiet: true,
		Help: "Time that its publisher stamped on the first message of the queue; now for an empty queue.",
	}
	listed = &check.Metric{
		Family: "rabbitmq", Key: "listed", Title: "age of the list of queues", Kind: check.Since, Warning: "3min", Critical: "10min",
		Help: "When the list of queues was written that was read from a file.",
	}
	totalMessages = &check.Metric{
		Family: "rabbitmq", Key: "total_messages",
		Help: "Messages in all queues that are looked at.",
	}
	totalReady = &check.Metric{
		Family: "rabbitmq", Key: "total_ready",
		Help: "Messages in all queues that are looked at that no consumer has taken yet.",
	}
	totalUnacknowledged = &check.Metric{
		Family: "rabbitmq", Key: "total_unacknowledged",
		Help: "Messages in all queues that are looked at that consumers hold unacknowledged.",
	}
)

var (
	alarm = &check.Finding{
		Key: "alarm", State: check.Critical, Labels: []string{"resource"},
		Help: "A node of the broker is short of memory or disk, so that all publishers of the cluster are blocked.",
	}
	withoutConsumer = &check.Finding{
		Key: "without_consumer", State: check.Critical, Labels: []string{"queue"},
		Help: "Messages wait in the queue, nobody holds any and nobody consumes from it; --allow-unconsumed names queues where that is meant.",
	}
	missingQueue = &check.Finding{
		Key: "missing_queue", State: check.Critical, Labels: []string{"queue"},
		Help: "A queue that --queue names does not exist.",
	}
	crashLoop = &check.Finding{
		Key: "crash_loop", State: check.Critical, Labels: []string{"queue"},
		Help: "Messages wait, and the queue's Zulip worker has renewed its statistics several times without one success: it crashes, or fails with every message.",
	}
	redeliveryLoop = &check.Finding{
		Key: "redelivery_loop", State: check.Warning, Labels: []string{"queue"},
		Help: "The queue gives out the same messages again and again: a consumer returns them, or dies of them.",
	}
	growing = &check.Finding{
		Key: "growing", State: check.Warning, Labels: []string{"queue"},
		Help: "The queue has grown from look to look for 10 minutes at least, to twice of what it held.",
	}
	heldUnknown = &check.Finding{
		Key: "held_unknown", State: check.Unknown,
		Help: "With --amqp: queues have consumers, and nothing says how many messages these hold or whether they work.",
	}
	badStatistics = &check.Finding{
		Key: "bad_statistics", State: check.Unknown, Labels: []string{"queue"},
		Help: "The statistics that a Zulip worker writes cannot be read or understood.",
	}
	noLiveTotals = &check.Finding{
		Key: "no_live_totals", State: check.Critical,
		Help: "Queues are declared and did not say how many messages they hold: their processes hang.",
	}
	noStatistics = &check.Finding{
		Key: "no_statistics", State: check.Unknown,
		Help: "The broker has no statistics of queues with messages, so it is not known whether somebody consumes from them.",
	}
)

// perQueue are the metrics that a vhost without queues rightly lacks.
func perQueue() []*check.Metric {
	return []*check.Metric{
		messages, drainTime, stalled, ready, rabbitmq.Unacknowledged, rabbitmq.Consumers,
		publishRate, rabbitmq.DeliverRate, rabbitmq.AckRate, redeliverRate, headMessage,
	}
}
