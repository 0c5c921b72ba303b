// Package ini reads the INI files that operators keep for plugins and bots:
// sections, name and value, comments on lines of their own. Values are taken
// as they stand, because they may be passwords: no interpolation of "%", no
// escapes, no comments behind them.
//
// It stands in for a general library because every plugin links it: that one
// compiles its expressions at each start, a tenth of what a start may cost.
package ini

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
)

// MaxLine bounds a line in bytes.
const MaxLine = 64 << 10

// Pair is one line of a section. A name without a delimiter is a switch.
type Pair struct {
	Name, Value string
	Switch      bool
}

// File is what was read: the pairs of each section in their order. Sections
// of the same name are one.
type File struct{ sections map[string][]Pair }

// Section returns the pairs of a section and whether it is there.
func (f *File) Section(name string) ([]Pair, bool) {
	pairs, ok := f.sections[name]
	return pairs, ok
}

// Parse reads a file. A name ends at the first of the delimiter characters.
// Blanks around names and values are dropped, and one pair of quotes around
// a value. The error names the line by its number only, because its text may
// be a secret.
func Parse(data []byte, delimiters string) (*File, error) {
	f := &File{sections: make(map[string][]Pair)}
	section, inSection := "", false
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	lines.Buffer(nil, MaxLine)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			if len(line) < 3 || line[len(line)-1] != ']' {
				return nil, fmt.Errorf("line %d: a section must look like [name]", number)
			}
			section, inSection = strings.TrimSpace(line[1:len(line)-1]), true
			if _, there := f.sections[section]; !there {
				f.sections[section] = nil
			}
		case !inSection:
			return nil, fmt.Errorf("line %d: it stands before the first [section]", number)
		default:
			pair, ok := parsePair(line, delimiters)
			if !ok {
				return nil, fmt.Errorf("line %d: no name before the value", number)
			}
			f.sections[section] = append(f.sections[section], pair)
		}
	}
	if lines.Err() != nil {
		return nil, fmt.Errorf("a line is longer than %d bytes", MaxLine)
	}
	return f, nil
}

func parsePair(line, delimiters string) (Pair, bool) {
	end := strings.IndexAny(line, delimiters)
	if end < 0 {
		return Pair{Name: line, Switch: true}, true
	}
	name, value := strings.TrimSpace(line[:end]), strings.TrimSpace(line[end+1:])
	if n := len(value); n >= 2 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'') {
		value = value[1 : n-1]
	}
	return Pair{Name: name, Value: value}, name != ""
}
