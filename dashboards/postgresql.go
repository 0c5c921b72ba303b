package dashboards

import "github.com/belfry-monitoring/belfry/common/check"

func postgresql() spec {
	return spec{
		uid: "belfry-postgresql", title: titlePrefix + "PostgreSQL",
		about:  "Whether the standbys are there, how far they are behind, and what keeps log on the primary.",
		checks: []string{"postgres_replication_lag"},
		draw:   drawPostgreSQL,
	}
}

func drawPostgreSQL(s *sheet) {
	const name = "postgres_replication_lag"
	metric := func(key string) *check.Metric { return s.metric(name, key) }
	s.looks()
	s.heading("Standbys")
	standbys := metric("standbys")
	s.add(panel{
		title: "Standbys connected", w: 4, h: 7, view: numbers("short").Thresholds(thresholds(colorWarning, step{1, colorOK})).TextMode("value_and_name"),
		about:   "Standbys that stream from each server. Aim for the number you planned; give it to the check with --standbys, so that a missing one is CRITICAL.",
		queries: []query{{expr: s.value(name, standbys) + " > 0 or " + s.value(name, standbys) + " and " + metric("primary").Name() + s.of(name) + " == 1", legend: "{{target}} {{server}}", instant: true}},
	})
	lag := metric("lag")
	s.add(panel{
		title: "How much of the limits is used", w: 10, h: 7, view: shares(),
		about: "How much of its critical limit each standby's lag and silence have used, the ten worst. Aim for a few per cent: a full bar is a page.",
		queries: []query{
			{expr: "topk(10, " + s.share(name, metric("replay_lag"), check.Critical) + ")", legend: "{{server}} {{standby}} replay lag", instant: true},
			{expr: "topk(10, " + s.share(name, lag, check.Critical) + ")", legend: "{{server}} {{standby}} lag in seconds", instant: true},
			{expr: "topk(10, " + s.share(name, metric("reply_age"), check.Critical) + ")", legend: "{{server}} {{standby}} silence", instant: true},
		},
	})
	s.add(panel{
		title: "Who can be written", w: 10, h: 7,
		view:    timeline(words(map[string][2]string{"0": {"standby", "blue"}, "1": {"primary", colorOK}})),
		about:   "Which server was the primary when. Aim for one green row: two at the same time are a split brain, none is an outage.",
		queries: []query{{expr: s.value(name, metric("primary")), legend: "{{target}} {{server}}"}},
	})
	s.over(name, "replay_lag", 8, 8)
	s.over(name, "lag", 8, 8)
	silence, heard := metric("reply_age"), metric("message_age")
	for _, one := range []struct {
		title, about string
		m            *check.Metric
	}{
		{"Standby silent for", "Seconds since a standby last replied to its sender. Lag that is 0 says nothing while this grows: the link is cut.", silence},
		{"Sender silent for", "Seconds since a standby last heard from its sender, as the standby itself sees it.", heard},
	} {
		s.add(panel{
			title: one.title, w: 8, h: 8, view: lines("s"), about: one.about + " Aim for less than 10 s, the time between two keepalives.",
			queries: append([]query{{expr: s.value(name, one.m), legend: legend(one.m)}}, s.limits(name, one.m)...),
		})
	}
	s.add(panel{
		title: "What would be lost", w: 8, h: 8, view: lines("bytes"),
		about:   "Bytes of the log that a standby has not on disk yet: what is lost when the primary dies now. Aim for a few KiB, and 0 for synchronous standbys.",
		queries: append([]query{{expr: s.value(name, metric("flush_lag")), legend: "{{server}} {{standby}}"}}, s.limits(name, metric("flush_lag"))...),
	})
	s.over(name, "conflict_rate", 8, 8)
	s.heading("Slots and subscriptions")
	s.over(name, "slot_retained", 8, 7)
	s.over(name, "slot_lag", 8, 7)
	s.over(name, "subscription_age", 8, 7)
	s.heading("What is wrong")
	s.found()
}
