package rabbitmqqueues

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

func queue(name string) testbed.Queue { return testbed.Queue{Name: name} }

// TestBroker looks at a real broker in every situation that can be had with
// one node. One broker serves all, because each takes some seconds to start.
func TestBroker(t *testing.T) {
	t.Parallel()
	broker := rabbitmqtest.New(t, Definition, testbed.RabbitMQOptions{
		Vhosts: []string{"other", "empty", "many", workVhost},
		Queues: []testbed.Queue{{Name: "email_senders"}, {Name: "user_activity"}, {Name: "qq", Type: "quorum"}, {Name: "log", Type: "stream"},
			{Vhost: "other", Name: "email_senders"},
			work("email_senders"), work("embed_links"), work("thumbnail"), work("orders"), work("quiet")},
	})
	want := rabbitmqtest.Want
	look := func(args ...string) lookat.Document { return broker.Look(t, args...) }

	t.Run("idle", func(t *testing.T) {
		// What a new quorum queue holds is not known before its first statistics.
		want(t, broker.Await(t, "the quorum queue to be known", nil, rabbitmqtest.Is("OK")), "OK", "4 queues, no message")
	})
	t.Run("scripts", func(t *testing.T) { script.Run(t, broker.Script, nil) })
	t.Run("unprivileged", func(t *testing.T) {
		broker.Unprivileged(t, "RABBITMQ QUEUES OK: 4 queues, no message | queues=4 ")
	})
	t.Run("faults", func(t *testing.T) {
		var table faults.Server = broker.Faults(t)
		table.Run(t)
		table = broker.AMQPFaults(t, "--queue", "email_senders", "--queue", "user_activity")
		table.Run(t)
		faults.Text(t, Definition, broker.As(testbed.UserMonitor))
	})

	t.Run("workers", func(t *testing.T) { workers(t, broker) })

	t.Run("alarm", func(t *testing.T) {
		broker.Ctl("set_disk_free_limit", "10000GB")
		d := broker.Await(t, "the alarm", nil, func(d lookat.Document) bool { return d.Found("alarm") })
		broker.Ctl("set_disk_free_limit", "10MB")
		want(t, d, "CRITICAL", "disk space alarm at node ")
		want(t, broker.Await(t, "the end of the alarm", nil, rabbitmqtest.Is("OK")), "OK", "4 queues, no message")
	})

	t.Run("a stuck worker's messages are in the queue", func(t *testing.T) {
		worker := broker.Consume(queue("email_senders"), 10, -1)
		defer worker.Stop()
		broker.Publish(queue("email_senders"), 40, time.Now().Add(-time.Hour))
		d := broker.Await(t, "consumers in the statistics", nil, func(d lookat.Document) bool {
			n, _ := d.Value("consumers", "email_senders")
			held, _ := d.Value("unacknowledged", "email_senders")
			head, ok := d.Value("head_message", "email_senders")
			return n == 1 && held == 10 && ok && head < float64(time.Now().Add(-50*time.Minute).Unix())
		})
		want(t, d, "OK", "4 queues, 40 messages, deepest email_senders 40")
		if n, _ := d.Value("messages", "email_senders"); n != 40 {
			t.Errorf("messages = %g; want 40", n)
		}
		want(t, look("-w", "messages{queue=email_*}=39"), "WARNING", "email_senders: messages 40 (above 39), 30 ready and 10 unacknowledged, 1 consumer")
		want(t, look("-w", "head_message=30min"), "WARNING", "email_senders: head message 60 min")
		want(t, look("--vhost", "other"), "OK", "1 queue, no message") // a queue of the same name
	})

	t.Run("nobody consumes", func(t *testing.T) {
		broker.Await(t, "the consumer to go", nil, func(d lookat.Document) bool { return d.Found("without_consumer") })
		want(t, look(), "CRITICAL", "email_senders: 40 messages and no consumer")
		want(t, look("--allow-unconsumed", "email_*"), "OK", "4 queues, 40 messages")
		want(t, look("--severity", "without_consumer=warning"), "WARNING", "email_senders: 40 messages and no consumer")
		want(t, look("--exclude", "email_senders"), "OK", "3 queues, no message")
		want(t, look("--queue", "user_*"), "OK", "1 queue, no message")
		want(t, look("--queue", "user_activity", "--queue", "gone"), "CRITICAL", "queue gone does not exist in vhost /")
	})

	t.Run("users", func(t *testing.T) {
		for _, user := range []string{testbed.UserManagement, testbed.UserAdmin} {
			want(t, lookat.Args(t, Definition, append(broker.As(user), "--queue", "user_activity")...), "OK", "1 queue, no message")
		}
		// The command that the text gives is the right one.
		broker.Ctl("set_permissions", "-p", "/", testbed.UserBlind, "^$", "^$", "^$")
		want(t, lookat.Args(t, Definition, append(broker.As(testbed.UserBlind), "--queue", "user_activity")...), "OK", "1 queue, no message")
	})

	t.Run("vhosts", func(t *testing.T) {
		want(t, look("--vhost", "empty"), "UNKNOWN", "vhost empty has no queue")
		want(t, look("--vhost", "empty", "--allow-empty"), "OK", "0 queues, no message")
	})

	t.Run("more than a page", func(t *testing.T) {
		for i := range 510 {
			broker.Declare(testbed.Queue{Vhost: "many", Name: fmt.Sprintf("queue_%03d", i)})
		}
		broker.Publish(testbed.Queue{Vhost: "many", Name: "queue_509"}, 3, time.Time{})
		want(t, look("--vhost", "many", "--allow-unconsumed", "*", "-c", "messages{queue=queue_509}=2"), "CRITICAL", "queue_509: messages 3 (above 2)")
		want(t, look("--vhost", "many", "--allow-unconsumed", "*"), "OK", "510 queues, 3 messages, deepest queue_509 3")
	})

	t.Run("statistics switched off", func(t *testing.T) {
		defer broker.StatisticsOff()()
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
		broker.Publish(testbed.Queue{Name: "qq"}, 3, time.Time{})
		broker.Await(t, "the quorum queue to tell its depth", []string{"--queue", "qq"}, func(d lookat.Document) bool { return d.Found("without_consumer") })
		broker.Kill()
		broker.Start()
		want(t, look("-c", "39"), "CRITICAL", "email_senders: ")
		broker.Await(t, "statistics after the restart", nil, func(d lookat.Document) bool {
			if d.State != "CRITICAL" && !d.Found("no_statistics") {
				t.Errorf("after the restart: %s: %s; want CRITICAL, or that it is not known", d.State, d.Text)
			}
			// The totals of a quorum queue say 0 for 5 s.
			qq := look("--queue", "qq")
			if qq.State == "OK" {
				t.Errorf("a quorum queue with 3 messages after the restart: %s: %s; want that it is not known", qq.State, qq.Text)
			}
			return d.Found("without_consumer") && qq.Found("without_consumer")
		})
	})
}
