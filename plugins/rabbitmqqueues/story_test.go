package rabbitmqqueues

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
	"github.com/belfry-monitoring/belfry/common/zulip/queuestats"
)

// shelf is a check.Memory.
type shelf struct {
	data []byte
	at   time.Time
}

func (s *shelf) Load() ([]byte, time.Time, error) { return s.data, s.at, nil }
func (s *shelf) Store(data []byte, at time.Time) error {
	s.data, s.at = append([]byte(nil), data...), at
	return nil
}

// seen is one queue at one look; negative numbers are not known.
type seen struct {
	after       time.Duration // since the previous look; zero: a minute
	ready, held float64
	left        float64 // counter; negative: the broker counts nothing
	redelivered float64 // counter
	rate        float64 // of redelivery, by the statistics
	gone        bool    // no consumer
	consumers   float64 // zero: 1

	mean    float64       // of the worker's statistics, in seconds; negative: no success; zero: no statistics
	age     time.Duration // of the worker's statistics; negative: of the future
	idle    bool          // the worker says that it holds nothing
	forgets bool          // the memory is lost before this look

	state check.State
	line  string // how line 1 begins; empty: any
	find  string // a finding that must be there
}

// tell looks at the queue again and again, with a memory.
func tell(t *testing.T, src source, name string, looks []seen, args ...string) {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	c := newCheck(fs).(*queuesCheck)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	memory, now := &shelf{}, time.Unix(1795220000, 0)
	for i, s := range looks {
		if s.after == 0 {
			s.after = time.Minute
		}
		now = now.Add(s.after)
		if s.forgets {
			*memory = shelf{}
		}
		v := s.view(src, name, now)
		v.selection, v.unwatched = c.selection, c.unwatched
		look := check.Look{Definition: Definition, Check: lookAt{&v}, Memory: memory, Now: func() time.Time { return now }}
		r := look.Run(context.Background())
		if r.State != s.state || !strings.HasPrefix(line(r), s.line) || s.find != "" && r.Found(s.find) == 0 {
			t.Errorf("look %d: %s: %s\nwant %s: %s %s", i+1, r.State, line(r), s.state, s.line, s.find)
		}
		for _, row := range r.Rows {
			if row.Reason == check.Internal {
				t.Errorf("look %d: internal fault: %s", i+1, row.Text)
			}
		}
	}
}

func (s *seen) view(src source, name string, now time.Time) view {
	consumers := max(s.consumers, 1)
	if s.gone {
		consumers = 0
	}
	q := classic(name, s.ready, s.held, consumers)
	v := view{vhost: "/", live: true, source: src, stats: map[string]*queuestats.Stats{}}
	switch src {
	case management:
		if s.left >= 0 {
			q.Left, q.Redelivered, q.RedeliverRate = known1(s.left), known1(s.redelivered), known1(s.rate)
		}
	case byAMQP:
		q.Messages, q.Unacknowledged = rabbitmq.Number{}, rabbitmq.Number{}
	}
	v.queues = []rabbitmq.Queue{q}
	if s.mean != 0 {
		stats := queuestats.Stats{Updated: now.Add(-s.age), Emptied: now.Add(-s.age - time.Hour)}
		if s.idle {
			stats.Emptied = stats.Updated
		}
		if s.mean > 0 {
			stats.SecondsPerMessage, stats.HasMean = s.mean, true
		}
		v.stats[name] = &stats
	}
	return v
}

// repeat makes n looks, each changed by its number.
func repeat(n int, s seen, change func(i int, s *seen)) []seen {
	looks := make([]seen, n)
	for i := range looks {
		looks[i] = s
		change(i, &looks[i])
	}
	return looks
}

