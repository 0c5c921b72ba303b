package rabbitmqconsumers

import (
	"context"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
)

// lookAt is a check that has already seen.
type lookAt struct{ view *view }

func (l lookAt) Prepare() (check.Setup, error) {
	return check.Setup{Limits: limits(l.view.expected)}, nil
}
func (l lookAt) Run(_ context.Context, r *check.Report) error { l.view.judge(r); return nil }
func (l lookAt) Close() error                                 { return nil }

func judgeView(t *testing.T, args []string, v view) *check.Result {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	c := newCheck(fs).(*consumersCheck)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	expected, err := parseExpectations(c.expect)
	if err != nil {
		t.Fatal(err)
	}
	v.vhost, v.selection, v.expected = "/", c.selection, expected
	look := check.Look{Definition: Definition, Check: lookAt{&v}}
	return look.Run(context.Background())
}

func queue(name string, consumers float64) rabbitmq.Queue {
	return rabbitmq.Queue{Name: name, Type: "classic", State: "running", Durable: true, Consumers: rabbitmq.Known(consumers)}
}

func with(q rabbitmq.Queue, change func(*rabbitmq.Queue)) rabbitmq.Queue {
	change(&q)
	return q
}

func noStats(q *rabbitmq.Queue)   { q.Consumers = rabbitmq.Number{} }
func exclusive(q *rabbitmq.Queue) { q.Exclusive = true }
func stopped(q *rabbitmq.Queue)   { q.State = "stopped" }

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		queues []rabbitmq.Queue
		off    bool
		state  check.State
		line   string
		finds  string
	}{
		{"all there", nil, []rabbitmq.Queue{queue("a", 1), queue("b", 3)}, false, check.OK, "2 queues, 4 consumers", ""},
		{"none", nil, []rabbitmq.Queue{queue("a", 1), queue("b", 0)}, false, check.Critical, "b: consumers 0 (below 1)", ""},
		{"the one with messages first", nil, []rabbitmq.Queue{queue("a", 0), with(queue("b", 0), func(q *rabbitmq.Queue) { q.Messages = rabbitmq.Known(40) })},
			false, check.Critical, "b: consumers 0 (below 1), 40 messages in the queue", ""},
		{"comes and goes", nil, []rabbitmq.Queue{queue("a", 1), with(queue("reply", 0), exclusive)}, false, check.OK, "1 queue, 1 consumer", ""},
		{"a stream needs none", nil, []rabbitmq.Queue{queue("a", 1), with(queue("log", 0), func(q *rabbitmq.Queue) { q.Type = "stream" })},
			false, check.OK, "1 queue, 1 consumer", ""},
		{"comes and goes, and is expected", []string{"--expect", "reply=1"}, []rabbitmq.Queue{with(queue("reply", 0), exclusive)},
			false, check.Critical, "reply: consumers 0 (below 1)", ""},

		{"fewer than expected", []string{"--expect", "a=2"}, []rabbitmq.Queue{queue("a", 1)}, false, check.Critical, "a: consumers 1 (below 2)", ""},
		{"more than expected", []string{"--expect", "a=2"}, []rabbitmq.Queue{queue("a", 3)}, false, check.Warning, "a: consumers 3 (above 2)", ""},
		{"within", []string{"--expect", "a=2:4"}, []rabbitmq.Queue{queue("a", 4)}, false, check.OK, "1 queue, 4 consumers", ""},
		{"beyond", []string{"--expect", "a=2:4"}, []rabbitmq.Queue{queue("a", 5)}, false, check.Warning, "a: consumers 5 (above 4)", ""},
		{"open above", []string{"--expect", "a=2:"}, []rabbitmq.Queue{queue("a", 50)}, false, check.OK, "1 queue, 50 consumers", ""},
		{"the later expectation counts", []string{"--expect", "*=1", "--expect", "a=2:"}, []rabbitmq.Queue{queue("a", 9), queue("b", 1)},
			false, check.OK, "2 queues, 10 consumers", ""},
		{"each shard for itself", []string{"--expect", "shard*=1"}, []rabbitmq.Queue{queue("shard1", 2), queue("shard2", 0)},
			false, check.Critical, "shard2: consumers 0 (below 1)", ""},
		{"none needed", []string{"--expect", "*.dead=0:"}, []rabbitmq.Queue{queue("mail.dead", 0)}, false, check.OK, "1 queue, 0 consumers", ""},
		{"none wanted", []string{"--expect", "*.dead=0"}, []rabbitmq.Queue{queue("mail.dead", 1)}, false, check.Warning, "mail.dead: consumers 1 (above 0)", ""},
		{"expected and missing", []string{"--expect", "b=1"}, []rabbitmq.Queue{queue("a", 1)}, false, check.Critical, "queue b does not exist in vhost /", "missing_queue"},
		{"no shard at all", []string{"--expect", "shard*=1"}, []rabbitmq.Queue{queue("a", 1)}, false, check.Critical, "no queue shard* in vhost /", "missing_queue"},
		{"need not be there", []string{"--expect", "b=0:2"}, []rabbitmq.Queue{queue("a", 1)}, false, check.OK, "1 queue, 1 consumer", ""},
		{"named and missing", []string{"--queue", "b"}, []rabbitmq.Queue{queue("a", 1)}, false, check.Critical, "queue b does not exist in vhost /", "missing_queue"},

		{"a glob of several that matches nothing", []string{"--queue", "a", "--queue", "orders.*"}, []rabbitmq.Queue{queue("a", 1)},
			false, check.Unknown, "no queue of vhost / matches --queue orders.*", "no_queue"},

		{"no statistics", nil, []rabbitmq.Queue{with(queue("a", 0), noStats), queue("b", 1)}, false, check.Unknown,
			"number of consumers not known of 1 queue: a; the broker has collected no statistics", "no_statistics"},
		{"no statistics ever", nil, []rabbitmq.Queue{with(queue("a", 0), noStats)}, true, check.Unknown,
			"number of consumers not known of 1 queue: a; the broker is told to collect no statistics", "no_statistics"},
		{"one without data does not lower another's CRITICAL", nil, []rabbitmq.Queue{with(queue("a", 0), noStats), queue("b", 0)}, false, check.Critical,
			"b: consumers 0 (below 1)", "no_statistics"},
		{"stopped", nil, []rabbitmq.Queue{with(queue("a", 1), stopped), queue("b", 1)}, false, check.Critical, "a is stopped: nobody can consume from it", "queue_down"},
		{"no queue", nil, nil, false, check.Unknown, "vhost / has no queue", "no_queue"},
		{"no queue allowed", []string{"--allow-empty"}, nil, false, check.OK, "0 queues, 0 consumers", ""},
		{"only what comes and goes", nil, []rabbitmq.Queue{with(queue("reply", 1), exclusive)}, false, check.Unknown, "none of the 1 queue of vhost /", "no_queue"},
		{"named, comes and goes", []string{"--queue", "reply"}, []rabbitmq.Queue{with(queue("reply", 0), exclusive)}, false, check.Critical, "reply: consumers 0 (below 1)", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := judgeView(t, c.args, view{queues: c.queues, statisticsOff: c.off})
			line := r.Summary
			if r.State != check.OK {
				line = r.Rows[0].Text
			}
			if r.State != c.state || !strings.HasPrefix(line, c.line) {
				t.Errorf("%s: %s; want %s: %s", r.State, line, c.state, c.line)
			}
			if c.finds != "" && r.Found(c.finds) == 0 {
				t.Errorf("no finding %s in %+v", c.finds, r.Rows)
			}
			for _, row := range r.Rows {
				if row.Reason == check.Internal {
					t.Errorf("internal fault: %s", row.Text)
				}
			}
		})
	}
}

