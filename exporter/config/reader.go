package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
)

// reader turns a file into a Config and collects what is wrong with it.
type reader struct {
	file         string
	catalog      []*check.Definition
	inlineSecret string // why a secret must not stand in this file; empty: it may
	errs         []*Error
	nodes        int // values read so far, those behind aliases each time

	defaults struct{ interval, timeout time.Duration }
}

func fileKeys() []string {
	return []string{"checks", "modules", "defaults", "concurrency", "probe_concurrency", "spread"}
}

func checkKeys() []string { return append([]string{"check", "target", "interval"}, lookKeys()...) }

// lookKeys are those of how one look is taken and judged.
func lookKeys() []string {
	return []string{"timeout", "timeout_state", "options", "warning", "critical", "severity", "only", "skip"}
}

func (r *reader) read(data []byte) (*Config, error) {
	c := &Config{Spread: defaultSpread}
	if root := r.document(data); root != nil {
		r.root(root, c)
	}
	all := c.All()
	if len(r.errs) > 0 {
		r.duplicates(all)
		return nil, r.joined()
	}
	var wg sync.WaitGroup
	for _, one := range all {
		wg.Go(one.prepare)
	}
	wg.Wait()
	for _, one := range c.Checks {
		one.Target = cmp.Or(one.Target, one.prepared)
	}
	if r.duplicates(all); len(r.errs) > 0 {
		return nil, r.joined()
	}
	c.PlacesNeeded = placesNeeded(c.Checks)
	if c.Places == 0 {
		c.Places = max(c.PlacesNeeded, minPlaces)
	}
	return c, nil
}

