// Package postgresreplicationlag looks at streaming replication of
// PostgreSQL, from the primary, from standbys, or from several servers at
// once.
package postgresreplicationlag

import (
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Definition says everything about the check.
var Definition = &check.Definition{
	Name:    "postgres_replication_lag",
	Title:   "POSTGRES REPLICATION LAG",
	Summary: "looks how far PostgreSQL standbys are behind, and whether they are still there",
	Aliases: []string{"check_postgresql_replication_lag", "check_pg_replication_lag"},
	Examples: []string{
		"check_postgres_replication_lag -H db1 --standbys 1 -U monitor --password-file /etc/belfry/pg-password",
		"check_postgres_replication_lag -H db1 -H db2:5433 --standby db2 -U monitor -w 16MiB -c 80MiB",
		"check_postgres_replication_lag -H db2 --expect standby -U monitor",
		"check_postgres_replication_lag -H /run/postgresql --standbys 0",
		"check_postgres_replication_lag --service prod -w lag=1min -c lag=5min",
	},
	Peer:     "postgres",
	Interval: time.Minute,
	Timeout:  10 * time.Second,
	Privileges: []string{
		"a role that may log in to each server, with pg_read_all_stats: CREATE ROLE monitor LOGIN PASSWORD '...'; GRANT pg_read_all_stats TO monitor;",
		"a line for it in pg_hba.conf of every server: host postgres monitor ADDRESS/32 scram-sha-256",
		"no pg_monitor: that role reads the password of the replication out of primary_conninfo",
	},
	Metrics: []*check.Metric{
		replayLag, flushLag, writeLag, lag, replyAge, messageAge, lastReplay, standbys, slotRetained, slotUnconfirmed, slotLag,
		subscriptionAge, subscriptionErrors, conflicts, conflictRate, primary, timeline,
	},
	Findings: []*check.Finding{
		twoPrimaries, noPrimary, differentTimelines, differentSystems, systemChanged, sameServer, wrongRole, noStandby, standbyMissing, standbyGone, standbyState,
		synchronousMissing, slotInactive, slotUnreserved, slotLost, subscriptionDown, subscriptionBegins, subscriptionDisabled, subscriptionFails,
		noReceiver, archiveRecovery, receiverState, receiverBegins, replayPaused, clocksDiffer, noTimeout,
	},
	New: newCheck,
}

// Limits on bytes are those of Zulip's own check: one segment of the log, and
// five.
const (
	lagWarning  = "16MiB"
	lagCritical = "80MiB"
)

// family is the metrics' in Prometheus.
const family = "postgres_replication"

var (
	replayLag = &check.Metric{
		Family: family, Key: "replay_lag", Title: "replay lag", Unit: check.Bytes, Labels: []string{"server", "standby"},
		Warning: lagWarning, Critical: lagCritical,
		Help: "Bytes of the log that a standby has not replayed yet, as the server that sends them sees it; without a standby label, as the standby itself sees it.",
	}
	flushLag = &check.Metric{
		Family: family, Key: "flush_lag", Title: "flush lag", Unit: check.Bytes, Labels: []string{"server", "standby"},
		Warning: lagWarning, Critical: lagCritical,
		Help: "Bytes of the log that a standby has not on disk yet, which are lost when the primary is.",
	}
	writeLag = &check.Metric{
		Family: family, Key: "write_lag", Title: "write lag", Unit: check.Bytes, Labels: []string{"server", "standby"},
		Warning: lagWarning, Critical: lagCritical,
		Help: "Bytes of the log that a standby has not received and written yet.",
	}
	lag = &check.Metric{
		Family: family, Key: "lag", Title: "lag", Unit: check.Seconds, Labels: []string{"server", "standby"},
		Warning: "60s", Critical: "5min",
		Help: "Seconds for which log has been there that a standby has not replayed, where that can be told; without a standby label, as the standby itself sees it.",
	}
	replyAge = &check.Metric{
		Family: family, Key: "reply_age", Title: "silent for", Unit: check.Seconds, Labels: []string{"server", "standby"},
		Critical: "40s",
		Help:     "Seconds since the last reply of a standby. The default limit is for default timeouts; a server with others is judged by its own.",
	}
	messageAge = &check.Metric{
		Family: family, Key: "message_age", Title: "primary silent for", Unit: check.Seconds, Labels: []string{"server"},
		Critical: "40s",
		Help:     "Seconds since a standby heard from the server that it receives from. The default limit is for default timeouts; a server with others is judged by its own.",
	}
	lastReplay = &check.Metric{
		Family: family, Key: "last_replay", Title: "newest commit replayed", Kind: check.Since, Labels: []string{"server"},
		Warning: "1h", Critical: "24h",
		Help: "When the newest transaction was committed that a standby without a connection has replayed out of its archive.",
	}
	standbys = &check.Metric{
		Family: family, Key: "standbys", Title: "standbys connected", Labels: []string{"server"},
		Help: "Standbys that are connected; WAL archivers, base backups and logical subscribers are none.",
	}
	slotRetained = &check.Metric{
		Family: family, Key: "slot_retained", Title: "log kept by the slot", Unit: check.Bytes, Labels: []string{"server", "slot"},
		Help: "Bytes of the log that a replication slot keeps from being removed.",
	}
	slotUnconfirmed = &check.Metric{
		Family: family, Key: "slot_unconfirmed", Title: "log not confirmed by the subscriber", Unit: check.Bytes, Labels: []string{"server", "slot"},
		Warning: "1GiB",
		Help:    "Bytes of the log for which the subscriber of a logical slot has not confirmed that it needs them no more.",
	}
	slotLag = &check.Metric{
		Family: family, Key: "slot_lag", Title: "subscriber's lag", Unit: check.Seconds, Labels: []string{"server", "slot"},
		Warning: "5min", Critical: "1h",
		Help: "Seconds for which log has been there that the subscriber of a logical slot has not confirmed, by the looks that saw it.",
	}
	subscriptionAge = &check.Metric{
		Family: family, Key: "subscription_age", Title: "publisher silent for", Unit: check.Seconds, Labels: onSubscription,
		Warning: "40s", Critical: "5min",
		Help: "Seconds since the worker of a subscription took a message. The default warning is for default timeouts; a server with others is judged by its own.",
	}
	subscriptionErrors = &check.Metric{
		Family: family, Key: "subscription_errors", Title: "errors", Kind: check.Counter, Labels: onSubscription,
		Help: "Errors of a subscription in copying tables and applying changes, since the server's statistics were reset.",
	}
	conflicts = &check.Metric{
		Family: family, Key: "conflicts", Title: "queries cancelled", Kind: check.Counter, Labels: []string{"server", "conflict"},
		Help: "Queries that a standby has cancelled because they stood in the way of replay, since its statistics were reset.",
	}
	conflictRate = &check.Metric{
		Family: family, Key: "conflict_rate", Title: "queries cancelled per minute", Labels: onServer,
		Warning: "1",
		Help:    "Queries per minute that a standby has cancelled for replay since the previous look.",
	}
	primary = &check.Metric{
		Family: family, Key: "primary", Title: "writable", Labels: []string{"server"},
		Help: "1 for a server that can be written, 0 for a standby.",
	}
	timeline = &check.Metric{
		Family: family, Key: "timeline", Title: "timeline", Labels: []string{"server"},
		Help: "Timeline that the server writes or receives.",
	}
)

var (
	onServer  = []string{"server"}
	onStandby = []string{"server", "standby"}
	onSlot    = []string{"server", "slot"}

	onSubscription = []string{"server", "subscription"}
)

var (
	twoPrimaries = &check.Finding{
		Key: "two_primaries", State: check.Critical, Help: "split brain: several of the servers are writable copies of one cluster",
	}
	noPrimary = &check.Finding{
		Key: "no_primary", State: check.Critical, Help: "standbys receive from each other in a circle, and no primary feeds them",
	}
	systemChanged = &check.Finding{
		Key: "system_changed", State: check.Warning, Labels: onServer, Help: "an address leads to another cluster than at an earlier look: its system identifier is another",
	}
	standbyGone = &check.Finding{
		Key: "standby_gone", State: check.Warning, Labels: onStandby, Help: "a standby was connected at an earlier look and is not any more, and nothing says whether it should be",
	}
	subscriptionDown = &check.Finding{
		Key: "subscription_down", State: check.Critical, Labels: onSubscription, Help: "an enabled subscription has no worker",
	}
	subscriptionBegins = &check.Finding{
		Key: "subscription_begins", State: check.Warning, Labels: onSubscription, Help: "the worker of a subscription was just started and has received nothing yet; again and again, it cannot reach its publisher",
	}
	subscriptionDisabled = &check.Finding{
		Key: "subscription_disabled", State: check.Warning, Labels: onSubscription, Help: "a subscription is disabled",
	}
	subscriptionFails = &check.Finding{
		Key: "subscription_fails", State: check.Warning, Labels: onSubscription, Help: "a subscription has failed since the previous look",
	}
	archiveRecovery = &check.Finding{
		Key: "archive_recovery", State: check.Warning, Labels: onServer, Help: "a standby is fed by its archive alone, and nothing says whether that is meant",
	}
	differentTimelines = &check.Finding{
		Key: "different_timelines", State: check.Critical, Labels: onServer, Help: "a standby is on another timeline than the primary",
	}
	differentSystems = &check.Finding{
		Key: "different_systems", State: check.Critical, Help: "the servers are no copies of each other: their system identifiers differ",
	}
	sameServer = &check.Finding{
		Key: "same_server", State: check.Unknown, Help: "two of the addresses given lead to one and the same server",
	}
	wrongRole = &check.Finding{
		Key: "wrong_role", State: check.Critical, Labels: onServer, Help: "a server is not what --expect says",
	}
	noStandby = &check.Finding{
		Key: "no_standby", State: check.Unknown, Labels: onServer, Help: "a primary has no standby, and nothing says whether it should have one",
	}
	standbyMissing = &check.Finding{
		Key: "standby_missing", State: check.Critical, Labels: []string{"standby"}, Help: "a standby that --standby names is not connected",
	}
	standbyState = &check.Finding{
		Key: "standby_state", State: check.Warning, Labels: onStandby, Help: "a standby is connected and does not stream yet, or has not said how far it is",
	}
	synchronousMissing = &check.Finding{
		Key: "synchronous_missing", State: check.Critical, Labels: onServer, Help: "commits wait for synchronous standbys, and fewer are connected than they need",
	}
	slotInactive = &check.Finding{
		Key: "slot_inactive", State: check.Critical, Labels: onSlot, Help: "nobody is connected to a replication slot, which keeps more and more of the log",
	}
	slotUnreserved = &check.Finding{
		Key: "slot_unreserved", State: check.Critical, Labels: onSlot, Help: "the log that a slot needs may be removed at the next checkpoint",
	}
	slotLost = &check.Finding{
		Key: "slot_lost", State: check.Critical, Labels: onSlot, Help: "a slot cannot be used any more: log that it needs has been removed, or it was invalidated",
	}
	noReceiver = &check.Finding{
		Key: "no_receiver", State: check.Critical, Labels: onServer, Help: "a standby is connected to no server that it could receive from",
	}
	receiverState = &check.Finding{
		Key: "receiver_state", State: check.Critical, Labels: onServer, Help: "a standby's WAL receiver runs and does not stream",
	}
	receiverBegins = &check.Finding{
		Key: "receiver_begins", State: check.Warning, Labels: onServer, Help: "a standby has just connected and has received nothing yet; again and again, its primary refuses it",
	}
	replayPaused = &check.Finding{
		Key: "replay_paused", State: check.Warning, Labels: onServer, Help: "somebody has paused replay on a standby",
	}
	clocksDiffer = &check.Finding{
		Key: "clocks_differ", State: check.Warning, Labels: onStandby, Help: "a standby's clock is ahead, so that its silence would be seen late",
	}
	noTimeout = &check.Finding{
		Key: "no_timeout", State: check.Warning, Labels: onServer, Help: "timeouts of replication are switched off, so that a dead link cannot be told from an idle one",
	}
)
