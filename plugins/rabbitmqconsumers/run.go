package rabbitmqconsumers

import (
	"context"
	"fmt"
	"slices"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

// Prepare validates the options.
func (c *consumersCheck) Prepare() (check.Setup, error) {
	setup := check.Setup{Target: c.broker.Target(), Notice: c.broker.Notice()}
	if err := c.broker.Validate(); err != nil {
		return setup, err
	}
	if err := c.selection.Validate(); err != nil {
		return setup, err
	}
	expected, err := parseExpectations(c.expect)
	if err != nil {
		return setup, err
	}
	for _, e := range expected {
		if !rabbitmq.IsGlob(e.queue) && !c.selection.Selected(e.queue) {
			return setup, fmt.Errorf("queue %q is expected by --expect and left out by --queue or --exclude", e.queue)
		}
	}
	setup.Limits = limits(expected)
	return setup, nil
}

// Run takes one look: one request in the ordinary case.
func (c *consumersCheck) Run(ctx context.Context, r *check.Report) error {
	expected, err := parseExpectations(c.expect)
	if err != nil {
		return err
	}
	client, err := c.broker.Open()
	if err != nil {
		return err
	}
	defer client.Close()

	list, err := client.Statistics(ctx)
	if err != nil {
		return err
	}
	v := view{vhost: c.broker.Vhost(), selection: c.selection, expected: expected, queues: rabbitmq.Merge(list.Queues, nil)}
	if list.Total == 0 {
		if err := client.ProveAccess(ctx); err != nil {
			return err
		}
	}
	if list.Paged {
		r.Fail(c.fetchMissed(ctx, client, &v))
	}
	if len(v.uncounted()) > 0 {
		v.statisticsOff, err = client.StatisticsOff(ctx)
		r.Fail(err)
	}
	v.judge(r)
	return nil
}

// fetchMissed asks for the named queues that are not in a list of several
// pages: queues that are deleted meanwhile move others to pages that were
// read already.
func (c *consumersCheck) fetchMissed(ctx context.Context, client *rabbitmq.Client, v *view) error {
	for _, name := range v.names() {
		if slices.ContainsFunc(v.queues, func(q rabbitmq.Queue) bool { return q.Name == name }) {
			continue
		}
		q, ok, err := client.Queue(ctx, name)
		if err != nil {
			return err
		}
		if ok {
			v.queues = append(v.queues, q)
		}
	}
	return nil
}
