package check

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Validate reports everything that is wrong with a definition. The catalog's
// test calls it for every check; nothing calls it at run time.
func (d *Definition) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("check %s: "+format, append([]any{d.Name}, args...)...))
	}
	word := regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	if !word.MatchString(d.Name) {
		bad("name must be words joined by underscores")
	}
	if d.Title == "" || d.Title != strings.ToUpper(d.Title) || Clean(d.Title) != d.Title {
		bad("title %q must be upper case and clean", d.Title)
	}
	if d.Summary == "" || len(d.Examples) == 0 || d.New == nil || d.Peer == "" || len(d.Privileges) == 0 {
		bad("summary, examples, peer, privileges and New must be given")
	}
	if d.Interval < time.Second || d.Timeout < time.Second || d.Timeout > d.Interval {
		bad("interval %s and timeout %s must be at least a second, and a look must end before the next", d.Interval, d.Timeout)
	}
	if a := d.Alerting(); a.For < d.Interval || a.For%time.Second != 0 || a.KeepFiringFor < 0 || a.KeepFiringFor%time.Second != 0 {
		bad("alert for %s and %s must be whole seconds, and more than one look decides", a.For, a.KeepFiringFor)
	}
	for _, a := range d.Aliases {
		if !strings.HasPrefix(a, "check_") {
			bad("alias %q must start with check_", a)
		}
	}
	names, keys := map[string]bool{}, map[string]bool{}
	for _, m := range d.Metrics {
		if names[m.Name()] || keys[m.Key] {
			bad("metric %s twice", m.Key)
		}
		names[m.Name()], keys[m.Key] = true, true
		for _, err := range m.validate(word) {
			bad("metric %s: %w", m.Key, err)
		}
	}
	for _, f := range d.Findings {
		if keys[f.Key] || builtinFinding(f.Key) != nil {
			bad("key %s twice", f.Key)
		}
		keys[f.Key] = true
		if !word.MatchString(f.Key) || f.Help == "" {
			bad("finding %q: key must be words joined by underscores, with a help text", f.Key)
		}
	}
	if d.New != nil {
		d.New(pflag.NewFlagSet(d.Name, pflag.ContinueOnError)).Close()
	}
	return errors.Join(errs...)
}

func (m *Metric) validate(word *regexp.Regexp) []error {
	var errs []error
	if !word.MatchString(m.Key) || !word.MatchString(m.Family) {
		errs = append(errs, fmt.Errorf("family %q and key must be words joined by underscores", m.Family))
	}
	if m.Help == "" || Clean(m.Help) != m.Help {
		errs = append(errs, errors.New("help must be one clean sentence"))
	}
	for _, l := range m.Labels {
		switch {
		case !word.MatchString(l):
			errs = append(errs, fmt.Errorf("label %q must be words joined by underscores", l))
		case contains([]string{"check", "target", "severity", "bound", "inside", "job", "instance", "le"}, l):
			errs = append(errs, fmt.Errorf("label %q is taken by the faces", l))
		}
	}
	if (m.Kind == Since || m.Kind == Until) && m.Unit != None {
		errs = append(errs, errors.New("a time has no unit of its own"))
	}
	if len(m.Buckets) > 0 && m.Kind != Gauge {
		errs = append(errs, errors.New("only a gauge has a distribution"))
	}
	for i, b := range m.Buckets {
		if math.IsNaN(b) || math.IsInf(b, 0) || i > 0 && b <= m.Buckets[i-1] {
			errs = append(errs, fmt.Errorf("buckets %v must be finite and rise", m.Buckets))
			break
		}
	}
	for _, text := range []string{m.Warning, m.Critical} {
		if text != "" {
			if _, err := ParseRange(text, m.JudgedUnit()); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errs
}
