package rabbitmqqueues

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/testbed"
)

func queue(name string) testbed.Queue { return testbed.Queue{Name: name} }

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

func want(t *testing.T, d plugin.Document, state, text string) {
	t.Helper()
	if d.State != state || !strings.HasPrefix(d.Text, text) {
		t.Errorf("%s: %s\nwant %s: %s", d.State, d.Text, state, text)
	}
}

// TestBroker looks at a real broker in every situation that can be had with
// one node.
func TestBroker(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	broker := bed.RabbitMQ(testbed.RabbitMQOptions{
		Vhosts: []string{"other", "empty", "many"},
		Queues: []testbed.Queue{{Name: "email_senders"}, {Name: "user_activity"}, {Name: "qq", Type: "quorum"}, {Name: "log", Type: "stream"},
			{Vhost: "other", Name: "email_senders"}},
		Config: fastStatistics(),
	})
	args := as(t, broker, testbed.UserMonitor)
	look := func(more ...string) plugin.Document { return run(t, append(args, more...)...) }

	t.Run("idle", func(t *testing.T) { want(t, look(), "OK", "4 queues, no message") })
	t.Run("scripts", func(t *testing.T) { testScripts(t, broker) })
	t.Run("unprivileged", func(t *testing.T) { testUnprivileged(t, bed, broker) })
	t.Run("faults", func(t *testing.T) { testFaults(t, broker) })

	t.Run("a stuck worker's messages are in the queue", func(t *testing.T) {
		worker := broker.Consume(queue("email_senders"), 10, -1)
		defer worker.Stop()
		broker.Publish(queue("email_senders"), 40, time.Now().Add(-time.Hour))
		d := await(t, "consumers in the statistics", args, func(d plugin.Document) bool {
			n, _ := value(d, "consumers", "email_senders")
			held, _ := value(d, "unacknowledged", "email_senders")
			head, ok := value(d, "head_message", "email_senders")
			return n == 1 && held == 10 && ok && head < float64(time.Now().Add(-50*time.Minute).Unix())
		})
		want(t, d, "OK", "4 queues, 40 messages, deepest email_senders 40")
		if n, _ := value(d, "messages", "email_senders"); n != 40 {
			t.Errorf("messages = %g; want 40", n)
		}
		want(t, look("-w", "messages{queue=email_*}=39"), "WARNING", "email_senders: messages 40 (above 39), 30 ready and 10 unacknowledged, 1 consumer")
		want(t, look("-w", "head_message=30min"), "WARNING", "email_senders: head message 60 min")
		want(t, look("--vhost", "other"), "OK", "1 queue, no message") // a queue of the same name
	})

	t.Run("nobody consumes", func(t *testing.T) {
		await(t, "the consumer to go", args, func(d plugin.Document) bool { return found(d, "without_consumer") })
		want(t, look(), "CRITICAL", "email_senders: 40 messages and no consumer")
		want(t, look("--allow-unconsumed", "email_*"), "OK", "4 queues, 40 messages")
		want(t, look("--severity", "without_consumer=warning"), "WARNING", "email_senders: 40 messages and no consumer")
		want(t, look("--exclude", "email_senders"), "OK", "3 queues, no message")
		want(t, look("--queue", "user_*"), "OK", "1 queue, no message")
		want(t, look("--queue", "user_activity", "--queue", "gone"), "CRITICAL", "queue gone does not exist in vhost /")
	})

	t.Run("users", func(t *testing.T) {
		wrong := append([]string(nil), args...)
		wrong[len(wrong)-1] = passwordFile(t, broker, testbed.UserBlind)
		for _, c := range []struct {
			args        []string
			state, text string
		}{
			{append(as(t, broker, testbed.UserManagement), "--queue", "user_activity"), "OK", "1 queue, no message"},
			{append(as(t, broker, testbed.UserAdmin), "--queue", "user_activity"), "OK", "1 queue, no message"},
			{as(t, broker, testbed.UserBlind), "UNKNOWN", "read the queues of vhost / at 127.0.0.1:" + strconv.Itoa(broker.ManagementPort) +
				": user blind has no access to it: rabbitmqctl set_permissions -p / blind '^$' '^$' '^$'"},
			{as(t, broker, testbed.UserZulip), "UNKNOWN", "read the queues of vhost / at 127.0.0.1:" + strconv.Itoa(broker.ManagementPort) +
				": user zulip lacks the tag: rabbitmqctl set_user_tags zulip monitoring"},
			{wrong, "UNKNOWN", "read the queues of vhost / at 127.0.0.1:" + strconv.Itoa(broker.ManagementPort) + ": user monitor is refused: wrong password"},
		} {
			want(t, run(t, c.args...), c.state, c.text)
		}
		// The command that the text gives is the right one.
		broker.Ctl("set_permissions", "-p", "/", testbed.UserBlind, "^$", "^$", "^$")
		want(t, run(t, append(as(t, broker, testbed.UserBlind), "--queue", "user_activity")...), "OK", "1 queue, no message")
	})

	t.Run("vhosts", func(t *testing.T) {
		want(t, look("--vhost", "empty"), "UNKNOWN", "vhost empty has no queue")
		want(t, look("--vhost", "empty", "--allow-empty"), "OK", "0 queues, no message")
		if d := look("--vhost", "gone"); d.State != "UNKNOWN" || d.Reason != "config" || !strings.Contains(d.Text, "there is no vhost of this name") {
			t.Errorf("vhost gone: %s %s: %s; want UNKNOWN, config", d.State, d.Reason, d.Text)
		}
	})

	t.Run("more than a page", func(t *testing.T) {
		for i := range 510 {
			broker.Declare(testbed.Queue{Vhost: "many", Name: fmt.Sprintf("queue_%03d", i)})
		}
		broker.Publish(testbed.Queue{Vhost: "many", Name: "queue_509"}, 3, time.Time{})
		want(t, look("--vhost", "many", "--allow-unconsumed", "*", "-c", "messages{queue=queue_509}=2"), "CRITICAL", "queue_509: messages 3 (above 2)")
		want(t, look("--vhost", "many", "--allow-unconsumed", "*"), "OK", "510 queues, 3 messages, deepest queue_509 3")
	})

	t.Run("ports", func(t *testing.T) {
		amqp := append([]string(nil), args...)
		amqp[3] = strconv.Itoa(broker.AMQPPort)
		if d := run(t, amqp...); d.State != "CRITICAL" || !strings.Contains(d.Text, "it speaks AMQP, not HTTP: the management API is on port 15672") {
			t.Errorf("AMQP port: %s: %s", d.State, d.Text)
		}
		nobody := append([]string(nil), args...)
		nobody[3] = strconv.Itoa(freePort(t))
		if d := run(t, nobody...); d.State != "CRITICAL" || !strings.Contains(d.Text, "rabbitmq-plugins enable rabbitmq_management") {
			t.Errorf("port without a server: %s: %s", d.State, d.Text)
		}
	})

	t.Run("statistics switched off", func(t *testing.T) {
		const set = "application:set_env(rabbitmq_management_agent, disable_metrics_collector, %t)."
		broker.Ctl("eval", fmt.Sprintf(set, true))
		defer broker.Ctl("eval", fmt.Sprintf(set, false))
		want(t, look(), "UNKNOWN", "consumers of 1 queue with messages not known: email_senders; the broker is told to collect no statistics")
		want(t, look("-c", "39"), "CRITICAL", "email_senders: messages 40 (above 39), 40 ready and 0 unacknowledged, consumers not known")
	})

	t.Run("a queue hangs", func(t *testing.T) {
		const hang = `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"user_activity">>)), sys:%s(amqqueue:get_pid(Q)).`
		broker.Ctl("eval", fmt.Sprintf(hang, "suspend"))
		defer broker.Ctl("eval", fmt.Sprintf(hang, "resume"))
		d := look("-t", "2", "--allow-unconsumed", "*", "-c", "39")
		if d.State != "CRITICAL" || d.Reason != "timeout" || !strings.Contains(d.Text, "rabbitmqctl list_unresponsive_queues -p / names it, 1 more problem") {
			t.Errorf("%s, reason %s: %s; want CRITICAL, timeout, and the deep queue beside it", d.State, d.Reason, d.Text)
		}
	})

	t.Run("the vhost is stopped", func(t *testing.T) {
		broker.Ctl("eval", `rabbit_vhost_sup_sup:stop_and_delete_vhost(<<"other">>).`)
		want(t, look("--vhost", "other"), "CRITICAL", "email_senders is stopped: nobody can publish to it or consume from it")
		broker.Ctl("restart_vhost", "-p", "other")
		want(t, look("--vhost", "other"), "OK", "1 queue, no message")
	})

	// Perl's check_rabbitmq_queue says OK for 5 s here, because it takes
	// missing statistics for zero.
	t.Run("restart", func(t *testing.T) {
		broker.Kill()
		broker.Start()
		want(t, look("-c", "39"), "CRITICAL", "email_senders: ")
		await(t, "statistics after the restart", args, func(d plugin.Document) bool {
			if d.State != "CRITICAL" && !found(d, "no_statistics") {
				t.Errorf("after the restart: %s: %s; want CRITICAL, or that it is not known", d.State, d.Text)
			}
			return found(d, "without_consumer")
		})
	})
}
