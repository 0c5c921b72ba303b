package check

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Range is a limit: the values that are fine, or with Inside those that are
// not. Bounds are inclusive and in base units (seconds, bytes, ratio).
// Monitoring Plugins guidelines, "Threshold and Ranges".
type Range struct {
	Start, End float64 // -Inf and +Inf where open
	Inside     bool    // "@": alert inside, ends included
}

// ParseRange reads [@]start:end with numbers that may carry a suffix of the
// unit ("80%", "600MB", "25h"). The error says what is wrong and how it is
// written right.
func ParseRange(text string, unit Unit) (Range, error) {
	r, err := parseRange(text, unit)
	if err != nil {
		return Range{}, fmt.Errorf("range %q: %w", text, err)
	}
	return r, nil
}

func parseRange(text string, unit Unit) (Range, error) {
	if text == "" {
		return Range{}, errors.New("empty: write 10, 10:, ~:10, 10:20 or @10:20")
	}
	r := Range{}
	spec := text
	if rest, ok := strings.CutPrefix(spec, "@"); ok {
		r.Inside, spec = true, rest
		if spec == "" {
			return Range{}, errors.New("nothing after @: write @10:20")
		}
	}
	start, end, colon := strings.Cut(spec, ":")
	if !colon {
		start, end = "0", spec
	}
	if strings.Contains(end, ":") {
		return Range{}, errors.New("more than one colon: write start:end")
	}
	var err error
	switch {
	case start == "":
		return Range{}, fmt.Errorf("no start before the colon: write 0:%s or ~:%s", end, end)
	case start == "~" && colon:
		r.Start = math.Inf(-1)
	default:
		if r.Start, err = parseBound(start, unit); err != nil {
			return Range{}, err
		}
	}
	switch {
	case end == "" && colon:
		r.End = math.Inf(1)
	case end == "~":
		return Range{}, errors.New("~ means minus infinity and can only be the start: write ~:10, or 10: without an end")
	default:
		if r.End, err = parseBound(end, unit); err != nil {
			return Range{}, err
		}
	}
	if r.Start > r.End {
		if !colon {
			return Range{}, fmt.Errorf("%s means 0:%s, whose start is above its end: write ~:%s or %s:0", end, end, end, end)
		}
		return Range{}, errors.New("start is above end: write the smaller one first, or @ for an alert inside")
	}
	return r, nil
}

// parseBound reads one number: digits, at most one point between digits, a
// leading minus, then a suffix of the unit. No exponent, sign plus, hex, NaN
// or infinity: the guideline's grammar has none of them.
func parseBound(text string, unit Unit) (float64, error) {
	number, factor := text, 1.0
	for _, s := range unit.suffixes() {
		if rest, ok := strings.CutSuffix(text, s.suffix); ok {
			number, factor = rest, s.factor
			break
		}
	}
	if !isNumeral(number) {
		return 0, fmt.Errorf("%q is no number of %s (digits, one decimal point, a leading minus; suffixes: %s)",
			text, unit, unit.suffixHelp())
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsInf(v*factor, 0) {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return unit.fromLimit(v * factor), nil
}

func isNumeral(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, fraction, point := strings.Cut(s, ".")
	return isDigits(whole) && (!point || isDigits(fraction))
}

func isDigits(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Violates reports whether the value breaks the limit. NaN breaks every
// limit: no number is no proof of health.
func (r Range) Violates(v float64) bool {
	if math.IsNaN(v) {
		return true
	}
	inside := r.Start <= v && v <= r.End
	return inside == r.Inside
}

// Format writes the range so that ParseRange reads it back, in the numbers a
// limit of this unit has (per cent for Ratio), without suffixes and as a
// plain number where that means the same: Icinga keeps only plain numbers.
func (r Range) Format(unit Unit) string {
	number := func(v float64) string { return strconv.FormatFloat(unit.Shown(v), 'f', -1, 64) }
	var b strings.Builder
	if r.Inside {
		b.WriteByte('@')
	}
	switch {
	case math.IsInf(r.Start, -1):
		b.WriteString("~:")
	case r.Start == 0 && !math.IsInf(r.End, 1):
	default:
		b.WriteString(number(r.Start))
		b.WriteByte(':')
	}
	if !math.IsInf(r.End, 1) {
		b.WriteString(number(r.End))
	}
	return b.String()
}

// String is Format in plain numbers.
func (r Range) String() string { return r.Format(None) }

// Explain says in words how a violating value stands to the range:
// "above 80 MiB", "below 2", "within 0 to 10".
func (r Range) Explain(v float64, unit Unit) string {
	switch {
	case r.Inside && math.IsInf(r.Start, -1):
		return "not above " + unit.Format(r.End)
	case r.Inside && math.IsInf(r.End, 1):
		return "not below " + unit.Format(r.Start)
	case r.Inside:
		return "within " + unit.Format(r.Start) + " to " + unit.Format(r.End)
	case v > r.End:
		return "above " + unit.Format(r.End)
	case v < r.Start:
		return "below " + unit.Format(r.Start)
	}
	return "limit " + r.Format(unit)
}
