package zulipserver

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"
)

func TestRegister(t *testing.T) {
	for _, test := range []struct {
		old    bool
		args   []string
		id     string // pattern
		fields []string
	}{
		{
			args:   []string{"event_types", `["message"]`},
			id:     `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`,
			fields: []string{"last_event_id", "max_message_id", "msg", "queue_id", "result", "zulip_feature_level", "zulip_merge_base", "zulip_version"},
		},
		{
			args: []string{"event_types", `["message"]`, "fetch_event_types", `["realm"]`},
			fields: []string{"event_queue_longpoll_timeout_seconds", "last_event_id", "msg", "queue_id", "result", "zulip_feature_level",
				"zulip_merge_base", "zulip_version"},
		},
		{
			fields: []string{"event_queue_longpoll_timeout_seconds", "last_event_id", "max_message_id", "msg", "queue_id", "result",
				"zulip_feature_level", "zulip_merge_base", "zulip_version"},
		},
		{
			old: true, args: []string{"event_types", `["message"]`}, id: `^[0-9]+:[0-9]+$`,
			fields: []string{"last_event_id", "max_message_id", "msg", "queue_id", "result"},
		},
	} {
		w := newWorld(t, Options{OldFormats: test.old})
		got := w.ok(w.receiver, "POST", "/api/v1/register", test.args...)
		var fields []string
		for name := range got.json {
			fields = append(fields, name)
		}
		slices.Sort(fields)
		if !slices.Equal(fields, test.fields) {
			t.Errorf("register %v = fields %v; want %v", test.args, fields, test.fields)
		}
		if got.json["last_event_id"] != -1.0 {
			t.Errorf("register: last_event_id %v; want -1", got.json["last_event_id"])
		}
		if id := got.text("queue_id"); !regexp.MustCompile(test.id).MatchString(id) {
			t.Errorf("register: queue_id %q; want %s", id, test.id)
		}
	}
}

func TestLongPoll(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.register("apply_markdown", "false")
	if got := w.now(id, -1); got.raw != `{"events":[],"msg":"","queue_id":"`+id+`","result":"success"}`+"\n" {
		t.Errorf("empty queue = %s; want no events", got.raw)
	}
	answered := w.poll(id, -1)
	w.waitUntil("a waiting request", w.waiting(1))
	message := w.message("12345 <&>")
	got := <-answered
	if !slices.Equal(contents(got), []string{"12345 <&>"}) {
		t.Fatalf("long poll = %s; want the message", got.raw)
	}
	event := got.json["events"].([]any)[0].(map[string]any)
	if event["id"] != 0.0 || event["type"] != "message" || len(event["flags"].([]any)) != 0 {
		t.Errorf("event = %v; want id 0, type message, no flags", event)
	}
	shown := event["message"].(map[string]any)
	for name, want := range map[string]any{
		"id": float64(message), "type": "private", "content_type": "text/x-markdown", "sender_email": w.sender.Email, "subject": "", "client": "ZulipTest",
	} {
		if shown[name] != want {
			t.Errorf("message[%s] = %v; want %v", name, shown[name], want)
		}
	}
	if who := shown["display_recipient"].([]any); len(who) != 2 {
		t.Errorf("display_recipient = %v; want both", who)
	}
	// Not confirmed: it comes again. Confirmed: it is gone.
	if got := contents(w.now(id, -1)); len(got) != 1 {
		t.Errorf("events before confirmation = %v; want the message again", got)
	}
	if got := contents(w.now(id, 0)); len(got) != 0 {
		t.Errorf("events after confirmation = %v; want none", got)
	}
	w.ok(w.receiver, "DELETE", "/api/v1/events", "queue_id", id)
	if got := w.Queues(); len(got) != 0 {
		t.Errorf("Queues() after deletion = %v; want none", got)
	}
}

func TestConfirmation(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.register()
	for i := range 3 {
		w.message(fmt.Sprint(i))
	}
	if got := contents(w.now(id, 1)); !slices.Equal(got, []string{"2"}) {
		t.Fatalf("events after 1 = %v; want [2]", got)
	}
	for last, want := range map[int]string{
		0:  "An event newer than 0 has already been pruned!",
		-1: "An event newer than -1 has already been pruned!",
	} {
		got := w.do(w.receiver, "GET", "/api/v1/events", "queue_id", id, "last_event_id", fmt.Sprint(last), "dont_block", "true")
		if got.status != 400 || got.text("msg") != want {
			t.Errorf("events after %d = %d %s; want 400 %s", last, got.status, got.raw, want)
		}
	}
	got := w.do(w.receiver, "GET", "/api/v1/events", "queue_id", id, "last_event_id", "99", "dont_block", "true")
	if want := "Event 99 was not in this queue"; got.status != 400 || got.text("msg") != want {
		t.Errorf("events after 99 = %d %s; want 400 %s", got.status, got.raw, want)
	}
}

