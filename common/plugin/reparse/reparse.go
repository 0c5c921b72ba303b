// Package reparse splits plugin output as Nagios and Icinga do, strictly: what
// either would lose or misread is an error. It is written after their rules
// (Nagios base/checks.c parse_check_output; Icinga lib/icinga/pluginutility.cpp
// ParseCheckOutput, SplitPerfdata and lib/base/perfdatavalue.cpp), and is used
// by tests only.
package reparse

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Output is what a core makes of a plugin's output.
type Output struct {
	Text     string // line 1 before the performance data
	Long     []string
	Perfdata []Value
}

// Value is one item of performance data.
type Value struct {
	Label, UOM                  string
	Number                      float64
	Warning, Critical, Min, Max string
}

// Parse splits the output by both cores' rules and reports where they differ
// or lose something.
func Parse(output []byte) (*Output, error) {
	switch {
	case len(output) == 0:
		return nil, errors.New("no output")
	case len(output) > 4096:
		return nil, fmt.Errorf("%d bytes: Nagios may lose what is beyond 4096", len(output))
	case !utf8.Valid(output):
		return nil, errors.New("not UTF-8")
	case output[len(output)-1] != '\n':
		return nil, errors.New("no newline at the end")
	case strings.Count(string(output), "|") > 1:
		return nil, errors.New(`more than one "|": Nagios takes all that follows for performance data, Telegraf drops it`)
	}
	for _, r := range string(output) {
		if r != '\n' && (r < ' ' || r == 0x7f) {
			return nil, fmt.Errorf("control character %q", r)
		}
	}
	lines := strings.Split(strings.TrimSuffix(string(output), "\n"), "\n")
	text, data, found := strings.Cut(lines[0], "|")
	out := &Output{Text: strings.TrimSpace(text), Long: lines[1:]}
	if out.Text == "" {
		return nil, errors.New("nothing on line 1")
	}
	for _, l := range lines[1:] {
		if strings.Contains(l, "|") {
			return nil, errors.New("performance data below line 1")
		}
	}
	if !found {
		return out, nil
	}
	var err error
	if out.Perfdata, err = parsePerfdata(strings.TrimSpace(data)); err != nil {
		return nil, err
	}
	return out, nil
}

// parsePerfdata splits as Icinga does: the label goes to the next equals
// sign, one pair of quotes is stripped, the value ends at the next blank.
func parsePerfdata(data string) ([]Value, error) {
	var values []Value
	seen := make(map[string]bool)
	for rest := data; rest != ""; {
		label, after, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, fmt.Errorf("performance data %q: no equals sign", rest)
		}
		if strings.HasPrefix(label, "'") != strings.HasSuffix(label, "'") || label == "'" {
			return nil, fmt.Errorf("label %q: quotes do not match", label)
		}
		bare := strings.TrimSuffix(strings.TrimPrefix(label, "'"), "'")
		switch {
		case bare == "":
			return nil, errors.New("an empty label")
		case strings.ContainsAny(bare, `'"|;,`) || strings.Contains(bare, "::"):
			return nil, fmt.Errorf("label %q has a character that a core takes for something else", bare)
		case bare == label && strings.Contains(label, " "):
			return nil, fmt.Errorf("label %q has a blank and no quotes", label)
		case seen[bare]:
			return nil, fmt.Errorf("label %q twice", bare)
		}
		seen[bare] = true
		token, next, _ := strings.Cut(after, " ")
		v, err := parseValue(bare, token)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		rest = next
	}
	return values, nil
}

func parseValue(label, token string) (Value, error) {
	number := regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?`)
	limit := regexp.MustCompile(`^@?(~|-?[0-9]+(\.[0-9]+)?)?:?(-?[0-9]+(\.[0-9]+)?)?$`)
	fields := strings.Split(token, ";")
	if len(fields) > 5 {
		return Value{}, fmt.Errorf("%s=%s: more than five fields", label, token)
	}
	for len(fields) < 5 {
		fields = append(fields, "")
	}
	digits := number.FindString(fields[0])
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return Value{}, fmt.Errorf("%s=%s: not a plain number", label, token)
	}
	uom := strings.TrimPrefix(fields[0], digits)
	if uom != "" && uom != "s" && uom != "B" && uom != "%" && uom != "c" {
		return Value{}, fmt.Errorf("%s=%s: unit %q, which Icinga drops", label, token, uom)
	}
	for _, f := range fields[1:] {
		if !limit.MatchString(f) {
			return Value{}, fmt.Errorf("%s=%s: %q is no range", label, token, f)
		}
	}
	return Value{Label: label, UOM: uom, Number: n, Warning: fields[1], Critical: fields[2], Min: fields[3], Max: fields[4]}, nil
}
