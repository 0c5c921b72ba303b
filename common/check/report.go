package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Report collects what one look sees. It is safe for use by several
// goroutines and frozen at the deadline: what comes later is dropped.
type Report struct {
	def        *Definition
	now        func() time.Time
	only, skip []string
	memory     Memory
	outer      context.Context // of the face: it ends when the look is interrupted
	end        time.Time       // of the look
	table      func(profile []Limit) *limitTable

	mu     sync.Mutex
	frozen bool
	seen   map[string]bool // metric key and label values
	sight
}

// sight is what a report has collected.
type sight struct {
	setup       Setup
	values      []observation
	missed      []observation
	found       []found
	failures    []failure
	parts       []PartTime
	details     map[string]string
	waived      map[string]bool // metric key and label values
	absent      map[*Metric]bool
	notes       []string
	summary     string
	remember    []byte
	timedOut    bool
	interrupted string
}

type observation struct {
	metric *Metric
	labels []string
	value  float64   // base unit; unused for times
	at     time.Time // Since and Until
}

type found struct {
	finding *Finding
	text    string
	labels  []string
}

type failure struct {
	err   error
	where string
	// late marks what was reported when the look was over, interrupted what
	// was reported when nobody waited for it any more: a context that ended is
	// then no fault of the peer.
	late, interrupted bool
}

// PartTime is how long a part took.
type PartTime struct {
	Name     string
	Duration time.Duration
}

// BuiltinFindings are the findings that the library itself may add to any
// check; --severity knows them too.
func BuiltinFindings() []*Finding {
	return []*Finding{
		{Key: "clock_skew", Help: "a time of the past lies more than 60 s in the future", State: Unknown},
		{Key: "no_time", Help: "a time that must be there is missing", State: Unknown},
		{Key: "unmatched_limit", Help: "a limit of the operator matches nothing that was observed", State: Unknown},
		{Key: "memory_lost", Help: "what this look saw could not be kept for the next one", State: Warning},
	}
}

func builtinFinding(key string) *Finding {
	for _, f := range BuiltinFindings() {
		if f.Key == key {
			return f
		}
	}
	return nil
}

// Observe reports a value in base units (seconds, bytes, ratio 0 to 1), with
// one label value for each label of the metric. A value that is not known is
// not observed; NaN breaks every limit.
func (r *Report) Observe(m *Metric, v float64, labels ...string) {
	if m.Kind == Since || m.Kind == Until {
		r.Fail(Faultf(Internal, "observe", m.Key, "a metric of time needs ObserveTime"))
		return
	}
	r.observe(observation{metric: m, value: v, labels: labels})
}

// ObserveTime reports the moment of a Since or Until metric. The zero time
// means that there is none, which is never OK.
func (r *Report) ObserveTime(m *Metric, t time.Time, labels ...string) {
	if m.Kind != Since && m.Kind != Until {
		r.Fail(Faultf(Internal, "observe", m.Key, "a number needs Observe"))
		return
	}
	r.observe(observation{metric: m, at: t, value: math.NaN(), labels: labels})
}

// Miss counts in the distribution of a metric that has Buckets what has no
// value because it failed: a message that was not delivered, a server that did
// not answer. The distribution has it beyond every bound; the verdict, the
// performance data and the metric's series do not know of it.
func (r *Report) Miss(m *Metric, labels ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return
	}
	o := observation{metric: m, labels: append([]string(nil), labels...)}
	err := r.acceptable(o)
	if err == nil && len(m.Buckets) == 0 {
		err = Faultf(Internal, "count a miss of", m.Key, "it has no buckets")
	}
	if err != nil {
		r.failures = append(r.failures, failure{err: err})
		return
	}
	r.missed = append(r.missed, o)
}

func (r *Report) observe(o observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return
	}
	if err := r.acceptable(o); err != nil {
		r.failures = append(r.failures, failure{err: err})
		return
	}
	o.labels = append([]string(nil), o.labels...)
	r.values = append(r.values, o)
}

func (r *Report) acceptable(o observation) error {
	if r.def.MetricByKey(o.metric.Key) != o.metric {
		return Faultf(Internal, "observe", o.metric.Key, "the definition of %s does not list this metric", r.def.Name)
	}
	if len(o.labels) != len(o.metric.Labels) {
		return Faultf(Internal, "observe", o.metric.Key, "%d label values for %d labels", len(o.labels), len(o.metric.Labels))
	}
	key := seriesKey(o.metric, o.labels)
	if r.seen[key] {
		return Faultf(Internal, "observe", o.metric.Key, "twice for %s", orNone(o.labels))
	}
	r.seen[key] = true
	return nil
}

func seriesKey(m *Metric, labels []string) string {
	return m.Key + "\x00" + strings.Join(labels, "\x00")
}

// Find reports a finding. The text is the whole of its row; label values are
// those of the finding's labels.
func (r *Report) Find(f *Finding, text string, labels ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return
	}
	if r.def.FindingByKey(f.Key) != f || len(labels) != len(f.Labels) {
		r.failures = append(r.failures, failure{err: Faultf(Internal, "find", f.Key, "not declared like this in the definition of %s", r.def.Name)})
		return
	}
	r.found = append(r.found, found{finding: f, text: text, labels: append([]string(nil), labels...)})
}

