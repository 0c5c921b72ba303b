package backup

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// judge turns a listing into the report, and returns what the next look shall
// know of the sets, given what earlier ones saw. Complete tells that every
// source answered.
func judge(r *check.Report, l *listing, seen map[string]past, wanted contents, complete bool) map[string]past {
	keep := make(map[string]past, len(l.sets))
	for _, note := range l.notes {
		r.Note("%s", note)
	}
	judgeLists(r, l.lists)
	var oldest *standing
	var all []*standing
	for _, s := range l.sets {
		st := stand(s)
		if known := st.compare(seen[s.name], r.Now()); !known.Ended.IsZero() || !known.Running.IsZero() {
			keep[s.name] = known
		}
		st.report(r, wanted.window)
		if st.last != nil && (oldest == nil || st.last.ended.Before(oldest.last.ended)) {
			oldest = st
		}
		all = append(all, st)
	}
	if !complete { // what is not seen now is not forgotten
		for name, known := range seen {
			if _, ok := keep[name]; !ok && len(keep) < maxKept {
				keep[name] = known
			}
		}
	}
	wanted.judge(r, all, complete)
	wanted.judgeReach(r, all, complete)
	switch {
	case oldest == nil:
	case len(l.sets) > 1:
		r.Summarize("%d sets of backups, oldest %s", len(l.sets), oldest.summary(r.Now()))
	default:
		r.Summarize("%s", oldest.summary(r.Now()))
	}
	return keep
}

// maxKept bounds the sets whose past is kept while they are not seen.
const maxKept = 1000

// judgeLists reports the age of the oldest list that others wrote.
func judgeLists(r *check.Report, lists []list) {
	if len(lists) == 0 {
		return
	}
	oldest := slices.MinFunc(lists, func(a, b list) int { return a.written.Compare(b.written) })
	r.ObserveTime(listed, oldest.written)
	if len(lists) > 1 {
		r.Detail("the oldest of " + strconv.Itoa(len(lists)) + " is " + oldest.path)
	}
}

// standing is what a set of backups comes to.
type standing struct {
	set
	newest *backup   // finished, good or not
	last   *backup   // the newest good one
	full   *backup   // the newest good one that others are based on
	before *backup   // the good one of its class before it
	sizes  []int64   // of those of its class before it, the newest first
	began  time.Time // when the one that is being made began; zero: not known
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
		case b.class == st.last.class:
			if st.before == nil {
				st.before = b
			}
			if b.size >= 0 && len(st.sizes) < maxSizes {
				st.sizes = append(st.sizes, b.size)
			}
		}
		if st.full == nil && b.full {
			st.full = b
		}
	}
	return st
}

// maxSizes is of how many backups before the newest the median is taken: a
// loss is told for some days, and not for weeks where it was meant.
const maxSizes = 7

// compare completes what is there by what earlier looks have seen: when a
// backup that is being made began, and the sizes of those that the newest has
// replaced. It returns what the next look shall know.
func (s *standing) compare(seen past, now time.Time) past {
	next := past{last: seen.last}
	if s.running {
		s.began = s.since
		// One that ended since then is another.
		if another := s.newest != nil && s.newest.ended.After(seen.Running); s.began.IsZero() && !another {
			s.began = seen.Running
		}
		if next.Running = s.began; s.began.IsZero() {
			next.Running = now
		}
	}
	if s.last == nil || s.last.size < 0 || len(s.faults) > 0 {
		return next
	}
	next.last = last{Class: s.last.class, Ended: s.last.ended, Size: s.last.size}
	switch {
	case seen.Class != next.Class:
	case seen.Ended.Equal(next.Ended):
		next.Before = seen.Before
	case seen.Ended.Before(next.Ended):
		next.Before = append([]int64{seen.Size}, seen.Before...)
	}
	next.Before = next.Before[:min(len(next.Before), maxSizes)]
	if s.before == nil && len(next.Before) > 0 && next.Before[0] > 0 {
		s.before = &backup{size: next.Before[0]}
	}
	if len(s.sizes) < len(next.Before) {
		s.sizes = next.Before
	}
	return next
}

// leastSizes is how many backups a median needs.
const leastSizes = 3

// median of the sizes of those before the newest, zero where there are too
// few.
func (s *standing) median() float64 {
	if len(s.sizes) < leastSizes {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.sizes))
	half := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (float64(sorted[half-1]) + float64(sorted[half])) / 2
	}
	return float64(sorted[half])
}

// gap is the longest time between good backups that follow one another, the
// later of which ended in the window. False where no two do.
func (s *standing) gap(since time.Time) (longest time.Duration, ok bool) {
	var later *backup
	for i := range s.backups {
		b := &s.backups[i]
		if b.problem != "" {
			continue
		}
		if later != nil && later.ended.After(since) {
			longest, ok = max(longest, later.ended.Sub(b.ended)), true
		}
		later = b
	}
	return longest, ok
}

// oldest is the end of the oldest good backup; zero where there is none.
func (s *standing) oldest() (at time.Time) {
	for i := range s.backups {
		if s.backups[i].problem == "" {
			at = s.backups[i].ended
		}
	}
	return at
}

// report tells what was found. Where the newest good backup cannot be known
// nothing is said of its age: an older one's would be a false alarm, and no
// other is known.
func (s *standing) report(r *check.Report, window time.Duration) {
	for _, err := range s.faults {
		r.Fail(err, s.name)
	}
	for _, text := range s.wrong {
		r.Find(badRepository, s.name+": "+text, s.name)
	}
	if s.running {
		r.Note("%s: a backup is being made", s.name)
	}
	if s.running && !s.began.IsZero() {
		r.ObserveTime(running, s.began, s.name)
	} else {
		r.Absent(running)
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
	if typical := s.median(); typical > 0 && s.last.size >= 0 {
		r.Observe(relativeToMedian, float64(s.last.size)/typical, s.name)
	} else {
		r.Absent(relativeToMedian)
	}
	if at := s.oldest(); !at.After(r.Now()) { // completed tells of a time in the future
		r.ObserveTime(oldestKept, at, s.name)
	}
	if gap, ok := s.gap(r.Now().Add(-window)); ok {
		r.Observe(largestGap, gap.Seconds(), s.name)
	} else {
		r.Absent(largestGap)
	}
	if d := s.last.ended.Sub(s.last.started); !s.last.started.IsZero() && d >= 0 {
		r.Observe(took, d.Seconds(), s.name)
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
