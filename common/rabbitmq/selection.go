package rabbitmq

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Selection says which queues are looked at.
type Selection struct {
	include, exclude []string
	allowEmpty       bool
}

// SelectionFlags declares --queue, --exclude and --allow-empty.
func SelectionFlags(fs *pflag.FlagSet) *Selection {
	s := &Selection{}
	fs.StringArrayVar(&s.include, "queue", nil, "look at queues of this name or glob (*, ?) only; may be given several times. A name must be there, a glob must match something")
	fs.StringArrayVar(&s.exclude, "exclude", nil, "leave queues of this name or glob out; may be given several times")
	fs.BoolVar(&s.allowEmpty, "allow-empty", false, "a vhost without any queue that is looked at is fine, and so is a glob of --queue that matches none")
	return s
}

// Validate says what is wrong with the selection.
func (s *Selection) Validate() error {
	for _, name := range s.Names() {
		if !s.Selected(name) {
			return fmt.Errorf("queue %q is asked for by --queue and left out by --exclude", name)
		}
	}
	if slices.Contains(s.include, "") || slices.Contains(s.exclude, "") {
		return errors.New("--queue and --exclude need a name or a glob")
	}
	return nil
}

// AllowEmpty reports whether no queue at all is fine.
func (s *Selection) AllowEmpty() bool { return s.allowEmpty }

// Names are the queues that were asked for by name and so must be there.
func (s *Selection) Names() []string {
	var names []string
	for _, pattern := range s.include {
		if !IsGlob(pattern) && !slices.Contains(names, pattern) {
			names = append(names, pattern)
		}
	}
	return names
}

// Globs are the patterns of --queue that are more than a name.
func (s *Selection) Globs() []string {
	var globs []string
	for _, pattern := range s.include {
		if IsGlob(pattern) {
			globs = append(globs, pattern)
		}
	}
	return globs
}

// Idle are the globs of --queue that match none of the queues: whatever they
// are for is gone, or they are misspelt. None where that is fine.
func (s *Selection) Idle(queues []Queue) []string {
	var idle []string
	for _, pattern := range s.include {
		matches := func(q Queue) bool { return s.Selected(q.Name) && check.Glob(pattern, q.Name) }
		if !s.allowEmpty && IsGlob(pattern) && !slices.Contains(idle, pattern) && !slices.ContainsFunc(queues, matches) {
			idle = append(idle, pattern)
		}
	}
	return idle
}

// Selected reports whether a queue of the name is looked at.
func (s *Selection) Selected(name string) bool {
	return (len(s.include) == 0 || MatchesAny(s.include, name)) && !MatchesAny(s.exclude, name)
}

// Choose returns the selected queues.
func (s *Selection) Choose(queues []Queue) []Queue {
	chosen := make([]Queue, 0, len(queues))
	for _, q := range queues {
		if s.Selected(q.Name) {
			chosen = append(chosen, q)
		}
	}
	return chosen
}

// IsGlob reports whether the pattern is more than a name.
func IsGlob(pattern string) bool { return strings.ContainsAny(pattern, "*?") }

// MatchesAny reports whether one of the patterns matches the whole name.
func MatchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if check.Glob(p, name) {
			return true
		}
	}
	return false
}
