package rabbitmqqueues

import (
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
	"github.com/belfry-monitoring/belfry/common/zulip/queuestats"
)

// TestZulipsTimes holds the profile against the seconds that Zulip's own check
// gives each queue to be worked off (scripts/lib/check_rabbitmq_queue.py).
func TestZulipsTimes(t *testing.T) {
	zulips := map[string][2]float64{
		"deferred_work": {600, 900}, "digest_emails": {1200, 1800}, "missedmessage_mobile_notifications": {120, 180},
		"embed_links": {60, 90}, "email_senders": {90, 300}, "deferred_email_senders": {3600, 4500}, "soft_reactivation": {600, 900},
		// Zulip looks shards up by their full name, so that a slow queue's had
		// the times of an ordinary one.
		"missedmessage_mobile_notifications_shard2": {120, 180}, "user_activity_shard2": {30, 60},
	}
	for _, ordinary := range strings.Fields("email_mirror embedded_bots missedmessage_emails outgoing_webhooks thumbnail user_activity user_activity_interval") {
		zulips[ordinary] = [2]float64{30, 60}
	}
	for queue, seconds := range zulips {
		for depth, want := range map[float64]check.State{
			seconds[0]: check.OK, seconds[0] + 1: check.Warning, seconds[1]: check.Warning, seconds[1] + 1: check.Critical,
		} {
			tell(t, management, queue, []seen{{ready: depth, mean: 1, age: time.Second, state: want}}) // a second a message
		}
	}
}

// Zulip's check once judged each queue by the count of the last one, and let
// what is not known of one hide or lower what is known of another.
func TestEachQueueForItself(t *testing.T) {
	at := time.Unix(1795220000, 0)
	paced := func(mean float64) *queuestats.Stats {
		return &queuestats.Stats{Updated: at.Add(-time.Second), Emptied: at.Add(-time.Hour), SecondsPerMessage: mean, HasMean: mean > 0}
	}
	v := view{live: true,
		queues: []rabbitmq.Queue{
			classic("digest_emails", 900, 100, 1), classic("embed-links.v2", 40, 0, 1), classic("email_senders", 5, 0, 1), classic("user_activity", 0, 0, 1),
			with(classic("thumbnail", 3, 0, 0), noStats), classic("outgoing_webhooks", 7, 0, 0)},
		stats: map[string]*queuestats.Stats{"digest_emails": paced(0.5), "embed-links.v2": paced(60), "email_senders": paced(0), "user_activity": paced(9)}}
	r := judgeView(t, nil, nil, v)
	got := map[string]string{}
	for _, row := range r.Rows {
		if row.State != check.OK {
			name, text, _ := strings.Cut(row.Text, ": ")
			got[name] = row.State.String() + " " + text
		}
	}
	want := map[string]string{
		"embed-links.v2":    "CRITICAL drain time 40 min (above 15 min), ",
		"outgoing_webhooks": "CRITICAL 7 messages and no consumer",
		"consumers of 1 queue with messages not known": "UNKNOWN thumbnail; ",
	}
	for name, text := range want {
		if !strings.HasPrefix(got[name], text) {
			t.Errorf("%s: %q; want %q", name, got[name], text)
		}
	}
	if r.State != check.Critical || len(got) != len(want) {
		t.Errorf("%s with %v; want CRITICAL, and nothing of the others", r.State, got)
	}
}
