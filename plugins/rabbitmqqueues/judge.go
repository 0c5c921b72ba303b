package rabbitmqqueues

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
	"github.com/belfry-monitoring/belfry/common/zulip/queuestats"
)

// futureTolerance is how far ahead a publisher's clock may be before its stamp
// on a message says nothing about the message's age.
const futureTolerance = time.Minute

// view is what one look has found out, before it is judged.
type view struct {
	vhost         string
	source        source
	queues        []rabbitmq.Queue // statistics and totals joined
	unanswered    []string         // queues that could not be asked for; said already
	stats         map[string]*queuestats.Stats
	live          bool // the broker gave live totals
	totalsFailed  bool // it failed to; said already
	statisticsOff bool // it is told to collect none

	selection *rabbitmq.Selection
	unwatched []string

	paces map[string]pace // of the chosen queues, by name
}

// depth is the number that the limits on depth judge: all messages where these
// are known, by AMQP those that are ready.
func (v *view) depth(q *rabbitmq.Queue) rabbitmq.Number {
	if v.source == byAMQP {
		return q.Ready
	}
	return q.Messages
}

// pick returns the queues that are looked at and meet the condition.
func (v *view) pick(condition func(*rabbitmq.Queue) bool) []rabbitmq.Queue {
	var picked []rabbitmq.Queue
	for i := range v.queues {
		if q := &v.queues[i]; v.selection.Selected(q.Name) && condition(q) {
			picked = append(picked, *q)
		}
	}
	return picked
}

// silent are the queues that should have told their depth and did not. An
// exclusive queue may be gone with its connection at any moment.
func (v *view) silent() []rabbitmq.Queue {
	return v.pick(func(q *rabbitmq.Queue) bool { return !q.Live && !q.Exclusive && !q.Down() && !q.Stream() })
}

// unknownDepth are the queues that should have told their depth and of which
// not even the statistics know it.
func (v *view) unknownDepth() []rabbitmq.Queue {
	return v.pick(func(q *rabbitmq.Queue) bool { return !v.depth(q).Known && !q.Exclusive && !q.Down() && !q.Stream() })
}

// unsettled are the quorum queues whose totals are zero and that have no
// statistics: both are so in the first seconds after the broker's start,
// whatever is in them.
func (v *view) unsettled() []rabbitmq.Queue {
	return v.pick(func(q *rabbitmq.Queue) bool { return isUnsettled(q) })
}

func isUnsettled(q *rabbitmq.Queue) bool {
	return q.Quorum() && q.Messages.Known && q.Messages.Value == 0 && !q.Consumers.Known
}

// doubt takes the zeros of unsettled queues for what they are: nothing known.
// A broker that collects no statistics has none to wait for.
func (v *view) doubt() {
	for i := range v.queues {
		if q := &v.queues[i]; isUnsettled(q) && v.source == management && !v.statisticsOff {
			q.Messages, q.Ready, q.Unacknowledged = rabbitmq.Number{}, rabbitmq.Number{}, rabbitmq.Number{}
		}
	}
}

// unexplained are the queues with messages of which nobody knows whether they
// have a consumer.
func (v *view) unexplained() []rabbitmq.Queue {
	return v.pick(func(q *rabbitmq.Queue) bool { return v.consumerDue(q) && !q.Consumers.Known })
}

// consumerDue reports whether there should be a consumer for what is in the
// queue and no sign of one. Who holds messages is one, whatever the statistics
// say, which learn of a new worker seconds later. An exclusive queue has its
// connection, which may fetch messages without consuming; a stream keeps its
// messages.
func (v *view) consumerDue(q *rabbitmq.Queue) bool {
	return v.depth(q).Above(0) && !q.Unacknowledged.Above(0) && !q.Exclusive && !q.Stream() && !q.Down() && !rabbitmq.MatchesAny(v.unwatched, q.Name)
}

// dropGone drops the queues that gave no totals because they are no more.
func (v *view) dropGone(again []rabbitmq.Queue) {
	there := make(map[string]bool, len(again))
	for _, q := range again {
		there[q.Name] = true
	}
	kept := v.queues[:0]
	for _, q := range v.queues {
		if q.Live || there[q.Name] {
			kept = append(kept, q)
		}
	}
	v.queues = kept
}

// judge reports what there is.
func (v *view) judge(r *check.Report) {
	chosen := v.selection.Choose(v.queues)
	r.Observe(rabbitmq.Queues, float64(len(chosen)))
	if missing := v.missing(r); len(chosen) == 0 && !missing && !v.selection.AllowEmpty() {
		text := "vhost " + v.vhost + " has no queue"
		if len(v.queues) > 0 {
			text = fmt.Sprintf("none of the %s of vhost %s is asked for by --queue and --exclude", rabbitmq.Count(len(v.queues), "queue"), v.vhost)
		}
		r.Find(rabbitmq.NoQueue, text)
	} else if len(chosen) == 0 {
		for _, m := range perQueue() {
			r.Absent(m)
		}
	}
	for _, glob := range v.selection.Idle(v.queues) {
		if len(chosen) > 0 {
			r.Find(rabbitmq.NoQueue, fmt.Sprintf("no queue of vhost %s matches --queue %s", v.vhost, glob))
		}
	}
	slices.SortStableFunc(chosen, v.worseFirst)
	v.follow(r, chosen)
	for i := range chosen {
		v.queue(r, &chosen[i])
	}
	v.totals(r, chosen)
	v.gaps(r, chosen)
}

// worseFirst puts queues in the order in which their problems are said: those
// that are down, then by depth.
func (v *view) worseFirst(a, b rabbitmq.Queue) int {
	if a.Down() != b.Down() {
		if a.Down() {
			return -1
		}
		return 1
	}
	return cmp.Compare(v.depth(&b).Value, v.depth(&a).Value)
}

