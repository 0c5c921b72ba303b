package plugin

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Document is a result as JSON. Numbers are in base units (seconds, bytes,
// ratio; Unix seconds for times); what is no number is null.
type Document struct {
	Check    string          `json:"check"`
	Target   string          `json:"target"`
	State    string          `json:"state"`
	Code     int             `json:"code"`
	Text     string          `json:"text"` // line 1 without title and state
	Started  string          `json:"started"`
	Duration float64         `json:"duration_seconds"`
	TimedOut bool            `json:"timed_out"`
	Reason   string          `json:"reason,omitempty"`
	Notices  []string        `json:"notices,omitempty"`
	Notes    []string        `json:"notes,omitempty"`
	Rows     []DocumentRow   `json:"rows"`
	Values   []DocumentValue `json:"values"`
}

// DocumentRow is a judged thing.
type DocumentRow struct {
	State  string `json:"state"`
	Text   string `json:"text"`
	Kind   string `json:"kind"` // value, finding, fault or deadline
	Key    string `json:"key,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// DocumentValue is an observed value; its limits are written as ranges of -w
// and -c.
type DocumentValue struct {
	Key      string            `json:"key"`
	Labels   map[string]string `json:"labels,omitempty"`
	Value    *float64          `json:"value"`
	Judged   *float64          `json:"judged"`
	Unit     string            `json:"unit,omitempty"`
	State    string            `json:"state"`
	Warning  string            `json:"warning,omitempty"`
	Critical string            `json:"critical,omitempty"`
	Series   string            `json:"series"`
}

// Describe makes the JSON document of a result.
func Describe(r *check.Result) Document {
	d := Document{
		Check: r.Definition.Name, Target: r.Target, State: r.State.String(), Code: int(r.State),
		Text:    FirstLine(r),
		Started: r.Started.UTC().Format(time.RFC3339Nano), Duration: r.Duration.Seconds(), TimedOut: r.TimedOut,
		Reason: string(r.Reason), Notices: r.Notices, Notes: r.Notes, Rows: []DocumentRow{}, Values: []DocumentValue{},
	}
	for _, row := range r.Rows {
		d.Rows = append(d.Rows, DocumentRow{
			State: row.State.String(), Text: row.Text, Kind: kind(row.Kind), Key: row.Key, Reason: string(row.Reason),
		})
	}
	for _, v := range r.Values {
		unit := v.Metric.JudgedUnit()
		item := DocumentValue{
			Key: v.Metric.Key, Value: finite(v.Number), Judged: finite(v.Judged), Unit: strings.TrimPrefix(unit.Suffix(), "_"),
			State: v.State.String(), Warning: limitText(v.Warning, unit), Critical: limitText(v.Critical, unit), Series: v.Metric.Name(),
		}
		for i, name := range v.Metric.Labels {
			if item.Labels == nil {
				item.Labels = make(map[string]string)
			}
			item.Labels[name] = v.Labels[i]
		}
		d.Values = append(d.Values, item)
	}
	return d
}

// JSON renders the document for scripts.
func JSON(r *check.Result, _ int) []byte {
	text, err := json.MarshalIndent(Describe(r), "", "  ")
	if err != nil { // nothing in a document can fail to be encoded
		return []byte(`{"state":"UNKNOWN","code":3,"text":"the result cannot be written as JSON"}` + "\n")
	}
	return append(text, '\n')
}

func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func kind(k check.RowKind) string {
	switch k {
	case check.RowFinding:
		return "finding"
	case check.RowFault:
		return "fault"
	case check.RowDeadline:
		return "deadline"
	}
	return "value"
}
