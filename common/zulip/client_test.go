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
		if _, _, err := c.Send(ctx, email, "hello *world*", limit); err != nil {
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
		_, maybe, err := c.Send(context.Background(), "a-bot@chat.example.org", "x", 300*time.Millisecond)
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
	if _, maybe, err := c.Send(context.Background(), "a-bot@chat.example.org", "x", limit); maybe || check.ReasonOf(err) != check.Dial {
		t.Errorf("Send() to a server that is gone: %v, %v; want it not accepted and a dial fault", maybe, err)
	}
}

func TestFindSentAndDelete(t *testing.T) {
	s := zulipserver.StartTest(t, zulipserver.Options{})
	a, b := newClient(t, s, "a-bot@chat.example.org"), newClient(t, s, "b-bot@chat.example.org")
	ctx := context.Background()
	var mine int64
	for _, content := range []string{"other", "token 1", "other"} {
		id, _, err := a.Send(ctx, "b-bot@chat.example.org", content, limit)
		if err != nil {
			t.Fatal(err)
		}
		if content == "token 1" {
			mine = id
		}
	}
	if _, _, err := b.Send(ctx, "a-bot@chat.example.org", "answer to token 1", limit); err != nil {
		t.Fatal(err)
	}
	ids, err := a.FindSent(ctx, "token 1", limit)
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
