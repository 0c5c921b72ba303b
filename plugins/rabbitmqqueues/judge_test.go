package rabbitmqqueues

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

var known1 = rabbitmq.Known

// lookAt is a check that has already seen.
type lookAt struct{ view *view }

func (l lookAt) Prepare() (check.Setup, error) {
	limits, err := profileLimits(profileZulip, l.view.source == byAMQP)
	return check.Setup{Limits: limits}, err
}
func (l lookAt) Run(_ context.Context, r *check.Report) error {
	l.view.doubt()
	l.view.judge(r)
	return nil
}
func (l lookAt) Close() error { return nil }

func judgeView(t *testing.T, args []string, limits []check.Limit, v view) *check.Result {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	c := newCheck(fs).(*queuesCheck)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	v.vhost, v.selection, v.unwatched = "/", c.selection, c.unwatched
	look := check.Look{Definition: Definition, Check: lookAt{&v}, Limits: limits, Now: func() time.Time { return time.Unix(1795220000, 0) }}
	return look.Run(context.Background())
}

// An allowed empty vhost satisfies a limit on its queues; a name that is not
// there does not.
func TestLimitOnAnAllowedEmptyVhost(t *testing.T) {
	limits, err := check.ParseLimits(Definition, check.Warning, []string{"50"})
	if err != nil {
		t.Fatal(err)
	}
	if r := judgeView(t, []string{"--allow-empty"}, limits, view{live: true}); r.State != check.OK {
		t.Errorf("no queue: %s %+v; want OK", r.State, r.Rows)
	}
	if limits, err = check.ParseLimits(Definition, check.Warning, []string{"messages{queue=typo}=50"}); err != nil {
		t.Fatal(err)
	}
	r := judgeView(t, []string{"--allow-empty"}, limits, view{live: true, queues: []rabbitmq.Queue{classic("a", 0, 0, 1)}})
	if r.State != check.Unknown || r.Found("unmatched_limit") != 1 {
		t.Errorf("a limit for no queue: %s %+v; want UNKNOWN, unmatched_limit", r.State, r.Rows)
	}
}

func line(r *check.Result) string {
	if r.State == check.OK {
		return r.Summary
	}
	return r.Rows[0].Text
}

func classic(name string, ready, held, consumers float64) rabbitmq.Queue {
	return rabbitmq.Queue{Name: name, Type: "classic", State: "running", Durable: true, Live: true,
		Messages: known1(ready + held), Ready: known1(ready), Unacknowledged: known1(held), Consumers: known1(consumers)}
}

func with(q rabbitmq.Queue, change func(*rabbitmq.Queue)) rabbitmq.Queue {
	change(&q)
	return q
}

