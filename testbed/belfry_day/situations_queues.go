package main

import (
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

// Words of first lines.
const (
	fewerWorkers = `running workers \d+ \(below 6\)`
	noConsumer   = `consumers 0 \(below 1\)`
	noStatistics = `collected no statistics`
	stalled      = "-w stalled=20s -c stalled=40s instead of 3 and 5 min"
)

// restarting is what may be said while workers are being replaced: the pages
// of the checks say that one look is no reason to wake anybody.
func restarting() []want {
	return []want{critical(workers, fewerWorkers), critical(consumers, noConsumer), critical(queues, "no consumer"), warning(workers, `running workers \d+ \(above 6\)`)}
}

// queueing is what happens to workers and their broker.
func queueing() []situation {
	return []situation{
		{
			// First, because the restarts below would be told as well.
			name: "worker crash loop", what: "a worker dies of its first message half a second after each start",
			do: func(d *day) {
				d.limit([]string{"rss=400MB"}, workers)
				d.work["embed_links"].Crash()
				time.Sleep(25 * time.Second) // three restarts must have been seen at looks 4 s apart
			},
			undo: func(d *day) {
				d.work["embed_links"].Mend()
				d.configure(nil)
			},
			want: []want{
				critical(queues, "embed_links: .*(crashes|nothing done|no consumer)"),
				ok(consumers), critical(consumers, "embed_links: "+noConsumer),
				critical(workers, "embed_links: restarts lately|"+fewerWorkers),
			},
			compressed: "restarts are judged in this situation alone: the check tells them for 30 min, with the default limits",
			passing:    []want{warning(queues, "embed_links: "), warning(workers, "restarts lately")}, hold: 15 * time.Second, lag: 15 * time.Second, settle: 90 * time.Second,
		},
		{
			name: "worker restarted", what: "supervisor restarts one worker",
			do: func(d *day) { d.work["email_senders"].Restart() }, passing: restarting(), fast: true,
		},
		{
			name: "deployment", what: "supervisor restarts all workers, one after the other",
			do: func(d *day) {
				for _, p := range processes() {
					d.work[p.queue].Restart()
					time.Sleep(300 * time.Millisecond)
				}
			}, passing: restarting(),
		},
		{
			name: "worker stopped", what: "one worker is stopped and stays away",
			do: func(d *day) { d.work["email_senders"].Stop() }, undo: func(d *day) { d.work["email_senders"].Start() },
			want: []want{
				critical(workers, fewerWorkers), critical(consumers, "email_senders: "+noConsumer),
				critical(queues, `email_senders: \d+ messages? and no consumer`),
			},
			fast: true,
		},
		{
			name: "worker stuck", what: "a worker takes messages and acknowledges none; two a second come", compressed: stalled,
			do: func(d *day) { d.work["embed_links"].Stick() }, undo: func(d *day) { d.work["embed_links"].Restart() },
			want:    []want{critical(queues, `embed_links: nothing done for .*unacknowledged`)},
			passing: append(restarting(), warning(queues, "embed_links: nothing done for")), settle: 90 * time.Second,
		},
		{
			name: "worker frozen", what: "a worker gets SIGSTOP, so that the broker closes its connection after two heartbeats; it gets SIGCONT",
			compressed: stalled + "; heartbeats every 10 s instead of 60 s",
			do:         func(d *day) { d.work["embed_links"].Freeze() }, undo: func(d *day) { d.work["embed_links"].Thaw() },
			want: []want{
				critical(queues, "embed_links: .*(nothing done for|no consumer)"),
				ok(consumers), critical(consumers, "embed_links: "+noConsumer),
			},
			passing: append(restarting(), warning(queues, "embed_links: nothing done for")), hold: 20 * time.Second, settle: 90 * time.Second,
		},
		{
			name: "worker leaks", what: "a worker's memory grows by 40 MiB a second, to 600 MiB", compressed: "-w rss=120MB -c rss=400MB for the defaults of 600 and 800",
			do: func(d *day) { d.work["missedmessage_emails"].Leak() }, undo: func(d *day) { d.work["missedmessage_emails"].Restart() },
			want:    []want{critical(workers, "missedmessage_emails: resident memory")},
			passing: append(restarting(), warning(workers, "missedmessage_emails: resident memory")),
		},
		{
			name: "broker restarted", what: "RabbitMQ is stopped, and started again",
			do: func(d *day) { d.broker.Stop() }, undo: func(d *day) { d.broker.Start() },
			want:    []want{critical(queues, "connection refused"), critical(consumers, "connection refused")},
			passing: brokerStarts(), recovery: 90 * time.Second,
		},
		{
			name: "broker killed", what: "RabbitMQ is killed, and started again",
			do: func(d *day) { d.broker.Kill() }, undo: func(d *day) { d.broker.Start() },
			want:    []want{critical(queues, "connection refused"), critical(consumers, "connection refused")},
			passing: brokerStarts(), recovery: 90 * time.Second,
		},
		{
			name: "broker frozen", what: "RabbitMQ gets SIGSTOP, then SIGCONT",
			do: func(d *day) { d.broker.Freeze() }, undo: func(d *day) { d.broker.Thaw() },
			want: []want{critical(queues, "timed out"), critical(consumers, "timed out")},
			// Nothing was done meanwhile, and what was published waits until the workers have connected anew.
			passing: append(brokerStarts(), warning(queues, "notify_tornado: messages|: nothing done for 2")),
		},
		{
			name: "broker blocks publishers", what: "RabbitMQ's disk alarm is raised: nobody can publish",
			do: func(d *day) {
				d.broker.Ctl("set_disk_free_limit", "10000GB")
				d.await("the alarm", func() bool {
					_, nodes := d.broker.Get(testbed.UserAdmin, "/api/nodes?columns=disk_free_alarm")
					return strings.Contains(nodes, `"disk_free_alarm":true`)
				})
			},
			undo: func(d *day) { d.broker.Ctl("set_disk_free_limit", "10MB") },
			want: []want{critical(queues, "disk space alarm at node .*: all publishers are blocked")},
		},
	}
}

// brokerStarts is what may be said until a broker knows its consumers again.
func brokerStarts() []want {
	return []want{unknown(queues, noStatistics), unknown(consumers, noStatistics), critical(consumers, noConsumer), critical(queues, "no consumer")}
}
