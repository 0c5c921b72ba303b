package sendreceivetime

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// situation is what a server does and what line 1 must say of it. Nothing may
// be left on the server unless the situation says so.
type situation struct {
	name     string
	options  zulipserver.Options
	prepare  func(s *stage)
	timeout  string // -t; empty: 5s
	args     []string
	state    string
	reason   string
	text     string // regular expression for line 1
	note     string // part of a note
	finding  string // key of a row
	messages int    // left on the server
	queues   int
}

func fail(e zulipserver.Endpoint, f ...zulipserver.Fault) func(*stage) {
	return func(s *stage) { s.Fail(e, f...) }
}

func set(change func(*zulipserver.Knobs)) func(*stage) { return func(s *stage) { s.Set(change) } }

const (
	seconds = `[0-9.]+ [mu]?s`
	address = `127\.0\.0\.1:\d+`
	// undelivered is what a message that was accepted and not delivered gets.
	undelivered = `^accepted in ` + seconds + `, but not delivered within ` + seconds
)

func (tt situation) run(t *testing.T) {
	t.Parallel()
	s := newStage(t, tt.options)
	if tt.prepare != nil {
		tt.prepare(s)
	}
	timeout := tt.timeout
	if timeout == "" {
		timeout = "5s"
	}
	d := look(t, context.Background(), s.args(append([]string{"-t", timeout}, tt.args...)...)...)
	t.Logf("%s: %s (notes: %q)", d.State, d.Text, d.Notes)
	if d.State != tt.state || d.Reason != tt.reason || !regexp.MustCompile(tt.text).MatchString(d.Text) {
		t.Errorf("%s, reason %q: %s\nwant %s, reason %q, matching %s", d.State, d.Reason, d.Text, tt.state, tt.reason, tt.text)
	}
	if tt.note != "" && !hasNote(d, tt.note) {
		t.Errorf("notes %q; want one with %q", d.Notes, tt.note)
	}
	if d.TimedOut {
		t.Error("the look's own deadline passed; want its steps to end before")
	}
	if tt.finding != "" {
		found := false
		for _, r := range d.Rows {
			found = found || r.Key == tt.finding
		}
		if !found {
			t.Errorf("rows %+v; want the finding %s", d.Rows, tt.finding)
		}
	}
	if messages, queues := s.leftOver(); messages != tt.messages || queues != tt.queues {
		t.Errorf("%d messages and %d queues are left on the server; want %d and %d", messages, queues, tt.messages, tt.queues)
	}
	for _, secret := range []string{s.sender.APIKey, s.receiver.APIKey} {
		if strings.Contains(d.Text, secret) || hasNote(d, secret) {
			t.Error("the output holds an API key")
		}
	}
}

