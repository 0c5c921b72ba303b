package rabbitmqqueues

import (
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
	"github.com/belfry-monitoring/belfry/testbed/rabbitmqtest"
)

// TestUncountedMessages looks at a broker that counts no messages: that none
// is seen to leave does not mean that none leaves.
func TestUncountedMessages(t *testing.T) {
	t.Parallel()
	broker := rabbitmqtest.New(t, Definition, testbed.RabbitMQOptions{
		Queues: []testbed.Queue{{Name: "orders"}},
		Config: []string{"management.rates_mode = none"},
	})
	defer broker.Consume(queue("orders"), 10, 20*time.Millisecond).Stop()
	broker.Publish(queue("orders"), 3000, time.Time{})
	args := append(broker.As(testbed.UserMonitor), "--state-dir", t.TempDir(), "-w", "5000", "-c", "6000")
	broker.Await(t, "the consumer in the statistics", nil, func(d lookat.Document) bool {
		n, _ := d.Value("consumers", "orders")
		return n == 1
	})
	now := time.Now()
	for range 25 { // more than half an hour by our clock
		now = now.Add(2 * time.Minute)
		d := lookat.At(t, func() time.Time { return now }, Definition, args...)
		if d.State != "OK" || !strings.Contains(strings.Join(d.Notes, "\n"), "nothing counts what leaves 1 queue") {
			t.Fatalf("%s: %s, notes %q; want OK, and that nothing counts what leaves", d.State, d.Text, d.Notes)
		}
	}
}
