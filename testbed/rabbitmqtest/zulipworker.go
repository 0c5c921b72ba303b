package rabbitmqtest

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/belfry-monitoring/belfry/testbed"
)

// Deed is what a worker does with a message.
type Deed int

// The deeds of workers.
const (
	Succeed Deed = iota // acknowledge it
	Raise               // acknowledge it and count no success, as Zulip's workers do with what raises
	Crash               // die with all that is held, and be started again
	Return              // give it back to the queue
)

// Worker is a queue worker of Zulip: it consumes from the real broker with a
// prefetch of 100 and writes <queue>.stats as zerver/worker does: at its start,
// when it wakes, when it has emptied what it fetched, and every 50 messages.
type Worker struct {
	t    *testing.T
	stop chan struct{}
	done chan struct{}

	queue, dir string
	work       func(n int) Deed
	conn       *amqp.Connection

	consumed int // messages since the process was started
	taken    int // messages ever
	total    time.Duration
	success  int
	emptied  time.Time
	idle     bool
}

// Work starts a worker of the queue that writes into the directory. work does
// what is to do for the n-th message, and takes as long as that takes.
func (s *Stage) Work(t *testing.T, queue testbed.Queue, dir string, work func(n int) Deed) *Worker {
	t.Helper()
	conn, err := amqp.Dial(s.AMQPURL(testbed.UserZulip, cmp.Or(queue.Vhost, "/")))
	if err != nil {
		t.Fatal(err)
	}
	w := &Worker{t: t, stop: make(chan struct{}), done: make(chan struct{}), queue: queue.Name, dir: dir, work: work, conn: conn}
	go w.supervise()
	t.Cleanup(w.Stop)
	return w
}

// Stop ends the worker; what it holds is ready again.
func (w *Worker) Stop() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
		_ = w.conn.Close() // a broker that was killed has closed it
		<-w.done
	}
}

// supervise starts the process again whenever it dies.
func (w *Worker) supervise() {
	defer close(w.done)
	for {
		w.process()
		select {
		case <-w.stop:
			return
		case <-time.After(200 * time.Millisecond):
		}
		if w.conn.IsClosed() {
			return
		}
	}
}

func (w *Worker) process() {
	channel, err := w.conn.Channel()
	if err != nil {
		return
	}
	defer channel.Close()
	w.consumed, w.total, w.success, w.idle, w.emptied = 0, 0, 0, true, time.Now()
	w.write()
	var deliveries <-chan amqp.Delivery
	if err = channel.Qos(100, 0, false); err == nil {
		deliveries, err = channel.Consume(w.queue, "", false, false, false, false, nil)
	}
	for err == nil {
		select {
		case d, ok := <-deliveries:
			if !ok {
				return
			}
			if w.one(d) == Crash {
				return
			}
		case <-time.After(20 * time.Millisecond):
			if !w.idle {
				w.idle, w.emptied = true, time.Now()
				w.write()
			}
		case <-w.stop:
			return
		}
	}
}

func (w *Worker) one(d amqp.Delivery) Deed {
	if w.idle {
		w.idle = false
		w.write()
	}
	began := time.Now()
	w.taken++
	deed := w.work(w.taken)
	switch deed {
	case Crash:
		return deed
	case Return:
		_ = d.Nack(false, true) // fails when the connection is gone, and then the loop ends
		return deed
	case Succeed:
		w.total, w.success = w.total+time.Since(began), w.success+1
	}
	_ = d.Ack(false)
	if w.consumed++; w.consumed%50 == 0 {
		w.write()
	}
	return deed
}

// write replaces the file as Zulip does.
func (w *Worker) write() {
	var mean any
	if w.success > 0 {
		mean = w.total.Seconds() / float64(w.success)
	}
	unix := func(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }
	text, err := json.MarshalIndent(map[string]any{
		"update_time": unix(time.Now()), "recent_average_consume_time": mean,
		"queue_last_emptied_timestamp": unix(w.emptied), "consumed_since_last_emptied": w.consumed,
	}, "", "  ")
	path := filepath.Join(w.dir, w.queue+".stats")
	if err == nil {
		err = os.WriteFile(path+".tmp", append(text, '\n'), 0o644)
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		w.t.Errorf("write %s: %v", path, err)
	}
}
