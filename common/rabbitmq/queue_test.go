package rabbitmq

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func recording(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t *testing.T, name string) (Page, map[string]Queue) {
	t.Helper()
	page, err := ParsePage(recording(t, name))
	if err != nil {
		t.Fatalf("ParsePage(%s): %v", name, err)
	}
	byName := make(map[string]Queue)
	for _, q := range page.Queues {
		byName[q.Name] = q
	}
	return page, byName
}

func TestParsePageCounts(t *testing.T) {
	for _, c := range []struct {
		file                       string
		queues, page, pages, total int
		statistics                 bool
	}{
		{"queues.json", 4, 0, 1, 4, true},
		{"page-statistics.json", 7, 1, 1, 7, true},
		{"page-statistics-stopped.json", 7, 1, 1, 7, true},
		{"page-totals.json", 7, 1, 1, 7, false},
		{"page-totals-stopped.json", 7, 1, 1, 7, false},
		{"list-totals.json", 7, 0, 1, 7, false},
		{"page-fresh.json", 8, 1, 1, 8, true},
		{"page-empty.json", 0, 1, 0, 0, false},
	} {
		p, _ := parse(t, c.file)
		if len(p.Queues) != c.queues || p.Page != c.page || p.Pages != c.pages || p.Total != c.total || p.Statistics != c.statistics {
			t.Errorf("ParsePage(%s) = %d queues, page %d of %d, total %d, statistics %t; want %d, %d, %d, %d, %t", c.file,
				len(p.Queues), p.Page, p.Pages, p.Total, p.Statistics, c.queues, c.page, c.pages, c.total, c.statistics)
		}
	}
}

func TestParsePageQueues(t *testing.T) {
	none := Number{}
	for _, c := range []struct {
		file string
		want Queue
	}{
		{"queues.json", Queue{Name: "email_senders", Type: "classic", State: "running", Durable: true,
			Messages: Known(448), Ready: Known(438), Unacknowledged: Known(10), Consumers: Known(1),
			PublishRate: Known(0), DeliverRate: Known(0), AckRate: Known(0), RedeliverRate: Known(0),
			Left: Known(155), Redelivered: Known(10), Head: time.Unix(1795219944, 0)}},
		// Only what has happened has a rate, but what never happened is
		// counted as nothing; a quorum queue has no head.
		{"queues.json", Queue{Name: "qq", Type: "quorum", State: "running", Durable: true,
			Messages: Known(20), Ready: Known(20), Unacknowledged: Known(0), Consumers: Known(0), PublishRate: Known(0), Left: Known(0), Redelivered: Known(0)}},
		{"queues.json", Queue{Name: "aliveness-test", Type: "classic", State: "running",
			Messages: Known(0), Ready: Known(0), Unacknowledged: Known(0), Consumers: Known(0),
			PublishRate: Known(0), DeliverRate: Known(0), AckRate: Known(0), RedeliverRate: Known(0),
			Left: Known(1), Redelivered: Known(0)}},
		{"page-statistics.json", Queue{Name: "email_senders", Type: "classic", State: "running", Durable: true,
			Messages: Known(3), Ready: Known(3), Unacknowledged: Known(0), Consumers: Known(0), PublishRate: Known(0), Left: Known(0), Redelivered: Known(0),
			Head: time.Unix(1795219943, 0)}},
		// Nothing has happened in it: no rates, and nothing says whether the
		// broker would count it (management.rates_mode = none).
		{"page-statistics.json", Queue{Name: "digest_emails", Type: "classic", State: "running", Durable: true,
			Messages: Known(0), Ready: Known(0), Unacknowledged: Known(0), Consumers: Known(0)}},
		// Declared a moment ago: no statistics, and nothing of it is zero.
		{"page-fresh.json", Queue{Name: "fresh2", Type: "classic", Durable: true,
			Messages: none, Ready: none, Unacknowledged: none, Consumers: none}},
		{"page-totals.json", Queue{Name: "email_senders", Type: "classic", State: "running", Durable: true,
			Messages: Known(3), Ready: Known(3), Unacknowledged: Known(0)}},
		// Streams have no totals, and quorum queues "exclusive": null.
		{"page-totals.json", Queue{Name: "ss", Type: "stream", State: "running", Durable: true}},
		{"page-totals.json", Queue{Name: "qq", Type: "quorum", State: "running", Durable: true,
			Messages: Known(0), Ready: Known(0), Unacknowledged: Known(0)}},
		{"page-totals-stopped.json", Queue{Name: "email_senders", Type: "rabbit_classic_queue", State: "stopped", Durable: true}},
	} {
		_, queues := parse(t, c.file)
		if got := queues[c.want.Name]; !reflect.DeepEqual(got, c.want) {
			t.Errorf("ParsePage(%s), queue %s = %+v; want %+v", c.file, c.want.Name, got, c.want)
		}
	}
}

