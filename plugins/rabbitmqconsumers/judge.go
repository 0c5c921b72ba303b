package rabbitmqconsumers

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

// view is what one look has found out, before it is judged.
type view struct {
	vhost         string
	queues        []rabbitmq.Queue
	selection     *rabbitmq.Selection
	expected      []expectation
	statisticsOff bool // the broker is told to collect none
}

// names are the queues that must be there because an option names them.
func (v *view) names() []string {
	names := v.selection.Names()
	for _, e := range v.expected {
		if e.min > 0 && !rabbitmq.IsGlob(e.queue) && !slices.Contains(names, e.queue) {
			names = append(names, e.queue)
		}
	}
	return names
}

// due reports whether the queue is expected to have consumers: one that an
// option names, or that is there for good. Queues that come and go with their
// users, and streams, need none.
func (v *view) due(q *rabbitmq.Queue) bool {
	if !v.selection.Selected(q.Name) {
		return false
	}
	for _, e := range v.expected {
		if check.Glob(e.queue, q.Name) {
			return true
		}
	}
	return !q.Transient() && !q.Stream() || slices.Contains(v.selection.Names(), q.Name)
}

// counted are the queues that are due and up.
func (v *view) counted() []rabbitmq.Queue {
	var counted []rabbitmq.Queue
	for i := range v.queues {
		if q := &v.queues[i]; v.due(q) && !q.Down() {
			counted = append(counted, *q)
		}
	}
	return counted
}

// uncounted are those of them of which the broker does not know how many
// consumers they have.
func (v *view) uncounted() []rabbitmq.Queue {
	return slices.DeleteFunc(v.counted(), func(q rabbitmq.Queue) bool { return q.Consumers.Known })
}

// judge reports what there is.
func (v *view) judge(r *check.Report) {
	missing := v.missing(r)
	down := 0
	for i := range v.queues {
		if q := &v.queues[i]; v.due(q) && q.Down() {
			r.Find(rabbitmq.QueueDown, fmt.Sprintf("%s is %s: nobody can consume from it", q.Name, q.State), q.Name)
			down++
		}
	}
	counted, total, known := v.counted(), 0.0, 0
	// Of queues that lack a consumer, the one with the most messages first.
	slices.SortStableFunc(counted, func(a, b rabbitmq.Queue) int { return cmp.Compare(b.Messages.Value, a.Messages.Value) })
	for i := range counted {
		q := &counted[i]
		if q.Consumers.Known {
			known++
			total += q.Consumers.Value
		}
		report(r, q)
	}
	r.Observe(rabbitmq.Queues, float64(len(counted)+down))
	if known == len(counted) {
		r.Observe(totalConsumers, total)
	}
	if len(counted)+down == 0 && !missing && !v.selection.AllowEmpty() {
		r.Find(rabbitmq.NoQueue, v.nothing())
	} else if len(counted)+down == 0 {
		for _, m := range []*check.Metric{rabbitmq.Consumers, rabbitmq.Unacknowledged, rabbitmq.DeliverRate, rabbitmq.AckRate} {
			r.Absent(m)
		}
	}
	for _, glob := range v.selection.Idle(v.queues) {
		if len(counted)+down > 0 {
			r.Find(rabbitmq.NoQueue, fmt.Sprintf("no queue of vhost %s matches --queue %s", v.vhost, glob))
		}
	}
	r.Summarize("%s, %s", rabbitmq.Count(len(counted), "queue"), rabbitmq.Count(int(total), "consumer"))
	if uncounted := v.uncounted(); len(uncounted) > 0 {
		r.Find(noStatistics, v.why(uncounted))
	}
	if left := len(v.selection.Choose(v.queues)) - len(counted) - down; left > 0 {
		r.Note("%s not judged: exclusive, auto-delete or not durable, or a stream; --expect names those that need consumers",
			rabbitmq.Count(left, "queue"))
	}
}

// report observes one queue with what its consumers do.
func report(r *check.Report, q *rabbitmq.Queue) {
	for _, o := range []struct {
		metric *check.Metric
		value  rabbitmq.Number
	}{
		{rabbitmq.Consumers, q.Consumers}, {rabbitmq.Unacknowledged, q.Unacknowledged},
		{rabbitmq.DeliverRate, q.DeliverRate}, {rabbitmq.AckRate, q.AckRate},
	} {
		if o.value.Known {
			r.Observe(o.metric, o.value.Value, q.Name)
		}
	}
	if q.Messages.Above(0) {
		r.Detail(rabbitmq.Count(int(q.Messages.Value), "message")+" in the queue", q.Name)
	}
}

// missing finds what an option names and is not there. A glob is missing when
// no queue matches it.
func (v *view) missing(r *check.Report) (some bool) {
	there := make(map[string]bool, len(v.queues))
	for i := range v.queues {
		there[v.queues[i].Name] = true
	}
	for _, name := range v.names() {
		if !there[name] {
			r.Find(missingQueue, fmt.Sprintf("queue %s does not exist in vhost %s", name, v.vhost), name)
			some = true
		}
	}
	for _, e := range v.expected {
		if e.min == 0 || !rabbitmq.IsGlob(e.queue) {
			continue
		}
		matches := func(q rabbitmq.Queue) bool { return v.selection.Selected(q.Name) && check.Glob(e.queue, q.Name) }
		if !slices.ContainsFunc(v.queues, matches) {
			r.Find(missingQueue, fmt.Sprintf("no queue %s in vhost %s", e.queue, v.vhost), e.queue)
			some = true
		}
	}
	return some
}

// nothing says why there is no queue to look at.
func (v *view) nothing() string {
	if len(v.queues) == 0 {
		return "vhost " + v.vhost + " has no queue"
	}
	return fmt.Sprintf("none of the %s of vhost %s is asked for and there for good; --expect names those that need consumers",
		rabbitmq.Count(len(v.queues), "queue"), v.vhost)
}

// why says what keeps the number of consumers from being known.
func (v *view) why(uncounted []rabbitmq.Queue) string {
	text := "number of consumers not known of " + rabbitmq.Count(len(uncounted), "queue") + ": " + rabbitmq.Names(uncounted) + "; "
	if v.statisticsOff {
		return text + "the broker is told to collect no statistics (management_agent.disable_metrics_collector)"
	}
	return text + "the broker has collected no statistics of them yet, as in the first seconds after its start"
}
