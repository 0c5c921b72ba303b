// Package rabbitmqqueues is the check rabbitmq_queues: how many messages wait
// in the queues of a RabbitMQ vhost, and whether somebody takes them.
package rabbitmqqueues

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

// Definition is the check rabbitmq_queues.
var Definition = &check.Definition{
	Name:    "rabbitmq_queues",
	Title:   "RABBITMQ QUEUES",
	Summary: "looks at the depth of all queues of a RabbitMQ vhost, at queues without consumer and at queues that are down",
	Examples: []string{
		"check_rabbitmq_queues -H mq.example.org -u monitor --password-file /etc/belfry/rabbitmq.pw",
		"check_rabbitmq_queues -u monitor --password-file PW -w 50 -c 'messages{queue=email_*}=2000'",
		"check_rabbitmq_queues -u monitor --password-file PW --vhost shop --queue orders --queue 'mail.*' --allow-unconsumed '*.dead'",
	},
	Peer:       "rabbitmq",
	Interval:   time.Minute,
	Timeout:    20 * time.Second,
	Privileges: rabbitmq.Privileges,
	Metrics: []*check.Metric{
		messages, ready, rabbitmq.Unacknowledged, rabbitmq.Consumers,
		publishRate, rabbitmq.DeliverRate, rabbitmq.AckRate, redeliverRate, headMessage,
		rabbitmq.Queues, totalMessages, totalReady, totalUnacknowledged,
	},
	Findings: []*check.Finding{rabbitmq.QueueDown, withoutConsumer, missingQueue, noLiveTotals, noStatistics, rabbitmq.NoQueue},
	New:      newCheck,
}

var (
	messages = &check.Metric{
		Family: "rabbitmq_queue", Key: "messages", Labels: []string{"queue"}, Warning: "100", Critical: "1000",
		Help: "Messages in the queue, those that consumers hold unacknowledged included.",
	}
	ready = &check.Metric{
		Family: "rabbitmq_queue", Key: "ready", Labels: []string{"queue"},
		Help: "Messages in the queue that no consumer has taken yet.",
	}
	publishRate = &check.Metric{
		Family: "rabbitmq_queue", Key: "publish_rate", Labels: []string{"queue"},
		Help: "Messages per second that come into the queue, by the broker's statistics.",
	}
	redeliverRate = &check.Metric{
		Family: "rabbitmq_queue", Key: "redeliver_rate", Labels: []string{"queue"},
		Help: "Messages per second that the queue gives out again, because a consumer returned or dropped them, by the broker's statistics.",
	}
	headMessage = &check.Metric{
		Family: "rabbitmq_queue", Key: "head_message", Title: "head message", Kind: check.Since, Labels: []string{"queue"},
		Help: "Time that its publisher stamped on the first message of the queue; now for an empty queue.",
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
	withoutConsumer = &check.Finding{
		Key: "without_consumer", State: check.Critical, Labels: []string{"queue"},
		Help: "Messages wait in the queue, nobody holds any and nobody consumes from it; --allow-unconsumed names queues where that is meant.",
	}
	missingQueue = &check.Finding{
		Key: "missing_queue", State: check.Critical, Labels: []string{"queue"},
		Help: "A queue that --queue names does not exist.",
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

// queuesCheck is one configured check.
type queuesCheck struct {
	broker    *rabbitmq.Options
	selection *rabbitmq.Selection
	profile   string
	unwatched []string // globs of queues that may hold messages without a consumer
}

func newCheck(fs *pflag.FlagSet) check.Check {
	c := &queuesCheck{broker: rabbitmq.Flags(fs), selection: rabbitmq.SelectionFlags(fs)}
	fs.StringArrayVar(&c.unwatched, "allow-unconsumed", nil,
		"queues of this name or glob may hold messages without a consumer (dead letters, delays); may be given several times")
	fs.StringVar(&c.profile, "profile", profileZulip, "limits for queues that a product is known to fill: zulip or none")
	return c
}

// Close has nothing to give back: each look dials afresh.
func (c *queuesCheck) Close() error { return nil }

// perQueue are the metrics that a vhost without queues rightly lacks.
func perQueue() []*check.Metric {
	return []*check.Metric{
		messages, ready, rabbitmq.Unacknowledged, rabbitmq.Consumers,
		publishRate, rabbitmq.DeliverRate, rabbitmq.AckRate, redeliverRate, headMessage,
	}
}
