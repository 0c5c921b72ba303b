package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// document returns the one mapping of the file; nil after an error.
func (r *reader) document(data []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	if err := decoder.Decode(&first); err != nil {
		if errors.Is(err, io.EOF) {
			r.fail(0, "the file is empty: it needs checks")
			return nil
		}
		r.syntax(data, err)
		return nil
	}
	if err := decoder.Decode(&second); err == nil {
		r.fail(second.Line, "a second document: everything must stand in one")
	} else if !errors.Is(err, io.EOF) {
		r.syntax(data, err)
	}
	return first.Content[0]
}

// syntax reports an error of the parser without what it quotes of the file,
// which may be a part of a password that begins with *.
func (r *reader) syntax(data []byte, err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := regexp.MustCompile(`^line (\d+): (.*)`).FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	if strings.HasPrefix(text, "did not find expected") {
		line++ // the library counts lines from 0 for these errors
	}
	if m := regexp.MustCompile(`^unknown anchor '(.*)' referenced`).FindStringSubmatch(text); m != nil {
		if before, _, found := strings.Cut(string(data), "*"+m[1]); found {
			line = strings.Count(before, "\n") + 1
		}
		text = "a value that begins with * and names no anchor"
	}
	r.fail(line, "not YAML: %s (values that begin with @, %%, * or & need quotes)", text)
}

// field is a key of a mapping with its value.
type field struct {
	key   string
	line  int
	value *yaml.Node
}

// mapping returns the fields of a mapping. Keys that are not known (nil:
// whatever they are) or stand twice are errors. "<<" takes over the fields of
// other mappings that are not given here.
func (r *reader) mapping(n *yaml.Node, what string, known []string) []field {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.fail(n.Line, "%s must be a mapping (key: value)", what)
		return nil
	}
	if !r.spend(n) {
		return nil
	}
	var fields, merged []field
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			r.fail(key.Line, "a key of %s must be a word", what)
		case key.Tag == "!!merge":
			merged = append(merged, r.merged(value, what)...)
		case known != nil && !slices.Contains(known, key.Value):
			r.fail(key.Line, "unknown key %q in %s; there are %s", key.Value, what, strings.Join(known, ", "))
		case seen[key.Value] > 0:
			r.fail(key.Line, "key %q twice in %s, first on line %d", key.Value, what, seen[key.Value])
		default:
			seen[key.Value] = key.Line
			fields = append(fields, field{key.Value, key.Line, resolve(value)})
		}
	}
	for _, f := range merged {
		if known != nil && !slices.Contains(known, f.key) {
			r.fail(f.line, "unknown key %q, merged into %s; there are %s", f.key, what, strings.Join(known, ", "))
			continue
		}
		if seen[f.key] == 0 {
			seen[f.key] = f.line
			fields = append(fields, f)
		}
	}
	return fields
}

// merged returns the fields that "<<" brings: of one mapping or a list of
// them, which merge nothing themselves.
func (r *reader) merged(n *yaml.Node, what string) []field {
	n = resolve(n)
	sources := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		sources = n.Content
	}
	var fields []field
	for _, source := range sources {
		source = resolve(source)
		if source.Kind != yaml.MappingNode {
			r.fail(n.Line, "<< in %s must name mappings", what)
			continue
		}
		if !r.spend(source) {
			return nil
		}
		for i := 0; i+1 < len(source.Content); i += 2 {
			key := resolve(source.Content[i])
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				r.fail(key.Line, "a mapping that is merged into %s must have plain keys and merge nothing itself", what)
				continue
			}
			fields = append(fields, field{key.Value, key.Line, resolve(source.Content[i+1])})
		}
	}
	return fields
}

// maxNodes is how many keys and values a file may have, those behind aliases
// counted each time: ten thousand checks of fifty.
const maxNodes = 500_000

// spend counts what a mapping or list brings and reports whether that is not
// too much: a few lines of aliases to aliases can stand for more than fits
// into any memory.
func (r *reader) spend(n *yaml.Node) bool {
	before := r.nodes
	r.nodes += len(n.Content)
	if r.nodes <= maxNodes {
		return true
	}
	if before <= maxNodes {
		r.fail(n.Line, "more than %d keys and values, those behind aliases (*name) counted each time", maxNodes)
	}
	return false
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// item is a scalar with its line.
type item struct {
	text string
	line int
}

// scalar returns the text of a single value, as it is written.
func (r *reader) scalar(n *yaml.Node, what string) (string, bool) {
	n = resolve(n)
	switch {
	case n.Kind != yaml.ScalarNode:
		r.fail(n.Line, "%s must be a single value", what)
	case n.Tag == "!!null":
		r.fail(n.Line, "%s has no value", what)
	case !slices.Contains([]string{"!!str", "!!int", "!!float", "!!bool", "!!timestamp"}, n.Tag):
		r.fail(n.Line, "%s has the YAML tag %s, which means nothing here", what, n.Tag)
	default:
		return n.Value, true
	}
	return "", false
}

// items returns a single value or a list of them.
func (r *reader) items(n *yaml.Node, what string) []item {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		text, ok := r.scalar(n, what)
		if !ok {
			return nil
		}
		return []item{{text, n.Line}}
	}
	if len(n.Content) == 0 {
		r.fail(n.Line, "%s is an empty list", what)
	}
	if !r.spend(n) {
		return nil
	}
	var items []item
	for _, c := range n.Content {
		c = resolve(c)
		if text, ok := r.scalar(c, "an item of "+what); ok {
			items = append(items, item{text, c.Line})
		}
	}
	return items
}

// duration reads a duration with its unit.
func (r *reader) duration(n *yaml.Node, what string, least, most time.Duration) (time.Duration, bool) {
	text, ok := r.scalar(n, what)
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		r.fail(n.Line, "%s %q: write a number with its unit: 30s, 5m, 1h30m", what, text)
	case d < least || d > most:
		r.fail(n.Line, "%s %s: must be %s to %s", what, text, short(least), short(most))
	default:
		return d, true
	}
	return 0, false
}

// short is a duration as one would write it: "1h", not "1h0m0s".
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// number reads a whole number.
func (r *reader) number(n *yaml.Node, what string, least, most int) (int, bool) {
	text, ok := r.scalar(n, what)
	if !ok {
		return 0, false
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < least || v > most {
		r.fail(n.Line, "%s %q: must be a whole number from %d to %d", what, text, least, most)
		return 0, false
	}
	return v, true
}

func (r *reader) fail(line int, format string, args ...any) {
	r.errs = append(r.errs, &Error{File: r.file, Line: line, Err: fmt.Errorf(format, args...)})
}