func TestParsePageRefuses(t *testing.T) {
	for _, c := range []struct{ body, says string }{
		{"", "unexpected end"},
		{"null", "no list of queues"},
		{"{}", "no list of queues"},
		{`{"error":"bad_request","reason":"x"}`, "no list of queues"},
		{`{"items":null,"total_count":0,"page":1,"page_count":0}`, "no list of queues"},
		{`{"items":[],"page":1,"page_count":0}`, "no list of queues"},
		{`{"items":[],"item_count":0,"total_count":24,"page":1,"page_count":1}`, "cannot be"},
		{`{"items":[],"item_count":24,"total_count":24,"page":1,"page_count":1}`, "holds 24 queues and holds 0"},
		{`{"items":[{"name":"a"}],"total_count":0,"page":1,"page_count":1}`, "cannot be"},
		{`{"items":[],"total_count":0,"page":0,"page_count":0}`, "cannot be"},
		{`{"items":[{"name":"a"}],"total_count":2,"page":1,"page_count":900000}`, "cannot be"},
		{`[{"messages":3}]`, "queue 1 of the list has no name"},
		{`[[]]`, "array where something else is due"},
		{`[{"name":"a"`, "unexpected end"},
		{`[{"name":7}]`, "number where something else is due (name"},
		{`"queues"`, "string where something else is due"},
		{`not JSON`, "invalid character"},
	} {
		if _, err := ParsePage([]byte(c.body)); err != nil && strings.Contains(err.Error(), "(,") {
			t.Errorf("ParsePage(%s): %v; want no empty place", c.body, err)
		}
		if p, err := ParsePage([]byte(c.body)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("ParsePage(%s) = %+v, %v; want an error with %q", c.body, p, err, c.says)
		}
	}
}

func TestNumberKnowsWhatItDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		json string
		want Number
	}{
		{`0`, Known(0)}, {`7`, Known(7)}, {`2.5`, Known(2.5)}, {`1e3`, Known(1000)},
		{`-1`, Number{}}, {`null`, Number{}}, {`""`, Number{}}, {`"7"`, Number{}}, {`[]`, Number{}}, {`{}`, Number{}},
		{`"undefined"`, Number{}}, {`true`, Number{}}, {`1e999`, Number{}}, {`1e300`, Number{}},
	} {
		p, err := ParsePage([]byte(`[{"name":"q","messages":` + c.json + `,"message_stats":{"ack_details":{"rate":` + c.json + `}}}]`))
		if err != nil {
			t.Errorf("messages %s: %v", c.json, err)
			continue
		}
		if q := p.Queues[0]; q.Messages != c.want || q.AckRate != c.want {
			t.Errorf("messages %s = %+v, ack rate %+v; want %+v", c.json, q.Messages, q.AckRate, c.want)
		}
	}
}

// However a version counts the pages of nothing.
func TestParsePageOfNothing(t *testing.T) {
	for _, pages := range []string{"0", "1"} {
		p, err := ParsePage([]byte(`{"items":[],"item_count":0,"total_count":0,"page":1,"page_count":` + pages + `}`))
		if err != nil || p.Total != 0 {
			t.Errorf("no queue on %s pages: total %d, %v; want 0, no error", pages, p.Total, err)
		}
	}
}

// The broker writes an empty object as an empty list.
func TestEmptyObjects(t *testing.T) {
	for _, stats := range []string{`[]`, `null`, `{}`, `""`, `{"ack_details":[]}`, `{"ack_details":{}}`, `{"ack_details":null}`} {
		p, err := ParsePage([]byte(`[{"name":"q","state":null,"consumers":1,"message_stats":` + stats + `}]`))
		if err != nil {
			t.Errorf("message_stats %s: %v", stats, err)
		} else if q := p.Queues[0]; q.AckRate.Known || q.Consumers != Known(1) {
			t.Errorf("message_stats %s: ack rate %+v, consumers %+v; want unknown and 1", stats, q.AckRate, q.Consumers)
		}
	}
}

func TestHeadTimestamps(t *testing.T) {
	for _, c := range []struct {
		json string
		want time.Time
	}{
		{`null`, time.Time{}}, {`""`, time.Time{}}, {`0`, time.Time{}}, {`-5`, time.Time{}},
		{`1795219944`, time.Unix(1795219944, 0)},
		{`1795219944000`, time.Time{}}, // milliseconds
		{`18446744073709551615`, time.Time{}},
	} {
		p, err := ParsePage([]byte(`[{"name":"q","head_message_timestamp":` + c.json + `}]`))
		if err != nil || !p.Queues[0].Head.Equal(c.want) {
			t.Errorf("head_message_timestamp %s = %v, %v; want %v", c.json, p.Queues[0].Head, err, c.want)
		}
	}
}