func noStats(q *rabbitmq.Queue) { q.Consumers = rabbitmq.Number{} }
func silentQueue(q *rabbitmq.Queue) {
	q.Live, q.Messages, q.Ready, q.Unacknowledged = false, rabbitmq.Number{}, rabbitmq.Number{}, rabbitmq.Number{}
}
func quorum(q *rabbitmq.Queue)    { q.Type = "quorum" }
func exclusive(q *rabbitmq.Queue) { q.Exclusive = true }
func stream(q *rabbitmq.Queue)    { q.Type = "stream"; q.Live = false }

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		view   view
		state  check.State
		line   string // how line 1 begins
		finds  string // key of a finding that must be there
		absent string // key of one that must not
	}{
		{"healthy", nil, view{live: true, queues: []rabbitmq.Queue{classic("email_senders", 30, 10, 1), classic("user_activity", 21, 0, 1)}},
			check.OK, "2 queues, 61 messages, deepest email_senders 40", "", ""},
		{"nothing waits", nil, view{live: true, queues: []rabbitmq.Queue{classic("a", 0, 0, 0)}}, check.OK, "1 queue, no message", "", "without_consumer"},
		{"a worker holds what is in the queue", nil, view{live: true, queues: []rabbitmq.Queue{classic("a", 0, 150, 1)}},
			check.Warning, "a: messages 150 (above 100), 0 ready and 150 unacknowledged, 1 consumer", "", ""},
		{"deep", nil, view{live: true, queues: []rabbitmq.Queue{classic("a", 1200, 100, 2)}},
			check.Critical, "a: messages 1300 (above 1000), 1200 ready and 100 unacknowledged, 2 consumers", "", ""},
		{"Zulip's slow queue may be deep", nil, view{live: true, queues: []rabbitmq.Queue{classic("deferred_email_senders", 9000, 0, 1)}},
			check.OK, "1 queue, 9000 messages, deepest deferred_email_senders 9000", "", ""},
		{"Zulip's fast queue may not", nil, view{live: true, queues: []rabbitmq.Queue{classic("notify_tornado_port_9801", 60, 0, 1)}},
			check.Critical, "notify_tornado_port_9801: messages 60 (above 50)", "", ""},
		{"no consumer", nil, view{live: true, queues: []rabbitmq.Queue{classic("a", 3, 0, 0)}},
			check.Critical, "a: 3 messages and no consumer", "without_consumer", ""},
		{"a new worker, unknown to the statistics", nil, view{live: true, queues: []rabbitmq.Queue{classic("a", 29, 10, 0), with(classic("b", 29, 10, 0), noStats)}},
			check.OK, "2 queues, 78 messages", "", "without_consumer"},
		{"down, then deepest, is said first", nil, view{live: true, queues: []rabbitmq.Queue{
			classic("a", 3, 0, 0), classic("b", 500, 0, 0), with(classic("c", 0, 0, 0), func(q *rabbitmq.Queue) { q.State = "down" })}},
			check.Critical, "c is down", "without_consumer", ""},
		{"the deepest is said first", nil, view{live: true, queues: []rabbitmq.Queue{classic("a", 3, 0, 0), classic("b", 50, 0, 0)}},
			check.Critical, "b: 50 messages and no consumer", "without_consumer", ""},
		{"a glob of several that matches nothing", []string{"--queue", "a", "--queue", "orders.*"}, view{live: true, queues: []rabbitmq.Queue{classic("a", 0, 0, 1)}},
			check.Unknown, "no queue of vhost / matches --queue orders.*", "no_queue", ""},
		{"a glob of several that may match nothing", []string{"--queue", "a", "--queue", "orders.*", "--allow-empty"}, view{live: true, queues: []rabbitmq.Queue{classic("a", 0, 0, 1)}},
			check.OK, "1 queue, no message", "", "no_queue"},
		{"no consumer meant", []string{"--allow-unconsumed", "*.dead"}, view{live: true, queues: []rabbitmq.Queue{classic("mail.dead", 3, 0, 0)}},
			check.OK, "1 queue, 3 messages, deepest mail.dead 3", "", ""},
		{"an exclusive queue has its connection", nil, view{live: true, queues: []rabbitmq.Queue{with(classic("reply", 3, 0, 0), exclusive)}},
			check.OK, "1 queue, 3 messages", "", ""},
		{"a stream is no backlog", nil, view{live: true, queues: []rabbitmq.Queue{with(classic("log", 5e6, 0, 0), stream)}},
			check.OK, "1 queue, no message", "", ""},

		{"a quorum queue that has told nothing yet", nil, view{live: true, queues: []rabbitmq.Queue{with(with(classic("a", 0, 0, 0), noStats), quorum)}},
			check.Unknown, "depth and consumers of 1 queue not known: a; the broker has collected no statistics yet", "no_statistics", ""},
		{"a quorum queue that has told nothing yet is no reason to say that nothing waits", []string{}, view{live: true, queues: []rabbitmq.Queue{
			with(with(classic("a", 0, 0, 0), noStats), quorum), classic("b", 2000, 0, 1)}}, check.Critical, "b: messages 2000 (above 1000)", "no_statistics", ""},
		{"a quorum queue without statistics ever", nil, view{live: true, statisticsOff: true, queues: []rabbitmq.Queue{with(with(classic("a", 0, 0, 0), noStats), quorum)}},
			check.OK, "1 queue, no message", "", "no_statistics"},
		{"an empty quorum queue", nil, view{live: true, queues: []rabbitmq.Queue{with(classic("a", 0, 0, 0), quorum)}}, check.OK, "1 queue, no message", "", ""},
		{"no statistics, nothing waits", nil, view{live: true, queues: []rabbitmq.Queue{with(classic("a", 0, 0, 0), noStats)}},
			check.OK, "1 queue, no message", "", "no_statistics"},
		{"no statistics, messages wait", nil, view{live: true, queues: []rabbitmq.Queue{with(classic("a", 3, 0, 0), noStats)}},
			check.Unknown, "consumers of 1 queue with messages not known: a; the broker has collected no statistics yet", "no_statistics", "without_consumer"},
		{"no statistics ever", nil, view{live: true, statisticsOff: true, queues: []rabbitmq.Queue{with(classic("a", 3, 0, 0), noStats)}},
			check.Unknown, "consumers of 1 queue with messages not known: a; the broker is told to collect no statistics", "no_statistics", ""},
		{"one without data does not lower another's CRITICAL", nil, view{live: true, queues: []rabbitmq.Queue{
			with(classic("a", 3, 0, 0), noStats), with(classic("b", 0, 0, 0), noStats), classic("c", 2000, 0, 1)}},
			check.Critical, "c: messages 2000 (above 1000)", "no_statistics", ""},

		{"a queue that hangs", nil, view{live: true, queues: []rabbitmq.Queue{classic("a", 0, 0, 1), with(classic("b", 0, 0, 1), silentQueue)}},
			check.Critical, "1 queue did not say how many messages: b; rabbitmqctl list_unresponsive_queues -p / names those that hang", "no_live_totals", ""},
		{"totals failed, said already", nil, view{totalsFailed: true, queues: []rabbitmq.Queue{with(classic("a", 0, 0, 1), func(q *rabbitmq.Queue) { q.Live = false })}},
			check.OK, "1 queue", "", "no_live_totals"},
		{"an old version", nil, view{queues: []rabbitmq.Queue{with(classic("a", 200, 0, 1), func(q *rabbitmq.Queue) { q.Live = false })}},
			check.Warning, "a: messages 200 (above 100), 200 ready and 0 unacknowledged, 1 consumer, as of some seconds ago", "", "no_live_totals"},
		{"an old version just started", nil, view{queues: []rabbitmq.Queue{with(with(classic("a", 200, 0, 1), silentQueue), noStats)}},
			check.Unknown, "depth and consumers of 1 queue not known: a", "no_statistics", ""},

		{"down", nil, view{live: true, queues: []rabbitmq.Queue{with(classic("a", 5000, 0, 0), func(q *rabbitmq.Queue) { q.State = "stopped"; q.Live = false }), classic("b", 2, 0, 1)}},
			check.Critical, "a is stopped: nobody can publish to it or consume from it", "queue_down", "without_consumer"},

		{"no queue", nil, view{live: true}, check.Unknown, "vhost / has no queue", "no_queue", ""},
		{"no queue allowed", []string{"--allow-empty"}, view{live: true}, check.OK, "0 queues, no message", "", "no_queue"},
		{"none selected", []string{"--queue", "x*"}, view{live: true, queues: []rabbitmq.Queue{classic("a", 0, 0, 1)}},
			check.Unknown, "none of the 1 queue of vhost / is asked for", "no_queue", ""},
		{"named and missing", []string{"--queue", "x", "--allow-empty"}, view{live: true, queues: []rabbitmq.Queue{classic("a", 0, 0, 1)}},
			check.Critical, "queue x does not exist in vhost /", "missing_queue", "no_queue"},
		{"left out", []string{"--exclude", "a"}, view{live: true, queues: []rabbitmq.Queue{classic("a", 5000, 0, 0), classic("b", 0, 0, 1)}},
			check.OK, "1 queue, no message", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := judgeView(t, c.args, nil, c.view)
			if r.State != c.state || !strings.HasPrefix(line(r), c.line) {
				t.Errorf("%s: %s; want %s: %s", r.State, line(r), c.state, c.line)
			}
			if c.finds != "" && r.Found(c.finds) == 0 {
				t.Errorf("no finding %s in %+v", c.finds, r.Rows)
			}
			if c.absent != "" && r.Found(c.absent) > 0 {
				t.Errorf("finding %s in %+v", c.absent, r.Rows)
			}
			for _, row := range r.Rows {
				if row.Reason == check.Internal {
					t.Errorf("internal fault: %s", row.Text)
				}
			}
		})
	}
}

