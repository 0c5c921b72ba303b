package parity

import (
	"fmt"
	"slices"
	"strings"
)

// series reads the values of the product's own series from the text format,
// by name and labels, the labels sorted.
func series(page string) map[string]string {
	values := make(map[string]string)
	for _, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "belfry_") || strings.HasPrefix(line, "belfry_exporter_") {
			continue
		}
		name, labels, value, ok := parse(line)
		if !ok {
			values["not a series: "+line] = ""
			continue
		}
		slices.Sort(labels)
		values[name+"{"+strings.Join(labels, ",")+"}"] = value
	}
	return values
}

// parse splits one line into name, label="value" pairs as they are escaped,
// and value.
func parse(line string) (name string, labels []string, value string, ok bool) {
	name, rest, ok := strings.Cut(line, "{")
	if !ok {
		name, value, ok = strings.Cut(line, " ")
		return name, nil, value, ok
	}
	from, quoted := 0, false
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ',' || c == '}':
			if i > from {
				labels = append(labels, rest[from:i])
			}
			from = i + 1
			if c == '}' {
				value, ok = strings.CutPrefix(rest[i+1:], " ")
				return name, labels, value, ok
			}
		}
	}
	return "", nil, "", false
}

// exportersOwn tells the series of a check that only the exporter can have.
func exportersOwn(id string) bool {
	name, _, _ := strings.Cut(id, "{")
	return slices.Contains([]string{"belfry_check_interval_seconds", "belfry_check_runs_total", "belfry_check_abandoned_runs_total", "belfry_check_last_ok_timestamp_seconds"}, name) ||
		strings.Contains(name, "_distribution_") // of its looks since it started
}

// verdict tells the series whose values must be equal too: the others are of
// different looks.
func verdict(id string) bool {
	return slices.ContainsFunc([]string{"belfry_check_state{", "belfry_check_finding{", "belfry_check_failure_info{", "belfry_check_timed_out{"}, func(name string) bool {
		return strings.HasPrefix(id, name)
	})
}

// differ says what one face has and the other has not.
func differ(plugin, exporter map[string]string, loose bool) error {
	var wrong []string
	for id, value := range plugin {
		other, there := exporter[id]
		switch {
		case loose && !verdict(id):
		case !there:
			wrong = append(wrong, "only the plugin has "+id)
		case verdict(id) && value != other:
			wrong = append(wrong, fmt.Sprintf("%s is %s in the plugin, %s in the exporter", id, value, other))
		}
	}
	for id := range exporter {
		if _, there := plugin[id]; !there && !exportersOwn(id) && (verdict(id) || !loose) {
			wrong = append(wrong, "only the exporter has "+id)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	if len(wrong) > 10 {
		wrong = append(wrong[:10], fmt.Sprintf("and %d more", len(wrong)-10))
	}
	return fmt.Errorf("the faces have different series:\n%s", strings.Join(wrong, "\n"))
}
