package rabbitmqqueues

import (
	"fmt"

	"github.com/belfry-monitoring/belfry/common/check"
)

const (
	profileNone  = "none"
	profileZulip = "zulip"
)

// zulipLimits are the limits in messages of Zulip's queues that fill
// in ordinary use, or must not fill at all. Zulip's own check gives each queue
// a time in which the backlog must be worked off (30 s and 60 s unless said
// otherwise); the limits here are the general 100 and 1000 in the proportion
// of those times. notify_tornado is judged by Zulip by the number of messages
// itself, above 10 and 50, because every message in it is a client that waits.
func zulipLimits() []struct{ queue, warning, critical string } {
	return []struct{ queue, warning, critical string }{
		{"notify_tornado*", "10", "50"},
		{"embed_links", "200", "1500"},                        // 60 s, 90 s
		{"email_senders", "300", "5000"},                      // 90 s, 300 s
		{"missedmessage_mobile_notifications", "400", "3000"}, // 120 s, 180 s
		{"missedmessage_mobile_notifications_shard*", "400", "3000"},
		{"deferred_work", "2000", "15000"},           // 600 s, 900 s
		{"soft_reactivation", "2000", "15000"},       // 600 s, 900 s
		{"digest_emails", "4000", "30000"},           // 1200 s, 1800 s
		{"deferred_email_senders", "12000", "75000"}, // 3600 s, 4500 s
	}
}

// profileLimits turns a profile into limits.
func profileLimits(profile string) ([]check.Limit, error) {
	switch profile {
	case profileNone:
		return nil, nil
	case profileZulip:
	default:
		return nil, fmt.Errorf("--profile %q: use zulip or none", profile)
	}
	var limits []check.Limit
	for _, l := range zulipLimits() {
		for severity, text := range map[check.State]string{check.Warning: l.warning, check.Critical: l.critical} {
			r, err := check.ParseRange(text, check.None)
			if err != nil {
				return nil, err
			}
			limits = append(limits, check.Limit{Metric: messages, Match: map[string]string{"queue": l.queue}, Severity: severity, Range: r})
		}
	}
	return limits, nil
}
