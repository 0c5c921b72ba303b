package rabbitmqqueues

import (
	"context"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

// Prepare validates the options.
func (c *queuesCheck) Prepare() (check.Setup, error) {
	setup := check.Setup{Target: c.broker.Target(), Notice: c.broker.Notice()}
	if err := c.broker.Validate(); err != nil {
		return setup, err
	}
	if err := c.selection.Validate(); err != nil {
		return setup, err
	}
	var err error
	setup.Limits, err = profileLimits(c.profile)
	return setup, err
}

// Run takes one look: two requests on one connection in the ordinary case.
func (c *queuesCheck) Run(ctx context.Context, r *check.Report) error {
	client, err := c.broker.Open()
	if err != nil {
		return err
	}
	defer client.Close()

	statistics, err := client.Statistics(ctx)
	if err != nil {
		return err
	}
	v := view{vhost: c.broker.Vhost(), selection: c.selection, unwatched: c.unwatched}
	var totals rabbitmq.Listing
	if statistics.Total > 0 {
		// Without the totals the statistics still tell what was seconds ago:
		// a deep queue must not hide behind one that hangs.
		totals, v.live, err = client.Totals(ctx, statistics.Total)
		r.Fail(err)
		v.totalsFailed = err != nil
	} else if err := client.ProveAccess(ctx); err != nil {
		return err
	}
	v.queues = rabbitmq.Merge(statistics.Queues, totals.Queues)
	if v.live && len(v.silent()) > 0 {
		// A queue that was deleted between the two requests looks like one
		// that did not answer the second. Only the latter is still there.
		again, err := client.Statistics(ctx)
		if err != nil {
			return err
		}
		v.dropGone(again.Queues)
	}
	if len(v.unexplained()) > 0 || len(v.unknownDepth()) > 0 || len(v.unsettled()) > 0 {
		v.statisticsOff, err = client.StatisticsOff(ctx)
		r.Fail(err)
	}
	v.doubt()
	v.judge(r)
	return nil
}
