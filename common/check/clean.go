package check

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxText caps every foreign string that is shown, in runes.
const MaxText = 200

// Clean makes foreign text fit for one line of output: control characters,
// line ends and invalid UTF-8 become blanks or "?", "|" becomes "!" (Nagios,
// Icinga and Telegraf take it for performance data), runs of blanks become
// one, and what is longer than MaxText runes is cut with "...".
func Clean(text string) string { return CleanMax(text, MaxText) }

// CleanMax is Clean with another bound in runes.
func CleanMax(text string, limit int) string {
	var b strings.Builder
	runes, blank := 0, false
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			r = '?'
		}
		i += size
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r) || isFormat(r):
			blank = b.Len() > 0
			continue
		case r == '|':
			r = '!'
		}
		if runes >= limit {
			return b.String() + "..."
		}
		if blank {
			b.WriteByte(' ')
			runes++
			blank = false
		}
		b.WriteRune(r)
		runes++
	}
	return b.String()
}

// isFormat reports characters that print nothing but reorder or hide text:
// a queue name must not be able to turn a line around.
func isFormat(r rune) bool { return unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' }