func TestHeartbeat(t *testing.T) {
	w := newWorld(t, Options{})
	w.Set(func(k *Knobs) { k.HeartbeatInterval, k.HeartbeatJitter = 5*time.Millisecond, 5*time.Millisecond })
	id := w.register()
	if got := w.events(id, -1); got.raw != `{"events":[{"id":0,"type":"heartbeat"}],"msg":"","queue_id":"`+id+`","result":"success"}`+"\n" {
		t.Errorf("events = %s; want a heartbeat", got.raw)
	}
	if got := w.events(id, 0); got.json["events"].([]any)[0].(map[string]any)["id"] != 1.0 {
		t.Errorf("events = %s; want the next heartbeat", got.raw)
	}
	w.Set(func(k *Knobs) { k.HeartbeatOnly = true })
	w.message("hidden")
	if got := contents(w.events(id, 1)); !slices.Equal(got, []string{"heartbeat"}) {
		t.Errorf("events with HeartbeatOnly = %v; want a heartbeat alone", got)
	}
	w.Set(func(k *Knobs) { k.HeartbeatOnly = false })
	if got := contents(w.now(id, 1)); !slices.Equal(got, []string{"hidden", "heartbeat"}) {
		t.Errorf("events afterwards = %v; want what was hidden too", got)
	}
}

func TestSecondRequestEndsFirst(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.register()
	first := w.poll(id, -1)
	w.waitUntil("a waiting request", w.waiting(1))
	second := w.poll(id, -1)
	if got := <-first; got.status != 200 || len(contents(got)) != 0 {
		t.Errorf("first request = %d %s; want success without events", got.status, got.raw)
	}
	w.waitUntil("a waiting request", w.waiting(1))
	w.message("x")
	if got := <-second; !slices.Equal(contents(got), []string{"x"}) {
		t.Errorf("second request = %s; want the message", got.raw)
	}
}

func TestClientLeaves(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.register()
	ctx, cancel := context.WithCancel(context.Background())
	r := w.request(ctx, w.receiver, "GET", "/api/v1/events", "queue_id", id, "last_event_id", "-1")
	left := make(chan error)
	go func() {
		_, err := w.send(r)
		left <- err
	}()
	w.waitUntil("a waiting request", w.waiting(1))
	cancel()
	if err := <-left; err == nil {
		t.Error("cancelled request = nil; want an error")
	}
	w.waitUntil("no waiting request", w.waiting(0))
	w.message("kept")
	if got := contents(w.now(id, -1)); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("events = %v; want the message kept", got)
	}
}

func TestExpiry(t *testing.T) {
	c := newClock()
	w := newWorld(t, Options{Now: c.Now})
	short := w.register()
	long := w.register("lifespan_secs", "3600")
	w.register("queue_lifespan_secs", "99999999")
	waiting := w.register()
	answered := w.poll(waiting, -1)
	w.waitUntil("a waiting request", w.waiting(1))
	count := func(want int) {
		t.Helper()
		w.CollectQueues()
		if got := w.Queues(); len(got) != want {
			t.Errorf("%d queues at %v; want %d: %+v", len(got), c.Now(), want, got)
		}
	}
	c.Advance(599 * time.Second)
	count(4)
	w.now(short, -1) // was seen: not idle
	c.Advance(599 * time.Second)
	count(4)
	c.Advance(time.Second)
	count(3)
	if got := w.do(w.receiver, "GET", "/api/v1/events", "queue_id", short, "last_event_id", "-1"); got.text("code") != "BAD_EVENT_QUEUE_ID" {
		t.Errorf("expired queue = %d %s; want BAD_EVENT_QUEUE_ID", got.status, got.raw)
	}
	c.Advance(time.Hour)
	count(2) // the longest and the one that somebody waits on
	if got := w.do(w.receiver, "DELETE", "/api/v1/events", "queue_id", long); got.status != 400 {
		t.Errorf("delete expired queue = %d; want 400", got.status)
	}
	c.Advance(7 * 24 * time.Hour)
	count(1)
	w.DropQueues()
	if got := <-answered; got.status != 200 || len(contents(got)) != 0 {
		t.Errorf("request on a dropped queue = %d %s; want success without events", got.status, got.raw)
	}
}