// What is not known is not reported, and a sum with it neither.
func TestValues(t *testing.T) {
	queue := classic("a", 3, 2, 1)
	queue.PublishRate, queue.Head = known1(0.2), time.Unix(1795219000, 0)
	down := with(classic("down", 50, 0, 0), func(q *rabbitmq.Queue) { q.State = "down" })
	for _, c := range []struct {
		name string
		view view
		want string // key and labels, sorted by observation
	}{
		{"all known", view{live: true, queues: []rabbitmq.Queue{queue}},
			"queues=1 messages a=5 ready a=3 unacknowledged a=2 consumers a=1 publish_rate a=0.2 head_message a=1795219000 total_messages=5 total_ready=3 total_unacknowledged=2"},
		{"empty queue: its head is now", view{live: true, queues: []rabbitmq.Queue{classic("a", 0, 0, 1)}},
			"queues=1 messages a=0 ready a=0 unacknowledged a=0 consumers a=1 head_message a=1795220000 drain_time a=0 stalled a=0 total_messages=0 total_ready=0 total_unacknowledged=0"},
		{"head from the future", view{live: true, queues: []rabbitmq.Queue{with(classic("a", 1, 0, 1), func(q *rabbitmq.Queue) { q.Head = time.Unix(1795229000, 0) })}},
			"queues=1 messages a=1 ready a=1 unacknowledged a=0 consumers a=1 total_messages=1 total_ready=1 total_unacknowledged=0"},
		{"no statistics", view{live: true, queues: []rabbitmq.Queue{with(classic("a", 0, 0, 1), noStats)}},
			"queues=1 messages a=0 ready a=0 unacknowledged a=0 head_message a=1795220000 drain_time a=0 stalled a=0 total_messages=0 total_ready=0 total_unacknowledged=0"},
		{"a queue is down", view{live: true, queues: []rabbitmq.Queue{classic("a", 0, 0, 1), down}},
			"queues=2 messages a=0 ready a=0 unacknowledged a=0 consumers a=1 head_message a=1795220000 drain_time a=0 stalled a=0"},
		{"a stream", view{live: true, queues: []rabbitmq.Queue{with(classic("log", 7, 0, 2), stream)}},
			"queues=1 unacknowledged log=0 consumers log=2 total_messages=0 total_ready=0 total_unacknowledged=0"},
		{"totals failed", view{totalsFailed: true, queues: []rabbitmq.Queue{classic("a", 0, 0, 1)}},
			"queues=1 messages a=0 ready a=0 unacknowledged a=0 consumers a=1 head_message a=1795220000"},
	} {
		r := judgeView(t, nil, nil, c.view)
		var got []string
		for _, v := range r.Values {
			got = append(got, strings.Join(append([]string{v.Metric.Key}, v.Labels...), " ")+"="+check.None.Format(v.Number))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, strings.Join(got, " "), c.want)
		}
	}
}

