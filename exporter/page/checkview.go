package page

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/exporter/config"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

// Bounds of a check's page: what lies beyond is in the JSON.
const (
	maxRows   = 200
	maxValues = 200
)

// documentation is where the pages of the checks are.
const documentation = "https://github.com/belfry-monitoring/belfry/blob/main/docs/checks/"

// CheckView is the page of one check.
type CheckView struct {
	frame
	Row           // as on the overview
	Summary       string
	Plugin        string
	Documentation string
	Facts         []Fact
	Notes         []string
	Command       Command
	User          string // as whom to run the command
	Lines         []Line // of the newest look
	MoreLines     int
	Values        []*Value // of the newest look
	MoreValues    int
	Looks         []Look // newest first
	Parts         []Part // slowest first
	Settings      Settings
}

// Fact is a name and what it is; the time is that of the fact, if it has one.
type Fact struct {
	Name, Text string
	Time       Moment
}

// Line is a row of the look.
type Line struct {
	State state
	Text  string
	What  string // kind and key: "finding orphan", "fault dial"
}

// Look is one look of the past.
type Look struct {
	At       Moment
	State    state
	Text     string
	Duration string
}

// Part is how long a part of the look took.
type Part struct {
	Name, Help, Duration string
	Share                float64 // of the slowest, in the units of a bar
}

// Settings are what the configuration says of the check.
type Settings struct {
	Known        bool // else the configuration has just changed
	Options      []config.Option
	Limits       []Limit // of the operator, with Condition "key above ..."
	Severities   []Fact
	Only, Skip   []string
	TimeoutState string
	Source       string // where it stands
}

// MakeCheck makes the page of one check. c is its configuration, nil when it is
// not known any more.
func MakeCheck(s *schedule.Snapshot, c *config.Check, refresh Refresh, site Site) *CheckView {
	d := s.Definition
	v := &CheckView{
		Row: makeRow(s, refresh), Summary: d.Summary, Plugin: d.Plugin(), Documentation: documentation + url.PathEscape(d.Name) + ".md",
		Facts: facts(s), User: visible(site.User), Looks: looks(s.History),
	}
	if s.Result != nil {
		v.result(s.Result)
	}
	if c != nil {
		v.Command, v.Settings = makeCommand(c), settings(c, site.Config)
	}
	refresh.Toggle = site.Root + Link(d.Name, s.Target, refresh.toggled())
	v.frame = site.frame(v.State.Word+" "+d.Name+" "+v.Target+" · Belfry", v.State, refresh, nil)
	return v
}

func (v *CheckView) result(r *check.Result) {
	for _, row := range r.Rows[:min(len(r.Rows), maxRows)] {
		v.Lines = append(v.Lines, Line{stateOf(row.State), visible(row.Text), what(row)})
	}
	v.MoreLines = len(r.Rows) - len(v.Lines)
	values := sortedValues(r)
	for _, value := range values[:min(len(values), maxValues)] {
		v.Values = append(v.Values, makeValue(value))
	}
	v.MoreValues = len(values) - len(v.Values)
	for _, n := range slices.Concat(r.Notices, r.Notes) {
		v.Notes = append(v.Notes, visible(n))
	}
	v.Parts = parts(r)
}

func what(row check.Row) string {
	switch row.Kind {
	case check.RowFinding:
		return "finding " + row.Key
	case check.RowFault:
		return "fault " + string(row.Reason)
	case check.RowDeadline:
		return "deadline"
	}
	return "value " + row.Key
}

func facts(s *schedule.Snapshot) []Fact {
	var list []Fact
	add := func(name, text string, at time.Time) {
		list = append(list, Fact{name, text, moment(at)})
	}
	if r := s.Result; r != nil && !r.Started.IsZero() {
		add("newest look", span(s.Age)+" ago, took "+check.FormatDuration(r.Duration), r.Started)
	} else {
		add("newest look", "none", time.Time{})
	}
	if text := since(s); text != "" {
		add("in this state", "for "+text, s.Since)
	}
	if !s.HangingSince.IsZero() {
		add("hangs", "a look ignores its deadline; no other is started until it returns", s.HangingSince)
	}
	switch {
	case s.Running:
		add("next look", "runs now", time.Time{})
	default:
		add("next look", "", s.Next)
	}
	add("looks every", check.FormatDuration(s.Interval), time.Time{})
	add("deadline of a look", check.FormatDuration(s.Timeout), time.Time{})
	var runs []string
	for _, state := range []check.State{check.OK, check.Warning, check.Unknown, check.Critical} {
		if n := s.Runs[state]; n > 0 {
			runs = append(runs, fmt.Sprintf("%d %s", n, state))
		}
	}
	if s.Abandoned > 0 {
		runs = append(runs, fmt.Sprintf("of these %d given up at the deadline", s.Abandoned))
	}
	if len(runs) > 0 {
		add("looks so far", strings.Join(runs, ", "), time.Time{})
	}
	return list
}

// looks are the last ones, newest first, as far as their words are kept.
func looks(history []schedule.Entry) []Look {
	var list []Look
	for _, e := range slices.Backward(history[max(len(history)-schedule.TextsKept, 0):]) {
		list = append(list, Look{moment(e.At), stateOf(e.State), visible(e.Text), check.FormatDuration(e.Duration.Round(100 * time.Microsecond))})
	}
	return list
}

func parts(r *check.Result) []Part {
	times := slices.Clone(r.Parts)
	slices.SortStableFunc(times, func(a, b check.PartTime) int { return int(b.Duration - a.Duration) })
	var list []Part
	for _, t := range times {
		p := Part{Name: t.Name, Duration: check.FormatDuration(t.Duration)}
		if slowest := times[0].Duration; slowest > 0 {
			p.Share = round(barWidth * float64(t.Duration) / float64(slowest))
		}
		for _, known := range r.Definition.Parts {
			if known.Name == t.Name {
				p.Help = known.Help
			}
		}
		list = append(list, p)
	}
	return list
}

func settings(c *config.Check, file string) Settings {
	s := Settings{Known: true, Options: c.Options(), Only: c.Only, Skip: c.Skip, Source: "Found on this machine; belfry_exporter --discover prints it as a configuration."}
	if file != "" {
		s.Source = visible(fmt.Sprintf("Line %d of %s.", c.Line, file))
	}
	for i := range s.Options {
		for j, v := range s.Options[i].Values {
			s.Options[i].Values[j] = visible(v)
		}
	}
	for _, l := range c.Limits {
		key, _, _ := strings.Cut(l.String(), "=") // globs hold no = outside braces
		if len(l.Match) > 0 {
			key, _, _ = strings.Cut(l.String(), "}")
			key += "}"
		}
		s.Limits = append(s.Limits, Limit{
			State: stateOf(l.Severity), Condition: visible(key) + " " + condition(l.Range, l.Metric.JudgedUnit()), Range: visible(l.String()), From: "configured",
		})
	}
	for _, key := range sortedKeys(c.Severities) {
		s.Severities = append(s.Severities, Fact{Name: key, Text: c.Severities[key].String()})
	}
	if c.TimeoutState != nil {
		s.TimeoutState = c.TimeoutState.String()
	}
	return s
}
