package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

// Trend draws the looks of the past, the newest at the right: the line of a
// value above, a strip of the states below.
type Trend struct {
	Line  string // an SVG path; empty without values
	Ticks []Tick // worst last, so that it lies on top
	Label string // all of it in words
}

// Tick is the part of the strip in which looks had one state.
type Tick struct{ Class, Path string }

const (
	trendWidth = 120.0
	trendTop   = 2.0 // of the line
	trendFoot  = 17.0
	tickHeight = 22.5 // middle of the strip
)

// makeTrend returns nil without a history. The values are those of the
// definition's first metric; their scale begins at zero, because a scale of
// their own would make a mountain of every molehill.
func makeTrend(d *check.Definition, history []schedule.Entry) *Trend {
	if len(history) == 0 {
		return nil
	}
	history = history[max(len(history)-schedule.HistoryLength, 0):]
	step := trendWidth / schedule.HistoryLength
	from := trendWidth - step*float64(len(history))
	return &Trend{Line: line(history, from, step), Ticks: ticks(history, from, step), Label: trendLabel(d, history)}
}

// line leaves gaps where there is no number. A value that stands alone is a
// dot: a line of no length with round ends.
func line(history []schedule.Entry, from, step float64) string {
	low, high := 0.0, 0.0
	for _, e := range history {
		if v := e.Value; finite(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	height := func(v float64) float64 {
		if low == high {
			return trendFoot
		}
		return round(trendFoot - (v/2-low/2)/(high/2-low/2)*(trendFoot-trendTop))
	}
	var b strings.Builder
	drawing := false
	for i, e := range history {
		if !finite(e.Value) {
			drawing = false
			continue
		}
		x, y := round(from+step*(float64(i)+0.5)), height(e.Value)
		switch alone := i+1 == len(history) || !finite(history[i+1].Value); {
		case drawing:
			b.WriteString("L" + number(x) + " " + number(y))
		case alone:
			b.WriteString("M" + number(x) + " " + number(y) + "h0")
		default:
			b.WriteString("M" + number(x) + " " + number(y))
		}
		drawing = true
	}
	return b.String()
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// ticks puts looks of the same state that follow each other together.
func ticks(history []schedule.Entry, from, step float64) []Tick {
	paths := make(map[string]*strings.Builder)
	for i := 0; i < len(history); {
		end := i + 1
		for end < len(history) && history[end].State == history[i].State {
			end++
		}
		class := stateOf(history[i].State).Class
		if paths[class] == nil {
			paths[class] = &strings.Builder{}
		}
		fmt.Fprintf(paths[class], "M%s %sh%s", number(round(from+step*float64(i))), number(tickHeight), number(round(step*float64(end-i))))
		i = end
	}
	var list []Tick
	for _, s := range []state{good, warning, unknown, critical} {
		if paths[s.Class] != nil {
			list = append(list, Tick{s.Class, paths[s.Class].String()})
		}
	}
	return list
}

func trendLabel(d *check.Definition, history []schedule.Entry) string {
	counts := make(map[check.State]int)
	low, high, last := math.Inf(1), math.Inf(-1), math.NaN()
	for _, e := range history {
		counts[e.State]++
		if finite(e.Value) {
			low, high, last = min(low, e.Value), max(high, e.Value), e.Value
		}
	}
	var states []string
	for _, s := range []check.State{check.Critical, check.Unknown, check.Warning, check.OK} {
		if counts[s] > 0 {
			states = append(states, fmt.Sprintf("%d %s", counts[s], s))
		}
	}
	text := fmt.Sprintf("last %d %s: %s", len(history), plural(len(history), "look", "looks"), strings.Join(states, ", "))
	if finite(last) && len(d.Metrics) > 0 {
		m := d.Metrics[0]
		unit := m.JudgedUnit()
		text += fmt.Sprintf("; %s from %s to %s, last %s", titleOf(m), unit.Format(low), unit.Format(high), unit.Format(last))
	}
	return text
}