func TestOperatorsLimitsBeatTheProfile(t *testing.T) {
	limits, err := check.ParseLimits(Definition, check.Warning, []string{"messages=20,messages{queue=email_*}=30"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		queue string
		depth float64
		state check.State
	}{
		{"digest_emails", 21, check.Warning}, {"digest_emails", 20, check.OK},
		{"email_senders", 30, check.OK}, {"email_senders", 31, check.Warning}, {"email_senders", 5001, check.Critical},
	} {
		all := []rabbitmq.Queue{classic("email_x", 0, 0, 1), classic("other", 0, 0, 1), classic(c.queue, c.depth, 0, 1)}
		if r := judgeView(t, nil, limits, view{live: true, queues: all}); r.State != c.state {
			t.Errorf("%s with %g messages: %s; want %s", c.queue, c.depth, r.State, c.state)
		}
	}
}

// The profile's limits stand in the order from low to high, and none is
// looser for CRITICAL than for WARNING.
func TestProfile(t *testing.T) {
	for _, l := range zulipLimits() {
		for unit, p := range map[check.Unit][]pair{check.None: {l.depth}, check.Seconds: {l.drain, l.stalled}} {
			for _, p := range p {
				if unit == check.None && p == (pair{}) {
					continue
				}
				w, err := check.ParseRange(p.warning, unit)
				if err != nil {
					t.Error(err)
				}
				c, err := check.ParseRange(p.critical, unit)
				if err != nil || c.End <= w.End {
					t.Errorf("queue %s: warning %s, critical %s, %v; want critical above warning", l.queue, p.warning, p.critical, err)
				}
			}
		}
	}
	if limits, err := profileLimits(profileNone, false); err != nil || len(limits) != 0 {
		t.Errorf("profile none: %v, %v; want no limits", limits, err)
	}
	if limits, err := profileLimits(profileNone, true); err != nil || len(limits) != 2 || limits[0].Metric != ready {
		t.Errorf("profile none by AMQP: %v, %v; want those on ready messages", limits, err)
	}
	if _, err := profileLimits("zulpi", false); err == nil {
		t.Error("profile zulpi is accepted")
	}
}

func TestDefinition(t *testing.T) {
	if err := Definition.Validate(); err != nil {
		t.Error(err)
	}
}