func TestStories(t *testing.T) {
	const ok, warning, critical, unknown = check.OK, check.Warning, check.Critical, check.Unknown
	for _, c := range []struct {
		name  string
		src   source
		queue string
		args  []string
		looks []seen
	}{
		// The pace by the acknowledgements, from the management API.
		{"a deep queue that drains fast", management, "orders", nil, []seen{
			{ready: 5000, state: critical, line: "orders: messages 5000 (above 1000)"},
			{ready: 3200, left: 1800, state: critical},
			{ready: 1400, left: 3600, state: ok, line: "1 queue, 1400 messages"},
			{left: 5000, state: ok, line: "1 queue, no message"}}},
		{"a shallow queue that drains slowly", management, "orders", nil, []seen{
			{ready: 80, state: ok},
			{ready: 85, left: 2, state: ok},
			{ready: 90, left: 5, state: critical, line: "orders: drain time 30 min (above 15 min), 90 ready and 0 unacknowledged, 1 consumer, 0.05 messages/s acknowledged"}}},
		{"a worker that is back after a restart", management, "user_activity", nil, []seen{
			{ready: 50, left: 100, state: ok},
			{ready: 95, left: 101, state: ok},
			{ready: 0, left: 300, state: ok}}},
		{"a restart in the middle of hard work", management, "user_activity", nil, []seen{
			{ready: 300, state: warning}, {ready: 290, left: 250, state: warning}, {ready: 290, left: 500, state: critical, line: "user_activity: drain time 69.6 s"},
			{ready: 80, left: 510, state: ok}}},
		{"a burst in a quiet queue: its usual pace is not what its worker can do", management, "user_activity", nil, []seen{
			{ready: 1, left: 100, state: ok},
			{ready: 90, left: 101, state: ok, line: "1 queue, 90 messages"},
			{ready: 0, left: 191, state: ok}}},
		{"a burst that is deep is judged by its depth until the pace is known", management, "user_activity", nil, []seen{
			{left: 100, state: ok},
			{ready: 400, left: 101, state: warning, line: "user_activity: messages 400 (above 100)"},
			{ready: 300, left: 1400, state: ok}}},
		{"a busy queue that turns over many times a minute", management, "user_activity", nil, []seen{
			{ready: 150, left: 0, state: warning},
			{ready: 180, left: 100000, state: ok},
			{ready: 120, left: 200000, state: ok}}},
		{"messages that expire are no work", management, "delay", nil, []seen{
			{ready: 900, state: warning}, {ready: 90, left: 1, state: ok}}},
		{"purged: what went is no slow worker", management, "orders", nil, []seen{
			{ready: 1000, state: warning}, {ready: 200, left: 2, state: ok}}},

		// Stuck workers.
		{"a worker that holds all and does nothing", management, "email_mirror", nil, []seen{
			{held: 40, left: 7, state: ok},
			{held: 40, left: 7, state: ok},
			{held: 41, left: 7, state: ok},
			{held: 42, left: 7, state: ok, line: "1 queue, 42 messages"},
			{held: 43, left: 7, state: warning, line: "email_mirror: nothing done for 4 min (above 3 min), 0 ready and 43 unacknowledged, 1 consumer"},
			{held: 43, left: 7, state: warning},
			{held: 43, left: 7, state: critical, line: "email_mirror: nothing done for 6 min (above 5 min)"},
			{held: 42, left: 8, state: ok}}},
		{"one long message of a slow worker", management, "deferred_work", nil, repeat(14, seen{held: 1, ready: 3, state: ok}, func(int, *seen) {})},
		{"a low rate is no stuck worker", management, "email_mirror", nil,
			repeat(12, seen{held: 1, state: ok}, func(i int, s *seen) { s.left = float64(2 * i) })},
		{"the broker starts anew: counters begin at zero", management, "email_mirror", nil, []seen{
			{ready: 50, left: 1000, state: ok}, {ready: 50, left: 1000, state: ok}, {ready: 50, left: 5, state: ok},
			{ready: 50, left: 5, state: ok}, {ready: 50, left: 5, state: ok}, {ready: 50, left: 5, state: ok}, {ready: 50, left: 5, state: warning}}},
		{"looks that were not taken prove nothing", management, "email_mirror", nil, []seen{
			{ready: 50, left: 5, state: ok}, {after: time.Hour, ready: 50, left: 5, state: ok}, {ready: 50, left: 5, state: ok}}},
		{"the clock is set forward", management, "email_mirror", nil, []seen{
			{ready: 50, left: 5, state: ok}, {after: 14 * time.Minute, ready: 50, left: 5, state: ok}}},
		{"the clock is set back", management, "email_mirror", nil, []seen{
			{ready: 50, left: 5, state: ok}, {ready: 50, left: 5, state: ok}, {after: -time.Hour, ready: 50, left: 5, state: ok}, {ready: 50, left: 5, state: ok}}},
		{"nobody consumes any more, and one message is still held", management, "orders", nil, append(
			repeat(16, seen{ready: 59, held: 1, gone: true, state: ok}, func(int, *seen) {}),
			seen{ready: 59, held: 1, gone: true, state: warning, line: "orders: nothing done for 16 min (above 15 min), 59 ready and 1 unacknowledged, 0 consumers"})},
		{"somebody fetches without consuming", management, "orders", nil,
			repeat(40, seen{ready: 20, held: 1, gone: true, state: ok}, func(i int, s *seen) { s.left = float64(i / 3) })},
		{"a broker that counts no messages: nothing tells a stuck worker from one that keeps up", management, "orders", nil,
			repeat(40, seen{ready: 30, held: 10, left: -1, state: ok}, func(i int, s *seen) { s.ready += float64(i % 2) })},
		{"no consumer is not a stuck one", management, "orders", []string{"--allow-unconsumed", "orders"},
			repeat(40, seen{ready: 50, gone: true, state: ok}, func(int, *seen) {})},

		{"a deep queue whose worker is stuck: line 1 says so", management, "orders", nil, append(
			repeat(31, seen{ready: 1500, held: 100, left: 4, state: critical, line: "orders: messages 1600 (above 1000)"}, func(int, *seen) {}),
			seen{ready: 1500, held: 100, left: 4, state: critical, line: "orders: nothing done for 31 min (above 30 min), 1500 ready and 100 unacknowledged, 1 consumer"})},

		// Zulip's statistics.
		{"deep and slow, and stuck: line 1 says what is to be done", management, "user_activity", nil, []seen{
			{ready: 2000, mean: 0.1, age: 10 * time.Minute, state: critical,
				line: "user_activity: nothing done for 10 min (above 5 min), 2000 ready and 0 unacknowledged, 1 consumer, formerly 10 messages/s by the worker's own statistics"}}},
		{"by the worker's mean", management, "email_senders", nil, []seen{
			{ready: 290, mean: 0.1, age: 5 * time.Second, state: ok, line: "1 queue, 290 messages"},
			{ready: 290, mean: 0.4, age: 5 * time.Second, left: 1000, state: warning, line: "email_senders: drain time 116 s (above 90 s), 290 ready and 0 unacknowledged, 1 consumer, 2.5 messages/s by the worker's own statistics"}}},
		{"several workers share the work", management, "email_senders", nil, []seen{
			{ready: 290, mean: 0.4, age: 5 * time.Second, consumers: 4, state: ok}}},
		{"a shard has the limits of its queue", management, "missedmessage_mobile_notifications_shard3", nil, []seen{
			{ready: 100, mean: 1, age: time.Second, state: ok},
			{ready: 100, mean: 1.3, age: time.Second, left: 50, state: warning, line: "missedmessage_mobile_notifications_shard3: drain time 2 min 10 s (above 2 min)"}}},
		{"deep, and the worker says that it is fast", management, "user_activity", nil, []seen{
			{ready: 2000, mean: 0.001, age: 3 * time.Second, state: ok}}},
		{"deep, and the worker has been fast once", management, "user_activity", nil, []seen{
			{ready: 2000, mean: 0.001, age: 2 * time.Minute, state: critical, line: "user_activity: messages 2000 (above 1000)"}}},
		{"a mean of nothing is no pace", management, "user_activity", nil, []seen{{ready: 2000, mean: 1e-320, age: time.Second, state: ok},
			{ready: 2000, state: critical}}},
		{"the statistics are renewed and nothing leaves", management, "user_activity", nil, []seen{
			{ready: 2000, mean: 0.001, age: time.Second, state: ok},
			{ready: 2000, mean: 0.001, age: time.Second, state: critical, line: "user_activity: messages 2000 (above 1000)"}}},
		{"no success yet, just started", management, "user_activity", nil, []seen{{ready: 20, mean: -1, age: time.Second, state: ok}}},
		{"no success yet, and deep", management, "user_activity", nil, []seen{
			{ready: 2000, mean: -1, age: time.Second, state: critical, line: "user_activity: messages 2000 (above 1000)"}}},
		{"a worker that crashes again and again", management, "user_activity", nil, []seen{
			{ready: 20, mean: -1, age: time.Second, state: ok},
			{ready: 21, mean: -1, age: 2 * time.Second, state: ok},
			{ready: 22, mean: -1, age: 3 * time.Second, state: critical, find: "crash_loop",
				line: "user_activity: 22 messages, and the worker has renewed its statistics 3 times without one success"},
			{ready: 0, left: 22, mean: 0.1, age: time.Second, idle: true, state: ok}}},
		{"deployments of a quiet queue, and then a message", management, "digest_emails", nil, []seen{
			{mean: -1, age: time.Second, idle: true, state: ok}, {mean: -1, age: time.Second, idle: true, state: ok},
			{mean: -1, age: time.Second, idle: true, state: ok}, {mean: -1, age: time.Second, idle: true, state: ok},
			{ready: 800, held: 100, mean: -1, age: time.Second, state: ok, line: "1 queue, 900 messages"}}},
		{"a first message that takes long", management, "deferred_work", nil,
			repeat(9, seen{held: 2, mean: -1, state: ok}, func(i int, s *seen) { s.age = time.Duration(i) * time.Minute })},
		{"a slow worker on one message for 4 minutes, with a backlog", management, "deferred_work", nil, []seen{
			{ready: 12, held: 1, mean: 2, age: 4 * time.Minute, state: ok}, {ready: 12, held: 1, mean: 2, age: 5 * time.Minute, state: ok}}},
		{"a worker that fails with every message", management, "user_activity", nil, []seen{
			{ready: 20, left: 100, mean: -1, age: time.Second, state: ok}, {ready: 25, left: 200, mean: -1, age: time.Second, state: ok},
			{ready: 22, left: 300, mean: -1, age: time.Second, state: critical, find: "crash_loop"}}},
		{"a queue without statistics of its own is judged by its depth", management, "notify_tornado_port_9801", nil, []seen{
			{ready: 11, state: warning, line: "notify_tornado_port_9801: messages 11 (above 10)"}}},
		{"stale at the first look, with a backlog", management, "user_activity", nil, []seen{
			{ready: 30, mean: 0.01, age: 10 * time.Minute, state: critical, line: "user_activity: nothing done for 10 min (above 5 min)"},
			{ready: 30, mean: 0.01, age: 11 * time.Minute, state: critical, line: "user_activity: nothing done for 11 min"}}},
		{"idle for long, and a message has just come", management, "user_activity", nil, []seen{
			{ready: 1, mean: 0.01, age: 10 * time.Hour, idle: true, state: ok}}},
		{"idle for long, and a crowd has just come", management, "user_activity", nil, []seen{
			{mean: 0.01, age: 10 * time.Hour, idle: true, state: ok},
			{ready: 30, mean: 0.01, age: 10*time.Hour + time.Minute, idle: true, state: ok, line: "1 queue, 30 messages"},
			{ready: 0, left: 30, mean: 0.01, age: time.Second, idle: true, state: ok}}},
		{"stuck when a crowd comes", management, "user_activity", nil, append(
			repeat(5, seen{ready: 30, mean: 0.01, idle: true, state: ok}, func(i int, s *seen) {
				s.age = time.Duration(600+i) * time.Minute
				if i == 0 {
					s.ready = 0
				}
			}),
			seen{ready: 30, mean: 0.01, age: 605 * time.Minute, state: warning, line: "user_activity: nothing done for 4 min (above 3 min)"})},
		{"idle for long", management, "user_activity", nil, []seen{
			{mean: 0.01, age: 100 * time.Hour, idle: true, state: ok}, {mean: 0.01, age: 100 * time.Hour, idle: true, state: ok}}},
		{"the file of a worker that is no more", management, "user_activity", nil, []seen{
			{ready: 3, gone: true, mean: 0.01, age: 100 * time.Hour, state: critical, line: "user_activity: 3 messages and no consumer"}}},
		{"statistics of the future", management, "user_activity", nil, []seen{
			{ready: 2000, mean: 0.001, age: -time.Hour, state: critical, line: "user_activity: messages 2000"}}},

		// Redelivery and growth.
		{"a worker that returns what it gets", management, "orders", nil, []seen{
			{ready: 5, left: 10, state: ok},
			{ready: 5, left: 10, redelivered: 4000, state: warning, find: "redelivery_loop",
				line: "orders: 5 messages given out again 4000 times since a previous look"}}},
		{"the same at the first look", management, "orders", nil, []seen{
			{ready: 0, held: 1, rate: 950, state: warning, line: "orders: 1 message given out again 950 times a second"}}},
		{"a worker that was started anew", management, "orders", nil, []seen{
			{ready: 0, held: 100, left: 10, state: ok}, {ready: 0, held: 100, left: 30, redelivered: 100, rate: 20, state: ok}}},
		{"a queue that grows", management, "orders", nil,
			append(repeat(10, seen{state: ok}, func(i int, s *seen) { s.ready, s.left = 10+6*float64(i), 1000*float64(i) }),
				seen{ready: 72, left: 10000, state: warning, find: "growing", line: "orders: grew at each of the last 10 looks, from 10 to 72 messages in 10 min"},
				seen{ready: 60, left: 12000, state: ok})},
		{"a queue that breathes", management, "orders", nil,
			repeat(30, seen{state: ok}, func(i int, s *seen) { s.ready, s.left = 40+20*float64(i%5), 1000*float64(i) })},
		{"dead letters may grow", management, "orders.dead", []string{"--allow-unconsumed", "*.dead"},
			repeat(15, seen{gone: true, state: ok}, func(i int, s *seen) { s.ready = 5 * float64(i) })},

		// AMQP: ready messages only.
		{"AMQP: nothing ready proves nothing", byAMQP, "user_activity", nil, []seen{
			{state: unknown, find: "held_unknown", line: "not known whether the consumers of 1 queue hold messages and work: user_activity"}}},
		{"AMQP: nobody consumes, nothing waits", byAMQP, "user_activity", nil, []seen{{gone: true, state: ok, line: "1 queue, no message ready"}}},
		{"AMQP: nobody consumes", byAMQP, "user_activity", nil, []seen{{ready: 3, gone: true, state: critical, line: "user_activity: 3 messages and no consumer"}}},
		{"AMQP: deep", byAMQP, "orders", nil, []seen{{ready: 1001, state: critical, line: "orders: ready 1001 (above 1000), 1001 ready, 1 consumer"}}},
		{"AMQP: the worker says that it holds nothing", byAMQP, "user_activity", nil, []seen{
			{mean: 0.1, age: time.Minute, idle: true, state: ok, line: "1 queue, no message ready"}}},
		{"AMQP: the worker said so hours ago, and may hang", byAMQP, "user_activity", nil, []seen{
			{mean: 0.1, age: 3 * time.Hour, idle: true, state: unknown, find: "held_unknown"}}},
		{"AMQP: of several workers one speaks", byAMQP, "user_activity", nil, []seen{
			{mean: 0.1, age: time.Second, idle: true, consumers: 2, state: unknown, find: "held_unknown"}}},
		{"AMQP: the worker works", byAMQP, "user_activity", nil, []seen{
			{ready: 200, mean: 0.1, age: time.Second, state: ok, line: "1 queue, 200 messages ready"},
			{ready: 400, mean: 0.1, age: time.Second, state: warning, line: "user_activity: drain time 40 s (above 30 s), 400 ready, 1 consumer"}}},
		{"AMQP: idle for long, and a crowd has just come", byAMQP, "user_activity", nil, []seen{
			{mean: 0.01, age: 10 * time.Hour, idle: true, state: unknown, find: "held_unknown"},
			{ready: 30, mean: 0.01, age: 10*time.Hour + time.Minute, idle: true, state: unknown, find: "held_unknown"},
			{mean: 0.01, age: time.Second, idle: true, state: ok}}},
		{"AMQP: stuck since it took what has come", byAMQP, "user_activity", nil, []seen{
			{mean: 0.01, age: time.Minute, idle: true, state: ok},
			{after: 5 * time.Minute, mean: 0.01, age: 4 * time.Minute, state: warning, line: "user_activity: nothing done for 4 min (above 3 min), 0 ready"}}},
		{"AMQP: the worker holds something and does nothing", byAMQP, "user_activity", nil, []seen{
			{mean: 0.1, age: 4 * time.Minute, state: warning, line: "user_activity: nothing done for 4 min (above 3 min), 0 ready, 1 consumer"},
			{mean: 0.1, age: 5 * time.Minute, state: warning},
			{mean: 0.1, age: 6 * time.Minute, state: critical, line: "user_activity: nothing done for 6 min"},
			{mean: 0.1, age: time.Second, state: ok}}},

		// rabbitmqctl: depths are whole, nothing counts what leaves.
		{"list: a deep queue that is nearly gone", byList, "orders", nil, []seen{
			{ready: 5000, state: critical}, {ready: 1500, state: ok, line: "1 queue, 1500 messages"}, {state: ok}}},
		{"list: a deep queue that shrinks a little may have a fast worker or not", byList, "orders", nil, []seen{
			{ready: 5000, state: critical}, {ready: 4990, state: critical, line: "orders: messages 4990 (above 1000)"}}},
		{"list: a worker that stands still cannot be told from one that keeps up", byList, "orders", nil,
			repeat(40, seen{ready: 30, state: ok}, func(int, *seen) {})},
	} {
		t.Run(c.name, func(t *testing.T) { tell(t, c.src, c.queue, c.looks, c.args...) })
	}
}

// What does not fit is judged by its depth, and the deepest fit.
func TestMemoryIsBounded(t *testing.T) {
	v := view{vhost: "/", live: true, selection: &rabbitmq.Selection{}}
	long := strings.Repeat("\u2028", 80)
	for i := range 20_000 {
		v.queues = append(v.queues, classic(fmt.Sprintf("%s%05d", long, i), float64(i+1), 0, 1))
	}
	memory, now := &shelf{}, time.Unix(1795220000, 0)
	look := check.Look{Definition: Definition, Check: lookAt{&v}, Memory: memory, Now: func() time.Time { return now }}
	r := look.Run(context.Background())
	if len(memory.data) == 0 || len(memory.data) > check.MaxMemory || !strings.Contains(string(memory.data), "20000") && !strings.Contains(string(memory.data), "19999") {
		t.Errorf("%d bytes of memory; want at most %d, with the deepest queue in it", len(memory.data), check.MaxMemory)
	}
	for _, row := range r.Rows {
		if row.Reason == check.Internal {
			t.Errorf("internal fault: %s", row.Text)
		}
	}
}
