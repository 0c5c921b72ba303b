package check

import (
	"context"
	"time"

	"github.com/spf13/pflag"
)

// Definition says everything about one check, once. It is written as a
// literal, never changed afterwards, and safe to share.
type Definition struct {
	Name     string   // "postgres_replication_lag"; the plugin is check_<name>
	Title    string   // starts line 1: "POSTGRES REPLICATION LAG"
	Summary  string   // one sentence, lower-case verb first: what it looks at
	Aliases  []string // further names of the binary, with "check_"
	Examples []string // command lines, first thing that -h shows

	Peer       string        // which rows of the fault table it must answer: "postgres", "http", "command", "proc", ...
	Interval   time.Duration // sensible time between looks
	Timeout    time.Duration // default of -t; longer than any limit on a duration
	Privileges []string      // user, groups, grants that it needs, in words
	Alert      Alert         // when a verdict becomes an alert; zero: by the interval

	Metrics  []*Metric  // [0] is the one that bare -w and -c mean
	Findings []*Finding // what is no number
	Parts    []Part     // sub-checks for --only and --skip

	// New declares the check's own options on the flag set and returns a
	// check bound to them. It does nothing else: it runs for -V and -h too.
	New func(*pflag.FlagSet) Check
}

// Alert says when a verdict of a check becomes an alert of Prometheus and when
// that ends. Zero means what follows from the check's interval.
type Alert struct {
	// For is how long a check must not have been OK, whichever its states were
	// meanwhile, until the state that it has is alerted. It is to Prometheus
	// what max_check_attempts is to Nagios. Default: two and a half intervals,
	// so that the third bad look in a row decides, as three attempts do.
	For time.Duration
	// KeepFiringFor is how long the alert stays when the check has left the
	// state, so that a check that goes to and fro, or an exporter that is
	// restarted, ends no alert. Nagios has no such time. Default: For, and five
	// minutes at least.
	KeepFiringFor time.Duration
}

// Alerting returns the definition's Alert with its defaults filled in.
func (d *Definition) Alerting() Alert {
	a := d.Alert
	if a.For == 0 {
		a.For = d.Interval * 5 / 2
	}
	if a.KeepFiringFor == 0 {
		a.KeepFiringFor = max(a.For, 5*time.Minute)
	}
	return a
}

// Check is one configured check. Its methods are never called at the same
// time.
type Check interface {
	// Prepare validates the options and reads the product's own files. It
	// opens no connection. It is called anew before each Run. Its errors are
	// the operator's to mend, so they become UNKNOWN with reason config
	// unless they say otherwise.
	Prepare() (Setup, error)
	// Run takes one look and reports what it sees. An error is the same as
	// Report.Fail. Run never prints and does not know which face called it.
	Run(context.Context, *Report) error
	// Close gives back what a check keeps open between looks on purpose.
	Close() error
}

// Setup is what a check knows once its options are there.
type Setup struct {
	Target string  // default name of the thing looked at; --target overrides it; a name, no secret in it
	Limits []Limit // what a profile adds to the defaults of the metrics
	Notice string  // said on line 1 whatever the verdict: "TLS certificate not verified"
}

// Part names a sub-check that can be chosen alone, is timed, and recovers and
// fails alone.
type Part struct {
	Name string
	Help string
}

// Kind is how a metric's number is to be read.
type Kind uint8

// The kinds of metrics.
const (
	Gauge   Kind = iota // goes up and down
	Counter             // only grows, until it starts anew
	Since               // a moment in the past, judged by its age in seconds
	Until               // a moment in the future, judged by the seconds left
)

// Metric is a number that a check reports. It is never written after its
// declaration and may be listed by several definitions.
type Metric struct {
	Family string // Prometheus: belfry_<family>_<key><suffix>
	Key    string // the name in -w, YAML and performance data; unique in a definition
	Title  string // how rows call it: "replay lag"; the key with blanks where empty
	Kind   Kind
	Unit   Unit   // Since and Until are Seconds by nature and leave it None
	Help   string // the sentence behind # HELP
	// Labels tell apart the things of one look. Bounded sets only: never
	// pids, command lines or error texts.
	Labels            []string
	Warning, Critical string // default ranges; empty: informative
	// Quiet keeps what no limit judges out of performance data, whose room is
	// small, for metrics with many label sets; Prometheus and JSON have all.
	Quiet bool
	// Effect puts the metric's rows behind those of the others of the same
	// state, because these tell the cause: a queue is deep, and its worker has
	// done nothing for ten minutes.
	Effect bool
	// Buckets are the bounds of the distribution that the exporter keeps;
	// empty for none.
	Buckets []float64
}

// JudgedUnit is the unit in which limits and performance data of the metric
// are given: seconds of age or time left for Since and Until.
func (m *Metric) JudgedUnit() Unit {
	if m.Kind == Since || m.Kind == Until {
		return Seconds
	}
	return m.Unit
}

// Name returns the metric's Prometheus name.
func (m *Metric) Name() string {
	name := "belfry_" + m.Family + "_" + m.Key
	switch m.Kind {
	case Since, Until:
		return name + "_timestamp_seconds"
	case Counter:
		return name + m.Unit.Suffix() + "_total"
	}
	return name + m.Unit.Suffix()
}

// DistributionName returns the name of the histogram that the exporter keeps
// of the values of a gauge that has Buckets: bounds in base units, rising,
// without +Inf. Its series end in _bucket, _sum and _count.
func (m *Metric) DistributionName() string {
	return "belfry_" + m.Family + "_" + m.Key + "_distribution" + m.Unit.Suffix()
}

// LimitName returns the name of the series that carry the metric's limits, in
// the unit that is judged: seconds of age (Since), of time left (Until).
func (m *Metric) LimitName() string {
	name := "belfry_" + m.Family + "_" + m.Key
	switch m.Kind {
	case Since:
		return name + "_age_limit_seconds"
	case Until:
		return name + "_left_limit_seconds"
	}
	return name + "_limit" + m.Unit.Suffix()
}

// Finding is something that a check sees and that is no number: "two
// primaries", "queue without consumer".
type Finding struct {
	Key    string
	Help   string
	State  State // default; --severity key=state overrides it
	Labels []string
}

// Limit is a range for a metric at one severity, for the label values that
// match.
type Limit struct {
	Metric   *Metric
	Match    map[string]string // label globs as Glob reads them; empty matches all
	Severity State             // Warning or Critical
	Range    Range
}

// MetricByKey returns the definition's metric of that key, nil for none.
func (d *Definition) MetricByKey(key string) *Metric {
	for _, m := range d.Metrics {
		if m.Key == key {
			return m
		}
	}
	return nil
}

// FindingByKey returns the definition's finding of that key, nil for none.
func (d *Definition) FindingByKey(key string) *Finding {
	for _, f := range d.Findings {
		if f.Key == key {
			return f
		}
	}
	return nil
}

// Plugin returns the name of the check's binary.
func (d *Definition) Plugin() string { return "check_" + d.Name }
