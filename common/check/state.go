package check

import (
	"fmt"
	"strings"
)

// State is a verdict. Its number is the exit code of a plugin (Monitoring
// Plugins guidelines, "Plugin Return Codes") and the value of
// belfry_check_state. Compare badness with [Worst], never the numbers:
// UNKNOWN is 3 but not the worst.
type State uint8

// The states of the guidelines.
const (
	OK State = iota
	Warning
	Critical
	Unknown
)

// String returns the upper-case word that plugins print.
func (s State) String() string {
	switch s {
	case OK:
		return "OK"
	case Warning:
		return "WARNING"
	case Critical:
		return "CRITICAL"
	default:
		return "UNKNOWN"
	}
}

// badness orders OK < WARNING < UNKNOWN < CRITICAL: a proven outage outranks
// not knowing, and not knowing outranks a warning.
func (s State) badness() int {
	switch s {
	case OK:
		return 0
	case Warning:
		return 1
	case Critical:
		return 3
	default:
		return 2
	}
}

// WorseThan reports whether s is worse than t.
func (s State) WorseThan(t State) bool { return s.badness() > t.badness() }

// Worst returns the worst of the states, OK for none.
func Worst(states ...State) State {
	worst := OK
	for _, s := range states {
		if s.WorseThan(worst) {
			worst = s
		}
	}
	return worst
}

// ParseState reads a state as a word in either case or as its number 0 to 3.
func ParseState(text string) (State, error) {
	switch strings.ToLower(text) {
	case "ok", "0":
		return OK, nil
	case "warning", "1":
		return Warning, nil
	case "critical", "2":
		return Critical, nil
	case "unknown", "3":
		return Unknown, nil
	}
	return Unknown, fmt.Errorf("%q is no state: use ok, warning, critical, unknown or 0 to 3", text)
}

// States lists all states by number.
func States() []State { return []State{OK, Warning, Critical, Unknown} }
