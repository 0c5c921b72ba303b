package config

import (
	"strings"
	"testing"
)

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string // without "f.yml:"
	}{
		{"empty", "", []string{" the file is empty: it needs checks"}},
		{"comment only", "# nothing\n", []string{" the file is empty: it needs checks"}},
		{"no mapping", "- a\n", []string{"1: the file must be a mapping (key: value)"}},
		{"nothing in the document", "---\n", []string{"2: the file must be a mapping (key: value)"}},
		{"no checks", "spread: 5s\n", []string{"1: no checks and no modules: an exporter that looks at nothing would always be content"}},
		{"empty checks", "checks: []\n", []string{"1: checks must be a list with at least one check"}},
		{"checks without value", "checks:\n", []string{"1: checks must be a list with at least one check"}},
		{"checks as mapping", "checks:\n  check: fake_queue\n", []string{"2: checks must be a list with at least one check"}},
		{"unknown key of the file", "cheks: []\nchecks: [{check: fake_queue}]\n", []string{`1: unknown key "cheks" in the file; there are checks, modules, defaults, concurrency, probe_concurrency, spread`}},
		{"key twice", "spread: 1s\nchecks: [{check: fake_queue}]\nspread: 2s\n", []string{`3: key "spread" twice in the file, first on line 1`}},
		{"second document", "checks: [{check: fake_queue}]\n---\nchecks: []\n", []string{"2: a second document: everything must stand in one"}},
		{"not YAML", "checks:\n  - check: [fake_queue\n", []string{"2: not YAML: did not find expected ',' or ']' (values that begin with @, %, * or & need quotes)"}},
		{"tab", "checks:\n\t- check: fake_queue\n", []string{"2: not YAML: found character that cannot start any token (values that begin with @, %, * or & need quotes)"}},
		{"range with an at sign", "checks:\n- check: fake_queue\n  warning: @1:2\n", []string{"3: not YAML: found character that cannot start any token (values that begin with @, %, * or & need quotes)"}},
		{"secret taken for an alias", "checks:\n- check: fake_queue\n  options: {password: *hunter2}\n", []string{"3: not YAML: a value that begins with * and names no anchor (values that begin with @, %, * or & need quotes)"}},
		{"bad file values", "concurrency: 0\nspread: 2h\ndefaults: {interval: 10, timeout: 1s, x: 1}\nchecks: [{check: fake_queue}]\n", []string{
			`1: concurrency "0": must be a whole number from 1 to 10000`,
			"2: spread 2h: must be 0s to 1h",
			`3: unknown key "x" in defaults; there are interval, timeout`,
			`3: interval "10": write a number with its unit: 30s, 5m, 1h30m`,
		}},
		{"check without name", "checks:\n- target: a\n", []string{"2: a check without its name: write check: NAME, one of fake_backup, fake_queue"}},
		{"check is no mapping", "checks:\n- fake_queue\n", []string{"2: a check must be a mapping (key: value)"}},
		{"unknown check", "checks:\n- check: fake_queu\n", []string{`2: unknown check "fake_queu"; there are fake_backup, fake_queue`}},
		{"unknown key of a check", "checks:\n- check: fake_queue\n  intervall: 1m\n", []string{
			`3: unknown key "intervall" in a check; there are check, target, interval, timeout, timeout_state, options, warning, critical, severity, only, skip`,
		}},
		{"no value", "checks:\n- check: fake_queue\n  target:\n  options:\n    port: ~\n", []string{"3: target has no value", "5: option port has no value"}},
		{"target", "checks:\n- check: fake_queue\n  target: \"a|b\"\n", []string{`3: target "a!b": must be a name of at most 200 characters, without | and control characters`}},
		{"all at once", "checks:\n- check: fake_queue\n  interval: 100ms\n  timeout: soon\n  timeout_state: bad\n  warning: [5, 20:10]\n  critical: detph=5\n" +
			"  severity:\n    no_consumer: red\n    two_primaries: ok\n  only: [depths, deep]\n  skip: rats\n", []string{
			"3: interval 100ms: must be 1s to 744h",
			`4: timeout "soon": write a number with its unit: 30s, 5m, 1h30m`,
			`5: timeout_state: "bad" is no state: use ok, warning, critical, unknown or 0 to 3`,
			`6: warning: range "20:10": start is above end: write the smaller one first, or @ for an alert inside`,
			`7: critical: limit "detph=5": no metric "detph"; there are depth, size`,
			`9: severity "no_consumer=red": "red" is no state: use ok, warning, critical, unknown or 0 to 3`,
			`10: severity "two_primaries=ok": no finding "two_primaries"; there are no_consumer, clock_skew, no_time, unmatched_limit, memory_lost`,
			`11: only: no part "deep" in check_fake_queue; there are depths, rates`,
			`12: skip: no part "rats" in check_fake_queue; there are depths, rates`,
		}},
		{"timeout above interval", "checks:\n- check: fake_queue\n  interval: 5s\n- check: fake_queue\n  target: b\n  interval: 5s\n  timeout: 6s\n", []string{
			"3: timeout 10s of check fake_queue is longer than its interval 5s: give both so that a look ends before the next",
			"7: timeout 6s of check fake_queue is longer than its interval 5s: give both so that a look ends before the next",
		}},
		{"options", "checks:\n- check: fake_queue\n  options:\n    hots: a\n    port: [1, 2]\n    insecure: perhaps\n    host: [a, [b], ~]\n    H: c\n    warning: 5\n    timeout-state: ok\n", []string{
			`4: check fake_queue has no option "hots"; it has file, host, insecure, insecure-permissions, password, password-file, port`,
			"5: option port takes one value, not a list",
			`6: option insecure: "perhaps": strconv.ParseBool: parsing "perhaps": invalid syntax`,
			"7: an item of option host must be a single value",
			"7: an item of option host has no value",
			"8: option host twice, first on line 7",
			`9: check fake_queue has no option "warning": warning is a key of the check itself, beside options`,
			`10: check fake_queue has no option "timeout-state": timeout_state is a key of the check itself, beside options`,
		}},
		{"empty list", "checks:\n- check: fake_queue\n  options: {host: []}\n", []string{"3: option host is an empty list"}},
		{"tag", "checks:\n- check: fake_queue\n  options: {password: !vault hunter2}\n", []string{"3: option password has the YAML tag !vault, which means nothing here"}},
		{"options as text", "checks:\n- check: fake_queue\n  options: --password hunter2\n", []string{"3: options must be a mapping (key: value)"}},
		{"duplicates", "checks:\n- {check: fake_queue, target: a}\n- {check: fake_backup, target: a}\n- {check: fake_queue, options: {host: a}}\n- {check: fake_backup}\n- {check: fake_backup}\n", []string{
			`4: check fake_queue of target "a" twice, first on line 2: give each a target of its own`,
			`6: check fake_backup of target "" twice, first on line 5: give each a target of its own`,
		}},
		{"duplicates beside other errors", "checks:\n- {check: fake_queue, target: a}\n- {check: fake_queue, target: a, warning: x}\n- {check: fake_queue}\n- {check: fake_queue}\n", []string{
			`3: warning: range "x": "x" is no number of a plain number (digits, one decimal point, a leading minus; suffixes: none)`,
			`3: check fake_queue of target "a" twice, first on line 2: give each a target of its own`,
		}},
		{"merge", "x: &x 1\nchecks:\n- check: fake_queue\n  <<: [*x, {<<: {}}, {colour: red}]\n", []string{
			`1: unknown key "x" in the file; there are checks, modules, defaults, concurrency, probe_concurrency, spread`,
			"4: << in a check must name mappings",
			"4: a mapping that is merged into a check must have plain keys and merge nothing itself",
			`4: unknown key "colour", merged into a check; there are check, target, interval, timeout, timeout_state, options, warning, critical, severity, only, skip`,
		}},
		{"merges itself", "checks:\n- &a\n  check: fake_queue\n  options: &b\n    <<: *b\n", []string{
			"5: a mapping that is merged into options must have plain keys and merge nothing itself",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := parse(c.text)
			if err == nil {
				t.Fatalf("parse(%q) = %v; want an error", c.text, config)
			}
			got := strings.Split(err.Error(), "\n")
			for i, want := range c.want {
				if i < len(got) && got[i] != "f.yml:"+want {
					t.Errorf("error %d = %s; want f.yml:%s", i+1, got[i], want)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("%d errors; want %d:\n%s", len(got), len(c.want), err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}
