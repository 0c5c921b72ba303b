package rabbitmqqueues

import (
	"context"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Prepare validates the options.
func (c *queuesCheck) Prepare() (check.Setup, error) {
	setup := check.Setup{Target: c.broker.Target(), Notice: c.broker.Notice()}
	if err := c.validate(); err != nil {
		return setup, err
	}
	var err error
	setup.Limits, err = profileLimits(c.profile, c.amqp)
	return setup, err
}

// Run takes one look.
func (c *queuesCheck) Run(ctx context.Context, r *check.Report) error {
	v := view{vhost: c.broker.Vhost(), selection: c.selection, unwatched: c.unwatched}
	look := c.fromManagement
	switch {
	case c.list != "":
		look = c.fromList
	case c.amqp:
		look = c.fromAMQP
	}
	if err := look(ctx, r, &v); err != nil {
		return err
	}
	v.doubt()
	// The workers write after the queues are counted: a file that is read now
	// is of a worker who knows of what was in the queue then.
	c.readStats(r, &v)
	v.judge(r)
	return nil
}
