package parity

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

// recordVariable asks for recordings: what the plugin says on a real server in
// each state stands on the check's page. To renew one, remove the file and run
//
//	BELFRY_RECORD=1 go test -run Parity ./plugins/...
const recordVariable = "BELFRY_RECORD"

// statesDir is where they lie below the check's folder.
const statesDir = "testdata/states"

// record writes the first look of this state that is met into a file, unless
// it is there already.
func (r *runner) record(step Step) {
	r.t.Helper()
	if os.Getenv(recordVariable) == "" {
		return
	}
	path := filepath.Join(statesDir, strings.ToLower(step.Want.String())+".txt")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	// The server may be on its way to the next moment.
	var looked testbed.Result
	testbed.WaitFor(r.t, r.c.Limit, fmt.Sprintf("step %q: %s", step.Name, step.Want), func() error {
		if looked = r.run("text"); looked.Exit != int(step.Want) {
			time.Sleep(300 * time.Millisecond)
			return fmt.Errorf("exit %d: %s", looked.Exit, looked.Stdout)
		}
		return nil
	})
	text := regexp.MustCompile(`\S*?/belfry-bed-\d+`).ReplaceAllString("$ "+r.c.Command()+"\n"+looked.Stdout, "/srv")
	if err := os.MkdirAll(statesDir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	r.t.Logf("recorded %s", path)
}

// Command is the plugin's command line as a person writes it.
func (c *Case) Command() string {
	words := []string{c.Definition.Plugin()}
	add := func(flag string, values []string) {
		for _, v := range values {
			if v == "true" {
				words = append(words, flag)
				continue
			}
			words = append(words, flag+" "+quoted(v))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Options)) {
		add("--"+name, c.Options[name])
	}
	add("-w", c.Warning)
	add("-c", c.Critical)
	add("--severity", c.Severity)
	add("--only", c.Only)
	add("--skip", c.Skip)
	return strings.Join(words, " ")
}

// quoted is a word for a shell.
func quoted(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(c rune) bool { return !strings.ContainsRune("-_./:,=%+@", c) && !letter(c) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func letter(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
