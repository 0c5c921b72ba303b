package dashboards

import "github.com/belfry-monitoring/belfry/common/check"

func backups() spec {
	return spec{
		uid: "belfry-backups", title: titlePrefix + "Backups",
		about:  "How old the newest good backup of each thing is, whether it looks like the ones before, and whether the log is archived.",
		checks: []string{"backup"},
		draw:   drawBackups,
	}
}

func drawBackups(s *sheet) {
	const name = "backup"
	metric := func(key string) *check.Metric { return s.metric(name, key) }
	value := func(key string) string { return s.value(name, metric(key)) }
	s.looks()
	s.heading("Age")
	completed := metric("completed")
	s.add(panel{
		title: "How much of the age limit is used", w: 10, h: 8, view: shares(),
		about: "Age of the newest good backup of each set, as a share of its critical limit, the oldest first. Aim for less than half: with a backup each night and a limit of two days " +
			"the bars grow to a half and begin anew.",
		queries: []query{{expr: "sort_desc(topk(12, " + s.share(name, completed, check.Critical) + "))", legend: "{{target}} {{set}}", instant: true}},
	})
	s.over(name, "completed", 14, 8)
	list := func(id, expr string) query { return query{id: id, expr: expr, instant: true, format: formatTable} }
	s.add(panel{
		title: "Sets of backups, oldest first", w: 24, h: 8,
		about: "Each set of backups with what the newest good one is like. Aim for a size near that of the one before (100 %), a gap no longer than your plan, and an oldest backup as old as you want to be able to go back.",
		view: sortedBy(merged(rows(),
			column{name: "set", title: "Set"}, column{name: "target", title: "Target"}, unitColumn("Value #age", "Newest", "s"), unitColumn("Value #size", "Size", "bytes"),
			unitColumn("Value #relative", "Against the one before", "percentunit"), unitColumn("Value #took", "Took", "s"), unitColumn("Value #count", "Kept", "short"),
			unitColumn("Value #gap", "Largest gap", "s"), unitColumn("Value #oldest", "Oldest", "s"),
		), "Newest", true),
		queries: []query{
			list("age", unnamed(value("completed"))), list("size", unnamed(value("size"))), list("relative", unnamed(value("relative_size"))),
			list("took", unnamed(value("duration"))), list("count", unnamed(value("backups"))), list("gap", unnamed(value("largest_gap"))),
			list("oldest", unnamed(value("oldest"))),
		},
	})
	s.heading("Sizes and places")
	s.over(name, "size", 8, 7)
	s.over(name, "relative_size", 8, 7)
	s.add(panel{
		title: "Places with a recent backup", w: 8, h: 7, view: bars("short").Thresholds(thresholds(colorCritical, step{1, colorWarning}, step{2, colorOK})),
		about:   sentence(metric("places").Help) + " It is there where --content says what is in the sets. Aim for two at least: one of them elsewhere.",
		queries: []query{{expr: "sort(" + value("places") + ")", legend: "{{target}} {{content}}", instant: true}},
	})
	s.heading("Archive of PostgreSQL's log")
	s.over(name, "archive_waiting_since", 8, 7)
	s.over(name, "archive_waiting", 8, 7)
	s.add(panel{
		title: "Archived and failed", w: 8, h: 7, view: lines("short"),
		about: "Segments of the log that were archived in the last hour, and attempts that failed. Aim for no failures; archived segments follow what is written.",
		queries: []query{
			{expr: value("archived_segments"), legend: "{{target}} {{server}} archived"},
			{expr: value("archive_failures"), legend: "{{target}} {{server}} failed"},
		},
	})
	s.heading("What is wrong")
	s.found()
}
