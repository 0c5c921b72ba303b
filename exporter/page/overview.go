package page

import (
	"fmt"
	"strings"

	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

// rowsPerPage bounds a page: some 200 kB whatever the number of checks. The
// worst are on the first.
const rowsPerPage = 100

// Overview is the page of all checks.
type Overview struct {
	frame
	Verdict state  // of everything
	Summary string // "2 of 47 checks are CRITICAL"
	Counts  []Count
	All     Count
	Query   Query

	Rows           []Row
	Matching       int // checks that the filter lets through
	First, Last    int // of these, on this page
	Previous, Next string
	Clear          string // address without the filter
}

// Count is how many checks are in a state, and a link to these alone.
type Count struct {
	State  state
	N      int
	Href   string
	Chosen bool
}

// Row is one check.
type Row struct {
	State        state
	Name, Target string
	Href         string
	Text         string   // its first line
	Since        string   // how long it is in this state; empty where that is not known
	Marks        []string // what the reader must know of the look itself
	Value        *Value   // nil: none
	Trend        *Trend   // nil: none
	Age          string   // of the newest look; empty without one
	Looked       Moment
}

// classOf is the state that a snapshot shows.
func classOf(s *schedule.Snapshot) state {
	if s.Result == nil {
		return pending
	}
	return stateOf(s.Result.State)
}

// MakeOverview puts the checks of one moment together, worst first, those of
// the same state in the order in which they come.
func MakeOverview(snapshots []schedule.Snapshot, q Query, notices []Notice, site Site) *Overview {
	v := &Overview{Query: q, All: Count{N: len(snapshots), Chosen: q.State == ""}}
	matches := q.matcher()
	byState := make(map[string][]int)
	counts := make(map[string]int)
	for i := range snapshots {
		s := &snapshots[i]
		class := classOf(s).Class
		counts[class]++
		if (q.State == "" || q.State == class) && matches(s.Definition.Name, s.Target) {
			byState[class] = append(byState[class], i)
		}
	}
	var order []int
	for _, s := range worstFirst() {
		order = append(order, byState[s.Class]...)
		c := Count{State: s, N: counts[s.Class], Href: Query{State: s.Class, Name: q.Name, Refresh: q.Refresh}.address(), Chosen: q.State == s.Class}
		v.Counts = append(v.Counts, c)
	}
	v.All.Href = Query{Name: q.Name, Refresh: q.Refresh}.address()
	v.Clear = Query{Refresh: q.Refresh}.address()
	v.Verdict, v.Summary = verdict(v.Counts, len(snapshots))
	v.page(order, func(i int) Row { return makeRow(&snapshots[i], q.Refresh) })
	refresh := q.Refresh
	q.Page, q.Refresh = v.Query.Page, refresh.toggled()
	refresh.Toggle = q.address()
	v.frame = site.frame(windowTitle(v.Counts), v.Verdict, refresh, notices)
	v.frame.Overview = true
	v.Query.Name = visible(v.Query.Name)
	return v
}

// page fills in the rows of the page that was asked for, or of the last.
func (v *Overview) page(order []int, row func(int) Row) {
	v.Matching = len(order)
	q := v.Query
	q.Page = min(q.Page, max((len(order)+rowsPerPage-1)/rowsPerPage, 1))
	v.Query.Page = q.Page
	from := (q.Page - 1) * rowsPerPage
	to := min(from+rowsPerPage, len(order))
	for _, i := range order[from:to] {
		v.Rows = append(v.Rows, row(i))
	}
	v.First, v.Last = min(from+1, len(order)), to
	if from > 0 {
		before := q
		before.Page--
		v.Previous = before.address()
	}
	if to < len(order) {
		q.Page++
		v.Next = q.address()
	}
}

// verdict is everything in one sentence. That nothing has looked, or not all
// have, is not fine.
func verdict(counts []Count, total int) (state, string) {
	if total == 0 {
		return unknown, "No checks are configured"
	}
	of := fmt.Sprintf("of %d %s", total, plural(total, "check", "checks"))
	n := make(map[string]int)
	for _, c := range counts {
		n[c.State.Class] = c.N
	}
	for _, s := range []state{critical, unknown, warning} {
		if k := n[s.Class]; k > 0 {
			return s, fmt.Sprintf("%d %s %s %s", k, of, plural(k, "is", "are"), s.Word)
		}
	}
	switch k := n[pending.Class]; {
	case k == total:
		return pending, "No check has looked yet"
	case k > 0:
		return pending, fmt.Sprintf("%d %s %s not looked yet, the others are OK", k, of, plural(k, "has", "have"))
	case total == 1:
		return good, "The check is OK"
	}
	return good, fmt.Sprintf("All %d checks are OK", total)
}

// windowTitle has the numbers first: it is all that a tab shows.
func windowTitle(counts []Count) string {
	var parts []string
	for _, c := range counts {
		if c.N > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.N, c.State.Word))
		}
	}
	if len(parts) == 0 {
		return "Belfry"
	}
	return strings.Join(parts[:min(2, len(parts))], ", ") + " · Belfry"
}

func makeRow(s *schedule.Snapshot, refresh Refresh) Row {
	r := Row{
		State: classOf(s), Name: s.Definition.Name, Target: visible(s.Target), Href: Link(s.Definition.Name, s.Target, refresh),
		Text: firstLine(s), Since: since(s), Marks: marks(s), Trend: makeTrend(s.Definition, s.History),
	}
	if s.Result == nil {
		return r
	}
	if v := worstValue(s.Result); v != nil {
		r.Value = makeValue(v)
	}
	if !s.Result.Started.IsZero() {
		r.Age, r.Looked = span(s.Age), moment(s.Result.Started)
	}
	return r
}

func firstLine(s *schedule.Snapshot) string {
	if s.Result == nil {
		return "not looked yet, due at " + s.Next.UTC().Format("15:04:05 UTC")
	}
	return visible(plugin.FirstLine(s.Result))
}

// since is how long the check has been in its state by its newest look; what
// has begun with that look says nothing yet.
func since(s *schedule.Snapshot) string {
	if s.Result == nil || s.Since.IsZero() || s.Result.Started.IsZero() || !s.Since.Before(s.Result.Started) {
		return ""
	}
	return span(s.Result.Started.Sub(s.Since) + s.Age)
}

// marks are what the reader must know before the state is believed.
func marks(s *schedule.Snapshot) []string {
	var list []string
	if s.Stale {
		list = append(list, "stale")
	}
	if !s.HangingSince.IsZero() {
		list = append(list, "a look hangs since "+s.HangingSince.UTC().Format("15:04:05 UTC"))
	}
	return list
}
