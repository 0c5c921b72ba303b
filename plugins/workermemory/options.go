package workermemory

import (
	"errors"
	"fmt"
	"math"
	"os/user"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/procs"
	"github.com/belfry-monitoring/belfry/common/quiet"
)

// workerMemory is the check with its options, and what Prepare makes of them.
type workerMemory struct {
	pattern, user, parent, expect, labelRegex, root string
	cgroupRoot                                      string
	givenGroups, groupExpect, quietWindow           []string
	oomWindow, restartWindow                        time.Duration
	noPSS                                           bool

	matches, label *regexp.Regexp // nil: Zulip's workers; no group
	groups         []group        // instead of matches
	silent         quiet.Windows
	query          procs.Query
	noneIsFine     bool
}

// Close does nothing: each look opens what it needs.
func (c *workerMemory) Close() error { return nil }

// Prepare validates the options.
func (c *workerMemory) Prepare() (check.Setup, error) {
	setup := check.Setup{Target: "localhost"}
	var errs []error
	keep := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	var err error
	c.matches, err = compile("--pattern", c.pattern)
	keep(err)
	c.label, err = compile("--label-regex", c.labelRegex)
	keep(err)
	if c.label != nil && (c.matches == nil && c.pattern == "" || c.label.NumSubexp() == 0) {
		keep(fmt.Errorf("--label-regex %q: it needs --pattern and a group in parentheses, --label-regex 'pool (\\w+)'", c.labelRegex))
	}
	c.query.Match = c.wanted
	c.query.UID, err = userID(c.user)
	keep(err)
	c.query.Under, err = descent(c.parent)
	keep(err)
	setup.Limits, c.noneIsFine, err = expected("--expect", c.expect)
	keep(err)
	var limits []check.Limit
	c.groups, limits, err = parseGroups(c.givenGroups, c.groupExpect)
	keep(err)
	setup.Limits = append(setup.Limits, limits...)
	if len(c.groups) > 0 && (c.pattern != "" || c.labelRegex != "") {
		keep(errors.New("--group and --pattern are two ways to say which processes are workers: give groups only"))
	}
	if c.silent, err = quiet.Parse(c.quietWindow, time.Local); err != nil {
		keep(fmt.Errorf("--quiet-window %w", err))
	}
	if c.restartWindow < 2*allAtOnce || c.restartWindow > keepGone {
		keep(fmt.Errorf("--restart-window %s: give %s to %s", c.restartWindow, 2*allAtOnce, keepGone))
	}
	if c.oomWindow < 0 {
		keep(fmt.Errorf("--oom-window %s: below zero", c.oomWindow))
	}
	if c.zulips() {
		setup.Limits = append(setup.Limits, restartLimits()...)
		// Without the machine's memory the absolute limits stand; that it
		// cannot be read is the look's to report.
		memory, _ := procs.New(c.root).Memory()
		setup.Limits = append(setup.Limits, threadLimits(memory.Total)...)
	}
	return setup, errors.Join(errs...)
}

func compile(option, text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w (RE2 syntax; a backslash takes the character behind it as it is)", option, text, err)
	}
	return re, nil
}

// zulips reports that Zulip's queue workers are looked at.
func (c *workerMemory) zulips() bool { return c.matches == nil && len(c.groups) == 0 }

// restartLimits are those of Zulip's workers, which run until they are
// stopped. Once may be somebody's supervisorctl restart; one that restarts
// alone twice in half an hour has crashed, one that does so again and again
// serves nobody. Other products' workers are replaced after
// so many requests, or grow beyond a limit of their own.
func restartLimits() []check.Limit {
	return []check.Limit{
		{Metric: recentRestarts, Severity: check.Warning, Range: check.Range{End: 1}},
		{Metric: recentRestarts, Severity: check.Critical, Range: check.Range{End: loop - 1}},
	}
}

// wanted reports whether a command line is a worker's. Other runs of this
// check, and the shells, NRPE and ssh that start them, carry the pattern.
func (c *workerMemory) wanted(command procs.CommandLine) bool {
	if len(c.groups) > 0 {
		_, ok := c.groupOf(command)
		return ok && !strings.Contains(command.String(), pluginName)
	}
	if c.matches == nil {
		if !strings.Contains(string(command), "process_queue") {
			return false
		}
		_, ok := zulipWorker(command.Args())
		return ok
	}
	text := command.String()
	return c.matches.MatchString(text) && !strings.Contains(text, pluginName)
}

