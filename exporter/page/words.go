package page

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/belfry-monitoring/belfry/common/check"
)

// maxVisible bounds a foreign text on a page, in runes: more than a check's
// first line has.
const maxVisible = 1000

// visible shows what would hide or turn around the text beside it: control
// bytes, invalid UTF-8, overrides of the direction of writing.
func visible(text string) string {
	if plain(text) {
		return text
	}
	var b strings.Builder
	runes := 0
	for i := 0; i < len(text); runes++ {
		if runes == maxVisible {
			b.WriteString("...")
			break
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, "[0x%02X]", text[i])
		case hidden(r):
			fmt.Fprintf(&b, "[U+%04X]", r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

func plain(text string) bool {
	if len(text) > maxVisible {
		return false
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// hidden reports characters that print nothing: control, format, line and
// paragraph separators, private use.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}

// Moment is a time as a person and as a program read it.
type Moment struct{ Text, Stamp string }

func moment(t time.Time) Moment {
	if t.IsZero() {
		return Moment{}
	}
	t = t.UTC()
	return Moment{t.Format("2006-01-02 15:04:05 UTC"), t.Format(time.RFC3339)}
}

// span is a time that has passed, in whole seconds: ages of milliseconds only
// flicker.
func span(d time.Duration) string { return check.FormatDuration(d.Truncate(time.Second)) }

// state is a verdict as the page shows it. Colour is never all that tells it.
type state struct{ Class, Sign, Word string }

var (
	critical = state{"critical", "✕", "CRITICAL"}
	unknown  = state{"unknown", "?", "UNKNOWN"}
	warning  = state{"warning", "!", "WARNING"}
	good     = state{"ok", "✓", "OK"}
	pending  = state{"pending", "…", "PENDING"}
)

// worstFirst are the states in the order of the page; what nobody can know yet
// comes last.
func worstFirst() []state { return []state{critical, unknown, warning, good, pending} }

func stateOf(s check.State) state {
	switch s {
	case check.OK:
		return good
	case check.Warning:
		return warning
	case check.Critical:
		return critical
	}
	return unknown
}

// Condition says in words which values break a limit: "above 80 MiB".
func condition(r check.Range, unit check.Unit) string {
	start, end := unit.Format(r.Start), unit.Format(r.End)
	below, above := !math.IsInf(r.Start, -1), !math.IsInf(r.End, 1) // there is a bound there
	switch {
	case r.Inside && !below && !above:
		return "always"
	case r.Inside && !below:
		return "up to " + end
	case r.Inside && !above:
		return start + " and more"
	case r.Inside && r.Start == r.End:
		return "exactly " + start
	case r.Inside:
		return start + " to " + end
	case !below && !above:
		return "never"
	case !above:
		return "below " + start
	case !below || r.Start == 0 && r.End > 0: // that few things can be below zero is not worth a word each time
		return "above " + end
	case r.Start == r.End:
		return "other than " + start
	}
	return "outside " + start + " to " + end
}

func titleOf(m *check.Metric) string {
	if m.Title != "" {
		return m.Title
	}
	return strings.ReplaceAll(m.Key, "_", " ")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
