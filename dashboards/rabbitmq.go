package dashboards

import "github.com/belfry-monitoring/belfry/common/check"

func rabbitmq() spec {
	return spec{
		uid: "belfry-rabbitmq", title: titlePrefix + "RabbitMQ and workers",
		about:  "How long messages wait, whether somebody works them off, and how much memory that takes.",
		checks: []string{"rabbitmq_queues", "rabbitmq_consumers", "worker_memory"},
		draw:   drawRabbitMQ,
	}
}

func drawRabbitMQ(s *sheet) {
	s.looks()
	s.heading("Queues")
	s.queues()
	s.heading("Consumers")
	s.consumers()
	s.heading("Workers")
	s.workers()
	s.heading("What is wrong")
	s.found()
}

func (s *sheet) queues() {
	const name = "rabbitmq_queues"
	messages, drain, stalled := s.metric(name, "messages"), s.metric(name, "drain_time"), s.metric(name, "stalled")
	s.add(panel{
		title: "How much of the limits is used", w: 8, h: 9, view: shares(),
		about: "How much of its own critical limit each queue has used, by the time that its messages will wait and by the time that nothing was done: the five worst of each. " +
			"Aim for short bars: a full one is a page.",
		queries: []query{
			{expr: "topk(5, " + s.share(name, drain, check.Critical) + ")", legend: "{{queue}} drain time", instant: true},
			{expr: "topk(5, " + s.share(name, stalled, check.Critical) + ")", legend: "{{queue}} nothing done", instant: true},
		},
	})
	s.add(panel{
		title: "Time until empty", w: 8, h: 9, view: lines("s"),
		about:   sentence(drain.Help) + " The ten longest. Aim for seconds, below the dashed limits; of several the nearest.",
		queries: append([]query{{expr: "topk(10, " + s.value(name, drain) + ")", legend: "{{target}} {{queue}}"}}, s.limits(name, drain)...),
	})
	s.add(panel{
		title: "Messages in the queues", w: 8, h: 9, view: lines("short"),
		about: "Messages in each queue, those that consumers hold included; the ten deepest. Aim for lines that come back to 0. Depth alone is no fault: " +
			"a fast worker empties a deep queue in seconds.",
		queries: []query{{expr: "topk(10, " + s.value(name, messages) + ")", legend: "{{target}} {{queue}}"}},
	})
	table := sortedBy(merged(rows(),
		column{name: "queue", title: "Queue"}, column{name: "target", title: "Target"},
		unitColumn("Value #messages", "Messages", "short"), unitColumn("Value #drain", "Empty in", "s"),
		unitColumn("Value #stalled", "Nothing done for", "s"), unitColumn("Value #consumers", "Consumers", "short"),
		unitColumn("Value #publish", "In", "mps"), unitColumn("Value #ack", "Done", "mps"),
		unitColumn("Value #used", "Of its limit on depth", "percentunit"),
	), "Messages", true)
	list := func(id, expr string) query {
		return query{id: id, expr: unnamed(expr), instant: true, format: formatTable}
	}
	s.add(panel{
		title: "Queues, deepest first", w: 24, h: 9, view: table,
		about: "Each queue with its messages, the time until it is empty, its consumers, and the messages that come in and are done per second. " +
			"Aim for Done at least as large as In, and a consumer in every row. The limit on depth counts where the pace is not known.",
		queries: []query{
			list("messages", s.value(name, messages)), list("drain", s.value(name, drain)), list("stalled", s.value(name, stalled)),
			list("consumers", s.value(name, s.metric(name, "consumers"))), list("publish", s.value(name, s.metric(name, "publish_rate"))),
			list("ack", s.value(name, s.metric(name, "ack_rate"))), list("used", s.share(name, messages, check.Critical)),
		},
	})
	s.add(panel{
		title: "Coming in and done", w: 12, h: 7, view: lines("mps"),
		about: "Messages per second that come into all queues and that consumers acknowledge. Aim for the two lines to lie on each other: where the first stays above, the queues fill.",
		queries: []query{
			{expr: "sum by (target) (" + s.value(name, s.metric(name, "publish_rate")) + ")", legend: "{{target}} in"},
			{expr: "sum by (target) (" + s.value(name, s.metric(name, "ack_rate")) + ")", legend: "{{target}} done"},
		},
	})
	s.add(panel{
		title: "In all queues", w: 12, h: 7, view: stacked("short"),
		about: "Messages in all queues: those that wait and those that consumers hold. Aim for few; many that are held are consumers that took more than they can work off.",
		queries: []query{
			{expr: s.value(name, s.metric(name, "total_ready")), legend: "{{target}} waiting"},
			{expr: s.value(name, s.metric(name, "total_unacknowledged")), legend: "{{target}} held by consumers"},
		},
	})
}

