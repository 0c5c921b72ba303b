// Package quiet knows recurring windows of time in which something is
// expected that would else be reported, such as a scheduled weekly restart.
package quiet

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Window recurs weekly: on its days from one time of day to another, by the
// clock of its place. It may run beyond midnight. When the clock is put
// forward or back, it goes by what the clock on the wall shows.
type Window struct {
	text     string
	days     [7]bool // by time.Weekday, on which it begins
	from, to int     // minutes since midnight; to is exclusive
	place    *time.Location
}

// Windows are any number of them.
type Windows []Window

const form = `write days, times and, where it is not the machine's own, a time zone: "Sun 03:00-04:30", "Mon-Fri 22:00-02:00 Europe/Berlin", "03:00-03:30"`

// Parse reads windows: "[DAYS] HH:MM-HH:MM [ZONE]", where DAYS are names
// (Mon or Monday) or spans of them, separated by commas, and every day without.
// The zone is a name of the IANA database or UTC; local is the machine's.
func Parse(texts []string, local *time.Location) (Windows, error) {
	var windows Windows
	for _, text := range texts {
		if strings.TrimSpace(text) == "" {
			continue
		}
		w, err := parse(text, local)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		windows = append(windows, w)
	}
	return windows, nil
}

func parse(text string, local *time.Location) (Window, error) {
	w := Window{text: text, place: local}
	words := strings.Fields(text)
	days := ""
	if len(words) > 0 && !startsWithDigit(words[0]) {
		days, words = words[0], words[1:]
	}
	if len(words) == 0 || len(words) > 2 {
		return Window{}, errors.New(form)
	}
	var err error
	if w.days, err = parseDays(days); err != nil {
		return Window{}, err
	}
	from, to, ok := strings.Cut(words[0], "-")
	if !ok {
		return Window{}, errors.New(form)
	}
	if w.from, err = timeOfDay(from); err != nil {
		return Window{}, err
	}
	if w.to, err = timeOfDay(to); err != nil {
		return Window{}, err
	}
	switch {
	case w.from == minutesOfDay:
		return Window{}, errors.New("a window cannot begin at 24:00: write 00:00 and the day after")
	case w.from == w.to:
		return Window{}, errors.New("it has no length; a whole day is 00:00-24:00")
	}
	if len(words) == 2 {
		if w.place, err = time.LoadLocation(words[1]); err != nil {
			return Window{}, fmt.Errorf("no time zone %q on this machine: use a name such as Europe/Berlin (package tzdata) or UTC", words[1])
		}
	}
	return w, nil
}

func startsWithDigit(s string) bool { return s[0] >= '0' && s[0] <= '9' }

func parseDays(text string) (days [7]bool, err error) {
	if text == "" {
		return [7]bool{true, true, true, true, true, true, true}, nil
	}
	for _, span := range strings.Split(text, ",") {
		first, last, isSpan := strings.Cut(span, "-")
		if !isSpan {
			last = first
		}
		from, err := weekday(first)
		if err != nil {
			return days, err
		}
		to, err := weekday(last)
		if err != nil {
			return days, err
		}
		for day := from; ; day = (day + 1) % 7 {
			days[day] = true
			if day == to {
				break
			}
		}
	}
	return days, nil
}

func weekday(name string) (time.Weekday, error) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if full := day.String(); strings.EqualFold(name, full) || strings.EqualFold(name, full[:3]) {
			return day, nil
		}
	}
	return 0, fmt.Errorf("no day %q: use Mon, Tue, Wed, Thu, Fri, Sat, Sun", name)
}

const minutesOfDay = 24 * 60

func timeOfDay(text string) (minutes int, err error) {
	if text == "24:00" {
		return minutesOfDay, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("no time of day %q: write hours and minutes, 03:00", text)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// Covers reports whether the moment lies in one of the windows.
func (ws Windows) Covers(t time.Time) bool {
	for _, w := range ws {
		if w.covers(t) {
			return true
		}
	}
	return false
}

func (w Window) covers(t time.Time) bool {
	t = t.In(w.place)
	minute := t.Hour()*60 + t.Minute()
	if w.from < w.to {
		return w.days[t.Weekday()] && w.from <= minute && minute < w.to
	}
	yesterday := (t.Weekday() + 6) % 7
	return w.days[t.Weekday()] && minute >= w.from || w.days[yesterday] && minute < w.to
}

// String is the window as it was written.
func (w Window) String() string { return w.text }
