package rabbitmqqueues

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/faults"
)

// asNobody gives up root's rights on files for the rest of the test; no other
// may run meanwhile.
func asNobody(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if err := syscall.Seteuid(65534); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Seteuid(0); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFaultsOfFiles(t *testing.T) {
	dir := testbed.New(t).MkdirFor("", "files", 0o755)
	put := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(text), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	const deep = `[{"name":"user_activity","messages":2000,"messages_ready":2000,"messages_unacknowledged":0,"consumers":1}]`
	const shallow = `[{"name":"user_activity","messages":20,"messages_ready":20,"messages_unacknowledged":0,"consumers":1}]`
	fresh := fmt.Sprintf(`{"update_time":%d,"recent_average_consume_time":0.001,"queue_last_emptied_timestamp":1795219000}`, time.Now().Unix())
	fifo := filepath.Join(dir, "fifo")
	huge := put("huge.json", "", 0o644)
	for _, err := range []error{
		syscall.Mkfifo(fifo, 0o644), os.Truncate(huge, 1<<30),
		os.MkdirAll(filepath.Join(dir, "fifo.d"), 0o755), syscall.Mkfifo(filepath.Join(dir, "fifo.d/user_activity.stats"), 0o644),
		os.MkdirAll(filepath.Join(dir, "none.d"), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	lists := put("fine.json", shallow, 0o644)
	deeper := put("deep.json", deep, 0o644)
	stats := func(list, name, text string, mode os.FileMode) []string {
		if text != "" {
			put(name+"/user_activity.stats", text, mode)
		}
		return []string{"--rabbitmqctl-file", list, "--queue-stats-dir", filepath.Join(dir, name)}
	}
	list := func(path string) []string { return []string{"--rabbitmqctl-file", path} }
	unknown := func(reason check.Reason, text string) faults.Want {
		return faults.Want{State: check.Unknown, Reason: reason, Text: text}
	}
	bad := func(text string) faults.Want { return faults.Want{State: check.Unknown, Text: text} }
	lone := func(t *testing.T) { asNobody(t) }
	old := put("old.json", shallow, 0o644)
	future := put("future.json", shallow, 0o644)
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(future, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "closed.d")
	rows := []faults.Row{
		{Name: "fine", Args: list(lists), Want: faults.Want{State: check.OK, Text: "1 queue, 20 messages"}},
		{Name: "unreadable", Args: list(put("unreadable.json", shallow, 0)), Before: lone, Want: unknown(check.Permission, "permission denied")},
		{Name: "vanishing", Args: list(dir + "/gone.json"), Want: unknown(check.Config, "no such file")},
		{Name: "FIFO", Args: list(fifo), Want: unknown(check.Config, "FIFO")},
		{Name: "empty", Args: list(put("empty.json", "", 0o644)), Want: unknown(check.Data, "nothing printed where a list of queues is due")},
		{Name: "huge", Args: list(huge), Want: unknown(check.Data, "more than 16 MiB"), Timeout: 5 * time.Second},
		{Name: "half written", Args: list(put("half.json", shallow[:40], 0o644)), Want: unknown(check.Data, "the JSON ends early")},
		{Name: "old", Args: list(old), Want: faults.Want{State: check.Critical, Text: "age of the list of queues 60 min (above 10 min)"}},
		{Name: "old and broken", Args: list(put("broken.json", "Error: timeout", 0o644)), Want: unknown(check.Data, `not a list of queues in JSON but "Error: timeout"`)},
		{Name: "of the future", Args: list(future), Want: bad("lies 59 min")},

		{Name: "statistics fine", Args: stats(deeper, "fine.d", fresh, 0o644), Want: faults.Want{State: check.OK, Text: "1 queue, 2000 messages"}},
		{Name: "statistics unreadable", Args: stats(lists, "unreadable.d", fresh, 0), Before: lone, Want: bad("user_activity: read " + dir + "/unreadable.d/user_activity.stats: permission denied")},
		{Name: "statistics vanished", Args: stats(lists, "none.d", "", 0), Want: unknown(check.Config, "no statistics of any of the 1 queue in it: is it QUEUE_STATS_DIR of this Zulip?")},
		{Name: "statistics a FIFO", Args: stats(lists, "fifo.d", "", 0), Want: bad("not a regular file (FIFO)")},
		{Name: "statistics empty", Args: stats(lists, "empty.d", "\n", 0o644), Want: bad("the file is empty")},
		{Name: "statistics half written", Args: stats(lists, "half.d", fresh[:30], 0o644), Want: bad("not the JSON that was expected")},
		{Name: "statistics broken, and deep", Args: stats(deeper, "broken.d", "{}", 0o644), Want: faults.Want{State: check.Critical, Text: "user_activity: messages 2000 (above 1000)"}},
		{Name: "no directory of statistics", Args: stats(lists, "gone.d", "", 0), Want: unknown(check.Config, "gone.d: no such file or directory")},
		{Name: "no directory of statistics, and deep", Args: stats(deeper, "gone.d", "", 0),
			Want: faults.Want{State: check.Critical, Reason: check.Config, Text: "user_activity: messages 2000 (above 1000)"}},
		{Name: "directory of statistics closed", Args: stats(lists, "closed.d", fresh, 0o644),
			Before: func(t *testing.T) {
				if err := os.Chmod(closed, 0o700); err != nil {
					t.Fatal(err)
				}
				asNobody(t)
			},
			Want: unknown(check.Permission, "closed.d: permission denied: add the user who runs this check to the directory's group")},
	}
	faults.Table(t, Definition, faults.Files(), rows)
}
