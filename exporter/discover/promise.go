package discover

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// What a check holds a thing to is what ran when it was found: so many
// standbys, so many workers, the queues of these workers. Where less is found
// later, that is what the check is there to say, and never a reason to expect
// less.

// keeping returns the checks that were found now, each held to what the one
// before it was held to, and those that were not found again.
func keeping(before, found []Check) []Check {
	kept := make([]Check, 0, len(found))
	for _, c := range found {
		if i := slices.IndexFunc(before, c.same); i >= 0 {
			c = c.keeping(before[i])
		}
		kept = append(kept, c)
	}
	for _, c := range before {
		if !slices.ContainsFunc(found, c.same) {
			kept = append(kept, c)
		}
	}
	return kept
}

func (c Check) same(other Check) bool { return c.Check == other.Check && c.Target == other.Target }

// keeping has how to look from c, which is newer, and of what is promised the
// more.
func (c Check) keeping(before Check) Check {
	options := maps.Clone(c.Options)
	if options == nil {
		options = make(map[string]any)
	}
	for _, name := range []string{"standbys", "expect"} { // of postgres_replication_lag, worker_memory
		if atLeast(before.Options[name]) > atLeast(options[name]) {
			options[name] = before.Options[name]
		}
	}
	if old, now := texts(before.Options["queue"]), texts(options["queue"]); len(old) > 0 && len(now) > 0 {
		all := slices.Concat(old, now)
		slices.Sort(all)
		options["queue"] = slices.Compact(all)
	}
	if _, other := before.Options["profile"]; !other && options["profile"] == "none" {
		delete(options, "profile") // Zulip's queues, whose workers do not run now
	}
	if dir, ok := before.Options["queue-stats-dir"]; ok && options["queue-stats-dir"] == nil {
		options["queue-stats-dir"] = dir
	}
	// That there is none is fine only as long as there never was one.
	if before.Options[allowEmpty] == nil {
		delete(options, allowEmpty)
	}
	if len(options) > 0 {
		c.Options = options
	}
	if c.Severity["no_standby"] != "" && before.Severity["no_standby"] == "" {
		c.Severity = maps.Clone(c.Severity)
		if delete(c.Severity, "no_standby"); len(c.Severity) == 0 {
			c.Severity = nil
		}
	}
	return c
}

// atLeast reads "2" and "2:"; 0 for no number.
func atLeast(option any) int {
	text, _ := option.(string)
	n, err := strconv.Atoi(strings.TrimSuffix(text, ":"))
	if err != nil {
		return 0
	}
	return n
}

// texts reads a list of texts, as it was made or as YAML has read it.
func texts(option any) (list []string) {
	switch o := option.(type) {
	case []string:
		return o
	case []any:
		for _, one := range o {
			if text, ok := one.(string); ok {
				list = append(list, text)
			}
		}
	}
	return list
}

// after is what becomes of a thing that was watched and has been examined
// anew: it stays held to what it was held to.
func (t Thing) after(before Thing) Thing {
	checks := keeping(before.Checks, t.Checks)
	if reflect.DeepEqual(checks, before.Checks) {
		t.growing = false
	}
	if !reflect.DeepEqual(checks, t.Checks) {
		t.Text += " It stays held to what was found before, which is more; a reload begins anew."
	}
	t.Checks, t.recalled = checks, before.recalled
	return t
}
