// Package scene is what the demonstration and the day of situations share: a
// check as both faces are told of it, and the product's binaries laid out so
// that every user can run them.
package scene

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

// Setting is one configured check, for both faces.
type Setting struct {
	Check, Target     string
	Options           map[string][]string // by flag name, without dashes; a list sets the flag once for each item
	Warning, Critical []string            // as -w and -c
	Interval, Timeout time.Duration       // zero: the configuration's defaults
}

// One is the options of flags that are given once.
func One(options map[string]string) map[string][]string {
	lists := make(map[string][]string, len(options))
	for name, value := range options {
		lists[name] = []string{value}
	}
	return lists
}

// Names are the names of the setting's options in order.
func (s *Setting) Names() []string { return slices.Sorted(maps.Keys(s.Options)) }

// Args is the command line of the plugin without its name.
func (s *Setting) Args() []string {
	var args []string
	each := func(flag string, values []string) {
		for _, v := range values {
			args = append(args, "--"+flag+"="+v)
		}
	}
	for _, name := range s.Names() {
		each(name, s.Options[name])
	}
	each("warning", s.Warning)
	each("critical", s.Critical)
	if s.Timeout > 0 {
		each("timeout", []string{s.Timeout.String()})
	}
	return args
}

// Config is the exporter's YAML: the head, then the checks.
func Config(head string, settings []Setting) string {
	var b strings.Builder
	b.WriteString(head + "checks:\n")
	for _, c := range settings {
		fmt.Fprintf(&b, "  - check: %s\n    target: %s\n", c.Check, c.Target)
		for _, d := range []struct {
			key   string
			value time.Duration
		}{{"interval", c.Interval}, {"timeout", c.Timeout}} {
			if d.value > 0 {
				fmt.Fprintf(&b, "    %s: %s\n", d.key, d.value)
			}
		}
		for _, l := range []struct {
			key    string
			ranges []string
		}{{"warning", c.Warning}, {"critical", c.Critical}} {
			if len(l.ranges) > 0 {
				fmt.Fprintf(&b, "    %s: [%s]\n", l.key, quoted(l.ranges))
			}
		}
		if len(c.Options) > 0 {
			b.WriteString("    options:\n")
		}
		for _, name := range c.Names() {
			fmt.Fprintf(&b, "      %s: [%s]\n", name, quoted(c.Options[name]))
		}
	}
	return b.String()
}

func quoted(values []string) string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = fmt.Sprintf("%q", v)
	}
	return strings.Join(list, ", ")
}

// CopyBinaries copies what make has built to a directory of the bed where
// every user can run it, and returns that directory.
func CopyBinaries(bed *testbed.Bed, from string) (dir string, err error) {
	entries, err := os.ReadDir(from)
	if err != nil {
		return "", fmt.Errorf("%w: run make first", err)
	}
	dir = bed.MkdirFor("root", "plugins", 0o755)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return "", err
		}
		bed.WriteFileFor("root", filepath.Join(dir, e.Name()), string(data), 0o755)
	}
	return dir, nil
}

// Word is a state by its exit code, "-" for none.
func Word(state int) string {
	words := []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}
	if state < 0 || state >= len(words) {
		return "-"
	}
	return words[state]
}
