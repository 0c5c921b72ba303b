package backup

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// judge turns a listing into the report, and returns the newest good backup
// of each set for the next look, given those of the look before.
func judge(r *check.Report, l *listing, newest map[string]last) map[string]last {
	keep := make(map[string]last, len(l.sets))
	for _, note := range l.notes {
		r.Note("%s", note)
	}
	if !l.written.IsZero() {
		r.ObserveTime(listed, l.written)
	}
	var oldest *standing
	for _, s := range l.sets {
		st := stand(s)
		if seen, ok := st.compare(newest[s.name]); ok {
			keep[s.name] = seen
		}
		st.report(r)
		if st.last != nil && (oldest == nil || st.last.ended.Before(oldest.last.ended)) {
			oldest = st
		}
	}
	switch {
	case oldest == nil:
	case len(l.sets) > 1:
		r.Summarize("%d sets of backups, oldest %s", len(l.sets), oldest.summary(r.Now()))
	default:
		r.Summarize("%s", oldest.summary(r.Now()))
	}
	return keep
}

// standing is what a set of backups comes to.
type standing struct {
	set
	newest *backup // finished, good or not
	last   *backup // the newest good one
	full   *backup // the newest good one that others are based on
	before *backup // the good one of its class before it
	good   int
	others []*backup // the newest good one of each other thing
}

func stand(s set) *standing {
	st := &standing{set: s}
	st.backups = slices.Clone(s.backups)
	slices.SortStableFunc(st.backups, func(a, b backup) int {
		if c := b.ended.Compare(a.ended); c != 0 {
			return c
		}
		return strings.Compare(b.name, a.name)
	})
	for i := range st.backups {
		b := &st.backups[i]
		if st.newest == nil {
			st.newest = b
		}
		if b.problem != "" {
			continue
		}
		st.good++
		if st.last != nil && b.thing != st.last.thing && !slices.ContainsFunc(st.others, func(o *backup) bool { return o.thing == b.thing }) {
			st.others = append(st.others, b)
		}
		switch {
		case st.last == nil:
			st.last = b
		case st.before == nil && b.class == st.last.class:
			st.before = b
		}
		if st.full == nil && b.full {
			st.full = b
		}
	}
	return st
}

// compare finds the backup before the newest good one in what an earlier look
// has seen, where the newest has replaced it. It returns what the next look
// shall know; false where nothing ever was.
func (s *standing) compare(seen last) (next last, ok bool) {
	if s.last == nil || s.last.size < 0 || len(s.faults) > 0 {
		return seen, !seen.Ended.IsZero()
	}
	next = last{Class: s.last.class, Ended: s.last.ended, Size: s.last.size}
	switch {
	case seen.Class != next.Class:
	case seen.Ended.Equal(next.Ended):
		next.Before = seen.Before
	case seen.Ended.Before(next.Ended):
		next.Before = seen.Size
	}
	if s.before == nil && next.Before > 0 {
		s.before = &backup{size: next.Before}
	}
	return next, true
}

// report tells what was found. Where the newest good backup cannot be known
// nothing is said of its age: an older one's would be a false alarm, and no
// other is known.
func (s *standing) report(r *check.Report) {
	for _, err := range s.faults {
		r.Fail(err, s.name)
	}
	for _, text := range s.wrong {
		r.Find(badRepository, s.name+": "+text, s.name)
	}
	if s.running {
		r.Note("%s: a backup is being made", s.name)
	}
	s.find(r)
	if len(s.faults) > 0 {
		return
	}
	r.Observe(count, float64(s.good), s.name)
	if s.last == nil {
		return
	}
	r.Detail(s.last.String(), s.name)
	r.ObserveTime(completed, s.last.ended, s.name)
	if s.full != nil {
		r.ObserveTime(fullCompleted, s.full.ended, s.name)
	}
	if s.last.size >= 0 {
		r.Observe(size, float64(s.last.size), s.name)
	}
	if s.before != nil && s.before.size > 0 && s.last.size >= 0 {
		r.Observe(relativeSize, float64(s.last.size)/float64(s.before.size), s.name)
		r.Detail(check.FormatBytes(float64(s.last.size))+" after "+check.FormatBytes(float64(s.before.size)), s.name)
	} else if s.before == nil {
		r.Absent(relativeSize) // the first backup has none before it
	}
	if d := s.last.ended.Sub(s.last.started); !s.last.started.IsZero() && d >= 0 {
		r.Observe(duration, d.Seconds(), s.name)
	}
}

// find reports what is no number.
func (s *standing) find(r *check.Report) {
	bad := s.newest != nil && s.newest.problem != ""
	switch {
	case bad && len(s.faults) > 0:
		r.Find(badBackup, fmt.Sprintf("%s: %s: %s", s.name, s.newest, s.newest.problem), s.name)
	case len(s.faults) > 0:
	case bad && s.last != nil:
		r.Find(badBackup, fmt.Sprintf("%s: %s: %s; the last good one is %s", s.name, s.newest, s.newest.problem, s.last), s.name)
	case bad:
		r.Find(noBackup, fmt.Sprintf("%s: no good backup: %s: %s", s.name, s.newest, s.newest.problem), s.name)
	case s.last == nil && s.unfinished != "":
		r.Find(onlyUnfinished, fmt.Sprintf("%s: no backup: %s is still being written and no other is there", s.name, s.unfinished), s.name)
	case s.last == nil && len(s.wrong) == 0:
		making := ""
		if s.running {
			making = ", one is being made"
		}
		r.Find(noBackup, fmt.Sprintf("%s: no backup: %s%s", s.name, s.absent, making), s.name)
	}
}

// summary reads "main: last backup 3 h 12 min ago (incr, 21.4 GiB), 8
// backups".
func (s *standing) summary(now time.Time) string {
	about := []string{s.last.kind}
	if s.last.size >= 0 {
		about = append(about, check.FormatBytes(float64(s.last.size)))
	}
	if s.last.unproven {
		about = append(about, "end not read")
	}
	age := max(now.Sub(s.last.ended).Truncate(time.Second), 0)
	text := fmt.Sprintf("%s: last backup %s ago (%s), %d backup", s.name, check.FormatDuration(age), strings.Join(about, ", "), s.good)
	if s.good != 1 {
		text += "s"
	}
	if s.running {
		text += ", another is being made"
	}
	if n := len(s.others); n > 0 {
		// The newest speaks for all, so that it must be seen here when that
		// is not true.
		stale := s.others[n-1]
		text += fmt.Sprintf("; only the newest is judged, %s is %s old", cmp.Or(check.CleanMax(stale.thing, 80), "another name"), check.FormatDuration(now.Sub(stale.ended).Truncate(time.Second)))
	}
	return text
}

// String reads "20261119-020003F ended 2026-11-19 02:00 UTC".
func (b *backup) String() string {
	return fmt.Sprintf("%s ended %s", check.CleanMax(b.name, 80), b.ended.UTC().Format("2006-01-02 15:04 MST"))
}
