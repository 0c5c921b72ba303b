package postgresreplicationlag

import (
	"fmt"
	"math"

	"github.com/belfry-monitoring/belfry/common/check"
)

// judgeSubscriptions judges a subscriber's side of logical replication. The
// subscriptions of a standby belong to its primary.
func judgeSubscriptions(r *check.Report, f view) {
	for _, s := range f.Subscriptions {
		switch {
		case s.PID == nil && s.Enabled != nil && !*s.Enabled:
			r.Find(subscriptionDisabled, fmt.Sprintf("%s: subscription %s is disabled, nothing is applied: by somebody, or by an error (disable_on_error)", f.name, s.label), f.name, s.label)
		case s.PID == nil:
			r.Find(subscriptionDown, fmt.Sprintf("%s: subscription %s has no worker, nothing is applied: the server's log says why", f.name, s.label), f.name, s.label)
		case s.Age != nil:
			if s.Heard != nil && !*s.Heard {
				r.Find(subscriptionBegins, fmt.Sprintf("%s: subscription %s has received nothing yet: no message from its publisher since its worker was started %s ago, if that stays the publisher hangs or cannot be reached",
					f.name, s.label, seconds(*s.Age)), f.name, s.label)
			}
			r.Observe(subscriptionAge, max(*s.Age, 0), f.name, s.label)
			limit := messageLimit(f.ReceiverTimeout)
			match := map[string]string{"server": f.name, "subscription": s.label}
			upper := check.Range{End: limit}
			if limit == 0 {
				upper.End = math.Inf(1)
				r.Limit(check.Limit{Metric: subscriptionAge, Match: match, Severity: check.Critical, Range: upper})
			}
			r.Limit(check.Limit{Metric: subscriptionAge, Match: match, Severity: check.Warning, Range: upper})
		}
		if s.errors == nil {
			continue
		}
		r.Observe(subscriptionErrors, *s.errors, f.name, s.label)
		before, known := f.past.Errors[s.ID]
		if n := *s.errors - before; known && n > 0 && f.past.counted(f.facts) {
			r.Find(subscriptionFails, fmt.Sprintf("%s: subscription %s has failed since the look %s ago, %.0f more errors: the server's log says why", f.name, s.label, seconds(f.memory.now-f.past.At), n), f.name, s.label)
		}
	}
}

// judgeConflicts judges the queries that replay has cancelled on a standby, by
// their growth since the last look. Fewer than before are a new beginning.
func judgeConflicts(r *check.Report, f view) {
	grown, known := 0.0, f.past.Conflicts != nil && f.past.counted(f.facts)
	for kind, n := range f.Conflicts {
		r.Observe(conflicts, n, f.name, kind)
		grown += max(n-f.past.Conflicts[kind], 0)
	}
	if len(f.Conflicts) == 0 || !known {
		return
	}
	// One cancelled query between two looks in a row is no rate.
	r.Observe(conflictRate, grown/max(f.memory.now-f.past.At, 60)*60, f.name)
}
