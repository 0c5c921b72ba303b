package queuestats

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// The shapes of the versions since 2020, as json.dumps(indent=2) writes them.
const (
	working = "{\n  \"update_time\": 1795220000.5,\n  \"recent_average_consume_time\": 0.25,\n" +
		"  \"queue_last_emptied_timestamp\": 1795219000.25,\n  \"consumed_since_last_emptied\": 150\n}\n"
	idle = "{\n  \"update_time\": 1795220000.123481,\n  \"recent_average_consume_time\": 0.004,\n" +
		"  \"queue_last_emptied_timestamp\": 1795220000.123402,\n  \"consumed_since_last_emptied\": 0\n}\n"
	started = `{"update_time": 1795220000.5, "recent_average_consume_time": null, "queue_last_emptied_timestamp": 1795220000.4999, "consumed_since_last_emptied": 0}`
	old     = `{"update_time": 1588000000.1, "current_queue_size": 12, "recent_average_consume_time": 1, "queue_last_emptied_timestamp": 1587999000}`
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Stats
		idle       bool
		err        string // part of the error; empty for none
	}{
		{"working", working, Stats{Updated: at(1795220000, 500), SecondsPerMessage: 0.25, HasMean: true, Emptied: at(1795219000, 250)}, false, ""},
		{"idle", idle, Stats{Updated: time.Unix(1795220000, 123481e3), SecondsPerMessage: 0.004, HasMean: true, Emptied: time.Unix(1795220000, 123402e3)}, true, ""},
		{"just started", started, Stats{Updated: at(1795220000, 500), Emptied: time.Unix(1795220000, 499900e3)}, true, ""},
		{"with current_queue_size", old, Stats{Updated: at(1588000000, 100), SecondsPerMessage: 1, HasMean: true, Emptied: at(1587999000, 0)}, false, ""},
		{"a mean of nothing", `{"update_time":1,"recent_average_consume_time":0}`, Stats{Updated: at(1, 0), HasMean: true}, false, ""},
		{"no time of emptying", `{"update_time":1,"recent_average_consume_time":null,"queue_last_emptied_timestamp":null}`, Stats{Updated: at(1, 0)}, false, ""},
		{"empty", "\n", Stats{}, false, "the file is empty"},
		{"half written", working[:60], Stats{}, false, "not the JSON"},
		{"no JSON", "<html>", Stats{}, false, "not the JSON"},
		{"a list", "[]", Stats{}, false, "a array where something else is due"},
		{"null", "null", Stats{}, false, "no update_time"},
		{"no update_time", `{"recent_average_consume_time":1}`, Stats{}, false, "no update_time"},
		{"no mean", `{"update_time":1795220000}`, Stats{}, false, "no recent_average_consume_time"},
		{"a time that cannot be", `{"update_time":0,"recent_average_consume_time":1}`, Stats{}, false, "update_time 0 cannot be"},
		{"a time in milliseconds", `{"update_time":1795220000000,"recent_average_consume_time":1}`, Stats{}, false, "cannot be"},
		{"a time as text", `{"update_time":"now","recent_average_consume_time":1}`, Stats{}, false, "a string where something else is due (update_time)"},
		{"a mean below zero, from a clock set back", `{"update_time":1,"recent_average_consume_time":-0.5}`, Stats{}, false, "recent_average_consume_time -0.5 cannot be"},
		{"a mean that is no number", `{"update_time":1,"recent_average_consume_time":NaN}`, Stats{}, false, "not the JSON"},
		{"a mean as text", `{"update_time":1,"recent_average_consume_time":"1"}`, Stats{}, false, "cannot be"},
		{"a mean of a clock that was set forward", `{"update_time":1,"recent_average_consume_time":31536000}`, Stats{}, false, "cannot be"},
		{"a mean beyond all numbers", `{"update_time":1,"recent_average_consume_time":1e999}`, Stats{}, false, "cannot be"},
	} {
		got, err := Parse([]byte(c.text))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: Parse() = %+v, %v; want an error with %q", c.name, got, err, c.err)
			}
			continue
		}
		if err != nil || !got.Updated.Equal(c.want.Updated) || !got.Emptied.Equal(c.want.Emptied) ||
			got.SecondsPerMessage != c.want.SecondsPerMessage || got.HasMean != c.want.HasMean || got.Idle() != c.idle {
			t.Errorf("%s: Parse() = %+v (idle %t), %v; want %+v (idle %t)", c.name, got, got.Idle(), err, c.want, c.idle)
		}
	}
}

func at(seconds, ms int64) time.Time { return time.Unix(seconds, ms*1e6) }

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("email_senders.stats", working)
	write("broken.stats", working[:20])
	write("huge.stats", strings.Repeat(" ", maxFile+1))
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo.stats"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.stats"), 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		queue  string
		ok     bool
		reason check.Reason
		err    string
	}{
		{"email_senders", true, "", ""},
		{"notify_tornado", false, "", ""},
		{"../email_senders", false, "", ""}, {"", false, "", ""}, {strings.Repeat("q", 300), false, "", ""},
		{"broken", false, check.Data, "broken.stats: not the JSON"},
		{"huge", false, check.Data, "more than"},
		{"fifo", false, check.Config, "FIFO"},
		{"folder", false, check.Config, "directory"},
	} {
		_, ok, err := d.Read(c.queue)
		if ok != c.ok || (err == nil) != (c.reason == "") || err != nil && (check.ReasonOf(err) != c.reason || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("Read(%q) = %t, %v; want %t, %s %q", c.queue, ok, err, c.ok, c.reason, c.err)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{filepath.Join(dir, "gone"): "no such file", file: "not a directory"} {
		if _, err := Open(path); check.ReasonOf(err) != check.Config || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s) = %v; want config, %q", path, err, want)
		}
	}
	if err := fault(dir, &os.PathError{Op: "open", Path: dir, Err: syscall.EACCES}); check.ReasonOf(err) != check.Permission || !errors.Is(err, os.ErrPermission) {
		t.Errorf("a directory of another: %v (%s); want permission", err, check.ReasonOf(err))
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{working, idle, started, old, "[]", "null", `{"update_time":1e300,"recent_average_consume_time":-1}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		if err == nil && (s.Updated.Unix() < 0 || s.Updated.Unix() > maxUnix || s.SecondsPerMessage < 0 || !s.HasMean && s.SecondsPerMessage != 0) {
			t.Errorf("Parse(%q) = %+v; want what can be", data, s)
		}
	})
}
