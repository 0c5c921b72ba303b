package rabbitmqqueues

import (
	"fmt"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

// follow compares the queues with what the previous look remembered of them,
// and remembers this one. Depths that are seconds old, because the live ones
// could not be had, are nothing to compare with.
func (v *view) follow(r *check.Report, chosen []rabbitmq.Queue) {
	v.paces = make(map[string]pace, len(chosen))
	before, gap := recall(r)
	memos := make(map[string]memo)
	for i := range chosen {
		q := &chosen[i]
		old, known := before.Queues[q.Name]
		s, ok := v.sighting(q, r.Now())
		if !ok {
			if known {
				memos[q.Name] = old
			}
			continue
		}
		var earlier *memo
		if known {
			earlier = &old
		}
		next, p := follow(&s, earlier, gap)
		v.paces[q.Name] = p
		if next.worthKeeping(&s) {
			memos[q.Name] = next
		}
	}
	if !v.totalsFailed {
		remember(r, memos)
	}
}

// sighting is what there is to follow of a queue; ok is false where its depth
// is not known or means nothing.
func (v *view) sighting(q *rabbitmq.Queue, now time.Time) (s sighting, ok bool) {
	depth := v.depth(q)
	if !depth.Known || v.totalsFailed || q.Stream() || q.Down() {
		return sighting{}, false
	}
	return sighting{
		depth: depth.Value, exact: v.source != byAMQP, queue: q, stats: v.stats[q.Name],
		meant: rabbitmq.MatchesAny(v.unwatched, q.Name), now: now,
	}, true
}

// pace reports how a queue is worked off. Where that is proven, its depth is
// nothing to judge it by.
func (v *view) pace(r *check.Report, q *rabbitmq.Queue) {
	p, followed := v.paces[q.Name]
	for _, each := range []struct {
		metric *check.Metric
		value  rabbitmq.Number
	}{{drainTime, p.drain}, {stalled, p.stalled}} {
		observe(r, each.metric, each.value, q.Name)
		if !each.value.Known {
			r.Absent(each.metric) // a limit on it waits for a look that knows
		}
	}
	if !followed {
		return
	}
	if p.proven {
		r.Waive(messages, q.Name)
		r.Waive(ready, q.Name)
	}
	waiting := rabbitmq.Count(int(v.depth(q).Value), "message")
	if p.barren > 0 {
		r.Find(crashLoop, fmt.Sprintf("%s: %s, and the worker has renewed its statistics %d times without one success: it crashes, or fails with every message; see its log",
			q.Name, waiting, p.barren+1), q.Name)
	}
	switch {
	case p.loopRate > 0:
		r.Find(redeliveryLoop, fmt.Sprintf("%s: %s given out again %.0f times a second: a consumer returns what it gets, or dies of it", q.Name, waiting, p.loopRate), q.Name)
	case p.redelivered > 0:
		r.Find(redeliveryLoop, fmt.Sprintf("%s: %s given out again %.0f times since a previous look: a consumer returns what it gets, or dies of it", q.Name, waiting, p.redelivered), q.Name)
	}
	if p.grows > 0 {
		r.Find(growing, fmt.Sprintf("%s: grew at each of the last %d looks, from %.0f to %.0f messages in %s",
			q.Name, p.grows, p.grewFrom, v.depth(q).Value, check.FormatDuration(p.grewFor)), q.Name)
	}
}

// words says in a row how fast the queue is worked off, and who says so.
func (p pace) words() string {
	rate := check.None.Format(p.rate)
	switch p.how {
	case byWorker:
		if !p.proven {
			return fmt.Sprintf(", formerly %s messages/s by the worker's own statistics", rate)
		}
		return fmt.Sprintf(", %s messages/s by the worker's own statistics", rate)
	case byAcks:
		return fmt.Sprintf(", %s messages/s acknowledged", rate)
	case byChange:
		return fmt.Sprintf(", %s messages/s fewer", rate)
	}
	return ""
}

// held says of which queues it is not known what their consumers hold: one
// that is stuck may hold all there is. The worker's own statistics say that it
// holds nothing, or is at work; how long it has been is judged then.
func (v *view) held(r *check.Report, chosen []rabbitmq.Queue) {
	if v.source != byAMQP {
		return
	}
	var unknown []rabbitmq.Queue
	for i := range chosen {
		s, ok := v.sighting(&chosen[i], r.Now())
		p := v.paces[chosen[i].Name]
		if ok && !s.deserted() && !s.idle() && !(s.working() && s.queue.Consumers.Value == 1 && p.stalled.Known) {
			unknown = append(unknown, chosen[i])
		}
	}
	if len(unknown) > 0 {
		r.Find(heldUnknown, fmt.Sprintf("not known whether the consumers of %s hold messages and work: %s; "+
			"AMQP tells ready messages only: use the management API, or give Zulip's --queue-stats-dir", rabbitmq.Count(len(unknown), "queue"), rabbitmq.Names(unknown)))
	}
}
