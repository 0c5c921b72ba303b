package check

import "time"

// Result is the verdict of one look, the same for every face.
type Result struct {
	Definition *Definition
	Target     string
	State      State
	Started    time.Time
	Duration   time.Duration
	TimedOut   bool   // the look's own deadline passed
	Reason     Reason // of the worst fault; empty for none

	Summary string   // what line 1 says when everything is fine
	Notices []string // said on line 1 whatever the verdict
	Notes   []string // shown with -v
	Trace   []string // stacks of panics, shown with -vvv

	Rows   []Row   // problems worst first, then what is fine
	Values []Value // in the order of observation
	Missed []Miss  // for distributions only
	Parts  []PartTime

	// Abandoned is not nil when the check had not returned at its deadline;
	// it is closed when it does. Until then it must not be run again.
	Abandoned <-chan struct{}
}

// RowKind says where a row comes from.
type RowKind uint8

// The kinds of rows.
const (
	RowValue RowKind = iota
	RowFinding
	RowFault
	RowDeadline
)

// Row is one judged thing. Its text is clean for one line of output.
type Row struct {
	State  State
	Text   string
	Kind   RowKind
	Key    string // of the metric or finding
	Labels []string
	Reason Reason // of a fault
}

// Value is an observed value with the limits that judged it.
type Value struct {
	Metric *Metric
	Labels []string
	// Number is the value as Prometheus sees it: base units, Unix seconds
	// for Since and Until.
	Number float64
	// Judged is what the limits were applied to: the age or the time left
	// for Since and Until, else Number.
	Judged            float64
	Warning, Critical *Range // nil for none
	State             State

	WarningFrom, CriticalFrom Origin // where these limits come from
}

// Miss is what a metric's distribution counts although it has no value.
type Miss struct {
	Metric *Metric
	Labels []string
}

// Problems counts the rows that are not OK.
func (r *Result) Problems() int {
	n := 0
	for _, row := range r.Rows {
		if row.State != OK {
			n++
		}
	}
	return n
}

// Found counts the findings of that key.
func (r *Result) Found(key string) int {
	n := 0
	for _, row := range r.Rows {
		if row.Kind == RowFinding && row.Key == key {
			n++
		}
	}
	return n
}
