package postgresreplicationlag

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// judge turns what the servers said into a report. Answers are nil for
// servers that failed; their faults are reported elsewhere.
func judge(r *check.Report, answers []*facts, want expectation) {
	var seen []*facts
	for _, f := range answers {
		if f != nil {
			seen = append(seen, f)
		}
	}
	m := recall(r)
	for _, f := range seen {
		m.seeSwitch(f)
	}
	// Findings stand in this order on line 1.
	judgeCluster(r, m, seen)
	judgeNames(r, seen, len(seen) < len(answers), want)
	var summaries []string
	for _, f := range seen {
		v := view{facts: f, past: m.of(f), memory: m, seen: seen, want: want}
		judgeRole(r, v)
		judgeReplaced(r, v)
		if f.writable() {
			summaries = append(summaries, judgePrimary(r, v))
		} else {
			summaries = append(summaries, judgeStandby(r, v))
		}
		v.past.look(m, f)
	}
	judgeGone(r, m, seen, len(seen) < len(answers), want)
	for _, metric := range []*check.Metric{lag, lastReplay, slotUnconfirmed, slotLag, subscriptionAge, subscriptionErrors, conflicts, conflictRate} {
		if rightlyAbsent(metric, seen, want) {
			r.Absent(metric)
		}
	}
	m.prune(answers, seen)
	r.Remember(m)
	r.Summarize("%s", strings.Join(summaries, "; "))
}

// view is what a server says, and what is known besides.
type view struct {
	*facts
	past   *past // before this look
	memory *memory
	seen   []*facts // all servers that answered
	want   expectation
}

func judgeRole(r *check.Report, f view) {
	writable := 0.0
	if f.writable() {
		writable = 1
	}
	r.Observe(primary, writable, f.name)
	if t := f.timeline(); t != 0 {
		r.Observe(timeline, float64(t), f.name)
	}
	switch {
	case f.want.role == rolePrimary && !f.writable():
		r.Find(wrongRole, f.name+" is a standby, a primary is expected here", f.name)
	case f.want.role == roleStandby && f.writable():
		r.Find(wrongRole, fmt.Sprintf("%s is writable (timeline %d), a standby is expected here: was it promoted?", f.name, f.timeline()), f.name)
	}
}

// judgePrimary judges a writable server's standbys and slots.
func judgePrimary(r *check.Report, f view) (summary string) {
	want := f.want
	s := judgeSenders(r, f)
	slots := judgeSlots(r, f)
	judgeSubscriptions(r, f)
	if want.standbys != unsaid {
		only := map[string]string{"server": f.name}
		n := float64(want.standbys)
		r.Limit(check.Limit{Metric: standbys, Match: only, Severity: check.Critical, Range: check.Range{Start: n, End: math.Inf(1)}},
			check.Limit{Metric: standbys, Match: only, Severity: check.Warning, Range: check.Range{Start: n, End: n}})
	}
	judgeSynchronous(r, f, s)
	switch {
	case s.count > 0:
		return fmt.Sprintf("%s is primary, %s", f.name, s)
	case want.standbys == 0:
		return f.name + " is primary and stands alone, as expected"
	case want.standbys == unsaid && len(want.names) == 0 && slots == 0 && want.role != roleStandby:
		text := f.name + " is primary and has no standby: say --standbys 0 if it stands alone, or how many there must be"
		if s.clients > 0 {
			text += fmt.Sprintf(" (%d other takers of the log are connected)", s.clients)
		}
		r.Find(noStandby, text, f.name)
	}
	return f.name + " is primary and has no standby"
}

// senders is what judgeSenders saw.
type senders struct {
	count, clients, synchronous, hidden int
	behind, age                         float64 // the worst
}

func (s senders) String() string {
	noun := "standbys"
	if s.count == 1 {
		noun = "standby"
	}
	return fmt.Sprintf("%d %s, %s behind, last reply %s ago", s.count, noun, check.FormatBytes(s.behind), seconds(s.age))
}

