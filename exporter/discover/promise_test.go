package discover

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
	"github.com/belfry-monitoring/belfry/plugins"
)

func workersOf(expect string) Check {
	return Check{Check: "worker_memory", Target: "zulip", Options: map[string]any{"expect": expect}}
}

// An exporter that is started in the middle of a machine's start sees a few of
// what there will be: the others must be expected, too, as soon as they run.
// What ends later lowers nothing, and what is refused later is not forgotten.
func TestPromiseGrows(t *testing.T) {
	now := Thing{}
	asked := 0
	f := finder(t, made("zulip", func() []candidate {
		return []candidate{{"queue workers", func(context.Context, *asker) (Thing, bool) { asked++; return now, true }}}
	}))
	f.Catalog = plugins.Catalog()
	var d *Discovery
	look := func(thing Thing, want string) {
		t.Helper()
		now = thing
		d = f.Find(t.Context(), d)
		if len(d.Things) != 1 || d.Things[0].Outcome != Watched || fmt.Sprint(d.Checks()) != fmt.Sprint([]Check{workersOf(want)}) {
			t.Errorf("found %+v; want workers that are watched and expected to be %s", d.Things, want)
		}
	}
	running := func(expect string) Thing {
		return Thing{Outcome: Watched, growing: true, Checks: []Check{workersOf(expect)}}
	}
	look(running("2:"), "2:")
	look(Thing{Outcome: Stopped}, "2:")
	look(running("15:"), "15:")
	look(Thing{Outcome: Unreadable}, "15:")
	look(running("3:"), "15:")
	before := asked
	look(running("20:"), "15:") // it has been whole for a while, and is not asked any more
	if asked != before {
		t.Errorf("asked %d times; want %d", asked, before)
	}
}

func TestKeeping(t *testing.T) {
	queues := func(more ...string) Check {
		c := Check{Check: "rabbitmq_queues", Target: "b", Options: map[string]any{"host": "h"}}
		for i := 0; i < len(more); i += 2 {
			c.Options[more[i]] = more[i+1]
		}
		return c
	}
	postgres := func(severity, standbys string) Check {
		c := Check{Check: "postgres_replication_lag", Options: map[string]any{"user": "u"}}
		if severity != "" {
			c.Severity = map[string]string{severity: "ok"}
		}
		if standbys != "" {
			c.Options["standbys"] = standbys
		}
		return c
	}
	amqp := func(names ...string) Check {
		return Check{Check: "rabbitmq_queues", Options: map[string]any{"queue": names}, Severity: map[string]string{"held_unknown": "ok"}}
	}
	for _, c := range []struct {
		name                string
		before, found, want Check
	}{
		{"a standby that is gone", postgres("", "2"), postgres("no_standby", ""), postgres("", "2")},
		{"one of two standbys", postgres("", "2"), postgres("", "1"), postgres("", "2")},
		{"the first standby", postgres("no_standby", ""), postgres("", "1"), postgres("", "1")},
		{"still no standby", postgres("no_standby", ""), postgres("no_standby", ""), postgres("no_standby", "")},
		{"workers that have ended", workersOf("15:"), workersOf("9:"), workersOf("15:")},
		{"more workers", workersOf("9:"), workersOf("15:"), workersOf("15:")},
		{"a queue whose worker has ended", amqp("a", "c"), amqp("b"), amqp("a", "b", "c")},
		{"Zulip's workers have ended", queues(), queues("profile", "none"), queues()},
		{"Zulip's workers run", queues("profile", "none"), queues(), queues()},
		{"another login", queues("user", "a"), queues("user", "b"), queues("user", "b")},
		{"all queues are gone", queues("profile", "none"), queues("profile", "none", allowEmpty, "true"), queues("profile", "none")},
		{"the first queue", queues("profile", "none", allowEmpty, "true"), queues("profile", "none"), queues("profile", "none")},
	} {
		found := fmt.Sprint(c.found)
		if got := c.found.keeping(c.before); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v.keeping(%+v) = %+v; want %+v", c.name, c.found, c.before, got, c.want)
		}
		if got := fmt.Sprint(c.found); got != found {
			t.Errorf("%s: what was found is %s afterwards; want %s", c.name, got, found)
		}
	}
	both := keeping([]Check{workersOf("9:"), queues()}, []Check{workersOf("1:")})
	if want := []Check{workersOf("9:"), queues()}; !reflect.DeepEqual(both, want) {
		t.Errorf("keeping = %+v; want %+v", both, want)
	}
}