func (s *sheet) consumers() {
	const name = "rabbitmq_consumers"
	consumers := s.metric(name, "consumers")
	s.add(panel{
		title: "Consumers of each queue", w: 12, h: 8, view: bars("short").Thresholds(thresholds(colorCritical, step{1, colorOK})),
		about:   "Consumers of each queue, the twelve with the fewest. Aim for a bar in every row: a queue without consumer is worked off by nobody.",
		queries: []query{{expr: "sort(bottomk(12, " + s.value(name, consumers) + "))", legend: "{{target}} {{queue}}", instant: true}},
	})
	s.add(panel{
		title: "Consumers of all queues", w: 12, h: 8, view: lines("short"),
		about:   "Consumers of all queues together. Aim for a flat line; a step down is workers that are gone, a saw is workers that die and are restarted.",
		queries: []query{{expr: s.value(name, s.metric(name, "total_consumers")), legend: "{{target}}"}},
	})
}

func (s *sheet) workers() {
	const name = "worker_memory"
	rss := s.metric(name, "rss")
	s.add(panel{
		title: "How much of the memory limit is used", w: 8, h: 8, view: shares(),
		about:   "How much of its critical limit each worker's resident memory has used, the ten largest. Aim for less than half.",
		queries: []query{{expr: "sort_desc(topk(10, " + s.share(name, rss, check.Critical) + "))", legend: "{{target}} {{worker}}", instant: true}},
	})
	s.add(panel{
		title: "Resident memory", w: 8, h: 8, view: lines("bytes"),
		about:   sentence(rss.Help) + " The ten largest. Aim for flat lines far below the dashed limits; a steady slope is a leak, and the check says when it will reach the limit.",
		queries: append([]query{{expr: "topk(10, " + s.value(name, rss) + ")", legend: "{{target}} {{worker}}"}}, s.limits(name, rss)...),
	})
	s.add(panel{
		title: "Workers that run", w: 8, h: 8, view: lines("short"),
		about: "Worker processes that run, and restarts that looks have seen within the restart window. Aim for a flat line at the number that should run (--expect), and no restarts.",
		queries: []query{
			{expr: s.value(name, s.metric(name, "workers")), legend: "{{target}} running"},
			{expr: s.value(name, s.metric(name, "recent_restarts")), legend: "{{target}} {{worker}} restarts"},
		},
	})
	s.over(name, "machine_share", 8, 7)
	s.add(panel{
		title: "Memory of all workers", w: 8, h: 7, view: lines("bytes"),
		about: "Memory of all workers and of what watches over them: resident, where shared pages count for each, and swapped out. Aim for nothing swapped.",
		queries: []query{
			{expr: s.value(name, s.metric(name, "total_rss")), legend: "{{target}} resident"},
			{expr: s.value(name, s.metric(name, "total_swap")), legend: "{{target}} swapped out"},
		},
	})
	s.add(panel{
		title: "Killed for want of memory", w: 8, h: 7, view: lines("short"),
		about: "Processes that the kernel has killed on the machine, or because of a control group's limit, within the OOM window. Aim for 0: each was somebody's work.",
		queries: []query{
			{expr: s.value(name, s.metric(name, "recent_oom_kills")), legend: "{{target}} machine"},
			{expr: s.value(name, s.metric(name, "cgroup_oom_kills")), legend: "{{target}} {{cgroup}}, last hour"},
		},
	})
}
