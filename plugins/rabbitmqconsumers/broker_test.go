package rabbitmqconsumers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/testbed"
)

func queue1(name string) testbed.Queue { return testbed.Queue{Name: name} }

// await looks until the condition holds: statistics take a while.
func await(t *testing.T, what string, args []string, condition func(plugin.Document) bool) plugin.Document {
	t.Helper()
	var last plugin.Document
	testbed.WaitFor(t, 30*time.Second, what, func() error {
		if last = run(t, args...); condition(last) {
			return nil
		}
		return fmt.Errorf("%s: %s", last.State, last.Text)
	})
	return last
}

func isState(state string) func(plugin.Document) bool {
	return func(d plugin.Document) bool { return d.State == state }
}

func want(t *testing.T, d plugin.Document, state, text string) {
	t.Helper()
	if d.State != state || !strings.HasPrefix(d.Text, text) {
		t.Errorf("%s: %s\nwant %s: %s", d.State, d.Text, state, text)
	}
}

// TestBroker looks at a real broker with workers.
func TestBroker(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	broker := bed.RabbitMQ(testbed.RabbitMQOptions{
		Vhosts: []string{"empty", "many"},
		Queues: []testbed.Queue{{Name: "email_senders"}, {Name: "user_activity"}, {Name: "log", Type: "stream"}},
		Config: fastStatistics(),
	})
	args := as(t, broker, testbed.UserMonitor)
	look := func(more ...string) plugin.Document { return run(t, append(args, more...)...) }

	await(t, "the statistics of the idle broker", args, isState("CRITICAL"))
	want(t, look(), "CRITICAL", "email_senders: consumers 0 (below 1), 1 more problem of 2")
	first := broker.Consume(queue1("email_senders"), 10, 0)
	broker.Consume(queue1("user_activity"), 10, 0)
	await(t, "both consumers", args, isState("OK"))

	t.Run("healthy", func(t *testing.T) { want(t, look(), "OK", "2 queues, 2 consumers") })
	t.Run("scripts", func(t *testing.T) { testScripts(t, broker) })
	t.Run("unprivileged", func(t *testing.T) { testUnprivileged(t, bed, broker) })
	t.Run("faults", func(t *testing.T) { testFaults(t, broker) })

	t.Run("users and vhosts", func(t *testing.T) {
		want(t, run(t, as(t, broker, testbed.UserManagement)...), "OK", "2 queues, 2 consumers")
		if d := run(t, as(t, broker, testbed.UserBlind)...); d.State != "UNKNOWN" || d.Reason != "permission" {
			t.Errorf("blind: %s %s: %s; want UNKNOWN, permission", d.State, d.Reason, d.Text)
		}
		if d := run(t, as(t, broker, testbed.UserZulip)...); d.State != "UNKNOWN" || !strings.Contains(d.Text, "rabbitmqctl set_user_tags zulip monitoring") {
			t.Errorf("without tag: %s: %s; want UNKNOWN and the command", d.State, d.Text)
		}
		want(t, look("--vhost", "empty"), "UNKNOWN", "vhost empty has no queue")
		want(t, look("--vhost", "empty", "--allow-empty"), "OK", "0 queues, 0 consumers")
	})

	t.Run("a worker too many", func(t *testing.T) {
		second := broker.Consume(queue1("email_senders"), 10, 0)
		expect := append(args, "--expect", "email_*=1")
		d := await(t, "the second consumer", expect, isState("WARNING"))
		want(t, d, "WARNING", "email_senders: consumers 2 (above 1)")
		want(t, look("--expect", "email_senders=1:2"), "OK", "2 queues, 3 consumers")
		second.Stop()
		await(t, "the second consumer to go", expect, isState("OK"))
	})

	t.Run("a worker gone, with messages left", func(t *testing.T) {
		first.Stop()
		broker.Publish(queue1("email_senders"), 5, time.Time{})
		d := await(t, "the consumer to go", args, func(d plugin.Document) bool { return d.State == "CRITICAL" && strings.Contains(d.Text, "messages") })
		want(t, d, "CRITICAL", "email_senders: consumers 0 (below 1), 5 messages in the queue")
		want(t, look("--expect", "email_senders=0:"), "OK", "2 queues, 1 consumer")
	})

	t.Run("more than a page", func(t *testing.T) {
		for i := range 510 {
			broker.Declare(testbed.Queue{Vhost: "many", Name: fmt.Sprintf("queue_%03d", i)})
		}
		await(t, "statistics of the last queue", append(args, "--vhost", "many", "--queue", "queue_509"), isState("CRITICAL"))
		want(t, look("--vhost", "many", "--queue", "queue_50*", "--queue", "queue_510"), "CRITICAL", "queue queue_510 does not exist in vhost many")
	})

	t.Run("statistics switched off", func(t *testing.T) {
		const set = "application:set_env(rabbitmq_management_agent, disable_metrics_collector, %t)."
		broker.Ctl("eval", fmt.Sprintf(set, true))
		defer broker.Ctl("eval", fmt.Sprintf(set, false))
		want(t, look(), "UNKNOWN", "number of consumers not known of 2 queues: email_senders, user_activity; the broker is told to collect no statistics")
		want(t, look("--expect", "gone=1"), "CRITICAL", "queue gone does not exist in vhost /")
	})

	// In the first seconds nobody knows how many consumers there are: that is
	// neither none nor enough.
	t.Run("restart", func(t *testing.T) {
		broker.Kill()
		broker.Start()
		await(t, "statistics after the restart", args, func(d plugin.Document) bool {
			if d.State == "OK" || d.State == "CRITICAL" && strings.Contains(d.Text, "not known") {
				t.Errorf("after the restart: %s: %s", d.State, d.Text)
			}
			return d.State == "CRITICAL"
		})
		want(t, look(), "CRITICAL", "email_senders: consumers 0 (below 1), ")
	})
}
