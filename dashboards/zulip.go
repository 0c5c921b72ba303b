package dashboards

import (
	"fmt"
	"slices"
	"time"
)

func zulip() spec {
	return spec{
		uid: "belfry-zulip", title: titlePrefix + "Zulip",
		about:  "Whether messages arrive, how fast, and whether the queues and workers behind that keep up.",
		checks: []string{"send_receive_time"},
		also:   []string{"rabbitmq_queues", "worker_memory"},
		draw:   drawZulip,
	}
}

func drawZulip(s *sheet) {
	const chat = "send_receive_time"
	s.looks()
	s.heading("Messages, end to end")
	endToEnd := s.metric(chat, "end_to_end")
	buckets := endToEnd.DistributionName() + "_bucket" + s.of(chat)
	longest := time.Duration(slices.Max(append([]float64{0}, endToEnd.Buckets...)) * float64(time.Second))
	total := endToEnd.DistributionName() + "_count" + s.of(chat)
	s.add(panel{
		title: "Delivered within " + longest.String() + ", last day", w: 4, h: 8,
		view: numbers("percentunit").Decimals(2).Thresholds(thresholds(colorCritical, step{0.99, colorWarning}, step{0.999, colorOK})),
		about: "Share of the messages of the last day that were delivered at all and within " + longest.String() + ", the highest bound of the distribution. " +
			"Aim for 99.9 %: one lost message in a thousand.",
		queries: []query{{
			expr: fmt.Sprintf(`sum(increase(%s[1d])) / sum(increase(%s[1d]))`, withMatcher(buckets, leMatcher(fmt.Sprint(longest.Seconds()))), total), instant: true,
		}},
	})
	s.add(panel{
		title: "End to end", w: 10, h: 8, view: lines("s"),
		about: "Seconds from sending a message until its receiver got it, in the newest look. A message that was lost has no value: a gap. " +
			"Aim for less than a second, and in any case below the dashed limits.",
		queries: append([]query{{expr: s.value(chat, endToEnd), legend: legend(endToEnd)}}, s.limits(chat, endToEnd)...),
	})
	var quantiles []query
	for _, q := range []struct{ q, word string }{{"0.5", "half"}, {"0.95", "95 %"}, {"0.99", "99 %"}} {
		quantiles = append(quantiles, query{
			expr:   fmt.Sprintf("histogram_quantile(%s, sum by (le) (rate(%s[1h])))", q.q, buckets),
			legend: q.word + " are faster than",
		})
	}
	s.add(panel{
		title: "Half, 95 % and 99 % of the messages", w: 10, h: 8, view: lines("s"),
		about: "Within which time half, 95 % and 99 % of the messages of the last hour were delivered, estimated from the distribution; a line at the top is messages that were lost. " +
			"Aim for lines close together: a wide gap is users who wait now and then.",
		queries: quantiles,
	})
	s.add(panel{
		title: "Distribution", w: 14, h: 8, view: distribution("s"),
		about: "How many messages were delivered within which time. What is in the row +Inf was lost, or later than all bounds. Aim for one bright row at the bottom.",
		queries: []query{{
			expr: fmt.Sprintf("sum by (le) (increase(%s[$__rate_interval]))", buckets), legend: "{{le}}", format: "heatmap",
		}},
	})
	s.add(panel{
		title: "Where the time goes", w: 10, h: 8, view: lines("s"),
		about: "Seconds until the server had registered the receiver's event queue, and until it had accepted the message. " +
			"Aim for flat lines: acceptance is the database and Django, the rest of the way is RabbitMQ, Tornado and the network.",
		queries: []query{
			{expr: s.value(chat, s.metric(chat, "registration")), legend: "{{target}} {{realm}} registration"},
			{expr: s.value(chat, s.metric(chat, "acceptance")), legend: "{{target}} {{realm}} acceptance"},
		},
	})
	s.heading("Queues and workers behind it")
	s.queuesAndWorkers()
	s.heading("What is wrong")
	s.found()
}

// queuesAndWorkers is the part of two other boards that explains a slow Zulip.
func (s *sheet) queuesAndWorkers() {
	const queues, workers = "rabbitmq_queues", "worker_memory"
	drain := s.metric(queues, "drain_time")
	s.add(panel{
		title: "Time until the queues are empty", w: 8, h: 8, view: lines("s"),
		about:   "How long what is in each queue will wait, at the pace of its workers; the ten longest. Aim for seconds, below the dashed limits.",
		queries: append([]query{{expr: "topk(10, " + s.value(queues, drain) + ")", legend: "{{queue}}"}}, s.limits(queues, drain)...),
	})
	messages := s.metric(queues, "messages")
	s.add(panel{
		title: "Messages waiting", w: 8, h: 8, view: lines("short"),
		about: "Messages in each queue, those that a worker holds included; the ten deepest. Aim for lines that come back to 0; one that only rises is a worker that does not keep up. " +
			"Limits differ by queue: the board of RabbitMQ shows how much of its own each has used.",
		queries: []query{{expr: "topk(10, " + s.value(queues, messages) + ")", legend: "{{queue}}"}},
	})
	rss := s.metric(workers, "rss")
	s.add(panel{
		title: "Memory of the workers", w: 8, h: 8, view: lines("bytes"),
		about:   "Resident memory of each worker, the ten largest. Aim for flat lines below the dashed limits; a saw is a worker that leaks and is restarted.",
		queries: append([]query{{expr: "topk(10, " + s.value(workers, rss) + ")", legend: "{{worker}}"}}, s.limits(workers, rss)...),
	})
}
