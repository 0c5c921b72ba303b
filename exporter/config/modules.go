package config

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
)

// maxProbeTimeout bounds the timeout of a module: a scrape waits for it.
const maxProbeTimeout = 10 * time.Minute

// Bounds of how many looks run at the same time because they are asked for.
const (
	maxProbes     = 2000
	defaultProbes = 64   // of free-form targets, and the least of configured ones
	manyProbes    = 1000 // the most by default
)

// Module is a check that looks when it is asked to, at a target that is asked
// for by name.
type Module struct {
	Name       string
	Definition *check.Definition
	Line       int
	Targets    []*Check // configured, in the order of the file

	byName map[string]*Check
	common *Check         // what all targets have in common
	flags  *pflag.FlagSet // of the check, none set and never changed
	// Of free-form targets and of those that are given by their address alone.
	address addressed
	pattern *regexp.Regexp // that a free-form target matches as a whole; nil: there are none
}

// Target returns the configured target of that name, nil for none.
func (m *Module) Target(name string) *Check { return m.byName[name] }

// TakesOthers reports whether targets that are not configured may be asked
// for.
func (m *Module) TakesOthers() bool { return m.pattern != nil }

// FreeForm returns the check of a target that is not configured, which the
// pattern must allow. The errors are fit for whoever asks: they tell nothing
// of the configuration but what may be asked for.
func (m *Module) FreeForm(target string) (*Check, error) {
	if m.pattern == nil {
		return nil, fmt.Errorf("module %s has no such target, and takes none that is not configured", m.Name)
	}
	form := options.AddressFormOf(m.address.option)
	if !isAddress(target, form) {
		return nil, fmt.Errorf("module %s has no such target, and takes as others only %s", m.Name, formText(form))
	}
	if !m.pattern.MatchString(target) {
		return nil, fmt.Errorf("module %s has no such target, and its targets_pattern does not allow this address", m.Name)
	}
	c := m.at(target, []string{target})
	m.fill(c)
	return c, nil
}

// at is a check whose address is given.
func (m *Module) at(target string, address []string) *Check {
	return &Check{
		Definition: m.Definition, Target: target, Line: m.Line, secret: make(map[string]bool),
		values: []options.Value{{Name: m.address.option.Name, Items: address}},
	}
}

// All returns the checks and the configured targets of all modules.
func (c *Config) All() []*Check {
	all := slices.Clone(c.Checks)
	for _, m := range c.Modules {
		all = append(all, m.Targets...)
	}
	return all
}

// fill gives a target what it does not say itself. Limits are joined: among
// equals, the later counts.
func (m *Module) fill(c *Check) {
	from, fs := m.common, m.flags
	own := make([]*pflag.Flag, 0, len(c.values))
	for _, v := range c.values {
		own = append(own, fs.Lookup(v.Name))
	}
	for _, v := range from.values {
		flag := fs.Lookup(v.Name)
		if !slices.ContainsFunc(own, func(other *pflag.Flag) bool { return options.SameThing(flag, other) }) {
			c.values = append(c.values, v)
			c.secret[v.Name] = from.secret[v.Name]
		}
	}
	c.Limits = append(slices.Clone(from.Limits), c.Limits...)
	severities := maps.Clone(from.Severities)
	for key, state := range c.Severities {
		if severities == nil {
			severities = make(map[string]check.State)
		}
		severities[key] = state
	}
	c.Severities = severities
	c.Timeout = cmp.Or(c.Timeout, from.Timeout)
	if c.TimeoutState == nil {
		c.TimeoutState = from.TimeoutState
	}
	if c.Only == nil {
		c.Only = from.Only
	}
	if c.Skip == nil {
		c.Skip = from.Skip
	}
}

func moduleKeys() []string {
	return append([]string{"check"}, append(lookKeys(), "targets", "targets_pattern", "target_option")...)
}

func (r *reader) modules(n *yaml.Node) (modules []*Module) {
	fields := r.mapping(n, "modules", nil)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		r.fail(n.Line, "modules must be a mapping with at least one module")
	}
	for _, f := range fields {
		if r.nodes > maxNodes {
			break
		}
		if m := r.module(f); m != nil {
			modules = append(modules, m)
		}
	}
	return modules
}

