package backup

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

const (
	defaultRecent    = "49h"
	defaultGapWindow = "7d"
)

// contents are what must be backed up, over all sets, and what is asked of
// their places.
type contents struct {
	given     []string
	minCopies int
	minPlaces int
	recent    string
	gapWindow string
	offsite   []string
	ignored   []string

	list   []content
	within time.Duration // a place whose newest backup is older does not count
	window time.Duration // in which gaps are looked for
}

// content is one thing that must be backed up: database, uploads.
type content struct{ name, pattern string }

func (c *contents) flags(fs *pflag.FlagSet) {
	fs.StringArrayVar(&c.given, "content", nil, "what must be backed up: NAME=PATTERN, a word for it and a glob of the sets that hold it ('uploads=*:/home/zulip/uploads'); none that matches is no backup. Repeat for several")
	fs.IntVar(&c.minCopies, "min-copies", 0, "with --content: critical below so many good backups of each, over all places; the same as -c copies=N:")
	fs.IntVar(&c.minPlaces, "min-places", 0, "with --content: critical below so many places that hold a recent one of each; the same as -c places=N:")
	fs.StringVar(&c.recent, "recent", defaultRecent, "with --content: a place counts while its newest good backup is not older")
	fs.StringArrayVar(&c.ignored, "ignore", nil, "glob of sets that are not judged: those of a host that is gone, what was saved once by hand. Repeat for several")
	fs.StringVar(&c.gapWindow, "gap-window", defaultGapWindow, "how far back the largest gap between backups is looked for")
	fs.StringArrayVar(&c.offsite, "expect-offsite", nil, "glob of the sets that this machine must not be able to write or delete ('*' for all); it is found out harmlessly. Repeat for several")
}

// prepare validates the options and returns the limits that they mean.
func (c *contents) prepare() ([]check.Limit, error) {
	c.list = nil
	for _, value := range c.given {
		name, pattern, ok := strings.Cut(value, "=")
		if name = strings.TrimSpace(name); !ok || name == "" || pattern == "" {
			return nil, fmt.Errorf("--content %q: write NAME=PATTERN, such as 'database=main*'", value)
		}
		if slices.ContainsFunc(c.list, func(other content) bool { return other.name == name }) {
			return nil, fmt.Errorf("--content: %q is given twice", name)
		}
		c.list = append(c.list, content{name, pattern})
	}
	if len(c.list) == 0 && (c.minCopies != 0 || c.minPlaces != 0 || c.recent != defaultRecent) {
		return nil, errors.New("--min-copies, --min-places and --recent count the backups of a --content: name it, such as --content 'database=main*'")
	}
	if slices.Contains(c.offsite, "") {
		return nil, errors.New("--expect-offsite: the pattern is empty: '*' means all sets")
	}
	var err error
	if c.within, err = duration("recent", c.recent); err != nil {
		return nil, err
	}
	if c.window, err = duration("gap-window", c.gapWindow); err != nil {
		return nil, err
	}
	var limits []check.Limit
	for option, least := range map[string]struct {
		n      int
		metric *check.Metric
	}{"min-copies": {c.minCopies, copies}, "min-places": {c.minPlaces, places}} {
		if least.n < 0 {
			return nil, fmt.Errorf("--%s %d is below zero", option, least.n)
		}
		if least.n > 0 {
			limits = append(limits, check.Limit{Metric: least.metric, Severity: check.Critical, Range: check.Range{Start: float64(least.n), End: math.Inf(1)}})
		}
	}
	return limits, nil
}

// duration reads a span of time as limits are written: 49h, 8d.
func duration(option, text string) (time.Duration, error) {
	r, err := check.ParseRange(text, check.Seconds)
	switch {
	case err != nil, r.Inside, r.Start != 0, math.IsInf(r.End, 0), strings.Contains(text, ":"):
		return 0, fmt.Errorf("--%s %q is no span of time: write 49h or 8d", option, text)
	case r.End <= 0 || r.End > (100*365*24*time.Hour).Seconds():
		return 0, fmt.Errorf("--%s %q: write a span above zero, such as 49h", option, text)
	}
	return time.Duration(r.End * float64(time.Second)), nil
}

// leave takes away the sets that are not to be judged. To leave none is a
// mistake.
func (c *contents) leave(l *listing) error {
	had := len(l.sets)
	l.sets = slices.DeleteFunc(l.sets, func(s set) bool {
		ignore := slices.ContainsFunc(c.ignored, func(pattern string) bool { return check.Glob(pattern, s.name) })
		if ignore {
			l.notes = append(l.notes, s.name+": not judged (--ignore)")
		}
		return ignore
	})
	if had > 0 && len(l.sets) == 0 {
		return check.Faultf(check.Config, "judge", "the sets of backups", "--ignore leaves none of %d", had)
	}
	return nil
}

// judge counts copies and places of each content. Where a set of it, or a
// source, could not be looked at, a count would be too small: nothing is said.
func (c *contents) judge(r *check.Report, standings []*standing, complete bool) {
	for _, s := range standings { // a repository that is not seen may have it
		complete = complete && len(s.faults) == 0
	}
	for _, one := range c.list {
		found, good := 0, 0
		var where []string
		for _, s := range standings {
			if !check.Glob(one.pattern, s.name) {
				continue
			}
			found++
			good += s.good
			if s.last != nil && r.Now().Sub(s.last.ended) <= c.within && !slices.Contains(where, s.place) {
				where = append(where, s.place)
			}
		}
		if !complete {
			r.Absent(copies)
			r.Absent(places)
			continue
		}
		if found == 0 {
			r.Find(noBackup, fmt.Sprintf("%s: no backup: no set matches %q%s", one.name, one.pattern, there(standings)), one.name)
		}
		r.Observe(copies, float64(good), one.name)
		r.Observe(places, float64(len(where)), one.name)
		if len(where) > 0 {
			r.Detail(strings.Join(where, "; "), one.name)
		}
	}
}

// judgeReach reports what this machine could do to backups that it must not
// reach.
func (c *contents) judgeReach(r *check.Report, standings []*standing, complete bool) {
	for _, pattern := range c.offsite {
		if complete && !slices.ContainsFunc(standings, func(s *standing) bool { return check.Glob(pattern, s.name) }) {
			r.Fail(check.Faultf(check.Config, "find the sets of", "--expect-offsite", "no set matches %q%s", pattern, there(standings)))
		}
	}
	for _, s := range standings {
		if !slices.ContainsFunc(c.offsite, func(pattern string) bool { return check.Glob(pattern, s.name) }) {
			continue
		}
		switch {
		case s.reach.can != "":
			r.Find(notOffsite, fmt.Sprintf("%s: this machine can write or delete it: %s", s.name, s.reach.can), s.name)
		case s.reach.cannot != "":
			r.Note("%s: out of this machine's reach: %s", s.name, s.reach.cannot)
		default:
			r.Find(offsiteUnproven, fmt.Sprintf("%s: it cannot be seen whether this machine can write or delete it (%s)", s.name, s.place), s.name)
		}
	}
}

// there names some of the sets that are there.
func there(standings []*standing) string {
	const some = 5
	var names []string
	for _, s := range standings {
		if s.name != "" && len(names) < some {
			names = append(names, check.CleanMax(s.name, 60))
		}
	}
	switch {
	case len(names) == 0:
		return ""
	case len(standings) > some:
		names = append(names, "...")
	}
	return "; there are " + strings.Join(names, ", ")
}
