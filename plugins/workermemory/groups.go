package workermemory

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs"
)

// group is workers that an operator limits together: the workers of one kind
// among several.
type group struct {
	name       string
	matches    *regexp.Regexp
	noneIsFine bool
}

// prefix begins the names of the group's workers.
func (g group) prefix() string { return g.name + "/" }

// parseGroups reads --group NAME=REGEX and --group-expect NAME=RANGE.
func parseGroups(given, expects []string) (groups []group, limits []check.Limit, err error) {
	for _, text := range given {
		if strings.TrimSpace(text) == "" {
			continue
		}
		name, pattern, ok := strings.Cut(text, "=")
		if name = strings.TrimSpace(name); !ok || name == "" || pattern == "" {
			return nil, nil, fmt.Errorf("--group %q: write NAME=REGEX, such as 'http=^odoo: WorkerHTTP'", text)
		}
		if strings.ContainsAny(name, "#*?{},=/") || check.CleanMax(name, maxLabel) != name {
			return nil, nil, fmt.Errorf("--group %q: a name is up to %d letters, digits, dots, dashes and underscores", text, maxLabel)
		}
		if slices.ContainsFunc(groups, func(g group) bool { return g.name == name }) {
			return nil, nil, fmt.Errorf("--group: %q is given twice", name)
		}
		re, err := compile("--group", pattern)
		if err != nil {
			return nil, nil, err
		}
		groups = append(groups, group{name: name, matches: re})
	}
	for _, text := range expects {
		if strings.TrimSpace(text) == "" {
			continue
		}
		name, spec, ok := strings.Cut(text, "=")
		i := slices.IndexFunc(groups, func(g group) bool { return g.name == strings.TrimSpace(name) })
		if !ok || i < 0 {
			return nil, nil, fmt.Errorf("--group-expect %q: write NAME=NUMBER with the name of a --group", text)
		}
		own, none, err := expected("--group-expect", spec)
		if err != nil {
			return nil, nil, err
		}
		groups[i].noneIsFine = none
		for _, l := range own {
			l.Metric, l.Match = groupWorkers, map[string]string{"group": groups[i].name}
			limits = append(limits, l)
		}
	}
	return groups, limits, nil
}

// groupOf returns the first group whose pattern matches the command line.
func (c *workerMemory) groupOf(command procs.CommandLine) (group, bool) {
	text := command.String()
	for _, g := range c.groups {
		if g.matches.MatchString(text) {
			return g, true
		}
	}
	return group{}, false
}

// judgeWorkerGroups reports each group's memory and, unless workers are being
// restarted as planned, their number.
func (c *workerMemory) judgeWorkerGroups(r *check.Report, list []worker, gone []lost, hidden, planned bool) {
	r.Absent(groupWorkers)
	for _, g := range c.groups {
		var own []worker
		for _, w := range list {
			if strings.HasPrefix(w.label, g.prefix()) {
				own = append(own, w)
			}
		}
		if missed := slices.DeleteFunc(slices.Clone(gone), func(l lost) bool { return !strings.HasPrefix(l.label, g.prefix()) }); len(missed) > 0 {
			r.Detail(goneText(missed), g.name)
		}
		if len(own) == 0 && !g.noneIsFine && !hidden && !planned {
			r.Find(noWorkers, fmt.Sprintf("no worker of group %s runs: looked for a process that matches %q", g.name, g.matches))
		}
		sum := total(own)
		if !planned {
			r.Observe(groupWorkers, float64(len(own)), g.name)
		}
		r.Observe(groupRSS, float64(sum.rss), g.name)
		r.Observe(groupSwap, float64(sum.swap), g.name)
	}
}
