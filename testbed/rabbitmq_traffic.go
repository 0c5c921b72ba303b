package testbed

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// dial connects as the zulip user; amqp091's own dial does not end on a frozen broker.
func (r *RabbitMQ) dial(vhost string) (*amqp.Connection, error) {
	return amqp.DialConfig(r.AMQPURL(UserZulip, vhost), amqp.Config{
		Dial: func(network, address string) (net.Conn, error) {
			conn, err := net.DialTimeout(network, address, 5*time.Second)
			if err != nil {
				return nil, err
			}
			// amqp091 takes the deadline away when the connection is open.
			return conn, conn.SetDeadline(time.Now().Add(10 * time.Second))
		},
	})
}

// channel opens a channel on the shared connection to the vhost, made anew when the broker has closed it.
func (r *RabbitMQ) channel(vhost string) *amqp.Channel {
	r.bed.t.Helper()
	conn := r.conns[vhost]
	if conn == nil || conn.IsClosed() {
		var err error
		if conn, err = r.dial(vhost); err != nil {
			r.bed.fail("connect to %s: %v", r.Name, err)
		}
		r.conns[vhost] = conn
	}
	channel, err := conn.Channel()
	if err != nil {
		r.bed.fail("open a channel to %s: %v", r.Name, err)
	}
	return channel
}

// Declare makes a durable queue.
func (r *RabbitMQ) Declare(q Queue) {
	r.bed.t.Helper()
	q = q.complete()
	channel := r.channel(q.Vhost)
	defer channel.Close()
	if _, err := channel.QueueDeclare(q.Name, true, false, false, false, amqp.Table{"x-queue-type": q.Type}); err != nil {
		r.bed.fail("declare queue %s: %v", q.Name, err)
	}
}

// Delete removes a queue.
func (r *RabbitMQ) Delete(q Queue) {
	r.bed.t.Helper()
	q = q.complete()
	channel := r.channel(q.Vhost)
	defer channel.Close()
	if _, err := channel.QueueDelete(q.Name, false, false, false); err != nil {
		r.bed.fail("delete queue %s: %v", q.Name, err)
	}
}

// Publish puts n persistent messages into the queue and waits until the broker has confirmed them. A zero stamp publishes
// them without a timestamp property, as Zulip does.
func (r *RabbitMQ) Publish(q Queue, n int, stamp time.Time) {
	r.bed.t.Helper()
	q = q.complete()
	channel := r.channel(q.Vhost)
	defer channel.Close()
	err := channel.Confirm(false)
	var last *amqp.DeferredConfirmation
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for i := 0; i < n && err == nil; i++ {
		last, err = channel.PublishWithDeferredConfirmWithContext(ctx, "", q.Name, true, false, amqp.Publishing{
			Body: []byte(`{"n":` + strconv.Itoa(i) + `}`), DeliveryMode: amqp.Persistent, Timestamp: stamp,
		})
	}
	if err == nil && last != nil {
		var acked bool
		if acked, err = last.WaitContext(ctx); err == nil && !acked {
			err = fmt.Errorf("the broker refused it")
		}
	}
	if err != nil {
		r.bed.fail("publish to %s: %v", q.Name, err)
	}
}

// Consumer is a consumer of a queue that runs until Stop, the end of the bed or of the broker.
type Consumer struct {
	r       *RabbitMQ
	channel *amqp.Channel
}

// Consume starts a consumer with the prefetch count (0: unlimited). It acknowledges each message after pace; a negative
// pace never acknowledges, so that up to prefetch messages stay unacknowledged, as with a stuck worker.
func (r *RabbitMQ) Consume(q Queue, prefetch int, pace time.Duration) *Consumer {
	r.bed.t.Helper()
	q = q.complete()
	channel := r.channel(q.Vhost)
	err := channel.Qos(prefetch, 0, false)
	var deliveries <-chan amqp.Delivery
	if err == nil {
		deliveries, err = channel.Consume(q.Name, "", false, false, false, false, nil)
	}
	if err != nil {
		r.bed.fail("consume from %s: %v", q.Name, err)
	}
	go func() {
		for delivery := range deliveries {
			if pace < 0 {
				continue
			}
			time.Sleep(pace)
			_ = delivery.Ack(false) // fails when the channel is gone, and then the loop ends
		}
	}()
	return &Consumer{r, channel}
}

// Stop ends the consumer; what it has not acknowledged is ready again.
func (c *Consumer) Stop() {
	c.r.bed.t.Helper()
	if err := c.channel.Close(); err != nil && !c.channel.IsClosed() {
		c.r.bed.fail("stop a consumer of %s: %v", c.r.Name, err)
	}
}
