package plugins

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/plugin/reparse"
	"github.com/belfry-monitoring/belfry/docs"
)

// Every page shows one look of each state, whole and as the check prints it.
func TestPagesShowEachState(t *testing.T) {
	for _, d := range Catalog() {
		states, err := docs.ReadStates(Folder(d), d)
		if err != nil {
			t.Errorf("check %s: %v", d.Name, err)
			continue
		}
		for state := range states {
			output := states.Output(state)
			parsed, err := reparse.Parse([]byte(output))
			if err != nil {
				t.Errorf("check %s, %s: %v\n%s", d.Name, state, err, output)
				continue
			}
			if prefix := d.Title + " " + state.String() + ": "; !strings.HasPrefix(parsed.Text, prefix) {
				t.Errorf("check %s, %s: line 1 is %q; want it to begin with %s", d.Name, state, parsed.Text, prefix)
			}
		}
	}
}

// Whoever is woken by a check finds there why, and what to do: every finding
// and every metric that has a limit by default stands on its page by its key or
// by the words of line 1.
func TestPagesSayWhatToDo(t *testing.T) {
	for _, d := range Catalog() {
		text, err := os.ReadFile(filepath.Join(Folder(d), "page.md"))
		if err != nil {
			t.Error(err)
			continue
		}
		sections := make(map[string]string)
		for _, section := range strings.Split("\n"+string(text), "\n## ")[1:] {
			heading, body, _ := strings.Cut(section, "\n")
			sections[heading] = strings.TrimSpace(body)
		}
		for _, heading := range []string{"What it looks at", "Why these limits", "Privileges", "When it fires", "What it cannot see"} {
			if sections[heading] == "" {
				t.Errorf("the page of check %s says nothing under %q", d.Name, "## "+heading)
			}
		}
		said := strings.Join(strings.Fields(sections["When it fires"]), " ")
		for _, f := range d.Findings {
			if !strings.Contains(said, f.Key) {
				t.Errorf("the page of check %s: nothing under \"When it fires\" on the finding %s (%s)", d.Name, f.Key, f.Help)
			}
		}
		for _, m := range d.Metrics {
			if limited(m) && !strings.Contains(said, m.Key) && (m.Title == "" || !strings.Contains(said, m.Title)) {
				t.Errorf("the page of check %s: nothing under \"When it fires\" on the metric %s (%q)", d.Name, m.Key, m.Title)
			}
		}
	}
}

func limited(m *check.Metric) bool { return m.Warning != "" || m.Critical != "" }

// The table of the README has every check.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Catalog() {
		if !strings.Contains(string(text), "| ["+d.Plugin()+"](docs/checks/"+d.Name+".md) | ") {
			t.Errorf("the table of README.md has no row of %s", d.Plugin())
		}
	}
}
