// Package sendreceivetime checks that a Zulip server takes a message from one
// bot and delivers it to another one, and how long that takes.
package sendreceivetime

import (
	"math"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/sendreceive"
)

var rateLimitRemaining = &check.Metric{
	Family: "send_receive", Key: "rate_limit_remaining", Title: "requests left by the rate limit", Unit: check.None,
	Help:   "Requests that the server's rate limit still allows the bot in its window, the least that an answer named.",
	Labels: []string{"bot", "realm"},
}

var queueLost = &check.Finding{
	Key: "queue_lost", State: check.OK,
	Help:   "the server forgot the receiver's event queue while the message was on its way; it was registered anew and the message sent again",
	Labels: []string{"realm"},
}

var stagingFailed = &check.Finding{
	Key: "staging_failed", State: check.Warning,
	Help:   "a realm of --staging was not looked at, refused the look, or did not deliver",
	Labels: []string{"realm"},
}

// neverCritical opens the critical range of the time in a realm.
func neverCritical(realm string) check.Limit {
	return check.Limit{
		Metric: sendreceive.EndToEnd, Match: map[string]string{"realm": realm}, Severity: check.Critical,
		Range: check.Range{Start: math.Inf(-1), End: math.Inf(1)},
	}
}

// Definition is the check.
var Definition = &check.Definition{
	Name:    "send_receive_time",
	Title:   "ZULIP SEND RECEIVE TIME",
	Summary: "sends a message from one Zulip bot to another, waits for it as a client would, and deletes it",
	Examples: []string{
		"check_send_receive_time --sender-zuliprc /etc/belfry/sender.zuliprc --receiver-zuliprc /etc/belfry/receiver.zuliprc",
		"check_send_receive_time --sender-zuliprc S --receiver-zuliprc R -w 2 -c 8",
		"check_send_receive_time --sender-zuliprc S --receiver-zuliprc R --stream monitoring --force-address 10.0.0.5",
		"check_send_receive_time --realm prod=/etc/belfry/prod-s,/etc/belfry/prod-r --realm staging=/etc/belfry/st-s,/etc/belfry/st-r --staging staging",
		"check_send_receive_time --site https://chat.example.org --sender-email s-bot@chat.example.org --sender-key-file S.key --receiver-email r-bot@chat.example.org --receiver-key-file R.key",
	},
	Peer:     "http",
	Interval: time.Minute,
	Timeout:  20 * time.Second,
	Privileges: []string{
		"Two bots of the same organization, of the type \"Generic bot\"; no administrator is needed. Their zuliprc files are readable by the user of the check and by no others.",
		"The sender may delete its own messages (organization settings, \"Who can delete their own messages\"); otherwise each look leaves one message behind, which -v says.",
		"For --stream: the receiver is subscribed to the channel, and the sender may post there: in a private channel it must be subscribed too.",
	},
	Metrics:  []*check.Metric{sendreceive.EndToEnd, sendreceive.Registration, sendreceive.Acceptance, rateLimitRemaining},
	Findings: []*check.Finding{sendreceive.NotDelivered, sendreceive.LeftBehind, queueLost, stagingFailed},
	New:      func(fs *pflag.FlagSet) check.Check { return newProbe(fs) },
}