func TestTotalIsOfKnownNumbersOnly(t *testing.T) {
	r := judgeView(t, nil, view{queues: []rabbitmq.Queue{queue("a", 2), with(queue("b", 0), noStats)}})
	for _, v := range r.Values {
		if v.Metric == totalConsumers {
			t.Errorf("total_consumers = %g although one queue's is not known", v.Number)
		}
	}
}

func TestParseExpectation(t *testing.T) {
	for _, c := range []struct {
		text string
		want expectation
		ok   bool
	}{
		{"a=1", expectation{"a", 1, 1}, true},
		{"a=2:4", expectation{"a", 2, 4}, true},
		{"a=2:", expectation{"a", 2, -1}, true},
		{"a=0", expectation{"a", 0, 0}, true},
		{"shard*=1", expectation{"shard*", 1, 1}, true},
		{"x=y=3", expectation{"x=y", 3, 3}, true},
		{"a:b,c=3", expectation{"a:b,c", 3, 3}, true},
		{"", expectation{}, false}, {"a", expectation{}, false}, {"=1", expectation{}, false}, {"a=", expectation{}, false},
		{"a=:4", expectation{}, false}, {"a=-1", expectation{}, false}, {"a=1.5", expectation{}, false}, {"a=4:2", expectation{}, false},
		{"a=1:2:3", expectation{}, false}, {"a=99999999999", expectation{}, false}, {"a=+1", expectation{}, false},
	} {
		got, err := parseExpectation(c.text)
		if (err == nil) != c.ok || err == nil && got != c.want {
			t.Errorf("parseExpectation(%q) = %+v, %v; want %+v, ok %t", c.text, got, err, c.want, c.ok)
		}
	}
}

func FuzzParseExpectation(f *testing.F) {
	for _, s := range []string{"a=1", "shard*=2:4", "a=2:", "x=y=3", "", "=", "a=:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseExpectation(text)
		if err == nil && (e.queue == "" || e.min < 0 || e.max >= 0 && e.max < e.min) {
			t.Errorf("parseExpectation(%q) = %+v", text, e)
		}
	})
}

func TestDefinition(t *testing.T) {
	if err := Definition.Validate(); err != nil {
		t.Error(err)
	}
}