func TestExpiryRunsByItself(t *testing.T) {
	w := newWorld(t, Options{QueueTimeout: time.Millisecond, GCInterval: time.Millisecond})
	w.register()
	w.waitUntil("an expired queue", func() bool { return len(w.Queues()) == 0 })
}

func TestQueueOfAnother(t *testing.T) {
	for oldFormats, want := range map[bool]string{false: "BAD_EVENT_QUEUE_ID", true: ""} {
		w := newWorld(t, Options{OldFormats: oldFormats})
		id := w.register()
		for _, method := range []string{"GET", "DELETE"} {
			got := w.do(w.sender, method, "/api/v1/events", "queue_id", id, "last_event_id", "-1")
			if got.status != 400 || got.text("code") != want {
				t.Errorf("%s of another's queue = %d %s; want 400 %q", method, got.status, got.raw, want)
			}
			if oldFormats && got.text("msg") != "You are not authorized to access this queue" {
				t.Errorf("%s of another's queue = %s; want the old text", method, got.raw)
			}
		}
	}
}

func TestRestart(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.register()
	all := w.ok(w.receiver, "POST", "/api/v1/register").text("queue_id")
	w.message("before")
	answered := w.poll(id, 0)
	w.waitUntil("a waiting request", w.waiting(1))
	w.Restart(true)
	if got := <-answered; got.status != 502 || got.json != nil || got.header.Get("Content-Type") != "text/html" {
		t.Errorf("request during restart = %d %s; want a 502 page", got.status, got.raw)
	}
	w.message("after")
	if got := contents(w.now(id, 0)); !slices.Equal(got, []string{"after"}) {
		t.Errorf("events after restart = %v; want [after]", got)
	}
	if got := contents(w.now(all, -1)); !slices.Equal(got, []string{"before", "restart", "web_reload_client", "after"}) {
		t.Errorf("all events after restart = %v; want restart events between the messages", got)
	}
	w.Restart(false)
	if got := w.do(w.receiver, "GET", "/api/v1/events", "queue_id", id, "last_event_id", "0"); got.text("code") != "BAD_EVENT_QUEUE_ID" {
		t.Errorf("events after a restart that lost them = %s; want BAD_EVENT_QUEUE_ID", got.raw)
	}
}

func TestNarrow(t *testing.T) {
	w := newWorld(t, Options{})
	if _, err := w.AddStream("social", w.receiver.Email); err != nil {
		t.Fatal(err)
	}
	for narrow, want := range map[string][]string{
		`[]`:            {"direct", "lunch", "dinner"},
		`[["is","dm"]]`: {"direct"},
		`[["channel","Social"],["topic","food"]]`:                                            {"lunch"},
		`[{"operator":"sender","operand":"send-bot@zulip.example"},["stream","1"]]`:          {"lunch", "dinner"},
		`[{"operator":"is","operand":"private","negated":true}]`:                             {"lunch", "dinner"},
		`[["sender","receive-bot@zulip.example"]]`:                                           {},
		fmt.Sprintf(`[{"operator":"sender","operand":%d},["topic","evening"]]`, w.sender.ID): {"dinner"},
	} {
		id := w.register("narrow", narrow, "apply_markdown", "false")
		w.message("direct")
		for topic, content := range map[string]string{"food": "lunch", "evening": "dinner"} {
			w.ok(w.sender, "POST", "/api/v1/messages", "type", "stream", "to", "social", "topic", topic, "content", content)
		}
		got := contents(w.now(id, -1))
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("events narrowed by %s = %v; want %v", narrow, got, want)
		}
	}
	for narrow, want := range map[string]string{
		`[["search","x"]]`: "Operator search not supported.",
		`[["is"]]`:         "narrow is not a list of pairs",
		`["is"]`:           "narrow[0] is not a pair",
		`[["is",null]]`:    "narrow[0] has no operator or operand",
	} {
		if got := w.do(w.receiver, "POST", "/api/v1/register", "narrow", narrow); got.status != 400 || got.text("msg") != want {
			t.Errorf("register narrowed by %s = %d %s; want 400 %s", narrow, got.status, got.raw, want)
		}
	}
}