// module reads one module; nil where it cannot even be told of which check.
func (r *reader) module(f field) *Module {
	if !regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$`).MatchString(f.key) {
		r.fail(f.line, "module %q: a name must be of letters, digits, dots, dashes and underscores, 63 at most", check.Clean(f.key))
	}
	what := "module " + check.Clean(f.key)
	fields := r.mapping(f.value, what, moduleKeys())
	if fields == nil && f.value.Kind != yaml.MappingNode {
		return nil
	}
	d := r.checkOf(f.value, fields, what+" without its check")
	if d == nil {
		return nil
	}
	m := &Module{Name: f.key, Definition: d, Line: f.line, byName: make(map[string]*Check)}
	m.common = &Check{Definition: d, Line: f.line, secret: make(map[string]bool)}
	m.flags = pflag.NewFlagSet(d.Plugin(), pflag.ContinueOnError)
	_ = d.New(m.flags).Close() // it has opened nothing
	var targets, pattern, option *field
	for _, one := range fields {
		switch one.key {
		case "check":
		case "targets":
			targets = &one
		case "targets_pattern":
			pattern = &one
		case "target_option":
			option = &one
		default:
			r.look(m.common, one, maxProbeTimeout)
		}
	}
	m.common.Timeout = min(cmp.Or(m.common.Timeout, r.defaults.timeout, d.Timeout), maxProbeTimeout)
	m.address = r.targetOption(m, option)
	if pattern != nil {
		m.pattern = r.targetsPattern(m, *pattern)
	}
	switch {
	case targets != nil:
		r.targets(m, targets.value)
	case pattern == nil:
		r.fail(f.line, "%s has no target: give it targets, targets_pattern or both", what)
	}
	return m
}

// addressed says which option of a module an address fills, or why none does.
type addressed struct {
	option *pflag.Flag
	why    error // nil with an option, and where it has been said
}

// targetOption finds the option that an address fills: the one that is named,
// or the only one that may be.
func (r *reader) targetOption(m *Module, named *field) addressed {
	var may []*pflag.Flag
	var names []string
	m.flags.VisitAll(func(flag *pflag.Flag) {
		if options.AddressFormOf(flag) != options.NoAddress {
			may, names = append(may, flag), append(names, flag.Name)
		}
	})
	known := fmt.Errorf("an address may fill %s of check %s", strings.Join(names, " or "), m.Definition.Name)
	if len(may) == 0 {
		known = fmt.Errorf("check %s has no option that an address may fill: name each target with its options", m.Definition.Name)
	}
	if named == nil {
		switch len(may) {
		case 0:
			return addressed{why: known}
		case 1:
			return addressed{option: may[0]}
		}
		return addressed{why: fmt.Errorf("%w: say which with target_option", known)}
	}
	name, ok := r.scalar(named.value, "target_option")
	if i := slices.Index(names, name); ok && i >= 0 {
		return addressed{option: may[i]}
	}
	if ok {
		r.fail(named.line, "target_option %q of module %s: %w", name, m.Name, known)
	}
	return addressed{}
}

// byAddress reports whether what may be given by an address alone, and says
// why not.
func (r *reader) byAddress(m *Module, line int, what string) bool {
	switch a := m.address; {
	case a.option == nil && a.why == nil:
		return false
	case a.option == nil:
		r.fail(line, "%s: %w", what, a.why)
		return false
	case slices.ContainsFunc(m.common.values, func(v options.Value) bool { return v.Name == a.option.Name }):
		r.fail(line, "%s fills option %s, which the module's options give too: leave it out there", what, a.option.Name)
		return false
	}
	return true
}

func (r *reader) targetsPattern(m *Module, f field) *regexp.Regexp {
	text, ok := r.scalar(f.value, "targets_pattern")
	if !ok || !r.byAddress(m, f.line, "targets_pattern of module "+m.Name) {
		return nil
	}
	pattern, err := anchored(text)
	if err != nil {
		r.fail(f.line, "targets_pattern of module %s: %w", m.Name, err)
	}
	return pattern
}

// targets reads a mapping of names, or a list of addresses that are names.
func (r *reader) targets(m *Module, n *yaml.Node) {
	n = resolve(n)
	if n.Kind == yaml.SequenceNode {
		for _, i := range r.items(n, "targets") {
			r.target(m, field{key: i.text, line: i.line})
		}
		return
	}
	fields := r.mapping(n, "targets of module "+m.Name, nil)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		r.fail(n.Line, "targets of module %s is empty", m.Name)
	}
	for _, f := range fields {
		r.target(m, f)
	}
}

// target reads one target: its own options and limits, or its address alone.
func (r *reader) target(m *Module, f field) {
	if f.key == "" || check.Clean(f.key) != f.key {
		r.fail(f.line, "target %q of module %s: must be a name of at most %d characters, without | and control characters", check.Clean(f.key), m.Name, check.MaxText)
		return
	}
	if m.byName[f.key] != nil {
		r.fail(f.line, "target %q twice in module %s, first on line %d", f.key, m.Name, m.byName[f.key].Line)
		return
	}
	what := fmt.Sprintf("target %s of module %s", f.key, m.Name)
	c := &Check{Definition: m.Definition, Target: f.key, secret: make(map[string]bool)}
	switch {
	case f.value != nil && f.value.Kind == yaml.MappingNode:
		for _, one := range r.mapping(f.value, what, lookKeys()) {
			r.look(c, one, maxProbeTimeout)
		}
	case !r.byAddress(m, f.line, what):
		return
	default:
		address := []string{f.key}
		if f.value != nil && f.value.Tag != "!!null" {
			address = nil
			for _, i := range r.items(f.value, what) {
				address = append(address, i.text)
			}
		}
		c = m.at(f.key, address)
		if _, list := m.address.option.Value.(pflag.SliceValue); !list && len(address) > 1 {
			r.fail(f.line, "%s: option %s takes one value, not a list", what, m.address.option.Name)
		}
		for _, one := range address {
			if err := c.try(options.Value{Name: m.address.option.Name, Items: []string{one}}); err != nil {
				r.fail(f.line, "%s: %w", what, err)
			}
		}
	}
	c.Line = f.line
	m.fill(c)
	m.byName[f.key] = c
	m.Targets = append(m.Targets, c)
}

// probes is how many looks may run at the same time at configured and at
// free-form targets. By default no configured target waits for another, up to
// a thousand.
func probes(given int, modules []*Module) (configured, freeForm int) {
	if given > 0 {
		return given, given
	}
	targets := 0
	for _, m := range modules {
		targets += len(m.Targets)
	}
	return min(max(targets, defaultProbes), manyProbes), defaultProbes
}
