package rabbitmqconsumers

import (
	"strconv"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/parity"
)

func TestParity(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	broker := bed.RabbitMQ(testbed.RabbitMQOptions{
		Queues: []testbed.Queue{{Name: "email_senders"}},
		Config: fastStatistics(),
	})
	worker := broker.Consume(queue1("email_senders"), 10, 0)
	parity.Run(t, parity.Case{
		Definition: Definition,
		Options: map[string][]string{
			"host": {broker.Host}, "port": {strconv.Itoa(broker.ManagementPort)}, "user": {testbed.UserMonitor},
			"password-file": {bed.WriteFileFor("nobody", "monitor.pw", broker.Password(testbed.UserMonitor)+"\n", 0o400)},
			"expect":        {"email_*=1"},
		},
		Timeout: 2 * time.Second,
		Steps: []parity.Step{
			{Name: "good", Want: check.OK},
			{Name: "one too many", Do: func() { broker.Consume(queue1("email_senders"), 10, 0) }, Want: check.Warning},
			{Name: "one left", Do: worker.Stop, Want: check.OK},
			{Name: "gone", Do: func() { broker.Delete(queue1("email_senders")) }, Want: check.Critical},
			{Name: "frozen", Do: broker.Freeze, Want: check.Critical, Reason: check.Timeout},
		},
	})
}
