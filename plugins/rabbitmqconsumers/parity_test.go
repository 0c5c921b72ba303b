package rabbitmqconsumers

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
		Queues: []testbed.Queue{{Name: "email_senders"}},
	})
	worker := broker.Consume(named("email_senders"), 10, 0)
	parity.Run(t, parity.Case{
		Definition: Definition,
		Options:    broker.Options(map[string][]string{"expect": {"email_*=1"}}),
		Timeout:    2 * time.Second,
		Steps: []parity.Step{
			{Name: "good", Want: check.OK},
			{Name: "one too many", Do: func() { broker.Consume(named("email_senders"), 10, 0) }, Want: check.Warning},
			{Name: "one left", Do: worker.Stop, Want: check.OK},
			{Name: "gone", Do: func() { broker.Delete(named("email_senders")) }, Want: check.Critical},
			{Name: "blind", Do: func() { broker.Ctl("clear_permissions", "-p", "/", testbed.UserMonitor) }, Want: check.Unknown, Reason: check.Permission},
			{Name: "frozen", Do: broker.Freeze, Want: check.Critical, Reason: check.Timeout},
		},
	})
}