func (r *reader) joined() error {
	slices.SortStableFunc(r.errs, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	errs := make([]error, len(r.errs))
	for i, e := range r.errs {
		errs[i] = e
	}
	return errors.Join(errs...)
}

func (r *reader) root(n *yaml.Node, c *Config) {
	if n.Kind != yaml.MappingNode {
		r.fail(n.Line, "the file must be a mapping (key: value)")
		return
	}
	var checks, modules *yaml.Node
	probing := 0
	for _, f := range r.mapping(n, "the file", fileKeys()) {
		switch f.key {
		case "checks":
			checks = f.value
		case "modules":
			modules = f.value
		case "probe_concurrency":
			probing, _ = r.number(f.value, "probe_concurrency", 1, maxProbes)
		case "defaults":
			r.readDefaults(f.value)
		case "concurrency":
			if v, ok := r.number(f.value, "concurrency", 1, maxPlaces); ok {
				c.Places = v
			}
		case "spread":
			if v, ok := r.duration(f.value, "spread", 0, maxSpread); ok {
				c.Spread = v
			}
		}
	}
	if modules != nil {
		c.Modules = r.modules(modules)
	}
	c.Probes, c.FreeFormProbes = probes(probing, c.Modules)
	switch {
	case checks == nil && modules != nil:
	case checks == nil:
		r.fail(n.Line, "no checks and no modules: an exporter that looks at nothing would always be content")
	case checks.Kind != yaml.SequenceNode || len(checks.Content) == 0:
		r.fail(checks.Line, "checks must be a list with at least one check")
	default:
		for _, entry := range checks.Content {
			if r.nodes > maxNodes {
				break // what follows would only repeat that
			}
			if one := r.entry(resolve(entry)); one != nil {
				c.Checks = append(c.Checks, one)
			}
		}
	}
}

func (r *reader) readDefaults(n *yaml.Node) {
	for _, f := range r.mapping(n, "defaults", []string{"interval", "timeout"}) {
		switch f.key {
		case "interval":
			r.defaults.interval, _ = r.duration(f.value, "interval", minInterval, maxInterval)
		case "timeout":
			r.defaults.timeout, _ = r.duration(f.value, "timeout", minTimeout, maxInterval)
		}
	}
}

// entry reads one check; nil where it cannot even be told which.
func (r *reader) entry(n *yaml.Node) *Check {
	fields := r.mapping(n, "a check", checkKeys())
	if fields == nil && n.Kind != yaml.MappingNode {
		return nil
	}
	d := r.checkOf(n, fields, "a check without its name")
	if d == nil {
		return nil
	}
	c := &Check{Line: n.Line, Definition: d, secret: make(map[string]bool)}
	timing := n.Line // where to complain about interval and timeout together
	for _, f := range fields {
		switch f.key {
		case "check":
		case "target":
			c.Target = r.targetName(f.value)
		case "interval":
			c.Interval, _ = r.duration(f.value, "interval", minInterval, maxInterval)
			timing = f.line
		case "timeout":
			timing = f.line
			fallthrough
		default:
			r.look(c, f, maxInterval)
		}
	}
	c.Interval = cmp.Or(c.Interval, r.defaults.interval, c.Definition.Interval)
	c.Timeout = cmp.Or(c.Timeout, r.defaults.timeout, c.Definition.Timeout)
	if c.Timeout > c.Interval {
		r.fail(timing, "timeout %s of check %s is longer than its interval %s: give both so that a look ends before the next", short(c.Timeout), d.Name, short(c.Interval))
	}
	return c
}

// checkOf finds the definition that an entry names; nil after an error.
func (r *reader) checkOf(n *yaml.Node, fields []field, what string) *check.Definition {
	at := slices.IndexFunc(fields, func(f field) bool { return f.key == "check" })
	if at < 0 {
		r.fail(n.Line, "%s: write check: NAME, one of %s", what, r.names())
		return nil
	}
	name, ok := r.scalar(fields[at].value, "check")
	if !ok {
		return nil
	}
	d := r.definition(name)
	if d == nil {
		r.fail(fields[at].value.Line, "unknown check %q; there are %s", name, r.names())
	}
	return d
}

// look reads one of the lookKeys.
func (r *reader) look(c *Check, f field, maxTimeout time.Duration) {
	switch f.key {
	case "timeout":
		c.Timeout, _ = r.duration(f.value, "timeout", minTimeout, maxTimeout)
	case "timeout_state":
		c.TimeoutState = r.state(f.value)
	case "options":
		r.options(c, f.value)
	case "warning":
		r.limits(c, check.Warning, f)
	case "critical":
		r.limits(c, check.Critical, f)
	case "severity":
		r.severities(c, f.value)
	case "only":
		c.Only = r.parts(c, f)
	case "skip":
		c.Skip = r.parts(c, f)
	}
}

func (r *reader) definition(name string) *check.Definition {
	for _, d := range r.catalog {
		if d.Name == name {
			return d
		}
	}
	return nil
}

func (r *reader) names() string {
	names := make([]string, 0, len(r.catalog))
	for _, d := range r.catalog {
		names = append(names, d.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (r *reader) targetName(n *yaml.Node) string {
	text, ok := r.scalar(n, "target")
	if ok && (text == "" || check.Clean(text) != text) {
		r.fail(n.Line, "target %q: must be a name of at most %d characters, without | and control characters", check.Clean(text), check.MaxText)
	}
	return text
}

func (r *reader) state(n *yaml.Node) *check.State {
	text, ok := r.scalar(n, "timeout_state")
	if !ok {
		return nil
	}
	state, err := check.ParseState(text)
	if err != nil {
		r.fail(n.Line, "timeout_state: %w", err)
	}
	return &state
}

func (r *reader) limits(c *Check, severity check.State, f field) {
	for _, i := range r.items(f.value, f.key) {
		limits, err := check.ParseLimits(c.Definition, severity, []string{i.text})
		if err != nil {
			r.fail(i.line, "%s: %w", f.key, err)
		}
		c.Limits = append(c.Limits, limits...)
	}
}

func (r *reader) severities(c *Check, n *yaml.Node) {
	for _, f := range r.mapping(n, "severity", nil) {
		word, ok := r.scalar(f.value, "severity of "+f.key)
		if !ok {
			continue
		}
		parsed, err := check.ParseSeverities(c.Definition, []string{f.key + "=" + word})
		if err != nil {
			r.fail(f.line, "%w", err)
		}
		for key, state := range parsed {
			if c.Severities == nil {
				c.Severities = make(map[string]check.State)
			}
			c.Severities[key] = state
		}
	}
}

func (r *reader) parts(c *Check, f field) []string {
	var parts []string
	for _, i := range r.items(f.value, f.key) {
		names, err := check.ParseParts(c.Definition, []string{i.text})
		if err != nil {
			r.fail(i.line, "%s: %w", f.key, err)
		}
		parts = append(parts, names...)
	}
	return parts
}

// options reads the check's own options. Each value is tried alone first, so
// that every error has its line.
func (r *reader) options(c *Check, n *yaml.Node) {
	fs := pflag.NewFlagSet(c.Definition.Plugin(), pflag.ContinueOnError)
	defer c.Definition.New(fs).Close()
	lines := make(map[string]int)
	for _, f := range r.mapping(n, "options", nil) {
		flag := fs.Lookup(f.key)
		if flag == nil && len(f.key) == 1 {
			flag = fs.ShorthandLookup(f.key)
		}
		if flag == nil {
			r.fail(f.line, "check %s has no option %q%s", c.Definition.Name, f.key, optionHint(fs, f.key))
			continue
		}
		if first, twice := lines[flag.Name]; twice {
			r.fail(f.line, "option %s twice, first on line %d", flag.Name, first)
			continue
		}
		lines[flag.Name] = f.line
		items := r.items(f.value, "option "+flag.Name)
		r.credentials(flag, items)
		if slices.ContainsFunc(items, func(i item) bool { return options.HoldsSecret(flag, i.text) }) {
			if r.inlineSecret != "" {
				r.fail(f.line, "option %s: %s", flag.Name, r.inlineSecret)
			}
			c.secret[flag.Name] = true
		}
		if _, list := flag.Value.(pflag.SliceValue); !list && len(items) > 1 {
			r.fail(f.line, "option %s takes one value, not a list", flag.Name)
			continue
		}
		value := options.Value{Name: flag.Name}
		for _, i := range items {
			value.Items = append(value.Items, i.text)
			if err := c.try(options.Value{Name: flag.Name, Items: []string{i.text}}); err != nil {
				r.fail(i.line, "%w", err)
			}
		}
		c.values = append(c.values, value)
	}
}

// try sets one option on flags of its own.
func (c *Check) try(value options.Value) error {
	fs := pflag.NewFlagSet(c.Definition.Plugin(), pflag.ContinueOnError)
	defer c.Definition.New(fs).Close()
	return options.FromValues(fs, []options.Value{value})
}

// optionHint says what an operator may have meant.
func optionHint(fs *pflag.FlagSet, name string) string {
	if slices.Contains(checkKeys(), strings.ReplaceAll(name, "-", "_")) {
		return fmt.Sprintf(": %s is a key of the check itself, beside options", strings.ReplaceAll(name, "-", "_"))
	}
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if len(names) == 0 {
		return "; it has none"
	}
	return "; it has " + strings.Join(names, ", ")
}

// duplicates refuses two checks that would write the same series. In a file
// with other errors only the targets that it names are known.
func (r *reader) duplicates(checks []*Check) {
	type pair struct{ name, target string }
	first := make(map[pair]int)
	wrong := len(r.errs) > 0
	for _, c := range checks {
		p := pair{c.Definition.Name, c.Target}
		if wrong && p.target == "" {
			continue
		}
		if line, twice := first[p]; twice {
			r.fail(c.Line, "check %s of target %q twice, first on line %d: give each a target of its own", p.name, p.target, line)
			continue
		}
		first[p] = c.Line
	}
}
