package check

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"sort"
	"strings"
	"time"
	"unicode/utf8"
)

// skewTolerance is how far ahead another clock may be before a time in the
// future is a finding.
const skewTolerance = 60 * time.Second

// judge turns what was seen into a verdict. It is the only place in which
// limits are applied.
func (l *Look) judge(s *sight, now time.Time) *Result {
	j := &judge{look: l, interrupted: s.interrupted != "", limits: l.limitTable(s.setup.Limits), result: &Result{
		Definition: l.Definition, Target: l.target(s.setup), Summary: s.summary, Notes: s.notes, Parts: s.parts, TimedOut: s.timedOut,
	}}
	if s.setup.Notice != "" {
		j.result.Notices = []string{s.setup.Notice}
	}
	for _, f := range s.failures {
		j.fault(f)
	}
	for _, o := range s.values {
		j.value(o, s.details[strings.Join(o.labels, "\x00")], s.waived[seriesKey(o.metric, o.labels)], now)
	}
	for _, m := range s.missed {
		j.result.Missed = append(j.result.Missed, Miss{Metric: m.metric, Labels: cleanLabels(m.labels)})
	}
	for _, f := range s.found {
		j.finding(f.finding, f.text, f.labels)
	}
	if s.timedOut || j.overdue {
		j.result.TimedOut = true
		j.deadline(fmt.Sprintf("no result within %s", FormatDuration(l.timeout())))
	}
	if s.interrupted != "" {
		j.row(ranked{Row: Row{State: Unknown, Text: s.interrupted, Kind: RowDeadline, Reason: Timeout}})
	}
	if len(s.failures) == 0 && !j.result.TimedOut && s.interrupted == "" {
		if !j.brokenByFinding() {
			j.unmatched(s.absent)
		}
		if len(s.values) == 0 && len(s.found) == 0 {
			j.row(ranked{Row: Row{State: Unknown, Text: "nothing was looked at", Kind: RowFault, Reason: Data}})
		}
	}
	return j.finish()
}

func (l *Look) target(setup Setup) string {
	if l.Target != "" {
		return l.Target
	}
	return setup.Target
}

func (l *Look) timeout() time.Duration {
	if l.Timeout > 0 {
		return l.Timeout
	}
	return l.Definition.Timeout
}

type judge struct {
	look        *Look
	limits      *limitTable
	result      *Result
	rows        []ranked
	interrupted bool
	overdue     bool // something failed only because the look was over
}

// ranked is a row with what orders it among rows of the same state: faults
// before findings before values, then the metric's place in the definition
// with every Effect behind all others, then how far the value is beyond its limit.
type ranked struct {
	Row
	order  int
	excess float64
}

const (
	orderFault   = -2
	orderFinding = -1
)

func (j *judge) row(r ranked) { j.rows = append(j.rows, r) }

// fault adds a row for an error, one for each of joined errors. What failed
// only because the look was over is said once, by the row of its end.
func (j *judge) fault(f failure) {
	if joined, ok := f.err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
		for _, f.err = range joined.Unwrap() {
			j.fault(f)
		}
		return
	}
	switch {
	case j.interrupted && (f.interrupted || errors.Is(f.err, context.Canceled)):
		return // the interruption has its own row and is nobody's fault
	case f.late && endOfContext(f.err):
		j.overdue = true
		return
	}
	reason := ReasonOf(f.err)
	if endOfContext(f.err) && !errors.Is(f.err, context.DeadlineExceeded) {
		reason = Internal // the check cancelled itself; nothing says that the peer is down
	}
	text := f.err.Error()
	if f.where != "" {
		text = f.where + ": " + text
	}
	var p *panicFault
	if errors.As(f.err, &p) {
		j.result.Trace = append(j.result.Trace, p.stack)
	}
	j.row(ranked{order: orderFault, Row: Row{
		State: reason.State(), Text: CleanMax(text, 2*MaxText), Kind: RowFault, Reason: reason,
	}})
}

// endOfContext reports an error that says nothing but that a context ended.
func endOfContext(err error) bool {
	var f *Fault
	return !errors.As(err, &f) && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled))
}

func (j *judge) deadline(text string) {
	state := Unknown
	if j.look.TimeoutState != nil {
		state = *j.look.TimeoutState
	}
	j.row(ranked{order: orderFault, Row: Row{State: state, Text: text, Kind: RowDeadline, Reason: Timeout}})
}

func (j *judge) finding(f *Finding, text string, labels []string) {
	state := f.State
	if s, ok := j.look.Severities[f.Key]; ok {
		state = s
	}
	j.row(ranked{order: orderFinding, Row: Row{
		State: state, Text: CleanMax(text, 2*MaxText), Kind: RowFinding, Key: f.Key, Labels: labels,
	}})
}

