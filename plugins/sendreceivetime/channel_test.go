package sendreceivetime

import (
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

const tower = "bell tower"

// withChannel adds the channel, to which the receiver is subscribed, and then
// prepares the stage further.
func withChannel(more func(*stage)) func(*stage) {
	return func(s *stage) {
		if _, err := s.AddStream(tower, s.receiver.Email); err != nil {
			panic(err)
		}
		if more != nil {
			more(s)
		}
	}
}

func edited(change func(*zulipserver.Channel)) func(*stage) {
	return withChannel(func(s *stage) {
		if err := s.EditStream(tower, change); err != nil {
			panic(err)
		}
	})
}

func TestChannel(t *testing.T) {
	delivered := `^delivered in ` + seconds + ` \(accepted in ` + seconds + `\)$`
	private := func(c *zulipserver.Channel) { c.Private = true }
	tests := []situation{
		{name: "delivered", prepare: withChannel(nil), state: "OK", text: delivered},
		{name: "old server", options: zulipserver.Options{OldFormats: true}, prepare: withChannel(nil), state: "OK", text: delivered},
		{name: "before 9.0", options: zulipserver.Options{FeatureLevel: 237}, prepare: withChannel(nil), state: "OK", text: delivered},
		{name: "private, both subscribed", prepare: withChannel(func(s *stage) {
			s.Subscribe(tower, s.sender.Email, true) //nolint:errcheck // both are there
			s.EditStream(tower, private)             //nolint:errcheck // likewise
		}), state: "OK", text: delivered},
		{name: "foreign messages before", prepare: withChannel(set(func(k *zulipserver.Knobs) { k.ForeignBefore = 40 })), state: "OK", text: delivered},
		{name: "queue lost once", prepare: withChannel(fail(zulipserver.GetEvents, zulipserver.LostQueue().Times(1))), state: "OK", finding: "queue_lost", text: `after the server had lost the event queue\)$`},
		{name: "delete forbidden", prepare: withChannel(set(func(k *zulipserver.Knobs) { k.ForbidDelete = true })), state: "OK", text: delivered,
			note: "the sender may not delete it", messages: 1},
		{name: "acceptance not heard of", prepare: withChannel(fail(zulipserver.SendMessage, zulipserver.LoseAnswer())), timeout: "3s",
			state: "CRITICAL", reason: "timeout", text: `^send a message through ` + address + `: timed out`, note: "was accepted all the same"},

		{name: "not delivered", prepare: withChannel(set(func(k *zulipserver.Knobs) { k.DropDelivery = true })), timeout: "2s",
			state: "CRITICAL", finding: "not_delivered", text: undelivered + `$`},
		{name: "receiver not subscribed", prepare: withChannel(func(s *stage) {
			s.Subscribe(tower, s.receiver.Email, false) //nolint:errcheck // both are there
		}), state: "UNKNOWN", reason: "config", text: `^the receiver bot receive-bot@chat\.example\.org is not subscribed to the channel "bell tower", or there is no such channel: subscribe it$`},
		{name: "no such channel", state: "UNKNOWN", reason: "config", text: `is not subscribed to the channel "bell tower", or there is no such channel`},
		{name: "archived", prepare: edited(func(c *zulipserver.Channel) { c.Archived = true }), state: "UNKNOWN", reason: "config", text: `is not subscribed to the channel`},
		{name: "sender may not post", prepare: edited(func(c *zulipserver.Channel) { c.Closed = true }), state: "UNKNOWN", reason: "data",
			text: `^send a message through ` + address + `: You do not have permission to post in this channel\. \(BAD_REQUEST\)$`},
		{name: "private, sender not subscribed", prepare: edited(private), state: "UNKNOWN", reason: "data",
			text: `^send a message through ` + address + `: Not authorized to send to channel 'bell tower' \(BAD_REQUEST\)$`},

		// What the subscriptions are is only a help: the message decides.
		{name: "subscriptions cannot be read", prepare: withChannel(fail(zulipserver.Subscriptions, zulipserver.Page(502))), state: "OK", text: delivered,
			note: "whether the receiver is subscribed to the channel is not known: read the subscriptions of the receiver at"},
		{name: "subscriptions hang", prepare: withChannel(fail(zulipserver.Subscriptions, zulipserver.Hang())), state: "OK", text: delivered,
			note: "whether the receiver is subscribed to the channel is not known"},
		{name: "subscriptions are junk", prepare: withChannel(fail(zulipserver.Subscriptions, zulipserver.Canned(200, "application/json", `{"result":"success","msg":""}`))),
			state: "OK", text: delivered, note: "success, but without subscriptions"},
		{name: "subscriptions are limited", prepare: withChannel(fail(zulipserver.Subscriptions, zulipserver.RateLimited(time.Minute))), state: "OK", text: delivered,
			note: "rate limit of the receiver bot"},
		{name: "subscriptions cannot be read, no such channel", prepare: fail(zulipserver.Subscriptions, zulipserver.Page(502)), state: "UNKNOWN", reason: "config",
			text: `^send a message through ` + address + `: no such channel, or none that the sender bot .* may see: Channel 'bell tower' does not exist \(STREAM_DOES_NOT_EXIST\)$`},
	}
	for _, tt := range tests {
		tt.args = append(tt.args, "--stream", tower, "--topic", "peal")
		t.Run(tt.name, tt.run)
	}
}