func TestDelivered(t *testing.T) {
	delivered := `^delivered in ` + seconds + ` \(accepted in ` + seconds + `\)$`
	tests := []situation{
		{name: "healthy", state: "OK", text: delivered},
		{name: "old server", options: zulipserver.Options{OldFormats: true}, state: "OK", text: delivered},
		{name: "slow registration", prepare: fail(zulipserver.Register, zulipserver.SlowRequest(300*time.Millisecond)), state: "OK", text: delivered},
		{name: "slow acceptance", prepare: fail(zulipserver.SendMessage, zulipserver.SlowAnswer(600*time.Millisecond)), args: []string{"-w", "500ms"},
			state: "WARNING", text: `^end to end ` + seconds + ` \(above 500 ms\), accepted in ` + seconds + `$`},
		{name: "slow delivery", prepare: set(func(k *zulipserver.Knobs) { k.DeliveryDelay = 600 * time.Millisecond }), args: []string{"-c", "500ms"},
			state: "CRITICAL", text: `^end to end ` + seconds + ` \(above 500 ms\), accepted in ` + seconds + `$`},
		{name: "heartbeats before", prepare: set(func(k *zulipserver.Knobs) {
			k.HeartbeatInterval, k.HeartbeatJitter, k.DeliveryDelay = 100*time.Millisecond, 0, 500*time.Millisecond
		}), state: "OK", text: delivered},
		{name: "foreign messages before", prepare: set(func(k *zulipserver.Knobs) { k.ForeignBefore = 40 }), state: "OK", text: delivered},
		{name: "twice the same event", prepare: set(func(k *zulipserver.Knobs) { k.Duplicates = 2 }), state: "OK", text: delivered},
		{name: "no rate limit", prepare: set(func(k *zulipserver.Knobs) { k.RateLimit = 0 }), state: "OK", text: delivered, note: "names no rate limit"},
		{name: "502 at the first polls", prepare: fail(zulipserver.GetEvents, zulipserver.Page(502).Times(2)), state: "OK", text: delivered},
		{name: "poll closed half-way", prepare: fail(zulipserver.GetEvents, zulipserver.Canned(200, "text/html", "").Times(1)), state: "OK", text: delivered},
		{name: "queue lost once", prepare: fail(zulipserver.GetEvents, zulipserver.LostQueue().Times(1)), state: "OK", finding: "queue_lost",
			text: `^delivered in ` + seconds + ` \(accepted in ` + seconds + `, after the server had lost the event queue\)$`},
		{name: "queue lost once, old server", options: zulipserver.Options{OldFormats: true}, prepare: fail(zulipserver.GetEvents, zulipserver.LostQueue().Times(1)),
			state: "OK", finding: "queue_lost", text: `after the server had lost the event queue\)$`},
		{name: "queue lost, then 502", prepare: func(s *stage) {
			s.Fail(zulipserver.GetEvents, zulipserver.LostQueue().Times(1))
			s.Fail(zulipserver.Register, zulipserver.Page(502).After(1).Times(2))
		}, state: "OK", finding: "queue_lost", text: `after the server had lost the event queue\)$`},
		{name: "delete forbidden", prepare: set(func(k *zulipserver.Knobs) { k.ForbidDelete = true }), state: "OK", text: delivered,
			note: "the sender may not delete it", messages: 1},
		{name: "delete fails once", prepare: fail(zulipserver.DeleteMessage, zulipserver.Page(502).Times(1)), state: "OK", text: delivered},
		{name: "delete limited for a moment", prepare: fail(zulipserver.DeleteMessage, zulipserver.RateLimited(100*time.Millisecond).Times(1)), state: "OK", text: delivered},
		{name: "delete fails", prepare: fail(zulipserver.DeleteMessage, zulipserver.Page(502)), state: "WARNING", messages: 1,
			text: `^delivered, but the message stays: delete message \d+ at ` + address + `: HTTP 502 Bad Gateway, an HTML page`},
		{name: "delete of the queue fails", prepare: fail(zulipserver.DeleteQueue, zulipserver.Page(502)), state: "WARNING", queues: 1,
			text: `^delivered, but the event queue stays until it expires: delete the event queue at ` + address + `: HTTP 502`},
		{name: "delete hangs", prepare: func(s *stage) {
			s.Fail(zulipserver.DeleteQueue, zulipserver.Hang())
			s.Fail(zulipserver.DeleteMessage, zulipserver.Hang())
		}, state: "WARNING", text: `^delivered, but the message stays: .*timed out.*; the event queue stays until it expires: .*timed out`, messages: 1, queues: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

func TestNotDelivered(t *testing.T) {
	tests := []situation{
		{name: "accepted, not delivered", prepare: set(func(k *zulipserver.Knobs) { k.DropDelivery = true }), timeout: "2s",
			state: "CRITICAL", finding: "not_delivered", text: undelivered + `$`},
		{name: "limits of the operator", prepare: set(func(k *zulipserver.Knobs) { k.DropDelivery = true }), timeout: "2s", args: []string{"-w", "1", "-c", "2"},
			state: "CRITICAL", finding: "not_delivered", text: undelivered + `$`},
		{name: "to the wrong queue", prepare: set(func(k *zulipserver.Knobs) { k.WrongQueue = true }), timeout: "2s", state: "CRITICAL", text: undelivered + `$`},
		{name: "heartbeats only", prepare: set(func(k *zulipserver.Knobs) {
			k.HeartbeatOnly, k.HeartbeatInterval, k.HeartbeatJitter = true, 100*time.Millisecond, 0
		}),
			timeout: "2s", state: "CRITICAL", text: undelivered + `$`},
		{name: "foreign messages only", prepare: set(func(k *zulipserver.Knobs) { k.DropDelivery, k.ForeignBefore = true, 5 }), timeout: "2s", state: "CRITICAL", text: undelivered + `$`},
		{name: "empty answers at once", prepare: fail(zulipserver.GetEvents, zulipserver.Canned(200, "application/json", `{"result":"success","msg":"","events":[]}`)),
			timeout: "2s", state: "CRITICAL", text: undelivered + `$`},
		{name: "the same event again and again", prepare: fail(zulipserver.GetEvents,
			zulipserver.Canned(200, "application/json", `{"result":"success","msg":"","events":[{"type":"heartbeat","id":0}]}`)),
			timeout: "2s", state: "CRITICAL", text: undelivered + `$`},
		{name: "poll hangs", prepare: fail(zulipserver.GetEvents, zulipserver.Hang()), timeout: "2s", state: "CRITICAL", text: undelivered + `$`},
		{name: "poll 502", prepare: fail(zulipserver.GetEvents, zulipserver.Page(502)), timeout: "2s", state: "CRITICAL",
			text: undelivered + `; last error while waiting: read events from ` + address + `: HTTP 502 Bad Gateway, an HTML page`},
		{name: "poll 200 page", prepare: fail(zulipserver.GetEvents, zulipserver.Page(200)), timeout: "2s", state: "CRITICAL",
			text: undelivered + `; last error while waiting: read events from ` + address + `: an HTML page instead of JSON`},
		{name: "502, then it hangs", prepare: fail(zulipserver.GetEvents, zulipserver.Hang(), zulipserver.Page(502).Times(1)), timeout: "2s", state: "CRITICAL", text: undelivered},
		{name: "queue lost again and again", prepare: fail(zulipserver.GetEvents, zulipserver.LostQueue()), state: "CRITICAL", finding: "queue_lost",
			text: `^accepted in ` + seconds + `, but not delivered: the server lost the receiver's event queue twice \(read events from ` + address + `: Bad event queue`},
		{name: "queue refused again and again", prepare: fail(zulipserver.GetEvents, zulipserver.Refuse(400, "BAD_EVENT_QUEUE_ID", "Bad event queue ID: x")),
			state: "CRITICAL", text: `^accepted in ` + seconds + `, but not delivered: the server lost the receiver's event queue twice \(read events from ` + address + `: Bad event queue`},
		{name: "queue lost, no new one", prepare: func(s *stage) {
			s.Fail(zulipserver.GetEvents, zulipserver.LostQueue().Times(1))
			s.Fail(zulipserver.Register, zulipserver.Page(502).After(1))
		}, timeout: "2s", state: "CRITICAL", text: undelivered + `, after the server had lost the event queue; last error while waiting: register an event queue at ` + address + `: HTTP 502`},
		{name: "queue lost, sending hangs", prepare: func(s *stage) {
			s.Fail(zulipserver.GetEvents, zulipserver.LostQueue().Times(1))
			s.Fail(zulipserver.SendMessage, zulipserver.LoseAnswer().After(1))
		}, timeout: "2s", state: "CRITICAL", text: undelivered + `, after the server had lost the event queue; last error while waiting: send a message through ` + address + `: timed out`},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

// At each stage: what the server refuses, cannot serve, or does not answer.
func TestStages(t *testing.T) {
	tests := []situation{
		{name: "wrong key of the sender", prepare: func(s *stage) { edit(s, s.sender, func(u *zulipserver.User) { u.APIKey = strings.Repeat("x", 32) }) },
			state: "UNKNOWN", reason: "auth", text: `^send a message through ` + address + `: the API key of the sender bot send-bot@chat\.example\.org is refused: Invalid API key \(INVALID_API_KEY\)$`},
		{name: "wrong key of the receiver", prepare: func(s *stage) { edit(s, s.receiver, func(u *zulipserver.User) { u.APIKey = strings.Repeat("x", 32) }) },
			state: "UNKNOWN", reason: "auth", text: `^register an event queue at ` + address + `: the API key of the receiver bot receive-bot@chat\.example\.org is refused`},
		{name: "sender deactivated", prepare: func(s *stage) { edit(s, s.sender, func(u *zulipserver.User) { u.Deactivated = true }) },
			state: "UNKNOWN", reason: "auth", text: `^send a message through ` + address + `: the sender bot send-bot@chat\.example\.org is deactivated`},
		{name: "receiver deactivated", prepare: func(s *stage) { edit(s, s.receiver, func(u *zulipserver.User) { u.Deactivated = true }) },
			state: "UNKNOWN", reason: "auth", text: `the receiver bot receive-bot@chat\.example\.org is deactivated`},
		{name: "organization deactivated", prepare: func(s *stage) {
			if err := s.DeactivateRealm("", true); err != nil {
				panic(err)
			}
		}, state: "CRITICAL", reason: "unavailable", text: `^register an event queue at ` + address + `: the organization is deactivated`},
		{name: "no such organization", options: zulipserver.Options{Domain: "chat.example.org"}, state: "UNKNOWN", reason: "config", text: `no organization at this address: Invalid subdomain`},
		{name: "receiver unknown to the server", prepare: fail(zulipserver.SendMessage, zulipserver.Refuse(400, "BAD_REQUEST", "Invalid email 'receive-bot@chat.example.org'")),
			state: "UNKNOWN", reason: "data", text: `^send a message through ` + address + `: Invalid email 'receive-bot@chat\.example\.org' \(BAD_REQUEST\)$`},

		{name: "limited at registration", prepare: fail(zulipserver.Register, zulipserver.RateLimited(23*time.Second)), state: "UNKNOWN", reason: "permission",
			text: `^register an event queue at ` + address + `: rate limit of the receiver bot receive-bot@chat\.example\.org is hit, until \d\d:\d\d:\d\d UTC \(23 s\)$`},
		{name: "limited at sending", prepare: fail(zulipserver.SendMessage, zulipserver.RateLimited(23*time.Second)), state: "UNKNOWN", reason: "permission",
			text: `^send a message through ` + address + `: rate limit of the sender bot .* is hit, until \d\d:\d\d:\d\d UTC \(23 s\)$`},
		{name: "limited at waiting", prepare: fail(zulipserver.GetEvents, zulipserver.RateLimited(23*time.Second)), state: "UNKNOWN", reason: "permission",
			text: `^read events from ` + address + `: rate limit of the receiver bot .* is hit, until`},
		{name: "limited at deleting", prepare: fail(zulipserver.DeleteMessage, zulipserver.RateLimited(23*time.Second)), state: "WARNING", messages: 1,
			text: `^delivered, but the message stays: delete message \d+ at ` + address + `: rate limit of the sender bot .* is hit, until`},
		{name: "limited for real", prepare: set(func(k *zulipserver.Knobs) { k.RateLimit = 1 }), state: "WARNING", queues: 1, messages: 1,
			text: `^delivered, but the message stays: .*rate limit of the sender bot .* is hit, until .*; the event queue stays until it expires: .*rate limit of the receiver bot`},

		{name: "502 at registration", prepare: fail(zulipserver.Register, zulipserver.Page(502)), state: "CRITICAL", reason: "unavailable",
			text: `^register an event queue at ` + address + `: HTTP 502 Bad Gateway, an HTML page: the web server answers, Zulip behind it does not$`},
		{name: "502 at sending", prepare: fail(zulipserver.SendMessage, zulipserver.Page(502)), state: "CRITICAL", reason: "unavailable",
			text: `^send a message through ` + address + `: HTTP 502 Bad Gateway`, note: "acceptance was not heard of"},
		{name: "500 at sending", prepare: fail(zulipserver.SendMessage, zulipserver.Refuse(500, "", "Internal server error")), state: "CRITICAL", reason: "unavailable",
			text: `^send a message through ` + address + `: HTTP 500: Internal server error$`},
		{name: "200 page at registration", prepare: fail(zulipserver.Register, zulipserver.Page(200)), state: "CRITICAL", reason: "unavailable", text: `: an HTML page instead of JSON`},
		{name: "200 page at sending", prepare: fail(zulipserver.SendMessage, zulipserver.Page(200)), state: "CRITICAL", reason: "unavailable", text: `^send .*: an HTML page instead of JSON`},
		{name: "junk at registration", prepare: fail(zulipserver.Register, zulipserver.NotJSON()), state: "UNKNOWN", reason: "data", text: `^register .*: not the JSON that was expected`},
		{name: "junk at sending", prepare: fail(zulipserver.SendMessage, zulipserver.NotJSON()), state: "UNKNOWN", reason: "data", text: `^send .*: not the JSON that was expected`},
		{name: "junk at waiting", prepare: fail(zulipserver.GetEvents, zulipserver.NotJSON()), state: "UNKNOWN", reason: "data", text: `^read events .*: not the JSON that was expected`},
		{name: "no queue id", prepare: fail(zulipserver.Register, zulipserver.Canned(200, "application/json", `{"result":"success","msg":"","queue_id":null}`)),
			state: "UNKNOWN", reason: "data", text: `success, but without queue_id`},
		{name: "no message id", prepare: fail(zulipserver.SendMessage, zulipserver.Canned(200, "application/json", `{"result":"success","msg":""}`)),
			state: "UNKNOWN", reason: "data", text: `success, but without the message's id`},
		{name: "cut answer to sending", prepare: fail(zulipserver.SendMessage, zulipserver.Truncated(10)), state: "UNKNOWN", reason: "data", text: `^send .*: not the JSON`,
			note: "was accepted all the same"},

		{name: "registration hangs", prepare: fail(zulipserver.Register, zulipserver.Hang()), timeout: "2s", state: "CRITICAL", reason: "timeout",
			text: `^register an event queue at ` + address + `: timed out after ` + seconds + `$`, note: "may stay until it expires"},
		{name: "registered without an answer", prepare: fail(zulipserver.Register, zulipserver.LoseAnswer()), timeout: "2s", state: "CRITICAL", reason: "timeout",
			text: `^register an event queue at ` + address + `: timed out`, note: "may stay until it expires", queues: 1}, // its id is not known
		{name: "sending hangs", prepare: fail(zulipserver.SendMessage, zulipserver.Hang()), timeout: "2s", state: "CRITICAL", reason: "timeout",
			text: `^send a message through ` + address + `: timed out after ` + seconds + `$`, note: "may turn up and stay"},
		{name: "accepted without an answer", prepare: fail(zulipserver.SendMessage, zulipserver.LoseAnswer()), timeout: "2s", state: "CRITICAL", reason: "timeout",
			text: `^send a message through ` + address + `: timed out after ` + seconds + `$`, note: "was accepted all the same"},
		{name: "accepted without an answer, no events", prepare: func(s *stage) {
			s.Fail(zulipserver.SendMessage, zulipserver.LoseAnswer())
			s.Fail(zulipserver.GetEvents, zulipserver.Page(502))
		}, timeout: "2s", state: "CRITICAL", reason: "timeout", text: `^send .*: timed out`, note: "was accepted all the same"},
		{name: "accepted, the answer is a 504 page", prepare: func(s *stage) {
			s.Fail(zulipserver.SendMessage, zulipserver.Truncated(0))
		}, state: "UNKNOWN", reason: "data", text: `^send .*: an empty answer`, note: "was accepted all the same"},
		{name: "everything hangs after the registration", prepare: func(s *stage) {
			s.Fail(zulipserver.Every, zulipserver.Hang().After(1))
		}, timeout: "2s", state: "CRITICAL", reason: "timeout", text: `^send .*: timed out`, queues: 1, note: "stays until it expires"},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

func edit(s *stage, u zulipserver.User, change func(*zulipserver.User)) {
	if err := s.EditUser(u.Email, change); err != nil {
		panic(err)
	}
}
