package testbed

import (
	"fmt"
	"strconv"
	"strings"
)

// NagiosState is the last result of a host or service.
type NagiosState struct {
	Checked    bool // false: no check has ended yet, the rest says nothing
	State      int  // services 0 OK to 3 UNKNOWN; hosts 0 UP, 1 DOWN, 2 UNREACHABLE
	Hard       bool // it has lasted for max_check_attempts checks
	Output     string
	LongOutput string // lines after the first
	PerfData   string
	LastCheck  int64 // seconds since 1970
}

// parseStatus reads status.dat of Nagios 4: blocks "servicestatus {", lines "key=value", "}". In the long output, line ends are
// written as \n and \ as \\; nothing else is escaped anywhere.
func parseStatus(text string) (map[string]NagiosState, error) {
	states := map[string]NagiosState{}
	var kind string
	var fields map[string]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case line == "}":
			if fields == nil {
				return nil, fmt.Errorf("status.dat: a block ends that did not begin")
			}
			if err := addState(states, kind, fields); err != nil {
				return nil, fmt.Errorf("status.dat: %s: %w", kind, err)
			}
			fields = nil
		case fields == nil:
			name, ok := strings.CutSuffix(line, "{")
			if !ok {
				return nil, fmt.Errorf("status.dat: %q outside of a block", line)
			}
			kind, fields = strings.TrimSpace(name), map[string]string{}
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok {
				return nil, fmt.Errorf("status.dat: %q has no =", line)
			}
			fields[key] = value
		}
	}
	if fields != nil {
		return nil, fmt.Errorf("status.dat: it ends within a block %s", kind)
	}
	return states, nil
}

func addState(states map[string]NagiosState, kind string, fields map[string]string) error {
	name := fields["host_name"]
	switch kind {
	case "hoststatus":
	case "servicestatus":
		name += "/" + fields["service_description"]
	default:
		return nil
	}
	state, err := strconv.Atoi(fields["current_state"])
	if err != nil {
		return fmt.Errorf("state of %s: %w", name, err)
	}
	checked, err := strconv.ParseInt(fields["last_check"], 10, 64)
	if err != nil {
		return fmt.Errorf("last check of %s: %w", name, err)
	}
	states[name] = NagiosState{
		Checked: fields["has_been_checked"] == "1", State: state, Hard: fields["state_type"] == "1", Output: fields["plugin_output"],
		LongOutput: strings.NewReplacer(`\\`, `\`, `\n`, "\n").Replace(fields["long_plugin_output"]), PerfData: fields["performance_data"], LastCheck: checked,
	}
	return nil
}

// Same tells whether Nagios shows what a plugin said: its output, with "exit N" as the last line. Nagios 4 writes ":" for ";"
// in the first line, where one would end a field of its files.
func (s NagiosState) Same(said string) bool {
	output, exit, ok := cutLast(strings.TrimSuffix(said, "\n"), "exit ")
	if !ok || strconv.Itoa(s.State) != exit {
		return false
	}
	first, long, _ := strings.Cut(strings.TrimSuffix(output, "\n"), "\n")
	text, perfdata, _ := strings.Cut(first, "|")
	return s.Output == strings.ReplaceAll(strings.TrimSpace(text), ";", ":") && s.PerfData == strings.TrimSpace(perfdata) && s.LongOutput == long
}

func cutLast(text, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}
