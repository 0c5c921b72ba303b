package rabbitmqqueues

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/parity"
	"github.com/belfry-monitoring/belfry/testbed/rabbitmqtest"
)

func TestParity(t *testing.T) {
	t.Parallel()
	broker := rabbitmqtest.New(t, Definition, testbed.RabbitMQOptions{
		Queues: []testbed.Queue{{Name: "email_senders"}, {Name: "user_activity"}},
	})
	parity.Run(t, parity.Case{
		Definition: Definition,
		Options:    broker.Options(map[string][]string{"queue": {"email_*", "user_activity"}}),
		Warning:    []string{"messages{queue=user_*}=3"},
		Critical:   []string{"stalled{queue=email_*}=3s"},
		Timeout:    2 * time.Second,
		Steps: []parity.Step{
			{Name: "good", Want: check.OK},
			{Name: "nobody consumes", Do: func() { broker.Publish(queue("user_activity"), 4, time.Time{}) }, Want: check.Critical},
			{Name: "a worker holds them", Do: func() { broker.Consume(queue("user_activity"), 10, -1) }, Want: check.Warning},
			{Name: "a worker is stuck", Do: func() {
				broker.Consume(queue("email_senders"), 10, -1)
				broker.Publish(queue("email_senders"), 2, time.Time{})
			}, Want: check.Critical},
			{Name: "gone", Do: func() { broker.Delete(queue("user_activity")) }, Want: check.Critical},
			{Name: "blind", Do: func() { broker.Ctl("clear_permissions", "-p", "/", testbed.UserMonitor) }, Want: check.Unknown, Reason: check.Permission},
			{Name: "killed", Do: broker.Kill, Want: check.Critical, Reason: check.Dial},
		},
	})
}

// The same look by AMQP and by a list from a file, whose verdicts hang on the
// worker's statistics.
func TestParityOfSources(t *testing.T) {
	t.Parallel()
	broker := rabbitmqtest.New(t, Definition, testbed.RabbitMQOptions{Queues: []testbed.Queue{{Name: "user_activity"}}})
	dir := testbed.New(t).MkdirFor("", "stats", 0o755)
	stats := func(age time.Duration, mean string, idle bool) {
		at := float64(time.Now().Add(-age).UnixMilli()) / 1e3
		emptied := at
		if !idle {
			emptied -= 100
		}
		text := fmt.Sprintf(`{"update_time": %f, "recent_average_consume_time": %s, "queue_last_emptied_timestamp": %f}`, at, mean, emptied)
		if err := os.WriteFile(filepath.Join(dir, "user_activity.stats"), []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
	stats(0, "0.5", true)
	options := broker.Options(map[string][]string{"amqp": {"true"}, "port": {strconv.Itoa(broker.AMQPPort)}, "queue": {"user_activity"}, "queue-stats-dir": {dir}})
	parity.Run(t, parity.Case{
		Definition: Definition, Options: options, Timeout: 2 * time.Second,
		Steps: []parity.Step{
			{Name: "good", Want: check.OK},
			{Name: "a worker that may hold some", Do: func() { broker.Consume(queue("user_activity"), 10, -1); stats(time.Hour, "0.5", true) }, Want: check.Unknown},
			{Name: "stuck", Do: func() { stats(time.Hour, "0.5", false) }, Want: check.Critical},
			{Name: "slow", Do: func() { broker.Publish(queue("user_activity"), 90, time.Time{}); stats(0, "0.5", false) }, Want: check.Warning},
			{Name: "statistics broken", Do: func() { stats(0, "nonsense", false) }, Want: check.Unknown},
			{Name: "missing", Do: func() { broker.Delete(queue("user_activity")) }, Want: check.Critical},
			{Name: "refused", Do: func() { broker.Ctl("clear_permissions", "-p", "/", testbed.UserMonitor) }, Want: check.Unknown, Reason: check.Permission},
			{Name: "killed", Do: broker.Kill, Want: check.Critical, Reason: check.Dial},
		},
	})
}
