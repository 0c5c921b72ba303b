package page

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/belfry-monitoring/belfry/common/check"
)

func TestCondition(t *testing.T) {
	for _, tt := range []struct {
		limit string
		unit  check.Unit
		want  string
	}{
		{"80MiB", check.Bytes, "above 80 MiB"},
		{"90%", check.Ratio, "above 90 %"},
		{"2:", check.None, "below 2"},
		{"0:", check.None, "below 0"},
		{"~:10", check.None, "above 10"},
		{"10:20", check.None, "outside 10 to 20"},
		{"-5:5", check.None, "outside -5 to 5"},
		{"~:", check.None, "never"},
		{"0", check.None, "other than 0"},
		{"@10:20", check.None, "10 to 20"},
		{"@10", check.None, "0 to 10"},
		{"@5:5", check.None, "exactly 5"},
		{"@~:3", check.None, "up to 3"},
		{"@3:", check.None, "3 and more"},
		{"@~:", check.None, "always"},
		{"14d:", check.Seconds, "below 14 d"},
	} {
		r, err := check.ParseRange(tt.limit, tt.unit)
		if err != nil {
			t.Fatal(err)
		}
		if got := condition(r, tt.unit); got != tt.want {
			t.Errorf("condition(%s) = %q; want %q", tt.limit, got, tt.want)
		}
	}
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"plain <b> & text":                "plain <b> & text",
		"Grüße 東京 ✓":                      "Grüße 東京 ✓",
		"a\x00b\x1b[31m":                  "a[U+0000]b[U+001B][31m",
		"bad\xff":                         "bad[0xFF]",
		"\u202egnp.exe":                   "[U+202E]gnp.exe",
		"a\u200bb\u2066c\u2069":           "a[U+200B]b[U+2066]c[U+2069]",
		"two\nlines\ttab":                 "two[U+000A]lines[U+0009]tab",
		"\u2028\u2029\u00ad\ufeff":        "[U+2028][U+2029][U+00AD][U+FEFF]",
		"a real \ufffd":                   "a real \ufffd",
		strings.Repeat("é", maxVisible+1): strings.Repeat("é", maxVisible) + "...",
	} {
		if got := visible(text); got != want {
			t.Errorf("visible(%q) = %q; want %q", text, got, want)
		}
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("a\u202eb\xff")
	f.Fuzz(func(t *testing.T, text string) {
		got := visible(text)
		if !utf8.ValidString(got) || strings.IndexFunc(got, hidden) >= 0 || utf8.RuneCountInString(got) > 8*maxVisible+3 {
			t.Errorf("visible(%q) = %q; want all of it seen", text, got)
		}
	})
}