// judgeSenders judges the standbys that a server, primary or not, feeds.
func judgeSenders(r *check.Report, f view) senders {
	var all senders
	for _, s := range f.Senders {
		// Also pg_receivewal may be what commits wait for.
		if s.Sync != nil && (*s.Sync == "sync" || *s.Sync == "quorum") {
			all.synchronous++
		}
		switch f.kindOf(s) {
		case client:
			all.clients++
			r.Note("%s: %s takes the log and is no standby", f.name, s.label)
			continue
		case hidden:
			all.hidden++
			all.count++
			continue
		case starting:
			r.Find(standbyState, fmt.Sprintf("%s: %s is connected (%s) and has not said yet how far it is", f.name, s.label, word(s.State)), f.name, s.label)
		case standby:
			if s.State == nil || *s.State != "streaming" {
				r.Find(standbyState, fmt.Sprintf("%s: %s is connected and does not stream yet: %s", f.name, s.label, word(s.State)), f.name, s.label)
			}
			all.behind = max(all.behind, judgeLag(r, f, s))
		}
		all.count++
		if s.Age != nil {
			all.age = max(all.age, *s.Age)
			judgeReply(r, f, s)
		}
	}
	if f.writable() || all.count > 0 {
		r.Observe(standbys, float64(all.count), f.name)
	}
	if all.hidden > 0 {
		r.Fail(missingGrant(f, "read the standbys of"))
	}
	if all.count > all.hidden {
		limit := replyLimit(f.SenderTimeout, f.StatusInterval)
		setLimit(r, replyAge, f.name, limit)
		if limit == 0 {
			r.Find(noTimeout, f.name+": wal_sender_timeout and wal_receiver_status_interval are 0, a dead standby cannot be told from an idle one", f.name)
		}
	}
	return all
}

// judgeLag reports how far a standby is behind the end of the log, not behind
// what has been sent: what waits for a slow link is behind too.
func judgeLag(r *check.Report, f view, s sender) (behind float64) {
	end := f.position()
	behind = s.Replay.Behind(end)
	r.Observe(replayLag, behind, f.name, s.label)
	if s.Flush != nil {
		r.Observe(flushLag, s.Flush.Behind(end), f.name, s.label)
	}
	if s.Write != nil {
		r.Observe(writeLag, s.Write.Behind(end), f.name, s.label)
	}
	if late, ok := senderLag(f, s); ok {
		r.Observe(lag, late, f.name, s.label)
	}
	if s.Address != nil {
		r.Detail("at "+*s.Address, f.name, s.label)
	}
	if d := delayOf(f, s); d > 0 {
		allowDelay(r, f.name, s.label, d)
		r.Detail("replays "+seconds(d)+" late on purpose", f.name, s.label)
	}
	return behind
}

// clockTolerance is how many seconds ahead a standby's clock may be before it
// would hide its silence for too long.
const clockTolerance = 5

// judgeReply judges a standby's silence. The time of a reply is the standby's
// own.
func judgeReply(r *check.Report, f view, s sender) {
	r.Observe(replyAge, max(*s.Age, 0), f.name, s.label)
	if *s.Age < -clockTolerance {
		r.Find(clocksDiffer, fmt.Sprintf("%s: the last reply of %s is dated %s ahead: the clocks of the two differ", f.name, s.label, seconds(-*s.Age)), f.name, s.label)
	}
}

// setLimit makes what a server's own timeouts say the limit of its ages; 0
// for none.
func setLimit(r *check.Report, m *check.Metric, server string, limit float64) {
	upper := check.Range{End: limit}
	if limit == 0 {
		upper.End = math.Inf(1)
	}
	r.Limit(check.Limit{Metric: m, Match: map[string]string{"server": server}, Severity: check.Critical, Range: upper})
}

// judgeSynchronous finds a primary whose commits wait for standbys that are
// not there.
func judgeSynchronous(r *check.Report, f view, s senders) {
	needed := synchronousNeeded(f.Synchronous)
	if s.synchronous >= needed || s.hidden > 0 {
		return
	}
	who := "no synchronous standby is connected"
	if s.synchronous > 0 {
		who = fmt.Sprintf("only %d of %d synchronous standbys that commits need are connected", s.synchronous, needed)
	}
	r.Find(synchronousMissing, fmt.Sprintf("%s: %s, commits wait (synchronous_standby_names is %s)", f.name, who, f.Synchronous), f.name)
}

// synchronousNeeded is how many standbys a commit waits for by a
// synchronous_standby_names: N of "FIRST N (...)", "ANY N (...)" and "N (...)",
// 1 for a list of names, 0 for none (PostgreSQL documentation, 20.6.2).
func synchronousNeeded(names string) int {
	method, _, listed := strings.Cut(names, "(")
	words := strings.Fields(method)
	switch {
	case strings.TrimSpace(names) == "":
		return 0
	case !listed || len(words) == 0 || strings.Contains(method, `"`): // the parenthesis may be in a quoted name
		return 1
	}
	n, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return 1
	}
	return n
}

// missingGrant is the fault of a role that sees rows without their contents.
func missingGrant(f view, stage string) error {
	return check.Faultf(check.Permission, stage, f.name, "role %s may not see how they are: GRANT pg_read_all_stats TO %s", f.Role, f.Role)
}

// word is a state as the server says it.
func word(state *string) string {
	if state == nil {
		return "no state"
	}
	return "state " + *state
}

// seconds shows a span that is not meant to be read to the millisecond.
func seconds(s float64) string {
	if s = max(s, 0); s < 100 {
		s = math.Round(s*10) / 10
	} else {
		s = math.Round(s)
	}
	return check.Seconds.Format(s)
}