// Fail reports that something could not be looked at; where names it when the
// look has several. The rest of the report stands.
func (r *Report) Fail(err error, where ...string) {
	if err == nil {
		return
	}
	f := failure{
		err: err, where: strings.Join(where, " "),
		late: !time.Now().Before(r.end), interrupted: errors.Is(r.outer.Err(), context.Canceled),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.frozen {
		r.failures = append(r.failures, f)
	}
}

// Limit adds limits that only the look itself can know, such as those that
// follow from a server's own timeouts. They rank like those of Setup.
func (r *Report) Limit(limits ...Limit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.frozen {
		r.setup.Limits = append(slices.Clip(r.setup.Limits), limits...)
	}
}

// Waive says that another metric judges this thing at this look, so that the
// metric's default and what a profile adds do not: a queue whose time to drain
// is known need not be judged by its depth. The operator's limits stay.
func (r *Report) Waive(m *Metric, labels ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return
	}
	if r.waived == nil {
		r.waived = make(map[string]bool)
	}
	r.waived[seriesKey(m, labels)] = true
}

// Limits returns the limits that will judge the metric for these label values,
// as far as they are known by now; nil for none. They are for foretelling when
// one will be reached: whether it is, the library alone says.
func (r *Report) Limits(m *Metric, labels ...string) (warning, critical *Range) {
	r.mu.Lock()
	profile, waived := r.setup.Limits, r.waived[seriesKey(m, labels)]
	r.mu.Unlock()
	w, c := r.table(profile).of(m, labels, waived)
	return w.Range, c.Range
}

// Detail adds words to the rows of all metrics with exactly these label
// values: "20261121-002249F ended at 02:03". What is beyond the length of a
// row is dropped.
func (r *Report) Detail(text string, labels ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return
	}
	if r.details == nil {
		r.details = make(map[string]string)
	}
	key := strings.Join(labels, "\x00")
	switch old := r.details[key]; {
	case old == "":
		r.details[key] = text
	case len(old) < maxDetail:
		r.details[key] = old + ", " + text
	}
}

// Summarize sets what line 1 says when everything is fine.
func (r *Report) Summarize(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.frozen {
		r.summary = fmt.Sprintf(format, args...)
	}
}

// Absent says that there is rightly nothing to observe for the metric at this
// look: no queue where none has to be, no backup before the first. A limit of
// the operator on it is then no typo.
func (r *Report) Absent(m *Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return
	}
	if r.absent == nil {
		r.absent = make(map[*Metric]bool)
	}
	r.absent[m] = true
}

// Note adds something that does not turn the verdict and is shown with -v: an
// optional value that a missing grant hides, for example.
func (r *Report) Note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.frozen {
		r.notes = append(r.notes, fmt.Sprintf(format, args...))
	}
}

// Part looks at one sub-check, unless --only or --skip leave it out. Its
// error or panic is reported as the part's own and does not reach the others.
func (r *Report) Part(ctx context.Context, name string, look func(context.Context) error) {
	if !r.wants(name) {
		return
	}
	known := false
	for _, p := range r.def.Parts {
		known = known || p.Name == name
	}
	if !known {
		r.Fail(Faultf(Internal, "run part", name, "the definition of %s does not list it", r.def.Name))
		return
	}
	start := time.Now()
	err := guard(func() error { return look(ctx) })
	r.mu.Lock()
	if !r.frozen {
		r.parts = append(r.parts, PartTime{Name: name, Duration: time.Since(start)})
	}
	r.mu.Unlock()
	r.Fail(err, name)
}

func (r *Report) wants(name string) bool {
	if len(r.only) > 0 && !contains(r.only, name) {
		return false
	}
	return !contains(r.skip, name)
}

// Recall decodes what the previous look remembered into the pointer and says
// when that was: in the past, and at most MaxMemoryAge ago. Without a previous
// look, where it cannot be read, or where a clock that jumped makes nonsense
// of its time, ok is false: the check judges what it can and says so. Two
// looks may be moments apart, so at may equal Now.
func (r *Report) Recall(into any) (at time.Time, ok bool) {
	if r.memory == nil {
		return time.Time{}, false
	}
	data, at, err := r.memory.Load()
	if err != nil {
		r.Note("previous look not known: %v", err)
		return time.Time{}, false
	}
	if len(data) == 0 {
		return time.Time{}, false
	}
	if at, err = previous(at, r.Now()); err != nil {
		r.Note("previous look not used, starting anew: %v", err)
		return time.Time{}, false
	}
	if err := json.Unmarshal(data, into); err != nil {
		r.Note("previous look not understood, starting anew: %v", err)
		return time.Time{}, false
	}
	return at, true
}

// Remember keeps a value for the next look. It is stored only when the look
// returns in time. At most MaxMemory bytes of JSON.
func (r *Report) Remember(v any) {
	data, err := json.Marshal(v)
	if err == nil && len(data) > MaxMemory {
		err = fmt.Errorf("%d bytes are more than %d", len(data), MaxMemory)
	}
	if err != nil {
		r.Fail(&Fault{Reason: Internal, Stage: "remember this look", Err: err})
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.frozen {
		r.remember = data
	}
}

// Now is the time of the look, by the face's clock.
func (r *Report) Now() time.Time { return r.now() }

// maxDetail bounds the details of a row in bytes, more than a row shows: a
// check may add one for each of many things.
const maxDetail = 8 * MaxText

// errPanic marks a recovered panic.
var errPanic = errors.New("this is a defect of the check, please report it")
