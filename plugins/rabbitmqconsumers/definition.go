// Package rabbitmqconsumers is the check rabbitmq_consumers: whether every
// queue of a RabbitMQ vhost has the consumers that it should have.
package rabbitmqconsumers

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

// Definition is the check rabbitmq_consumers.
var Definition = &check.Definition{
	Name:    "rabbitmq_consumers",
	Title:   "RABBITMQ CONSUMERS",
	Summary: "counts the consumers of each queue of a RabbitMQ vhost and compares them with the number expected",
	Examples: []string{
		"check_rabbitmq_consumers -H mq.example.org -u monitor --password-file /etc/belfry/rabbitmq.pw",
		"check_rabbitmq_consumers -u monitor --password-file PW --expect 'missedmessage_mobile_notifications*=1' --expect email_senders=2:4",
		"check_rabbitmq_consumers -u monitor --password-file PW --vhost shop --queue 'orders.*' --exclude '*.dead'",
	},
	Peer:       "rabbitmq",
	Interval:   time.Minute,
	Timeout:    20 * time.Second,
	Privileges: rabbitmq.Privileges,
	Metrics: []*check.Metric{
		rabbitmq.Consumers, rabbitmq.Unacknowledged, rabbitmq.DeliverRate, rabbitmq.AckRate,
		rabbitmq.Queues, totalConsumers,
	},
	Findings: []*check.Finding{missingQueue, rabbitmq.QueueDown, noStatistics, rabbitmq.NoQueue},
	New:      newCheck,
}

var totalConsumers = &check.Metric{
	Family: "rabbitmq", Key: "total_consumers",
	Help: "Consumers of all queues that are looked at.",
}

var (
	missingQueue = &check.Finding{
		Key: "missing_queue", State: check.Critical, Labels: []string{"queue"},
		Help: "A queue that --expect or --queue names does not exist.",
	}
	noStatistics = &check.Finding{
		Key: "no_statistics", State: check.Unknown,
		Help: "The broker does not know how many consumers queues have, as in the first seconds after its start.",
	}
)

// consumersCheck is one configured check.
type consumersCheck struct {
	broker    *rabbitmq.Options
	selection *rabbitmq.Selection
	expect    []string
}

func newCheck(fs *pflag.FlagSet) check.Check {
	c := &consumersCheck{broker: rabbitmq.Flags(fs), selection: rabbitmq.SelectionFlags(fs)}
	fs.StringArrayVar(&c.expect, "expect", nil,
		"QUEUE=N, N:M or N: consumers of queues of this name or glob, fewer are critical, more are a warning; "+
			"a queue that is not there is critical; may be given several times, the last that matches counts (default 1: for durable queues)")
	return c
}

// Close has nothing to give back: each look dials afresh.
func (c *consumersCheck) Close() error { return nil }
