// Package sendreceivetime checks that a Zulip server takes a message from one
// bot and delivers it to another one, and how long that takes.
package sendreceivetime

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/sendreceive"
)

var rateLimitRemaining = &check.Metric{
	Family: "send_receive", Key: "rate_limit_remaining", Title: "requests left by the rate limit", Unit: check.None,
	Help:   "Requests that the server's rate limit still allows the bot in its window, the least that an answer named.",
	Labels: []string{"bot"},
}

var queueLost = &check.Finding{
	Key: "queue_lost", State: check.OK,
	Help: "the server forgot the receiver's event queue while the message was on its way; it was registered anew and the message sent again",
}

// Definition is the check.
var Definition = &check.Definition{
	Name:    "send_receive_time",
	Title:   "ZULIP SEND RECEIVE TIME",
	Summary: "sends a direct message from one Zulip bot to another, waits for it as a client would, and deletes it",
	Examples: []string{
		"check_send_receive_time --sender-zuliprc /etc/belfry/sender.zuliprc --receiver-zuliprc /etc/belfry/receiver.zuliprc",
		"check_send_receive_time --sender-zuliprc S --receiver-zuliprc R -w 2 -c 8",
		"check_send_receive_time --site https://chat.example.org --sender-email s-bot@chat.example.org --sender-key-file S.key --receiver-email r-bot@chat.example.org --receiver-key-file R.key",
	},
	Peer:     "http",
	Interval: time.Minute,
	Timeout:  20 * time.Second,
	Privileges: []string{
		"Two bots of the same organization, of the type \"Generic bot\"; no administrator is needed. Their zuliprc files are readable by the user of the check and by no others.",
		"The sender may delete its own messages (organization settings, \"Who can delete their own messages\"); otherwise each look leaves one message behind, which -v says.",
	},
	Metrics:  []*check.Metric{sendreceive.EndToEnd, sendreceive.Registration, sendreceive.Acceptance, rateLimitRemaining},
	Findings: []*check.Finding{sendreceive.NotDelivered, sendreceive.LeftBehind, queueLost},
	New:      func(fs *pflag.FlagSet) check.Check { return newProbe(fs) },
}
