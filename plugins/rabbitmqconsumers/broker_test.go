package rabbitmqconsumers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/faults"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
	"github.com/belfry-monitoring/belfry/testbed/rabbitmqtest"
	"github.com/belfry-monitoring/belfry/testbed/script"
)

func named(name string) testbed.Queue { return testbed.Queue{Name: name} }

// TestBroker looks at a real broker with workers. One broker serves all,
// because each takes some seconds to start.
func TestBroker(t *testing.T) {
	t.Parallel()
	broker := rabbitmqtest.New(t, Definition, testbed.RabbitMQOptions{
		Vhosts: []string{"empty", "many"},
		Queues: []testbed.Queue{{Name: "email_senders"}, {Name: "user_activity"}, {Name: "log", Type: "stream"}},
	})
	want, is := rabbitmqtest.Want, rabbitmqtest.Is
	look := func(args ...string) lookat.Document { return broker.Look(t, args...) }

	broker.Await(t, "the statistics of the idle broker", nil, is("CRITICAL"))
	want(t, look(), "CRITICAL", "email_senders: consumers 0 (below 1), 1 more problem of 2")
	first := broker.Consume(named("email_senders"), 10, 0)
	broker.Consume(named("user_activity"), 10, 0)
	broker.Await(t, "both consumers", nil, is("OK"))

	t.Run("healthy", func(t *testing.T) { want(t, look(), "OK", "2 queues, 2 consumers") })
	t.Run("scripts", func(t *testing.T) { script.Run(t, broker.Script, nil) })
	t.Run("unprivileged", func(t *testing.T) {
		broker.Unprivileged(t, "RABBITMQ CONSUMERS OK: 2 queues, 2 consumers | queues=2 total_consumers=2 ")
	})
	t.Run("faults", func(t *testing.T) {
		var table faults.Server = broker.Faults(t)
		table.Run(t)
		faults.Text(t, Definition, broker.As(testbed.UserMonitor))
	})

	t.Run("users and vhosts", func(t *testing.T) {
		want(t, lookat.Args(t, Definition, broker.As(testbed.UserManagement)...), "OK", "2 queues, 2 consumers")
		want(t, look("--vhost", "empty"), "UNKNOWN", "vhost empty has no queue")
		want(t, look("--vhost", "empty", "--allow-empty"), "OK", "0 queues, 0 consumers")
	})

	t.Run("a worker too many", func(t *testing.T) {
		second := broker.Consume(named("email_senders"), 10, 0)
		expect := []string{"--expect", "email_*=1"}
		d := broker.Await(t, "the second consumer", expect, is("WARNING"))
		want(t, d, "WARNING", "email_senders: consumers 2 (above 1)")
		want(t, look("--expect", "email_senders=1:2"), "OK", "2 queues, 3 consumers")
		second.Stop()
		broker.Await(t, "the second consumer to go", expect, is("OK"))
	})

	t.Run("a worker gone, with messages left", func(t *testing.T) {
		first.Stop()
		broker.Publish(named("email_senders"), 5, time.Time{})
		d := broker.Await(t, "the consumer to go", nil, func(d lookat.Document) bool { return d.State == "CRITICAL" && strings.Contains(d.Text, "messages") })
		want(t, d, "CRITICAL", "email_senders: consumers 0 (below 1), 5 messages in the queue")
		want(t, look("--expect", "email_senders=0:"), "OK", "2 queues, 1 consumer")
	})

	t.Run("more than a page", func(t *testing.T) {
		for i := range 510 {
			broker.Declare(testbed.Queue{Vhost: "many", Name: fmt.Sprintf("queue_%03d", i)})
		}
		broker.Await(t, "statistics of the last queue", []string{"--vhost", "many", "--queue", "queue_509"}, is("CRITICAL"))
		want(t, look("--vhost", "many", "--queue", "queue_50*", "--queue", "queue_510"), "CRITICAL", "queue queue_510 does not exist in vhost many")
	})

	t.Run("statistics switched off", func(t *testing.T) {
		defer broker.StatisticsOff()()
		want(t, look(), "UNKNOWN", "number of consumers not known of 2 queues: email_senders, user_activity; the broker is told to collect no statistics")
		want(t, look("--expect", "gone=1"), "CRITICAL", "queue gone does not exist in vhost /")
	})

	// In the first seconds nobody knows how many consumers there are: that is
	// neither none nor enough.
	t.Run("restart", func(t *testing.T) {
		broker.Kill()
		broker.Start()
		broker.Await(t, "statistics after the restart", nil, func(d lookat.Document) bool {
			if d.State == "OK" || d.State == "CRITICAL" && strings.Contains(d.Text, "not known") {
				t.Errorf("after the restart: %s: %s", d.State, d.Text)
			}
			return d.State == "CRITICAL"
		})
		want(t, look(), "CRITICAL", "email_senders: consumers 0 (below 1), ")
	})
}
