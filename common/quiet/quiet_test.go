package quiet

import (
	"strings"
	"testing"
	"time"
)

func TestCovers(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(place *time.Location, text string) time.Time {
		m, err := time.ParseInLocation("2006-01-02 15:04", text, place)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	tests := []struct {
		window string
		at     time.Time
		want   bool
	}{
		{"Sun 03:00-04:30", at(time.UTC, "2026-11-22 03:00"), true},
		{"Sun 03:00-04:30", at(time.UTC, "2026-11-22 04:29"), true},
		{"Sun 03:00-04:30", at(time.UTC, "2026-11-22 04:30"), false},
		{"Sun 03:00-04:30", at(time.UTC, "2026-11-22 02:59"), false},
		{"Sun 03:00-04:30", at(time.UTC, "2026-11-23 03:30"), false},
		{"sunday 03:00-04:30", at(time.UTC, "2026-11-22 03:30"), true},
		{"03:00-03:30", at(time.UTC, "2026-11-25 03:10"), true},
		{"Mon-Fri 22:00-02:00", at(time.UTC, "2026-11-27 23:00"), true},  // Friday
		{"Mon-Fri 22:00-02:00", at(time.UTC, "2026-11-28 01:59"), true},  // of Friday's
		{"Mon-Fri 22:00-02:00", at(time.UTC, "2026-11-28 22:30"), false}, // Saturday
		{"Mon-Fri 22:00-02:00", at(time.UTC, "2026-11-23 01:00"), false}, // of Sunday's
		{"Sat-Mon 01:00-02:00", at(time.UTC, "2026-11-22 01:30"), true},  // over the end of the week
		{"Sat-Mon 01:00-02:00", at(time.UTC, "2026-11-24 01:30"), false},
		{"Mon,Thu 01:00-02:00", at(time.UTC, "2026-11-26 01:30"), true},
		{"Sat 00:00-24:00", at(time.UTC, "2026-11-28 23:59"), true},
		{"Sat 00:00-24:00", at(time.UTC, "2026-11-29 00:00"), false},
		{"Sun 03:00-04:00 Europe/Berlin", at(time.UTC, "2026-11-22 02:30"), true},
		{"Sun 03:00-04:00 Europe/Berlin", at(time.UTC, "2026-11-22 03:30"), false},
		// 2026-10-25: 03:00 becomes 02:00, so that 02:30 comes twice, both in the window.
		{"Sun 02:00-03:00 Europe/Berlin", at(time.UTC, "2026-10-25 00:30"), true},
		{"Sun 02:00-03:00 Europe/Berlin", at(time.UTC, "2026-10-25 01:30"), true},
		{"Sun 02:00-03:00 Europe/Berlin", at(berlin, "2026-10-25 03:00"), false},
		// 2026-03-29: 02:00 becomes 03:00, so that 02:00-03:00 does not come.
		{"Sun 02:00-03:00 Europe/Berlin", at(time.UTC, "2026-03-29 01:00"), false},
	}
	for _, tt := range tests {
		windows, err := Parse([]string{tt.window}, time.UTC)
		if err != nil {
			t.Errorf("Parse(%q) = %v", tt.window, err)
			continue
		}
		if got := windows.Covers(tt.at); got != tt.want {
			t.Errorf("%q covers %s = %v; want %v", tt.window, tt.at, got, tt.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"Sun":                    "write days, times",
		"Sun 03:00":              "write days, times",
		"Son 03:00-04:00":        `no day "Son"`,
		"Sun- 03:00-04:00":       `no day ""`,
		"Sun 3-4":                `no time of day "3"`,
		"Sun 03:00-25:00":        `no time of day "25:00"`,
		"Sun 03:00-03:00":        "no length",
		"Sun 24:00-25:00":        "no time of day",
		"Sun 24:00-01:00":        "cannot begin at 24:00",
		"Sun 03:00-04:00 Berlin": `no time zone "Berlin"`,
		"Sun 03:00-04:00 UTC x":  "write days, times",
	} {
		if _, err := Parse([]string{text}, time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v; want %q in it", text, err, want)
		}
	}
	if w, err := Parse([]string{"", " "}, time.UTC); err != nil || len(w) != 0 || w.Covers(time.Now()) {
		t.Errorf("Parse of nothing = %v, %v; want no window", w, err)
	}
}

// FuzzParse: what is accepted covers something within a week.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"Sun 03:00-04:30", "Mon-Fri,Sun 22:00-02:00 Europe/Berlin", "03:00-03:01", "Sat 00:00-24:00", "x", "Sun- 1:-"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		windows, err := Parse([]string{text}, time.UTC)
		if err != nil || len(windows) == 0 {
			return
		}
		start := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC) // no clock changes in that week
		for minute := range 7 * minutesOfDay {
			if windows.Covers(start.Add(time.Duration(minute) * time.Minute)) {
				return
			}
		}
		t.Errorf("%q is accepted and covers no minute of a week", text)
	})
}
