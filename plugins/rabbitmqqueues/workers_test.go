package rabbitmqqueues

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
	"github.com/belfry-monitoring/belfry/testbed/rabbitmqtest"
)

// workVhost is where workers work in the tests.
const workVhost = "work"

func work(name string) testbed.Queue { return testbed.Queue{Vhost: workVhost, Name: name} }

// workers looks at a real broker whose workers are slow, stuck, dying and
// returning what they get, by all three sources.
func workers(t *testing.T, broker *rabbitmqtest.Stage) {
	stats, memory := t.TempDir(), t.TempDir()
	end := make(chan struct{})
	var started []*rabbitmqtest.Worker
	defer func() {
		close(end)
		for _, w := range started {
			w.Stop()
		}
	}()
	for queue, deed := range map[string]func(int) rabbitmqtest.Deed{
		"email_senders": func(int) rabbitmqtest.Deed { time.Sleep(200 * time.Millisecond); return rabbitmqtest.Succeed },
		"embed_links":   func(int) rabbitmqtest.Deed { return rabbitmqtest.Crash },
		"thumbnail": func(n int) rabbitmqtest.Deed {
			if n > 3 {
				<-end
			}
			return rabbitmqtest.Succeed
		},
		"orders": func(int) rabbitmqtest.Deed { time.Sleep(20 * time.Millisecond); return rabbitmqtest.Return },
	} {
		dir := stats
		if queue == "orders" {
			dir = t.TempDir() // no worker of Zulip
		}
		started = append(started, broker.Work(t, work(queue), dir, deed))
	}
	of := func(queue string, more ...string) []string {
		return append([]string{"--vhost", workVhost, "--queue", queue, "--queue-stats-dir", stats, "--state-dir", memory}, more...)
	}
	byAMQP := func(queue string, more ...string) lookat.Document {
		t.Helper()
		return lookat.Args(t, Definition, broker.AMQP(testbed.UserMonitor, of(queue, more...)...)...)
	}
	want := rabbitmqtest.Want

	// Idle workers have said so a moment ago, so that nothing ready is nothing.
	testbed.WaitFor(t, 20*time.Second, "the workers to begin", func() error {
		d := byAMQP("thumbnail", "--queue", "email_senders")
		if d.State != "OK" || !strings.HasPrefix(d.Text, "2 queues, no message ready") {
			return fmt.Errorf("%s: %s", d.State, d.Text)
		}
		return nil
	})
	want(t, lookat.Args(t, Definition, broker.AMQP(testbed.UserMonitor, "--vhost", workVhost, "--queue", "thumbnail")...),
		"UNKNOWN", "not known whether the consumers of 1 queue hold messages and work: thumbnail")
	for queue, n := range map[string]int{"email_senders": 2000, "embed_links": 5, "thumbnail": 30, "orders": 2} {
		broker.Publish(work(queue), n, time.Time{})
	}

	t.Run("a slow worker", func(t *testing.T) {
		broker.Await(t, "the worker's own pace", of("email_senders"), func(d lookat.Document) bool {
			return strings.HasPrefix(d.Text, "email_senders: drain time 6 min") && strings.HasSuffix(d.Text, " messages/s by the worker's own statistics")
		})
		if d := byAMQP("email_senders"); d.State != "CRITICAL" || !strings.HasPrefix(d.Text, "email_senders: drain time ") {
			t.Errorf("by AMQP: %s: %s; want CRITICAL, drain time", d.State, d.Text)
		}
	})
	t.Run("a worker that crashes with every message", func(t *testing.T) {
		d := broker.Await(t, "the crash loop", of("embed_links"), func(d lookat.Document) bool { return d.Found("crash_loop") })
		want(t, d, "CRITICAL", "embed_links: 5 messages, and the worker has renewed its statistics 3 times without one success")
	})
	t.Run("a worker that is stuck", func(t *testing.T) {
		// All 30 messages were fetched or handled: nothing is ready, as with an idle worker.
		broker.Await(t, "time without progress", of("thumbnail", "-c", "stalled=2"), func(d lookat.Document) bool {
			return d.State == "CRITICAL" && strings.HasPrefix(d.Text, "thumbnail: nothing done for ") && strings.HasSuffix(d.Text, "0 ready and 27 unacknowledged, 1 consumer")
		})
		d := byAMQP("thumbnail", "-c", "stalled=1")
		if d.State != "CRITICAL" || !strings.HasPrefix(d.Text, "thumbnail: nothing done for ") || !strings.HasSuffix(d.Text, "0 ready, 1 consumer") {
			t.Errorf("by AMQP: %s: %s; want CRITICAL, nothing done, nothing ready", d.State, d.Text)
		}
	})
	t.Run("a worker that returns what it gets", func(t *testing.T) {
		d := broker.Await(t, "the redelivery loop", []string{"--vhost", workVhost, "--queue", "orders"}, func(d lookat.Document) bool { return d.Found("redelivery_loop") })
		if d.State != "WARNING" || !strings.HasPrefix(d.Text, "orders: 2 messages given out again ") {
			t.Errorf("%s: %s; want WARNING, given out again", d.State, d.Text)
		}
	})
	t.Run("the pace by acknowledgements", func(t *testing.T) {
		// Half a minute for each look by our clock: slower than it is, but a pace.
		now, memory := time.Now(), t.TempDir()
		args := append(broker.As(testbed.UserMonitor), "--vhost", workVhost, "--queue", "email_senders", "--state-dir", memory)
		testbed.WaitFor(t, 30*time.Second, "two windows with acknowledgements", func() error {
			now = now.Add(30 * time.Second)
			d := lookat.At(t, func() time.Time { return now }, Definition, args...)
			if !strings.HasPrefix(d.Text, "email_senders: drain time ") || !strings.HasSuffix(d.Text, " messages/s acknowledged") {
				time.Sleep(time.Second)
				return fmt.Errorf("%s: %s", d.State, d.Text)
			}
			return nil
		})
	})
	t.Run("AMQP", func(t *testing.T) { amqpQueues(t, broker, stats) })
	t.Run("rabbitmqctl", func(t *testing.T) { listedQueues(t, broker, stats) })
}