// missing finds the queues that were asked for by name and are not there.
func (v *view) missing(r *check.Report) (some bool) {
	names := v.selection.Names()
	if len(names) == 0 {
		return false
	}
	there := make(map[string]bool, len(v.queues))
	for i := range v.queues {
		there[v.queues[i].Name] = true
	}
	for _, name := range v.unanswered {
		there[name] = true
	}
	for _, name := range names {
		if !there[name] {
			r.Find(missingQueue, fmt.Sprintf("queue %s does not exist in vhost %s", name, v.vhost), name)
			some = true
		}
	}
	return some
}

// queue reports one queue. A stream holds its messages for good, so that
// their number is no backlog; what the statistics still say of a queue that is
// down is of the time before.
func (v *view) queue(r *check.Report, q *rabbitmq.Queue) {
	if q.Down() {
		r.Find(rabbitmq.QueueDown, fmt.Sprintf("%s is %s: nobody can publish to it or consume from it", q.Name, q.State), q.Name)
		return
	}
	if !q.Stream() {
		observe(r, messages, q.Messages, q.Name)
		observe(r, ready, q.Ready, q.Name)
	}
	observe(r, rabbitmq.Unacknowledged, q.Unacknowledged, q.Name)
	observe(r, rabbitmq.Consumers, q.Consumers, q.Name)
	observe(r, publishRate, q.PublishRate, q.Name)
	observe(r, rabbitmq.DeliverRate, q.DeliverRate, q.Name)
	observe(r, rabbitmq.AckRate, q.AckRate, q.Name)
	observe(r, redeliverRate, q.RedeliverRate, q.Name)
	if at, ok := v.head(q, r.Now()); ok {
		r.ObserveTime(headMessage, at, q.Name)
	}
	if v.depth(q).Above(0) || v.paces[q.Name].stalled.Above(0) {
		r.Detail(v.detail(q), q.Name)
	}
	if !q.Stream() {
		v.pace(r, q)
	}
	if v.consumerDue(q) && q.Consumers.Known && q.Consumers.Value == 0 {
		r.Find(withoutConsumer, fmt.Sprintf("%s: %s and no consumer", q.Name, rabbitmq.Count(int(v.depth(q).Value), "message")), q.Name)
	}
}

func observe(r *check.Report, m *check.Metric, n rabbitmq.Number, queue string) {
	if n.Known {
		r.Observe(m, n.Value, queue)
	}
}

// detail says in the row of a queue where its messages are.
func (v *view) detail(q *rabbitmq.Queue) string {
	text := ""
	switch {
	case q.Ready.Known && q.Unacknowledged.Known:
		text = fmt.Sprintf("%.0f ready and %.0f unacknowledged", q.Ready.Value, q.Unacknowledged.Value)
	case v.source == byAMQP:
		text = fmt.Sprintf("%.0f ready", q.Ready.Value)
	}
	consumers := "consumers not known"
	if q.Consumers.Known {
		consumers = rabbitmq.Count(int(q.Consumers.Value), "consumer")
	}
	if text != "" {
		text += ", "
	}
	text += consumers + v.paces[q.Name].words()
	if !q.Live {
		text += ", as of some seconds ago"
	}
	return text
}

// head is the time of the first message. Publishers stamp what they like: a
// time in the future says nothing, and most stamp none. An empty queue has
// nothing old in it.
func (v *view) head(q *rabbitmq.Queue, now time.Time) (time.Time, bool) {
	switch {
	case q.Stream():
		return time.Time{}, false
	case q.Messages.Known && q.Messages.Value == 0:
		return now, true
	case q.Head.IsZero() || q.Head.After(now.Add(futureTolerance)) || !q.Messages.Known:
		return time.Time{}, false
	}
	return q.Head, true
}

// totals reports the sums and the summary. A sum is reported only where
// every part of it is known now.
func (v *view) totals(r *check.Report, chosen []rabbitmq.Queue) {
	var sum struct{ messages, ready, unacknowledged float64 }
	var deepest *rabbitmq.Queue
	for i := range chosen {
		q := &chosen[i]
		if q.Stream() {
			continue
		}
		depth := [3]rabbitmq.Number{q.Messages, q.Ready, q.Unacknowledged}
		if q.Down() || v.totalsFailed {
			depth = [3]rabbitmq.Number{}
		}
		sum.messages += known(depth[0])
		sum.ready += known(depth[1])
		sum.unacknowledged += known(depth[2])
		if v.depth(q).Above(0) && (deepest == nil || v.depth(q).Value > v.depth(deepest).Value) {
			deepest = q
		}
	}
	for _, total := range []struct {
		metric *check.Metric
		value  float64
	}{{totalMessages, sum.messages}, {totalReady, sum.ready}, {totalUnacknowledged, sum.unacknowledged}} {
		if !math.IsNaN(total.value) {
			r.Observe(total.metric, total.value)
		}
	}
	summary, all, waiting := rabbitmq.Count(len(chosen), "queue"), sum.messages, ""
	if v.source == byAMQP {
		all, waiting = sum.ready, " ready"
	}
	switch {
	case math.IsNaN(all):
	case deepest == nil:
		summary += ", no message" + waiting
	default:
		summary += ", " + rabbitmq.Count(int(all), "message") + waiting + ", deepest " + check.CleanMax(deepest.Name, 60) +
			fmt.Sprintf(" %.0f", v.depth(deepest).Value)
	}
	r.Summarize("%s", summary)
}

// known is the number, NaN where it is not known, which spoils a sum.
func known(n rabbitmq.Number) float64 {
	if !n.Known {
		return math.NaN()
	}
	return n.Value
}