func TestParseQueue(t *testing.T) {
	q, err := parseQueue(recording(t, "queue.json"))
	if err != nil || q.Name != "user_activity" || q.Consumers != Known(1) || q.Unacknowledged != Known(10) {
		t.Errorf("parseQueue(queue.json) = %+v, %v; want user_activity with 1 consumer and 10 unacknowledged", q, err)
	}
	// With columns that are not there yet the broker answers an empty list.
	for _, body := range []string{"[]", "{}", "", `{"name":null}`} {
		if q, err := parseQueue([]byte(body)); err == nil {
			t.Errorf("parseQueue(%s) = %+v; want an error", body, q)
		}
	}
}

func TestQueueKinds(t *testing.T) {
	for _, c := range []struct {
		q                       Queue
		down, stream, transient bool
	}{
		{Queue{Durable: true, State: "running", Type: "classic"}, false, false, false},
		{Queue{Durable: true, State: "flow"}, false, false, false},
		{Queue{Durable: true}, false, false, false},
		{Queue{Durable: true, State: "down"}, true, false, false},
		{Queue{Durable: true, State: "stopped"}, true, false, false},
		{Queue{Durable: true, State: "minority", Type: "quorum"}, true, false, false},
		{Queue{Durable: true, Type: "stream"}, false, true, false},
		{Queue{Durable: true, Exclusive: true}, false, false, true},
		{Queue{Durable: true, AutoDelete: true}, false, false, true},
		{Queue{}, false, false, true},
	} {
		if c.q.Down() != c.down || c.q.Stream() != c.stream || c.q.Transient() != c.transient {
			t.Errorf("%+v: down %t, stream %t, transient %t; want %t, %t, %t", c.q, c.q.Down(), c.q.Stream(), c.q.Transient(), c.down, c.stream, c.transient)
		}
	}
}

func TestMerge(t *testing.T) {
	statistics := []Queue{
		{Name: "b", Durable: true, State: "running", Messages: Known(10), Ready: Known(10), Consumers: Known(1), AckRate: Known(2)},
		{Name: "a", Durable: true, Messages: Known(1)},
		{Name: "stopped", State: "stopped", Messages: Known(4)},
		{Name: "b", Durable: true, State: "running", Messages: Known(11), Ready: Known(11), Consumers: Known(1), AckRate: Known(2)},
	}
	totals := []Queue{
		{Name: "b", State: "flow", Messages: Known(70), Ready: Known(60), Unacknowledged: Known(10)},
		{Name: "new", Durable: true, State: "running", Messages: Known(5), Ready: Known(5), Unacknowledged: Known(0)},
		{Name: "stopped", State: "stopped"},
	}
	want := []Queue{
		{Name: "a", Durable: true, Messages: Known(1)},
		{Name: "b", Durable: true, State: "flow", Live: true, Messages: Known(70), Ready: Known(60), Unacknowledged: Known(10),
			Consumers: Known(1), AckRate: Known(2)},
		{Name: "new", Durable: true, State: "running", Live: true, Messages: Known(5), Ready: Known(5), Unacknowledged: Known(0)},
		{Name: "stopped", State: "stopped", Messages: Known(4)},
	}
	if got := Merge(statistics, totals); !reflect.DeepEqual(got, want) {
		t.Errorf("Merge = %+v\nwant %+v", got, want)
	}
	if got := Merge(nil, nil); len(got) != 0 {
		t.Errorf("Merge of nothing = %+v; want nothing", got)
	}
}

func FuzzParsePage(f *testing.F) {
	for _, file := range []string{"queues.json", "page-statistics.json", "page-totals.json", "page-fresh.json", "page-empty.json",
		"page-totals-stopped.json", "refused-vhost.json", "queue.json"} {
		f.Add(recording(f, file))
	}
	f.Add([]byte(`[{"name":"\ud800","messages":1e400,"message_stats":[]}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePage(data)
		if err != nil {
			if len(p.Queues) != 0 {
				t.Errorf("ParsePage gives %d queues with the error %v", len(p.Queues), err)
			}
			return
		}
		if p.Total < len(p.Queues) || p.Pages > p.Total+1 || p.Pages == 1 && p.Total != len(p.Queues) {
			t.Errorf("ParsePage = page %d of %d, %d of %d queues", p.Page, p.Pages, len(p.Queues), p.Total)
		}
		for _, q := range p.Queues {
			for _, n := range []Number{q.Messages, q.Ready, q.Unacknowledged, q.Consumers, q.AckRate, q.PublishRate} {
				if n.Value < 0 || math.IsNaN(n.Value) || math.IsInf(n.Value, 0) || !n.Known && n.Value != 0 {
					t.Errorf("queue %q has the number %+v", q.Name, n)
				}
			}
		}
		if merged := Merge(p.Queues, p.Queues); len(merged) > len(p.Queues) {
			t.Errorf("Merge makes %d queues of %d", len(merged), len(p.Queues))
		}
	})
}
