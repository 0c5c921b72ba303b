package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// StatesHeading is the section that every page has: written into page.md by
// hand, or made from recordings.
const StatesHeading = "## An example of each state"

// States are what a check printed, by state.
type States map[check.State]string

// allStates are those of which every page shows one.
func allStates() []check.State {
	return []check.State{check.OK, check.Warning, check.Critical, check.Unknown}
}

// ReadStates reads the examples of the check in the folder. The recordings of
// its parity test, testdata/states/STATE.txt, begin with a command line behind
// "$ "; a page.md with a section of its own has a line for each state there.
func ReadStates(folder string, d *check.Definition) (States, error) {
	prose, err := os.ReadFile(filepath.Join(folder, "page.md"))
	if err != nil {
		return nil, err
	}
	states := make(States)
	if _, section := atHeading(string(prose), StatesHeading); section != "" {
		for _, line := range strings.Split(section, "\n") {
			for _, s := range allStates() {
				if strings.HasPrefix(line, d.Title+" "+s.String()+": ") && states[s] == "" {
					states[s] = line + "\n"
				}
			}
		}
		if len(states) < len(allStates()) {
			return nil, fmt.Errorf("page.md shows %d of %d states under %q", len(states), len(allStates()), StatesHeading)
		}
		return states, nil
	}
	for _, s := range allStates() {
		path := filepath.Join(folder, "testdata", "states", strings.ToLower(s.String())+".txt")
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("no recording: %w; the parity test makes it: BELFRY_RECORD=1 go test -run Parity ./plugins/%s", err, filepath.Base(folder))
		}
		command, output, _ := strings.Cut(string(text), "\n")
		if !strings.HasPrefix(command, "$ "+d.Plugin()+" ") && command != "$ "+d.Plugin() {
			return nil, fmt.Errorf("%s: begins with %q; want a command line of %s behind \"$ \"", path, command, d.Plugin())
		}
		if strings.HasPrefix(output, "$ ") {
			return nil, fmt.Errorf("%s: more than one command", path)
		}
		states[s] = string(text)
	}
	return states, nil
}

// Output is what the check printed, without the command line.
func (s States) Output(state check.State) string {
	if _, output, found := strings.Cut(s[state], "\n"); found && strings.HasPrefix(s[state], "$ ") {
		return output
	}
	return s[state]
}

// examples writes the section from recordings.
func examples(b *strings.Builder, states States) {
	b.WriteString(StatesHeading + "\n\nRecorded by the tests, on the servers of the testbed.\n")
	for _, s := range allStates() {
		fmt.Fprintf(b, "\n%s, exit code %d:\n\n```\n%s\n```\n", s, s, strings.TrimSpace(states[s]))
	}
	b.WriteString("\n")
}
