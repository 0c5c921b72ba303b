package exporter

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/exporter/discover"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

// List is what /api/v1/checks answers.
type List struct {
	Time   string `json:"time"`
	Checks []Item `json:"checks"` // worst first

	// Discovery is what was found on this machine, by an exporter that was
	// given no configuration.
	Discovery *discover.Discovery `json:"discovery,omitempty"`
}

// Item is one configured check: the document that the plugin prints with
// --output json, and what the exporter knows beyond it. Durations are in
// seconds, times RFC 3339 in UTC.
type Item struct {
	plugin.Document
	Pending   bool              `json:"pending"`                 // not looked yet, and not overdue: the state is not exported
	Stale     bool              `json:"stale"`                   // the newest look is too old to count
	Age       *float64          `json:"age_seconds"`             // of the newest look; null without one
	Interval  float64           `json:"interval_seconds"`        //
	Timeout   float64           `json:"timeout_seconds"`         //
	Next      string            `json:"next_run"`                //
	Running   bool              `json:"running"`                 // a look runs now
	Hanging   string            `json:"hanging_since,omitempty"` // start of a look that ignores its deadline
	Runs      map[string]uint64 `json:"runs"`                    // finished looks by state
	Abandoned uint64            `json:"abandoned_runs"`
	History   []Past            `json:"history"` // oldest first
}

// Past is one look of the past.
type Past struct {
	At       string   `json:"at"`
	State    string   `json:"state"`
	Duration float64  `json:"duration_seconds"`
	Value    *float64 `json:"value"` // the worst of the check's first metric; null for none
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func list(snapshots []schedule.Snapshot, now time.Time) List {
	worstFirst(snapshots)
	l := List{Time: stamp(now), Checks: make([]Item, 0, len(snapshots))}
	for _, snap := range snapshots {
		l.Checks = append(l.Checks, item(snap))
	}
	return l
}

// list is everything that a reader of the whole wants to know.
func (e *Exporter) list(now time.Time) List {
	l := list(e.scheduler.Snapshots(now), now)
	l.Discovery = e.discovery.Load()
	return l
}

func item(snap schedule.Snapshot) Item {
	i := Item{
		Document: document(snap), Pending: snap.Result == nil, Stale: snap.Stale,
		Interval: snap.Interval.Seconds(), Timeout: snap.Timeout.Seconds(), Next: stamp(snap.Next), Running: snap.Running,
		Runs: make(map[string]uint64), Abandoned: snap.Abandoned, History: make([]Past, 0, len(snap.History)),
	}
	if snap.Result != nil && !snap.Result.Started.IsZero() {
		age := snap.Age.Seconds()
		i.Age = &age
	}
	if !snap.HangingSince.IsZero() {
		i.Hanging = stamp(snap.HangingSince)
	}
	for _, state := range check.States() {
		i.Runs[strings.ToLower(state.String())] = snap.Runs[state]
	}
	for _, e := range snap.History {
		past := Past{At: stamp(e.At), State: e.State.String(), Duration: e.Duration.Seconds()}
		if value := e.Value; !math.IsNaN(value) && !math.IsInf(value, 0) {
			past.Value = &value
		}
		i.History = append(i.History, past)
	}
	return i
}

// document describes the result; a check that has not looked yet is UNKNOWN
// here, because a reader of the document cannot do without a state.
func document(snap schedule.Snapshot) plugin.Document {
	if snap.Result == nil {
		return plugin.Document{
			Check: snap.Definition.Name, Target: snap.Target, State: check.Unknown.String(), Code: int(check.Unknown),
			Text: "not looked at yet", Rows: []plugin.DocumentRow{}, Values: []plugin.DocumentValue{},
		}
	}
	d := plugin.Describe(snap.Result)
	if snap.Result.Started.IsZero() {
		d.Started = ""
	}
	return d
}

func (e *Exporter) serveChecks(w http.ResponseWriter, _ *http.Request) {
	now := time.Now()
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // people read it too, and no browser takes it for a page
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(e.list(now)); err != nil { // nothing in a list can fail to be encoded
		http.Error(w, "the checks cannot be written as JSON", http.StatusInternalServerError)
		e.log.Error("write the checks as JSON", "err", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(body.Bytes()) //nolint:errcheck // the client is gone
}
