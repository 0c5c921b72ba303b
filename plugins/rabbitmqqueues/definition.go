// Package rabbitmqqueues is the check rabbitmq_queues: how long the messages
// in the queues of a RabbitMQ vhost wait, and whether somebody works them off.
package rabbitmqqueues

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

// Definition is the check rabbitmq_queues.
var Definition = &check.Definition{
	Name:    "rabbitmq_queues",
	Title:   "RABBITMQ QUEUES",
	Summary: "looks at how long the messages in all queues of a RabbitMQ vhost will wait, at workers that are stuck, and at queues without consumer or down",
	Examples: []string{
		"check_rabbitmq_queues -H mq.example.org -u monitor --password-file /etc/belfry/rabbitmq.pw",
		"check_rabbitmq_queues -u monitor --password-file PW --queue-stats-dir /var/log/zulip/queue_stats -c 'drain_time{queue=email_*}=10min'",
		"check_rabbitmq_queues -u monitor --password-file PW --vhost shop --queue orders --queue 'mail.*' --allow-unconsumed '*.dead'",
		"check_rabbitmq_queues --amqp -u zulip --password-file PW --queue email_senders --queue deferred_work --queue-stats-dir /var/log/zulip/queue_stats",
		"check_rabbitmq_queues --rabbitmqctl-file /var/lib/belfry/queues.json",
	},
	Peer:     "rabbitmq",
	Interval: time.Minute,
	Timeout:  20 * time.Second,
	Privileges: append(append([]string(nil), rabbitmq.Privileges...),
		"with --amqp: no management plugin and no tag, only the access to the vhost",
		"with --rabbitmqctl-file: to read the file; with --queue-stats-dir: the group that may read the directory (zulip)"),
	Metrics: []*check.Metric{
		messages, stalled, drainTime, ready, rabbitmq.Unacknowledged, rabbitmq.Consumers,
		publishRate, rabbitmq.DeliverRate, rabbitmq.AckRate, redeliverRate, headMessage,
		rabbitmq.Queues, totalMessages, totalReady, totalUnacknowledged, listed,
	},
	Findings: []*check.Finding{
		alarm, rabbitmq.QueueDown, withoutConsumer, missingQueue, crashLoop, redeliveryLoop, growing,
		heldUnknown, badStatistics, noLiveTotals, noStatistics, rabbitmq.NoQueue,
	},
	New: newCheck,
}

// queuesCheck is one configured check.
type queuesCheck struct {
	broker    *rabbitmq.Options
	selection *rabbitmq.Selection
	profile   string
	unwatched []string // globs of queues that may hold messages without a consumer
	amqp      bool
	list      string // file with rabbitmqctl's list; "-" for standard input
	statsDir  string
}

func newCheck(fs *pflag.FlagSet) check.Check {
	c := &queuesCheck{broker: rabbitmq.Flags(fs), selection: rabbitmq.SelectionFlags(fs)}
	fs.StringArrayVar(&c.unwatched, "allow-unconsumed", nil,
		"queues of this name or glob may hold messages without a consumer (dead letters, delays); may be given several times")
	fs.StringVar(&c.profile, "profile", profileZulip, "limits for queues that a product is known to fill: zulip or none")
	fs.StringVar(&c.statsDir, "queue-stats-dir", "",
		"directory in which Zulip's workers write how fast they are (/var/log/zulip/queue_stats)")
	fs.BoolVar(&c.amqp, "amqp", false,
		"ask by AMQP for the queues that --queue names, where there is no management API; what consumers hold is not known then")
	fs.StringVar(&c.list, "rabbitmqctl-file", "",
		"ask no broker: read the output of '"+rabbitmq.ListQueuesCommand+"' from this file, which cron writes, and judge its age too; - for standard input (plugin only)")
	fs.Lookup("host").Usage = "host of the broker"
	fs.Lookup("port").Usage = "port of the management API (default 15672, with --tls 15671), with --amqp of AMQP (default 5672, with --tls 5671)"
	fs.Lookup("tls").Usage = "speak HTTPS, with --amqp AMQPS"
	return c
}

// validate says what is wrong with the options.
func (c *queuesCheck) validate() error {
	switch {
	case c.list != "" && c.amqp:
		return errors.New("--rabbitmqctl-file and --amqp are two sources: give one")
	case c.list != "" && c.list != "-" && !filepath.IsAbs(c.list):
		return errors.New("--rabbitmqctl-file needs an absolute path, or - for standard input")
	case c.statsDir != "" && !filepath.IsAbs(c.statsDir):
		return errors.New("--queue-stats-dir needs an absolute path")
	case c.amqp && len(c.selection.Globs()) > 0:
		return errors.New("--amqp can ask for a queue by its whole name only: no * and ? in --queue")
	case c.amqp && len(c.selection.Names()) == 0:
		return errors.New("--amqp cannot list queues: name them with --queue, several times")
	}
	if c.list == "" {
		if err := c.broker.Validate(); err != nil {
			return err
		}
	}
	return c.selection.Validate()
}

// Close has nothing to give back: each look dials afresh.
func (c *queuesCheck) Close() error { return nil }
