package rabbitmqqueues

import (
	"fmt"
	"slices"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

// gaps says what is not known.
func (v *view) gaps(r *check.Report, chosen []rabbitmq.Queue) {
	if silent := v.silent(); v.live && len(silent) > 0 {
		r.Find(noLiveTotals, fmt.Sprintf("%s did not say how many messages: %s; rabbitmqctl list_unresponsive_queues -p %s names those that hang",
			rabbitmq.Count(len(silent), "queue"), rabbitmq.Names(silent), v.vhost))
	}
	v.held(r, chosen)
	why := "the broker has collected no statistics yet, as in the first seconds after its start"
	switch {
	case v.source == byList:
		why = "the list does not say; write it with " + rabbitmq.ListQueuesCommand
	case v.statisticsOff:
		why = "the broker is told to collect no statistics (management_agent.disable_metrics_collector)"
	}
	unknown := slices.DeleteFunc(v.unknownDepth(), func(q rabbitmq.Queue) bool { return !q.Live && (v.live || v.totalsFailed) }) // said already
	if len(unknown) > 0 {
		r.Find(noStatistics, fmt.Sprintf("depth and consumers of %s not known: %s; %s", rabbitmq.Count(len(unknown), "queue"), rabbitmq.Names(unknown), why))
	}
	if unexplained := v.unexplained(); len(unexplained) > 0 {
		r.Find(noStatistics, fmt.Sprintf("consumers of %s with messages not known: %s; %s",
			rabbitmq.Count(len(unexplained), "queue"), rabbitmq.Names(unexplained), why))
	}
	v.notes(r, chosen)
}

// notes says what is not judged, for those who ask with -v.
func (v *view) notes(r *check.Report, chosen []rabbitmq.Queue) {
	if v.source == byAMQP && len(chosen) > 0 {
		r.Note("AMQP does not tell the messages that consumers hold: depths are of the ready ones")
	}
	if !v.live && !v.totalsFailed && len(chosen) > 0 {
		r.Note("depths are up to 8 s old: this version of RabbitMQ has no live totals")
	}
	without, uncounted, streams, unstamped := 0, 0, 0, 0
	for i := range chosen {
		q := &chosen[i]
		if !q.Consumers.Known && !q.Down() {
			without++
		}
		if q.Consumers.Above(0) && q.Messages.Above(0) && !q.Left.Known && !q.Stream() {
			uncounted++
		}
		if q.Stream() {
			streams++
		}
		if _, ok := v.head(q, r.Now()); !ok && !q.Stream() && q.Messages.Above(0) {
			unstamped++
		}
	}
	if without > 0 && v.source == management {
		r.Note("no statistics yet of %s: consumers and rates not known", rabbitmq.Count(without, "queue"))
	}
	if uncounted > 0 && v.source == management {
		r.Note("nothing counts what leaves %s (management.rates_mode = none, or nothing has happened yet): judged by depth", rabbitmq.Count(uncounted, "queue"))
	}
	if streams > 0 {
		r.Note("%s not judged by depth: a stream keeps its messages", rabbitmq.Count(streams, "stream"))
	}
	if unstamped > 0 {
		r.Note("age of the first message not known in %s: its publisher stamps no time, or one in the future", rabbitmq.Count(unstamped, "queue"))
	}
}