// amqpQueues looks by AMQP at queues that are missing, hang, or lie in a vhost
// that is down.
func amqpQueues(t *testing.T, broker *rabbitmqtest.Stage, stats string) {
	want := rabbitmqtest.Want
	look := func(args ...string) lookat.Document {
		t.Helper()
		return lookat.Args(t, Definition, broker.AMQP(testbed.UserMonitor, append(args, "--vhost", workVhost)...)...)
	}
	broker.Publish(work("quiet"), 3, time.Time{})
	want(t, look("--queue", "quiet"), "CRITICAL", "quiet: 3 messages and no consumer")
	want(t, look("--queue", "quiet", "--allow-unconsumed", "quiet"), "OK", "1 queue, 3 messages ready, deepest quiet 3")
	// A queue that is missing closes the channel, and does not hide the others.
	d := look("--queue", "gone1", "--queue", "quiet", "--queue", "gone2", "--queue", "gone3")
	want(t, d, "CRITICAL", "queue gone1 does not exist in vhost work, 3 more problems")
	if !d.Found("without_consumer") {
		t.Errorf("beside missing queues: %+v; want also that quiet has no consumer", d.Rows)
	}
	want(t, look("--queue", "quiet", "-w", "messages=5"), "CRITICAL", "quiet: 3 messages and no consumer")
	want(t, look("--queue", "quiet", "--allow-unconsumed", "quiet", "-w", "messages=5"), "UNKNOWN", "warning limit messages=5 matches nothing that was observed")
	want(t, look("--queue", "quiet", "--allow-unconsumed", "quiet", "-w", "ready=2"), "WARNING", "quiet: ready 3 (above 2), 3 ready, 0 consumers")

	const hang = `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"work">>, queue, <<"quiet">>)), sys:%s(amqqueue:get_pid(Q)).`
	broker.Ctl("eval", fmt.Sprintf(hang, "suspend"))
	d = look("-t", "2", "--queue", "quiet", "--queue", "thumbnail", "--queue", "gone", "--queue-stats-dir", stats)
	broker.Ctl("eval", fmt.Sprintf(hang, "resume"))
	if d.State != "CRITICAL" || d.Reason != "timeout" || !strings.HasPrefix(d.Text, "ask for queue quiet at ") || !d.Found("missing_queue") {
		t.Errorf("a queue hangs: %s, reason %s: %s\n%+v\nwant CRITICAL, timeout, and the missing queue beside it", d.State, d.Reason, d.Text, d.Rows)
	}
}

// listedQueues looks at what rabbitmqctl prints of the same broker.
func listedQueues(t *testing.T, broker *rabbitmqtest.Stage, stats string) {
	want := rabbitmqtest.Want
	columns := []string{"list_queues", "-p", workVhost, "--formatter", "json", "name", "type", "state", "messages", "messages_ready", "messages_unacknowledged", "consumers"}
	file := filepath.Join(t.TempDir(), "queues.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	look := func(args ...string) lookat.Document {
		t.Helper()
		return lookat.Args(t, Definition, append(args, "--rabbitmqctl-file", file)...)
	}
	write(broker.Ctl(columns...))
	want(t, look(), "CRITICAL", "")
	want(t, look("--queue", "quiet"), "CRITICAL", "quiet: 3 messages and no consumer")
	want(t, look("--queue", "thumbnail", "-w", "20"), "WARNING", "thumbnail: messages 27 (above 20), 0 ready and 27 unacknowledged, 1 consumer")
	want(t, look("--queue", "email_senders", "--queue-stats-dir", stats), "CRITICAL", "email_senders: drain time ")
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(-5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	want(t, look("--queue", "thumbnail"), "WARNING", "age of the list of queues 5 min")
	write(broker.Ctl("list_queues", "-p", workVhost, "--formatter", "json", "name", "messages"))
	want(t, look("--queue", "quiet"), "UNKNOWN", "consumers of 1 queue with messages not known: quiet; the list does not say; write it with rabbitmqctl list_queues --formatter json name")
	write(broker.Ctl("list_queues", "-p", workVhost, "--formatter", "json", "name", "consumers"))
	want(t, look(), "UNKNOWN", "read the list of queues from "+file+": no column messages: write it with rabbitmqctl")
	write(broker.Ctl("list_queues", "-p", workVhost, "name", "messages"))
	want(t, look(), "UNKNOWN", "read the list of queues from "+file+": not a list of queues in JSON but \"name messages\"")
	write(broker.Ctl("list_queues", "-p", "empty", "--formatter", "json", "name", "messages"))
	want(t, look("--vhost", "empty"), "UNKNOWN", "vhost empty has no queue")
}
