package dashboards

import "github.com/belfry-monitoring/belfry/common/check"

func jobs() spec {
	return spec{
		uid: "belfry-jobs", title: titlePrefix + "Jobs",
		about:  "What cron jobs and timers recorded, and whether they still run.",
		checks: []string{"cron_file"},
		draw:   drawJobs,
	}
}

func drawJobs(s *sheet) {
	const name = "cron_file"
	written, state := s.metric(name, "written"), s.metric(name, "state")
	s.looks()
	s.heading("What the jobs recorded")
	s.add(panel{
		title: "Recorded verdicts", w: 12, h: 9, view: timeline(stateWords()),
		about:   "The verdict that each job recorded, over time. Aim for unbroken green; a gap is a time in which nobody could read it.",
		queries: []query{{expr: s.value(name, state), legend: "{{target}} {{file}}"}},
	})
	s.add(panel{
		title: "How much of the age limit is used", w: 12, h: 9, view: shares(),
		about:   "Age of each record as a share of its critical limit, the twelve oldest first. Aim for less than half: a job that no more runs records nothing, and its last verdict says nothing.",
		queries: []query{{expr: "sort_desc(topk(12, " + s.share(name, written, check.Critical) + "))", legend: "{{target}} {{file}}", instant: true}},
	})
	s.over(name, "written", 12, 8)
	s.add(panel{
		title: "Files with a verdict", w: 12, h: 8, view: lines("short"),
		about:   "Files in which a verdict was found. Aim for a flat line: a step down is a job that was removed, or a directory that cannot be read.",
		queries: append([]query{{expr: s.value(name, s.metric(name, "files")), legend: "{{target}}"}}, s.limits(name, s.metric(name, "files"))...),
	})
	s.heading("What is wrong")
	s.found()
}
