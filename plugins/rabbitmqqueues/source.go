package rabbitmqqueues

import (
	"context"
	"fmt"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
	"github.com/belfry-monitoring/belfry/common/rabbitmq/passive"
	"github.com/belfry-monitoring/belfry/common/zulip/queuestats"
)

// source is where the queues of a view come from.
type source int

const (
	management source = iota
	byAMQP
	byList
)

// fromManagement asks the management API: three requests on one connection in
// the ordinary case.
func (c *queuesCheck) fromManagement(ctx context.Context, r *check.Report, v *view) error {
	client, err := c.broker.Open()
	if err != nil {
		return err
	}
	defer client.Close()

	statistics, err := client.Statistics(ctx)
	if err != nil {
		return err
	}
	var totals rabbitmq.Listing
	if statistics.Total > 0 {
		lookAtAlarms(ctx, r, client) // first: a queue that hangs takes all the time
		// Without the totals the statistics still tell what was seconds ago:
		// a deep queue must not hide behind one that hangs.
		totals, v.live, err = client.Totals(ctx, statistics.Total)
		r.Fail(err)
		v.totalsFailed = err != nil
	} else if err := client.ProveAccess(ctx); err != nil {
		return err
	} else {
		lookAtAlarms(ctx, r, client)
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
	return nil
}

// lookAtAlarms reports what blocks all publishers: queues say nothing of it.
func lookAtAlarms(ctx context.Context, r *check.Report, client *rabbitmq.Client) {
	alarms, known, err := client.Alarms(ctx)
	r.Fail(err)
	if err == nil && !known {
		r.Note("memory and disk alarms are not known: the user needs the tag monitoring, the broker RabbitMQ 3.8.10 or newer")
	}
	for _, a := range alarms {
		r.Find(alarm, fmt.Sprintf("%s alarm at node %s: all publishers are blocked", a.Resource, a.Node), a.Resource)
	}
}

// fromAMQP asks for the named queues by passive declare.
func (c *queuesCheck) fromAMQP(ctx context.Context, r *check.Report, v *view) error {
	login, err := c.broker.Login()
	if err != nil {
		return err
	}
	answers, err := passive.Queues(ctx, login, c.selection.Names())
	if err != nil {
		return err
	}
	v.source, v.live = byAMQP, true
	for _, a := range answers {
		switch {
		case a.Err != nil:
			r.Fail(a.Err)
			v.unanswered = append(v.unanswered, a.Name)
		case !a.Missing:
			a.Queue.Live = true
			v.queues = append(v.queues, a.Queue)
		}
	}
	return nil
}

// fromList reads what rabbitmqctl has printed.
func (c *queuesCheck) fromList(ctx context.Context, r *check.Report, v *view) error {
	queues, written, err := rabbitmq.ReadListQueues(ctx, c.list)
	if !written.IsZero() {
		r.ObserveTime(listed, written)
	}
	if err != nil {
		return err
	}
	v.source, v.live, v.queues = byList, true, queues
	return nil
}

// readStats reads what the workers of the chosen queues say of themselves.
// What cannot be read leaves the queue to the limits on its depth.
func (c *queuesCheck) readStats(r *check.Report, v *view) {
	chosen := v.selection.Choose(v.queues)
	if c.statsDir == "" || len(chosen) == 0 {
		return
	}
	dir, err := queuestats.Open(c.statsDir)
	if err != nil {
		r.Fail(err)
		return
	}
	v.stats = make(map[string]*queuestats.Stats)
	broken := false
	for i := range chosen {
		name := chosen[i].Name
		s, ok, err := dir.Read(name)
		switch {
		case err != nil:
			broken = true
			r.Find(badStatistics, fmt.Sprintf("%s: %v", name, err), name)
		case ok:
			v.stats[name] = &s
		}
	}
	if len(v.stats) == 0 && !broken {
		r.Fail(check.Faultf(check.Config, "read", c.statsDir, "no statistics of any of the %s in it: is it QUEUE_STATS_DIR of this Zulip?",
			rabbitmq.Count(len(chosen), "queue")))
	}
}
