package check

import "math"

// Origin says where a limit comes from.
type Origin uint8

// The origins, in rising rank.
const (
	FromDefault  Origin = iota // the metric's declaration
	FromProfile                // what the check knows of the product or the server: Setup.Limits, Report.Limit
	FromOperator               // -w and -c, or the configuration
)

// origin is a limit that judges, nil for none, and where it comes from.
type origin struct {
	*Range
	from Origin
}

// limitTable resolves which limit judges a value: the operator's before the
// profile's before the metric's default; among equals the one with more
// labels, then the later.
type limitTable struct {
	operator, profile []Limit
	used              []bool
	defaults          map[*Metric][2]*Range
}

func (l *Look) limitTable(profile []Limit) *limitTable {
	t := &limitTable{operator: l.Limits, profile: profile, used: make([]bool, len(l.Limits)), defaults: make(map[*Metric][2]*Range)}
	for _, m := range l.Definition.Metrics {
		t.defaults[m] = [2]*Range{defaultRange(m, m.Warning), defaultRange(m, m.Critical)}
	}
	return t
}

// defaultRange parses a declared range; Definition.Validate proves that it
// can be parsed, and a limit that cannot must not pass for none.
func defaultRange(m *Metric, text string) *Range {
	if text == "" {
		return nil
	}
	r, err := ParseRange(text, m.JudgedUnit())
	if err != nil {
		return &Range{Start: math.Inf(-1), End: math.Inf(1), Inside: true}
	}
	return &r
}

// of returns the limits of a value; of one whose limits are waived only the
// operator's.
func (t *limitTable) of(m *Metric, labels []string, waived bool) (warning, critical origin) {
	for i := range t.operator {
		if !t.used[i] && t.operator[i].applies(m, labels) {
			t.used[i] = true
		}
	}
	resolve := func(severity State, fallback *Range) origin {
		if r := best(t.operator, m, labels, severity); r != nil || waived {
			return origin{r, FromOperator}
		}
		if r := best(t.profile, m, labels, severity); r != nil {
			return origin{r, FromProfile}
		}
		return origin{fallback, FromDefault}
	}
	d := t.defaults[m]
	return resolve(Warning, d[0]), resolve(Critical, d[1])
}

func best(limits []Limit, m *Metric, labels []string, severity State) *Range {
	var chosen *Limit
	for i := range limits {
		l := &limits[i]
		if l.Severity == severity && l.applies(m, labels) && (chosen == nil || len(l.Match) >= len(chosen.Match)) {
			chosen = l
		}
	}
	if chosen == nil {
		return nil
	}
	return &chosen.Range
}
