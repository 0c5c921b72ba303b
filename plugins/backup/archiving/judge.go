package archiving

import (
	"fmt"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Report reports what was seen, and returns what line 1 says of it and what
// the next look shall know.
func (s *Sights) Report(r *check.Report) (summary string, next Memory) {
	next = make(Memory)
	var texts []string
	for _, one := range s.all {
		if one.err != nil {
			r.Fail(one.err, "archiving")
			if seen, ok := s.before[one.server]; ok {
				next[one.server] = seen
			}
			continue
		}
		j := judging{Report: r, facts: one.facts, server: one.server, before: s.before[one.server]}
		text := j.judge()
		next[one.server] = j.seen
		if len(s.all) > 1 {
			text = one.server + " " + text
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return "", next
	}
	return "archiving: " + strings.Join(texts, ", "), next
}

// judging is the judgement of one server.
type judging struct {
	*check.Report
	*facts
	server       string
	before, seen Seen
}

func (j *judging) judge() (summary string) {
	a := j.Archiver
	j.seen = Seen{At: j.Now()}
	j.Observe(archivedCount, float64(a.Archived), j.server)
	j.Observe(failures, float64(a.Failed), j.server)
	if a.Age != nil {
		j.ObserveTime(archived, j.ago(*a.Age), j.server)
	} else {
		j.Absent(archived)
	}
	if !j.archives() {
		j.nothingToSee()
		if *j.Recovery {
			j.Note("%s is a standby with archive_mode %s: it archives nothing before it is promoted", j.server, j.Mode)
			return "nothing, a standby"
		}
		j.Find(off, j.server+": archive_mode is off: no log is archived, backups restore to their own end at most", j.server)
		return "off"
	}
	// A command that fails does not pretend.
	if why := archivesNothing(j.Command, j.Library); why != "" && !failed(a.Failing) {
		j.Find(nowhere, fmt.Sprintf("%s: nothing is archived: %s (%q)", j.server, why, check.CleanMax(j.Command, 60)), j.server)
	}
	n, known := j.waiting()
	if j.status == nil && failed(a.Failing) {
		n, known = max(n, 1), true // the one that fails, which may be no segment
	}
	if !known {
		j.nothingToSee()
		j.Fail(check.Faultf(check.Permission, "list what waits to be archived on", j.server,
			"%w: GRANT EXECUTE ON FUNCTION pg_ls_archive_statusdir() TO %s (in the database that it logs in to)", errNotListable, j.Role), "archiving")
		return "not known"
	}
	j.Observe(waiting, float64(n), j.server)
	j.observeGrowth(n)
	j.observeWaiting(n)
	j.findFailing(n)
	if a.Archived == 0 && a.Failed == 0 && n == 0 && (j.status == nil || j.status.Done == 0) {
		j.Find(never, j.server+": nothing was ever archived and nothing waits to be: prove it by SELECT pg_switch_wal()", j.server)
	}
	if j.Timeout == 0 {
		j.Note("%s: archive_timeout is 0: what is written is archived only when its segment (%s) is full", j.server, check.FormatBytes(float64(j.Segment)))
	}
	return j.summary(n)
}

func failed(b *bool) bool { return b != nil && *b }

// ago is a moment that lies so many seconds back by the server's clock.
func (j *judging) ago(seconds float64) time.Time {
	return j.Now().Add(-time.Duration(max(seconds, 0) * float64(time.Second)))
}

// nothingToSee keeps limits of the operator from being taken for typos.
func (j *judging) nothingToSee() {
	j.Absent(waiting)
	j.Absent(waitingSince)
	j.Absent(growth)
}

// observeWaiting tells since when the oldest file waits.
func (j *judging) observeWaiting(n int) {
	if n == 0 {
		j.Absent(waitingSince)
		return
	}
	if j.status != nil {
		j.ObserveTime(waitingSince, j.ago(*j.status.Age), j.server)
		if j.status.Oldest != nil {
			j.Detail("the oldest is "+check.CleanMax(strings.TrimSuffix(*j.status.Oldest, ".ready"), 60), j.server)
		}
		return
	}
	// The time of the last success says nothing: the server may have been idle
	// since, until a moment ago.
	j.seen.Since = j.Now()
	if !j.before.Since.IsZero() && j.before.Last == j.seen.Last {
		j.seen.Since = j.before.Since
	}
	j.ObserveTime(waitingSince, j.seen.Since, j.server)
}

// leastTime is between two looks of which a rate is taken.
const leastTime = 10 * time.Second

func (j *judging) observeGrowth(n int) {
	j.seen.Waiting = n
	if j.Archiver.Last != nil {
		j.seen.Last = *j.Archiver.Last
	}
	elapsed := j.Now().Sub(j.before.At)
	if j.before.At.IsZero() || elapsed < leastTime {
		j.Absent(growth)
		return
	}
	j.Observe(growth, float64(n-j.before.Waiting)/elapsed.Hours(), j.server)
}

// findFailing tells of an archiver whose last attempt failed. The count of
// failures stays for ever and says nothing of now; and where nothing waits
// any more the failure is over, whatever the statistics say.
func (j *judging) findFailing(n int) {
	a := j.Archiver
	if !failed(a.Failing) || n == 0 {
		return
	}
	what, when := "a segment", ""
	if a.LastFailed != nil {
		what = check.CleanMax(*a.LastFailed, 60)
	}
	if a.FailedAge != nil {
		when = " " + since(*a.FailedAge) + " ago"
	}
	last := "nothing was archived before"
	if a.Age != nil {
		last = "the last success was " + since(*a.Age) + " ago"
	}
	j.Find(failing, fmt.Sprintf("%s: archiving fails: %s failed%s, %d waiting, %s; the server's log says why", j.server, what, when, n, last), j.server)
}

func (j *judging) summary(n int) string {
	text := "nothing archived since the statistics were reset"
	if j.Archiver.Age != nil {
		text = "last segment " + since(*j.Archiver.Age) + " ago"
	}
	return fmt.Sprintf("%s, %d waiting", text, n)
}

// since words a number of seconds.
func since(seconds float64) string {
	return check.FormatDuration(time.Duration(max(seconds, 0) * float64(time.Second)).Truncate(time.Second))
}
