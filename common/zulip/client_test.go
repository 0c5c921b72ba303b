package zulip_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/zulip"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

const limit = 5 * time.Second

// newClient makes a client of a new bot, through its zuliprc file's text.
func newClient(t *testing.T, s *zulipserver.Server, email string) *zulip.Client {
	t.Helper()
	rc, err := zulip.ParseRC([]byte(s.Zuliprc(s.AddUser(zulipserver.User{Email: email, Bot: true}))))
	if err != nil {
		t.Fatal(err)
	}
	site, err := zulip.ParseSite(rc.Site)
	if err != nil {
		t.Fatal(err)
	}
	c, err := zulip.New(zulip.Bot{Role: "test", Site: site, Email: rc.Email, Key: rc.Key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func register(t *testing.T, c *zulip.Client) *zulip.Queue {
	t.Helper()
	q, _, err := c.Register(context.Background(), limit)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestWaitKnowsOldEvents(t *testing.T) {
	s := zulipserver.StartTest(t, zulipserver.Options{})
	const email = "a-bot@chat.example.org"
	c := newClient(t, s, email)
	ctx := context.Background()
	q := register(t, c)
	for range 2 {
		if _, _, err := c.Send(ctx, zulip.Recipient{Email: email}, 0, "hello *world*", limit); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Inject(email, map[string]any{"type": "heartbeat"}); err != nil {
		t.Fatal(err)
	}
	messages, fresh, err := c.Wait(ctx, q, limit)
	if err != nil || !fresh || len(messages) != 2 || messages[0].Content != "hello *world*" || messages[0].ID != 1 || q.Last != 2 {
		t.Fatalf("Wait() = %+v, %v, %v, last event %d; want two messages, unrendered, and last event 2", messages, fresh, err, q.Last)
	}
	// The server says it all again, as if it had not heard of our having it.
	s.Fail(zulipserver.GetEvents, zulipserver.Canned(200, "application/json",
		`{"result":"success","msg":"","events":[{"type":"message","id":1,"message":{"id":2,"content":"old"}},{"type":"heartbeat","id":2},{"type":"message"},{"id":-5,"type":7}]}`))
	if _, _, err = c.Wait(ctx, q, limit); check.ReasonOf(err) != check.Data {
		t.Errorf("Wait() with an event whose type is a number = %v; want a data fault", err)
	}
	s.Heal()
	s.Fail(zulipserver.GetEvents, zulipserver.Canned(200, "application/json",
		`{"result":"success","msg":"","events":[{"type":"message","id":1,"message":{"id":2,"content":"old"}},{"type":"heartbeat","id":2},{"type":"message","id":2}]}`))
	if messages, fresh, err = c.Wait(ctx, q, limit); err != nil || fresh || len(messages) != 0 || q.Last != 2 {
		t.Errorf("Wait() of old events = %+v, %v, %v, last event %d; want nothing new and last event 2", messages, fresh, err, q.Last)
	}
	s.Heal()
	if err := c.DeleteQueue(ctx, q, limit); err != nil {
		t.Errorf("DeleteQueue() = %v; want nil", err)
	}
	if err := c.DeleteQueue(ctx, q, limit); err != nil {
		t.Errorf("DeleteQueue() once more = %v; want nil, for it is gone", err)
	}
	if _, _, err = c.Wait(ctx, q, limit); !zulip.IsQueueLost(err) {
		t.Errorf("Wait() of a deleted queue = %v; want it lost", err)
	}
}

func TestSendMayBeAccepted(t *testing.T) {
	tests := []struct {
		name  string
		fault zulipserver.Fault
		maybe bool
	}{
		{"lost answer", zulipserver.LoseAnswer(), true},
		{"502", zulipserver.Page(502), true},
		{"junk", zulipserver.NotJSON(), true},
		{"refused", zulipserver.Refuse(400, "BAD_REQUEST", "no"), false},
		{"rate limit", zulipserver.RateLimited(time.Second), false},
		{"wrong key", zulipserver.Refuse(401, "INVALID_API_KEY", "Invalid API key"), false},
	}
	for _, tt := range tests {
		s := zulipserver.StartTest(t, zulipserver.Options{})
		c := newClient(t, s, "a-bot@chat.example.org")
		s.Fail(zulipserver.SendMessage, tt.fault)
		_, maybe, err := c.Send(context.Background(), zulip.Recipient{Email: "a-bot@chat.example.org"}, 0, "x", 300*time.Millisecond)
		if err == nil || maybe != tt.maybe {
			t.Errorf("%s: Send() may be accepted: %v, %v; want %v and an error", tt.name, maybe, err, tt.maybe)
		}
	}
	s := zulipserver.New(zulipserver.Options{})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, s, "a-bot@chat.example.org")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, maybe, err := c.Send(context.Background(), zulip.Recipient{Email: "a-bot@chat.example.org"}, 0, "x", limit); maybe || check.ReasonOf(err) != check.Dial {
		t.Errorf("Send() to a server that is gone: %v, %v; want it not accepted and a dial fault", maybe, err)
	}
}

func TestFindSentAndDelete(t *testing.T) {
	s := zulipserver.StartTest(t, zulipserver.Options{})
	a, b := newClient(t, s, "a-bot@chat.example.org"), newClient(t, s, "b-bot@chat.example.org")
	ctx := context.Background()
	var mine int64
	for _, content := range []string{"other", "token 1", "other"} {
		id, _, err := a.Send(ctx, zulip.Recipient{Email: "b-bot@chat.example.org"}, 0, content, limit)
		if err != nil {
			t.Fatal(err)
		}
		if content == "token 1" {
			mine = id
		}
	}
	if _, _, err := b.Send(ctx, zulip.Recipient{Email: "a-bot@chat.example.org"}, 0, "answer to token 1", limit); err != nil {
		t.Fatal(err)
	}
	ids, err := a.FindSent(ctx, zulip.Recipient{Email: "b-bot@chat.example.org"}, "token 1", limit)
	if err != nil || len(ids) != 1 || ids[0] != mine {
		t.Errorf("FindSent() = %v, %v; want [%d]", ids, err, mine)
	}
	if err := b.DeleteMessage(ctx, mine, limit); !zulip.IsRefused(err) || !strings.Contains(err.Error(), "permission") {
		t.Errorf("DeleteMessage() of another's message = %v; want it refused", err)
	}
	if err := a.DeleteMessage(ctx, mine, limit); err != nil {
		t.Errorf("DeleteMessage() = %v; want nil", err)
	}
	if left, ok := a.RateLimitRemaining(); !ok || left != 195 {
		t.Errorf("RateLimitRemaining() = %d, %v; want 195 of 200 after 5 requests", left, ok)
	}
}

// A channel is named in every server's own words, and a message in it can be
// found and deleted by a sender who is not subscribed.
func TestChannel(t *testing.T) {
	tests := []struct {
		name    string
		options zulipserver.Options
		level   int
	}{
		{"11", zulipserver.Options{}, 421},
		{"9.0, the first that knows channels", zulipserver.Options{FeatureLevel: 248}, 248},
		{"8", zulipserver.Options{FeatureLevel: 247}, 247},
		{"3.0", zulipserver.Options{FeatureLevel: 1}, 1},
		{"1.9", zulipserver.Options{OldFormats: true}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := zulipserver.StartTest(t, tt.options)
			a, b := newClient(t, s, "a-bot@chat.example.org"), newClient(t, s, "b-bot@chat.example.org")
			const stream = `Watch, "tower", 1`
			if _, err := s.AddStream(stream, "b-bot@chat.example.org"); err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			q := register(t, b)
			if q.Level != tt.level {
				t.Errorf("feature level %d; want %d", q.Level, tt.level)
			}
			to := zulip.Recipient{Stream: stream, Topic: "bells"}
			id, _, err := a.Send(ctx, to, q.Level, "token 1", limit)
			if err != nil {
				t.Fatalf("Send() = %v; want nil", err)
			}
			if m := s.Messages(); len(m) != 1 || m[0].Stream != stream || m[0].Topic != "bells" {
				t.Errorf("messages %+v; want one to the channel and topic", m)
			}
			if messages, _, err := b.Wait(ctx, q, limit); err != nil || len(messages) != 1 || messages[0].Content != "token 1" {
				t.Errorf("Wait() = %+v, %v; want the message", messages, err)
			}
			if ids, err := a.FindSent(ctx, to, "token 1", limit); err != nil || len(ids) != 1 || ids[0] != id {
				t.Errorf("FindSent() = %v, %v; want [%d]", ids, err, id)
			}
			if err := a.DeleteMessage(ctx, id, limit); err != nil {
				t.Errorf("DeleteMessage() = %v; want nil", err)
			}
			for c, want := range map[*zulip.Client]bool{a: false, b: true} {
				if got, err := c.Subscribed(ctx, strings.ToUpper(stream), limit); err != nil || got != want {
					t.Errorf("Subscribed() = %v, %v; want %v", got, err, want)
				}
			}
		})
	}
}

func TestChannelRefusals(t *testing.T) {
	const stream, mail = "tower", "a-bot@chat.example.org"
	edit := func(f func(*zulipserver.Channel)) func(*testing.T, *zulipserver.Server) {
		return func(t *testing.T, s *zulipserver.Server) {
			if err := s.EditStream(stream, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name    string
		to      string
		level   int
		prepare func(*testing.T, *zulipserver.Server)
		reason  check.Reason
		text    string
	}{
		{"unknown", "nowhere", 0, nil, check.Config, "no such channel, or none that the test bot a-bot@chat.example.org may see: Channel 'nowhere' does not exist (STREAM_DOES_NOT_EXIST)"},
		{"unknown, before 9.0", "nowhere", 200, nil, check.Config, "Stream 'nowhere' does not exist (STREAM_DOES_NOT_EXIST)"},
		{"private", stream, 0, edit(func(c *zulipserver.Channel) { c.Private = true }), check.Data, "Not authorized to send to channel 'tower' (BAD_REQUEST)"},
		{"archived", stream, 0, edit(func(c *zulipserver.Channel) { c.Archived = true }), check.Data, "Not authorized to send to channel 'tower' (BAD_REQUEST)"},
		{"closed", stream, 0, edit(func(c *zulipserver.Channel) { c.Closed = true }), check.Data, "You do not have permission to post in this channel. (BAD_REQUEST)"},
	}
	for _, tt := range tests {
		s := zulipserver.StartTest(t, zulipserver.Options{FeatureLevel: tt.level})
		c := newClient(t, s, mail)
		if _, err := s.AddStream(stream); err != nil {
			t.Fatal(err)
		}
		if tt.prepare != nil {
			tt.prepare(t, s)
		}
		_, maybe, err := c.Send(context.Background(), zulip.Recipient{Stream: tt.to, Topic: "t"}, register(t, c).Level, "x", limit)
		if check.ReasonOf(err) != tt.reason || maybe || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: Send() = %v, reason %s, maybe %v; want %s, %q", tt.name, err, check.ReasonOf(err), maybe, tt.reason, tt.text)
		}
	}
}

func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		"tower": "tower", " tower ": "tower", "": "", " ": "", strings.Repeat("ü", 60): strings.Repeat("ü", 60),
		strings.Repeat("ü", 61): "", "a\nb": "", "a\x00": "", "\xff": "",
	} {
		if got, err := zulip.ParseStream(text); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseStream(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
}
