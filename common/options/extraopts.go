package options

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/pflag"
	"gopkg.in/ini.v1"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// maxIni bounds an extra-opts file in bytes.
const maxIni = 1 << 20

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
			if err := f.fill(p.Name, p.Items[0]); err != nil {
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
// stand; an option without a value is a switch. One-letter options are those
// of the command line.
func parseSection(data []byte, section string) ([]Value, error) {
	if len(data) > maxIni {
		return nil, fmt.Errorf("larger than %d bytes", maxIni)
	}
	file, err := ini.LoadSources(ini.LoadOptions{
		AllowBooleanKeys: true, AllowShadows: true, AllowDuplicateShadowValues: true, IgnoreInlineComment: true, KeyValueDelimiters: "=",
		SpaceBeforeInlineComment: true, IgnoreContinuation: true, SkipUnrecognizableLines: false,
	}, data)
	if err != nil {
		// The library's error quotes the line, which may hold a password.
		return nil, errors.New("not an INI file: lines must be [section], option=value, option or a comment")
	}
	if !file.HasSection(section) {
		return nil, fmt.Errorf("no section [%s] in it", section)
	}
	var values []Value
	for _, key := range file.Section(section).Keys() {
		for _, v := range key.ValueWithShadows() {
			values = append(values, Value{Name: key.Name(), Items: []string{v}})
		}
	}
	return values, nil
}
