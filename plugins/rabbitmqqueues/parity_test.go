package rabbitmqqueues

import (
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
		Timeout:    2 * time.Second,
		Steps: []parity.Step{
			{Name: "good", Want: check.OK},
			{Name: "nobody consumes", Do: func() { broker.Publish(queue("user_activity"), 4, time.Time{}) }, Want: check.Critical},
			{Name: "a worker holds them", Do: func() { broker.Consume(queue("user_activity"), 10, -1) }, Want: check.Warning},
			{Name: "gone", Do: func() { broker.Delete(queue("user_activity")) }, Want: check.Critical},
			{Name: "blind", Do: func() { broker.Ctl("clear_permissions", "-p", "/", testbed.UserMonitor) }, Want: check.Unknown, Reason: check.Permission},
			{Name: "killed", Do: broker.Kill, Want: check.Critical, Reason: check.Dial},
		},
	})
}
