package rabbitmqqueues

import (
	"fmt"

	"github.com/belfry-monitoring/belfry/common/check"
)

const (
	profileNone  = "none"
	profileZulip = "zulip"
)

// pair is a limit for WARNING and one for CRITICAL; empty: the metric's own.
type pair struct{ warning, critical string }

// queueLimits are the limits of the queues of a name.
type queueLimits struct {
	queue   string // glob
	depth   pair
	drain   pair
	stalled pair
}

// zulipLimits are the limits of Zulip's queues.
//
// drain is the time that Zulip's own check gives each queue to be worked off:
// 30 s and 60 s unless it is listed there (scripts/lib/check_rabbitmq_queue.py,
// 2025; soft_reactivation 2026). Shards, which Zulip looks up by their full
// name and so judges by 30 s and 60 s, have those of their queue.
//
// depth is in force where the pace is not known: the general 100 and 1000 in
// the proportion of those times. notify_tornado is judged by Zulip by its
// depth alone, 10 and 50, because every message in it is a client that waits.
//
// stalled is Zulip's 180 s for a worker that does not renew its statistics,
// but not less than the time that the queue has to be worked off: its slow
// workers may take that long for one message.
func zulipLimits() []queueLimits {
	ordinary := func(queue string) queueLimits {
		return queueLimits{queue, pair{}, pair{"30s", "60s"}, pair{"3min", "5min"}}
	}
	mobile := queueLimits{"missedmessage_mobile_notifications", pair{"400", "3000"}, pair{"2min", "3min"}, pair{"5min", "10min"}}
	shards := mobile
	shards.queue += "_shard*"
	return []queueLimits{
		ordinary("email_mirror"), ordinary("embedded_bots"), ordinary("missedmessage_emails"), ordinary("outgoing_webhooks"),
		ordinary("thumbnail"), ordinary("user_activity"), ordinary("user_activity_shard*"), ordinary("user_activity_interval"),
		// Of former versions.
		ordinary("confirmation_emails"), ordinary("error_reports"), ordinary("message_sender"), ordinary("missedmessage_email_senders"),
		ordinary("user_presence"),
		{"notify_tornado*", pair{"10", "50"}, pair{"10s", "30s"}, pair{"1min", "3min"}},
		{"embed_links", pair{"200", "1500"}, pair{"60s", "90s"}, pair{"3min", "5min"}},
		{"email_senders", pair{"300", "5000"}, pair{"90s", "5min"}, pair{"5min", "10min"}},
		mobile, shards,
		{"deferred_work", pair{"2000", "15000"}, pair{"10min", "15min"}, pair{"15min", "30min"}},
		{"soft_reactivation", pair{"2000", "15000"}, pair{"10min", "15min"}, pair{"15min", "30min"}},
		{"digest_emails", pair{"4000", "30000"}, pair{"20min", "30min"}, pair{"15min", "30min"}},
		{"slow_queries", pair{"4000", "30000"}, pair{"2min", "10min"}, pair{"10min", "20min"}},
		{"deferred_email_senders", pair{"12000", "75000"}, pair{"1h", "75min"}, pair{"15min", "30min"}},
	}
}

// profileLimits turns a profile into limits. Of a queue of which only the
// ready messages are known, these are judged by the limits on depth.
func profileLimits(profile string, readyOnly bool) ([]check.Limit, error) {
	depth := messages
	var limits []check.Limit
	add := func(m *check.Metric, queue string, p pair) error {
		for severity, text := range map[check.State]string{check.Warning: p.warning, check.Critical: p.critical} {
			if text == "" {
				continue
			}
			r, err := check.ParseRange(text, m.JudgedUnit())
			if err != nil {
				return err
			}
			l := check.Limit{Metric: m, Severity: severity, Range: r}
			if queue != "" {
				l.Match = map[string]string{"queue": queue}
			}
			limits = append(limits, l)
		}
		return nil
	}
	if readyOnly {
		depth = ready
		if err := add(ready, "", pair{depthWarning, depthCritical}); err != nil {
			return nil, err
		}
	}
	switch profile {
	case profileNone:
		return limits, nil
	case profileZulip:
	default:
		return nil, fmt.Errorf("--profile %q: use zulip or none", profile)
	}
	for _, l := range zulipLimits() {
		for _, each := range []struct {
			metric *check.Metric
			pair   pair
		}{{depth, l.depth}, {drainTime, l.drain}, {stalled, l.stalled}} {
			if err := add(each.metric, l.queue, each.pair); err != nil {
				return nil, err
			}
		}
	}
	return limits, nil
}