func (j *judge) value(o observation, detail string, waived bool, now time.Time) {
	v := Value{Metric: o.metric, Labels: cleanLabels(o.labels), Number: o.value, Judged: o.value}
	if o.metric.Kind == Since || o.metric.Kind == Until {
		if o.at.IsZero() {
			j.finding(builtinFinding("no_time"), rowName(o.metric, o.labels)+": there is no time", nil)
			return
		}
		v.Number, v.Judged = j.moment(o, now)
	}
	warning, critical := j.limits.of(o.metric, o.labels, waived)
	v.Warning, v.WarningFrom = warning.Range, warning.from
	v.Critical, v.CriticalFrom = critical.Range, critical.from
	switch {
	case v.Critical != nil && v.Critical.Violates(v.Judged):
		v.State = Critical
	case v.Warning != nil && v.Warning.Violates(v.Judged):
		v.State = Warning
	}
	j.result.Values = append(j.result.Values, v)
	if v.Warning == nil && v.Critical == nil {
		return
	}
	text := rowName(o.metric, o.labels) + " " + v.Metric.JudgedUnit().Format(v.Judged)
	r := ranked{order: j.order(o.metric)}
	if limit := v.violated(); limit != nil {
		text += " (" + limit.Explain(v.Judged, v.Metric.JudgedUnit()) + ")"
		r.excess = excess(*limit, v.Judged)
	}
	if detail != "" {
		text += ", " + detail
	}
	r.Row = Row{State: v.State, Text: CleanMax(text, 2*MaxText), Kind: RowValue, Key: o.metric.Key, Labels: v.Labels}
	j.row(r)
}

func (v *Value) violated() *Range {
	switch v.State {
	case Critical:
		return v.Critical
	case Warning:
		return v.Warning
	}
	return nil
}

// moment turns a time into Unix seconds and the seconds that are judged. A
// little ahead of our clock counts as now; more is a finding, because an age
// below zero would hide how old a thing is.
func (j *judge) moment(o observation, now time.Time) (number, judged float64) {
	number = float64(o.at.UnixMicro()) / 1e6
	if o.metric.Kind == Until {
		return number, o.at.Sub(now).Seconds()
	}
	age := now.Sub(o.at)
	if age < -skewTolerance {
		j.finding(builtinFinding("clock_skew"), fmt.Sprintf("%s: %s lies %s in the future",
			rowName(o.metric, o.labels), o.at.UTC().Format(time.RFC3339), FormatDuration(-age)), nil)
	}
	return number, math.Max(age.Seconds(), 0)
}

// excess says how far beyond the limit a value is, as a share of the bound.
func excess(r Range, v float64) float64 {
	bound := r.End
	if v < r.Start || math.IsInf(bound, 0) {
		bound = r.Start
	}
	if math.IsNaN(v) || bound == 0 || math.IsInf(bound, 0) {
		return math.Abs(v)
	}
	return math.Abs(v-bound) / math.Abs(bound)
}

func (j *judge) order(m *Metric) int {
	for i, known := range j.look.Definition.Metrics {
		switch {
		case known == m && m.Effect:
			return i + len(j.look.Definition.Metrics)
		case known == m:
			return i
		}
	}
	return 2 * len(j.look.Definition.Metrics)
}

// brokenByFinding reports a CRITICAL finding: "not delivered", "no backup". Like
// a failure it explains why the value that a limit is for was not observed.
func (j *judge) brokenByFinding() bool {
	for _, r := range j.rows {
		if r.Kind == RowFinding && r.State == Critical {
			return true
		}
	}
	return false
}

// unmatched reports limits of the operator that matched nothing: a typo must
// not silence a check.
func (j *judge) unmatched(absent map[*Metric]bool) {
	for i, used := range j.limits.used {
		if l := j.look.Limits[i]; !used && !absent[l.Metric] {
			j.finding(builtinFinding("unmatched_limit"),
				fmt.Sprintf("%s limit %s matches nothing that was observed", strings.ToLower(l.Severity.String()), l), nil)
		}
	}
}

// finish sorts the rows and takes the worst.
func (j *judge) finish() *Result {
	sort.SliceStable(j.rows, func(a, b int) bool {
		x, y := j.rows[a], j.rows[b]
		switch {
		case x.State != y.State:
			return x.State.WorseThan(y.State)
		case x.order != y.order:
			return x.order < y.order
		case x.excess != y.excess:
			return x.excess > y.excess
		}
		return false
	})
	r := j.result
	for _, row := range j.rows {
		r.Rows = append(r.Rows, row.Row)
		r.State = Worst(r.State, row.State)
		if r.Reason == "" && row.Reason != "" {
			r.Reason = row.Reason
		}
	}
	for i, n := range r.Notes {
		r.Notes[i] = Clean(n)
	}
	r.Summary = Clean(r.Summary)
	return r
}

// rowName names a value in its row. An empty label value is none, as it is to
// Prometheus.
func rowName(m *Metric, labels []string) string {
	title := m.Title
	if title == "" {
		title = strings.ReplaceAll(m.Key, "_", " ")
	}
	named := make([]string, 0, len(labels))
	for _, l := range labels {
		if l != "" {
			named = append(named, l)
		}
	}
	if len(named) == 0 {
		return title
	}
	return Clean(strings.Join(named, " ")) + ": " + title
}

// cleanLabels makes label values valid UTF-8 of bounded length, as Prometheus
// requires; the globs of limits see them as they came. What had to be changed
// gets a digest of the original, so that two values never become one.
func cleanLabels(labels []string) []string {
	clean := make([]string, len(labels))
	for i, l := range labels {
		clean[i] = l
		if len(l) > MaxText || !utf8.ValidString(l) {
			digest := fnv.New32a()
			digest.Write([]byte(l)) //nolint:errcheck // it cannot fail
			clean[i] = fmt.Sprintf("%s~%08x", CleanMax(l, MaxText/2), digest.Sum32())
		}
	}
	return clean
}
