package options

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/ini"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// defaultExtraOpts are the files that monitoring-plugins look for, the first
// that exists.
func defaultExtraOpts() []string {
	return []string{
		"/etc/monitoring-plugins.ini",
		"/etc/monitoring-plugins/monitoring-plugins.ini",
		"/usr/local/etc/monitoring-plugins.ini",
		"/usr/local/etc/monitoring-plugins/monitoring-plugins.ini",
		"/etc/nagios-plugins.ini",
		"/etc/nagios/plugins.ini",
	}
}

// ExtraOpts names sections of INI files, as --extra-opts=[section][@file]
// does.
type ExtraOpts struct {
	Values  []string // as given; an empty value takes the defaults of both
	Section string   // default section: the plugin's name
	File    string   // default file from MP_CONFIG_FILE; empty: the well-known places
	Lax     bool     // --insecure-permissions
}

// From fills flags from the sections. A missing section or file is an error:
// an operator who asks for options must get them.
func (e ExtraOpts) From(flags *pflag.FlagSet) error {
	f := newFiller(flags)
	for _, value := range e.Values {
		section, path, given := strings.Cut(value, "@")
		if section == "" {
			section = e.Section
		}
		data, path, err := e.read(path, given)
		if err != nil {
			return err
		}
		pairs, err := parseSection(data, section)
		if err != nil {
			return check.Faultf(check.Config, "read options from", path, "%w", err)
		}
		for _, p := range pairs {
			set := func() error { return f.fill(p.Name, p.Value) }
			if p.Switch {
				set = func() error { return f.fillSwitch(p.Name) }
			}
			if err := set(); err != nil {
				return check.Faultf(check.Config, "read options from", path, "section [%s]: %w", section, err)
			}
		}
	}
	return nil
}

func (e ExtraOpts) read(path string, given bool) ([]byte, string, error) {
	candidates := []string{path}
	if !given || path == "" {
		candidates = defaultExtraOpts()
		if e.File != "" {
			candidates = []string{e.File}
		}
	}
	for _, p := range candidates {
		data, err := safefile.ReadSecret(p, e.Lax)
		if errors.Is(err, fs.ErrNotExist) && len(candidates) > 1 {
			continue
		}
		return data, p, err
	}
	return nil, "", check.Faultf(check.Config, "read options from", "", "none of %s exists: name the file, --extra-opts=section@file", strings.Join(candidates, ", "))
}

// parseSection returns the options of one section in the order in which they
// stand. One-letter options are those of the command line.
func parseSection(data []byte, section string) ([]ini.Pair, error) {
	file, err := ini.Parse(data, "=")
	if err != nil {
		return nil, err
	}
	pairs, ok := file.Section(section)
	if !ok {
		return nil, fmt.Errorf("no section [%s] in it", section)
	}
	return pairs, nil
}