// What was watched before a restart stays so, however little of it can be seen
// at the start.
func TestRecallOfLess(t *testing.T) {
	old := &Discovery{Things: []Thing{{Product: "zulip", key: "queue workers", Name: "queue workers", Outcome: Watched, Checks: []Check{workersOf("15:")}}}}
	memory, err := old.Memory()
	if err != nil {
		t.Fatal(err)
	}
	for _, now := range []Thing{
		{Outcome: Watched, Text: "1 worker.", growing: true, Checks: []Check{workersOf("1:")}},
		{Outcome: Unreadable, Text: "refused."}, {Outcome: Stopped}, {Outcome: Failed},
	} {
		now.Name = "queue workers"
		f := finder(t, made("zulip", func() []candidate { return []candidate{certain("queue workers", now)} }))
		f.Catalog = plugins.Catalog()
		d := f.Find(t.Context(), nil)
		if err := d.Recall(memory, plugins.Catalog()); err != nil {
			t.Fatal(err)
		}
		for _, when := range []string{"at the start", "a minute later", "two minutes later"} {
			if len(d.Things) != 1 || d.Things[0].Outcome != Watched || !reflect.DeepEqual(d.Checks(), old.Checks()) {
				t.Errorf("%s, found %s before: %+v; want what was watched before the restart", when, now.Outcome, d.Things)
			}
			d = f.Find(t.Context(), d)
		}
		again, err := d.Memory()
		if err != nil || string(again) != string(memory) {
			t.Errorf("found %s: the memory is %s, %v; want %s", now.Outcome, again, err, memory)
		}
	}
}

// A vhost without a queue is fine until it has one.
func TestEmptyVhost(t *testing.T) {
	b := broker{management: endpoint{host: "127.0.0.1", port: managementPort}}
	f := &Finder{RabbitMQUser: "monitor", RabbitMQPasswordFile: "/p"}
	judge := func(rows ...check.Row) Thing {
		return b.judgeVhosts(Thing{}, "monitor", []string{"/"}, [][]Check{{b.queues(f, "/")}}, []trial{{result: &check.Result{Rows: rows}}})
	}
	empty := judge(check.Row{State: check.Unknown, Kind: check.RowFinding, Key: rabbitmq.NoQueue.Key})
	if empty.Outcome != Watched || empty.Checks[0].Options[allowEmpty] != "true" || !empty.unsettled() {
		t.Errorf("a vhost without a queue = %+v; want it watched with %s, and asked again", empty, allowEmpty)
	}
	used := judge().after(empty)
	if used.Checks[0].Options[allowEmpty] != nil || used.unsettled() {
		t.Errorf("a vhost that has a queue now = %+v; want it without %s, and settled", used, allowEmpty)
	}
}

// A broker that is found before Zulip's workers run is asked again until they
// do, so that their queues are watched as Zulip's.
func TestBrokerAwaitsZulip(t *testing.T) {
	m := machine(files{zulipConf: "[machine]\npuppet_classes = zulip::profile::standalone\n"}, nil)
	b := rabbitBroker(m, nil, nil)
	if thing := b.unread(m.User, true, nil); !b.awaits || !thing.unsettled() {
		t.Errorf("a broker beside a Zulip that does not run = %+v; want it asked again", thing)
	}
	if b := rabbitBroker(machine(nil, nil), nil, nil); b.awaits || b.unread(m.User, true, nil).unsettled() {
		t.Errorf("a broker without Zulip awaits it: %t; want false", b.awaits)
	}
}

// A reload at whose look something hangs forgets nothing of that.
func TestRetain(t *testing.T) {
	last := &Discovery{Things: []Thing{
		{Product: "postgresql", key: "a", Outcome: Watched}, {Product: "rabbitmq", key: "b", Outcome: Watched}, {Product: "zulip", key: "c", Outcome: Stopped},
	}}
	for _, c := range []struct {
		name string
		now  Discovery
		want string
	}{
		{"all is gone", Discovery{}, ""},
		{"nothing can be seen", Discovery{blind: true}, "postgresql a watched, rabbitmq b watched"},
		{"a server was not examined in time", Discovery{Things: []Thing{{Product: "postgresql", key: "a", Outcome: Failed}}}, "postgresql a watched"},
		{"another server was not", Discovery{Things: []Thing{{Product: "postgresql", key: "x", Outcome: Failed}}}, "postgresql x failed"},
		{"a product was not looked for", Discovery{Things: []Thing{{Product: "rabbitmq", Outcome: Failed}}}, "rabbitmq  failed, rabbitmq b watched"},
		{"it cannot be read any more", Discovery{Things: []Thing{{Product: "postgresql", key: "a", Outcome: Unreadable}}}, "postgresql a unreadable"},
	} {
		c.now.Retain(last)
		if got := outcomes(&c.now); got != c.want {
			t.Errorf("%s: Retain leaves %q; want %q", c.name, got, c.want)
		}
	}
}

// The printed configuration is found by the same user with the same login: as
// another one, servers would be missing in it.
func TestCommand(t *testing.T) {
	prefix, suffix := "", " > /etc/belfry/exporter.yml"
	if a := self(); a.UID != 0 {
		prefix, suffix = "sudo -H -u "+shellQuote(a.Name)+" ", " | sudo tee /etc/belfry/exporter.yml"
	}
	for _, c := range []struct {
		finder Finder
		want   string
	}{
		{Finder{Root: "/"}, "belfry_exporter --discover"},
		{Finder{Root: "/host"}, "belfry_exporter --discover --discover.root=/host"},
		{Finder{RabbitMQUser: "mon itor", RabbitMQPasswordFile: "/etc/belfry/pw"}, "belfry_exporter --discover --discover.rabbitmq-user='mon itor' --discover.rabbitmq-password-file=/etc/belfry/pw"},
	} {
		if got, want := c.finder.Command("/etc/belfry/exporter.yml"), prefix+c.want+suffix; got != want {
			t.Errorf("%+v.Command = %s; want %s", c.finder, got, want)
		}
	}
}
