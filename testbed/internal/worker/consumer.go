package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// prefetch is that of Zulip's workers.
const prefetch = 100

// consumer takes messages from a queue as a worker of Zulip does: it declares the queue, takes up to 100 messages at a time,
// works TESTBED_WORKER_PACE on each, acknowledges it, and writes statistics to TESTBED_WORKER_STATS. It connects anew when
// the broker has gone away.
//
// After SIGUSR1 it is stuck: it stays connected, takes what it gets and acknowledges nothing more; a file "stuck" in its
// working directory says that it is. While a file "crash" lies
// in its working directory it ends with an error half a second after each start and acknowledges nothing until then, as one
// does that meets a bad message.
type consumer struct {
	url, queue string
	pace       time.Duration
	stats      stats
	stuck      chan os.Signal
}

func newConsumer(url string) (*consumer, error) {
	pace, err := time.ParseDuration(os.Getenv("TESTBED_WORKER_PACE"))
	if err != nil {
		return nil, fmt.Errorf("TESTBED_WORKER_PACE: %w", err)
	}
	c := &consumer{url: url, queue: os.Getenv("TESTBED_WORKER_QUEUE"), pace: pace, stuck: make(chan os.Signal, 1)}
	c.stats.dir, c.stats.queue = os.Getenv("TESTBED_WORKER_STATS"), c.queue
	signal.Notify(c.stuck, syscall.SIGUSR1)
	return c, nil
}

func (c *consumer) run() {
	if err := os.Remove("stuck"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(os.Stderr, err)
	}
	if _, err := os.Stat("crash"); err == nil {
		c.stuck <- syscall.SIGUSR1
		time.AfterFunc(500*time.Millisecond, func() {
			fmt.Fprintln(os.Stderr, "cannot handle this message")
			os.Exit(1)
		})
	}
	c.stats.write()
	for {
		if err := c.session(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// session consumes until the connection ends.
func (c *consumer) session() error {
	conn, err := amqp.DialConfig(c.url, amqp.Config{Heartbeat: 10 * time.Second, Dial: func(network, address string) (net.Conn, error) {
		conn, err := net.DialTimeout(network, address, 5*time.Second)
		if err != nil {
			return nil, err
		}
		return conn, conn.SetDeadline(time.Now().Add(10 * time.Second)) // amqp091 takes it away when the connection is open
	}})
	if err != nil {
		return err
	}
	defer conn.Close()
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := channel.Qos(prefetch, 0, false); err != nil {
		return err
	}
	if _, err := channel.QueueDeclare(c.queue, true, false, false, false, amqp.Table{"x-queue-type": "classic"}); err != nil {
		return err
	}
	deliveries, err := channel.ConsumeWithContext(context.Background(), c.queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	for {
		select {
		case <-c.stuck:
			return c.keep(deliveries)
		default:
		}
		select {
		case <-c.stuck:
			return c.keep(deliveries)
		case d, ok := <-deliveries:
			if !ok {
				return nil
			}
			begun := time.Now()
			time.Sleep(c.pace)
			if err := d.Ack(false); err != nil {
				return err
			}
			c.stats.consumed(time.Since(begun), len(deliveries) == 0)
		}
	}
}

// keep takes messages and never acknowledges one, until the connection ends.
func (c *consumer) keep(deliveries <-chan amqp.Delivery) error {
	if err := os.WriteFile("stuck", nil, 0o644); err != nil {
		return err
	}
	for range deliveries {
	}
	return nil
}

// stats is the file in which a worker of Zulip says how it does (zerver/worker/base.py): written at its start, when it has
// emptied its queue, and every 50 messages.
type stats struct {
	dir, queue   string
	spans        []time.Duration // of the last 50
	sinceEmptied int
	emptied      time.Time
}

func (s *stats) consumed(span time.Duration, empty bool) {
	if s.spans = append(s.spans, span); len(s.spans) > 50 {
		s.spans = s.spans[1:]
	}
	s.sinceEmptied++
	if empty {
		s.emptied, s.sinceEmptied = time.Now(), 0
	}
	if empty || s.sinceEmptied%50 == 0 {
		s.write()
	}
}

func (s *stats) write() {
	if s.dir == "" {
		return
	}
	seconds := func(t time.Time) float64 {
		if t.IsZero() {
			return 0
		}
		return float64(t.UnixNano()) / 1e9
	}
	var average *float64
	if len(s.spans) > 0 {
		sum := time.Duration(0)
		for _, span := range s.spans {
			sum += span
		}
		value := sum.Seconds() / float64(len(s.spans))
		average = &value
	}
	text, err := json.MarshalIndent(map[string]any{
		"update_time": seconds(time.Now()), "recent_average_consume_time": average,
		"queue_last_emptied_timestamp": seconds(s.emptied), "consumed_since_last_emptied": s.sinceEmptied,
	}, "", "  ")
	file := filepath.Join(s.dir, s.queue+".stats")
	if err == nil {
		err = os.WriteFile(file+".tmp", append(text, '\n'), 0o644)
	}
	if err == nil {
		err = os.Rename(file+".tmp", file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "write statistics:", err)
	}
}
