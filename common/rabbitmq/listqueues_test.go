package rabbitmq

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

func TestParseListQueues(t *testing.T) {
	list := string(recording(t, "list-queues.json"))
	want := []Queue{
		{Name: "email_senders", Type: "classic", State: "running", Live: true, Messages: Known(338), Ready: Known(338), Unacknowledged: Known(0), Consumers: Known(1)},
		{Name: "qq", Type: "quorum", State: "running", Live: true, Messages: Known(20), Ready: Known(20), Unacknowledged: Known(0), Consumers: Known(0)},
		{Name: "user_activity", Type: "classic", State: "running", Live: true, Messages: Known(50), Ready: Known(40), Unacknowledged: Known(10), Consumers: Known(1),
			Head: time.Unix(1795219943, 0)},
	}
	for _, text := range []string{list, "Timeout: 60.0 seconds ...\nListing queues for vhost / ...\n" + list} {
		if got, err := ParseListQueues([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseListQueues(%.30q...) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	// rabbitmqctl leaves empty what a queue that is down does not say.
	got, err := ParseListQueues([]byte(`[{"name":"a","state":"down","messages":"","consumers":""}]`))
	if err != nil || len(got) != 1 || got[0].Messages.Known || got[0].Consumers.Known || got[0].Live || !got[0].Down() {
		t.Errorf("a queue that is down = %+v, %v; want it down, and nothing known of it", got, err)
	}
	if got, err = ParseListQueues([]byte("[\n]\n")); err != nil || len(got) != 0 {
		t.Errorf("no queue = %+v, %v; want none", got, err)
	}
}

func TestParseListQueuesRefuses(t *testing.T) {
	list := string(recording(t, "list-queues.json"))
	for text, says := range map[string]string{
		"":         "nothing printed",
		"\n \n":    "nothing printed",
		list[:200]: "the JSON ends early",
		list + "Error: operation list_queues on node rabbit@mq timed out": "more than the list: Error: operation",
		"name\tmessages\na\t5\n":                       `not a list of queues in JSON but "name messages"`,
		"Error: unable to connect to node rabbit@mq":   `but "Error: unable to connect to node rabbit@mq"`,
		"Only root or rabbitmq should run rabbitmqctl": "Only root or rabbitmq",
		`{"error":"x"}`:                                "not a list of queues",
		`[{"name":"a","consumers":1}]`:                 "no column messages: write it with rabbitmqctl list_queues",
		`[{"messages":1}]`:                             "queue 1 of the list: no queue in it",
		`[{"name":"a","messages":1},[]]`:               "queue 2 of the list",
		`[{"name":"a","messages":1},null]`:             "queue 2 of the list: no queue in it",
		`[1]`:                                          "queue 1 of the list",
	} {
		if got, err := ParseListQueues([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("ParseListQueues(%.60q) = %+v, %v; want an error with %q", text, got, err, says)
		}
	}
}

func TestReadListQueues(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	huge := write("huge", "")
	if err := os.Truncate(huge, maxBody+1); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]check.Reason{
		filepath.Join(dir, "gone"): check.Config, dir: check.Config, fifo: check.Config, huge: check.Data, write("empty", ""): check.Data,
		write("many", "["+strings.Repeat(`{"name":"a","messages":1},`, MaxQueues)+`{"name":"a","messages":1}]`): "", // one queue
		write("fine", `[{"name":"a","messages":1}]`):                                                            "",
	} {
		queues, written, err := ReadListQueues(context.Background(), path)
		if (err == nil) != (want == "") || err != nil && check.ReasonOf(err) != want || err == nil && (len(queues) != 1 || time.Since(written) > time.Minute) {
			t.Errorf("ReadListQueues(%s) = %d queues, written %s, %v; want %q", path, len(queues), written, err, want)
		}
	}
	var b strings.Builder
	for i := range MaxQueues + 1 {
		fmt.Fprintf(&b, `,{"name":"%d","messages":1}`, i)
	}
	if _, _, err := ReadListQueues(context.Background(), write("too many", "["+b.String()[1:]+"]")); err == nil || !strings.Contains(err.Error(), "there are 20001") {
		t.Errorf("ReadListQueues of 20001 queues: %v; want that there are too many", err)
	}
}

func FuzzParseListQueues(f *testing.F) {
	f.Add(recording(f, "list-queues.json"))
	f.Add([]byte("Timeout: 60.0 seconds ...\n[{\"name\":\"a\",\"messages\":\"\"}]"))
	f.Add([]byte(`[{"name":"a","messages":1e400,"consumers":-1},{"name":"a","messages":2}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		queues, err := ParseListQueues(data)
		if err != nil && queues != nil {
			t.Errorf("ParseListQueues gives %d queues with the error %v", len(queues), err)
		}
		for i, q := range queues {
			if i > 0 && queues[i-1].Name >= q.Name || q.Messages.Value < 0 || q.Left.Known || q.Live != q.Messages.Known {
				t.Errorf("queue %d of ParseListQueues = %+v; want names that rise, and numbers that can be", i, q)
			}
		}
	})
}