// name is the label of a wanted process.
func (c *workerMemory) name(command procs.CommandLine) string {
	group := ""
	if g, ok := c.groupOf(command); ok {
		group = g.prefix()
	}
	if c.matches == nil {
		if label, ok := zulipWorker(command.Args()); ok {
			return group + check.CleanMax(label, maxLabel)
		}
	}
	return group + patternLabel(command, c.label)
}

// joined reports that a process and its children of the same name are one
// worker: those of Zulip, whose reloader watches over the one that works.
func (c *workerMemory) joined(command procs.CommandLine) bool {
	if c.matches != nil {
		return false
	}
	_, ok := zulipWorker(command.Args())
	return ok
}

// what says in words which processes are looked for.
func (c *workerMemory) what() string {
	text := "a queue worker of Zulip (manage.py process_queue)"
	switch {
	case len(c.groups) > 0:
		text = "a process of a --group"
	case c.matches != nil:
		text = fmt.Sprintf("a process that matches %q", c.pattern)
	}
	if c.user != "" {
		text += " of user " + c.user
	}
	if c.parent != "" {
		text += fmt.Sprintf(" below %q", c.parent)
	}
	return text
}

// userID finds the number of a user, nil for any.
func userID(name string) (*int, error) {
	if name == "" {
		return nil, nil
	}
	if uid, err := strconv.ParseUint(name, 10, 32); err == nil {
		n := int(uid)
		return &n, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("--user %s: no such user in /etc/passwd: give the number of one that a directory service knows", name)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, fmt.Errorf("--user %s: its number is %q", name, u.Uid)
	}
	return &uid, nil
}

// descent makes the test for an ancestor, nil for any.
func descent(parent string) (func(int, procs.CommandLine) bool, error) {
	if parent == "" {
		return nil, nil
	}
	if isDigits(parent) {
		want, err := strconv.Atoi(parent)
		if err != nil {
			return nil, fmt.Errorf("--parent %s: no process has this number", parent)
		}
		return func(pid int, _ procs.CommandLine) bool { return pid == want }, nil
	}
	re, err := compile("--parent", parent)
	if err != nil {
		return nil, err
	}
	return func(_ int, c procs.CommandLine) bool { return re.MatchString(c.String()) }, nil
}

// expected turns --expect into limits of the number of workers: fewer than it
// says is critical, because somebody's queue is not served; more is a
// warning. A bare number is exact.
func expected(option, text string) (limits []check.Limit, noneIsFine bool, err error) {
	if text == "" {
		return nil, false, nil
	}
	spec := text
	if isDigits(text) {
		spec = text + ":" + text
	}
	r, err := check.ParseRange(spec, check.None)
	if err == nil && (r.Inside || r.Start < 0 || math.IsInf(r.Start, 0) || !isWhole(r.Start) || !isWhole(r.End)) {
		err = errors.New("write how many, 15, or from how many to how many, 4: or 10:20")
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s %s: %w", option, text, err)
	}
	least := check.Range{Start: r.Start, End: math.Inf(1)}
	return []check.Limit{
		{Metric: workers, Severity: check.Critical, Range: least},
		{Metric: workers, Severity: check.Warning, Range: r},
	}, r.Start == 0, nil
}

// isWhole tells that something can be counted up to a bound; 4.5 is no number
// of workers but a slip, and would mean none to four.
func isWhole(bound float64) bool { return bound == math.Trunc(bound) }

// Limits of the process that serves all queues with a thread for each. It
// does the work of some fourteen processes but loads Zulip once, so the
// limits of one worker would page without cause, and fourteen times them is
// more than the machine has: a host runs it because it has less than 3.5 GiB.
// It gets 40 % and 55 % of the machine, which leaves the web server and the
// database theirs, and never more than 2 GB and 2.5 GB: on a larger host
// (queue_workers_multiprocess = false) that is a leak too.
const (
	threadsWarning, threadsCritical           = 2e9, 2.5e9
	threadsWarningShare, threadsCriticalShare = 0.40, 0.55
)

func threadLimits(machine uint64) []check.Limit {
	bound := func(bytes, share float64) check.Range {
		if part := math.Floor(float64(machine) * share); machine > 0 && part < bytes {
			bytes = part
		}
		return check.Range{End: bytes}
	}
	match := map[string]string{"worker": threads + "*"}
	return []check.Limit{
		{Metric: rss, Match: match, Severity: check.Warning, Range: bound(threadsWarning, threadsWarningShare)},
		{Metric: rss, Match: match, Severity: check.Critical, Range: bound(threadsCritical, threadsCriticalShare)},
	}
}
