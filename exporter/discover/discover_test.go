package discover_test

import (
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/belfry-monitoring/belfry/exporter/config"
	"github.com/belfry-monitoring/belfry/exporter/discover"
	"github.com/belfry-monitoring/belfry/plugins"
)

var update = flag.Bool("update", false, "write the golden files")

func example(name, text string) *discover.Discovery {
	return &discover.Discovery{
		LookedFor: []string{"PostgreSQL", name}, Problems: []string{text},
		Things: []discover.Thing{
			{Product: "redis", Name: name, Outcome: discover.Unwatched, Text: text, Help: []string{text}},
			{Product: "postgresql", Name: name, Outcome: discover.Watched, Text: text, Checks: []discover.Check{
				{Check: "postgres_replication_lag", Target: "main", Options: map[string]any{"host": "/run/postgresql:5432", "user": name, "standbys": "1"}, Severity: map[string]string{"no_standby": "ok"}},
				{Check: "backup", Target: "archive", Options: map[string]any{"host": "/run/postgresql:5432"}, Only: []string{"archiving"}},
			}},
			{Product: "rabbitmq", Name: name, Outcome: discover.Watched, Checks: []discover.Check{
				{Check: "rabbitmq_queues", Target: "main", Options: map[string]any{"amqp": "true", "user": "u", "password-file": "/none", "queue": []string{name, "b"}}},
				{Check: "postgres_replication_lag", Target: "main", Options: map[string]any{"host": "another of the same name"}},
			}},
		},
	}
}

func TestYAML(t *testing.T) {
	d := example("a", "PostgreSQL 15, primary: it answers.")
	text, err := d.YAML()
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/discovered.yml"
	if *update {
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != string(text) {
		t.Errorf("YAML() =\n%s\nwant that of %s (%v)", text, golden, err)
	}
	c, err := config.Parse("discovered.yml", text, plugins.Catalog())
	if err != nil || len(c.Checks) != 3 {
		t.Fatalf("Parse(YAML()) = %+v, %v; want three checks", c, err)
	}
	one := c.Checks[0]
	if one.Definition.Name != "postgres_replication_lag" || one.Target != "main" || one.Severities["no_standby"] != 0 || len(one.Severities) != 1 {
		t.Errorf("first check = %+v; want what was found", one)
	}
	if two := c.Checks[1]; strings.Join(two.Only, "") != "archiving" {
		t.Errorf("second check = %+v; want archiving alone", two)
	}
}

func TestYAMLOfNothing(t *testing.T) {
	d := &discover.Discovery{LookedFor: []string{"Zulip"}, Things: []discover.Thing{{Product: "redis", Name: "a", Outcome: discover.Unwatched, Text: "x"}}}
	text, err := d.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if line != "" && line[0] != '#' {
			t.Errorf("YAML() of nothing to watch has the line %q; want comments alone", line)
		}
	}
}

// Whatever things are called, what is printed is read back as it was meant.
func FuzzYAML(f *testing.F) {
	for _, s := range []string{"a", "#", ": -", "a\nchecks: []", "'\"", "!!binary x", "\u2028x", "\x85", "*a", "&a", "|", "> x", "0x1f", "null", "~", "yes", "{", "]", " a ", "\t", "\xff", "a\x00b", "\ufeff"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		if name == "" || !utf8.ValidString(name) {
			return // such a thing has no name, or is never printed
		}
		d := example(name, text)
		out, err := d.YAML()
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.Parse("f", out, plugins.Catalog())
		if err != nil {
			// An option may refuse a name. That the file is no YAML, or says
			// something else, is a defect.
			if strings.Contains(err.Error(), "not YAML") || strings.Contains(err.Error(), "unknown key") || strings.Contains(err.Error(), "second document") {
				t.Fatalf("Parse of what was found about %q, %q = %v\n%s", name, text, err, out)
			}
			return
		}
		var got []string
		for _, one := range c.Checks {
			got = append(got, one.Definition.Name+" "+one.Target)
		}
		if want := []string{"postgres_replication_lag main", "backup archive", "rabbitmq_queues main"}; !reflect.DeepEqual(got, want) {
			t.Errorf("checks of %q, %q = %q; want %q\n%s", name, text, got, want, out)
		}
	})
}
