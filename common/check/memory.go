package check

import (
	"fmt"
	"time"
)

// MaxMemory bounds what a check may remember between looks, in bytes of JSON.
const MaxMemory = 1 << 20

// MaxMemoryAge is after how long a memory says nothing any more: no check
// looks less often than every 31 days, so the clock was wrong then or is now.
const MaxMemoryAge = 90 * 24 * time.Hour

// Memory keeps one JSON value between looks of the same check, target and
// options. The faces provide it: the exporter in its own memory, a plugin in
// a file.
type Memory interface {
	// Load returns what was stored last and when; no data and no error
	// where there is none yet.
	Load() (data []byte, at time.Time, err error)
	Store(data []byte, at time.Time) error
}

// previous decides what a look at the time now may know of one that began at
// the time at. A clock that was set back since, or one that was or is off by
// months, is a new baseline: no check can make a rate of it. Otherwise
// now.Sub of the returned time is the longer of what the wall and the
// monotonic clock say: the one was set back, or the other stood still while
// the machine was suspended.
func previous(at, now time.Time) (time.Time, error) {
	wall := now.Round(0).Sub(at.Round(0))
	switch {
	case wall < 0:
		return time.Time{}, fmt.Errorf("it is of %s, which is yet to come: the clock was set back", at.UTC().Format(time.RFC3339))
	case wall > MaxMemoryAge:
		return time.Time{}, fmt.Errorf("it is of %s, more than %s ago", at.UTC().Format(time.RFC3339), FormatDuration(MaxMemoryAge))
	case wall > now.Sub(at):
		return at.Round(0), nil
	}
	return at, nil
}
