// Package nagios makes the Nagios side of the catalog: commands and service
// templates. Everything an operator sets comes from custom variables of the
// service, quoted, so that a limit is named, inherited and overridden per
// host; a secret never stands on a command line.
package nagios

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/plugin"
)

const header = `# Generated from the definitions of the checks by "make generate"; do not edit.
`

// Files returns what is generated for Nagios and NRPE, by path below the
// module's root.
func Files(catalog []*check.Definition) map[string][]byte {
	return map[string][]byte{
		"nagios/commands.cfg":    Commands(catalog),
		"nagios/templates.cfg":   Templates(catalog),
		"nagios/remote.cfg":      Remote(catalog),
		"nagios/nrpe/belfry.cfg": NRPE(catalog),
		"nagios/plugins.ini":     PluginsINI(catalog),
	}
}

// page is where the reader of an alert finds what to do.
func page(d *check.Definition) string {
	return "https://github.com/belfry-monitoring/belfry/blob/main/docs/checks/" + d.Name + ".md"
}

// Commands renders a command for every name of every check. $USER1$ is the
// directory of the plugins. An empty variable means that the option is not
// given. A command whose name ends in _at_address looks at the host's own
// address.
func Commands(catalog []*check.Definition) []byte {
	var b strings.Builder
	b.WriteString(header)
	for _, d := range catalog {
		variables := Variables(d)
		for _, name := range append([]string{d.Plugin()}, d.Aliases...) {
			fmt.Fprintf(&b, "\n# '%s' command definition: %s\n", name, d.Summary)
			command(&b, name, name, variables, "")
			for _, v := range variables {
				if v.Option == "host" {
					command(&b, name+"_at_address", name, variables, "host")
				}
			}
		}
	}
	return []byte(b.String())
}

func command(b *strings.Builder, name, binary string, variables []Variable, address string) {
	fmt.Fprintf(b, "define command {\n  command_name  %s\n  command_line  $USER1$/%s", name, binary)
	for _, v := range variables {
		macro := "$_SERVICE" + v.Name + "$"
		if v.Option == address {
			macro = "$HOSTADDRESS$"
		}
		fmt.Fprintf(b, " --%s='%s'", v.Option, macro)
	}
	b.WriteString("\n}\n")
}

// Templates renders a service template for every check that names all its
// variables, empty but for the time between looks: Nagios hands the name of
// a variable that no service defines to the plugin.
func Templates(catalog []*check.Definition) []byte {
	var b strings.Builder
	b.WriteString(header + `#
# Nagios takes the characters of illegal_macro_output_chars out of these variables before a plugin sees them: ` + "` ~ $ & | ' \" < >" + `.
# A limit such as ~:10 or a regular expression such as a|b$ belongs into a section of an INI file that _EXTRA_OPTS names. A ; begins a
# comment, within a value too.
`)
	for _, d := range catalog {
		fmt.Fprintf(&b, "\n# %s\ndefine service {\n  name            belfry-%s\n  use             belfry-service\n  check_command   %s\n%s",
			d.Summary, dashed(d.Name), d.Plugin(), schedule(d))
		for _, v := range Variables(d) {
			fmt.Fprintf(&b, "  _%s  ; %s\n", v.Name, v.Help)
		}
		b.WriteString("}\n")
	}
	return []byte(b.String())
}

// schedule is what a template says of when to look, in Nagios's default unit of
// a minute, and where to read what to do. After a problem the next look comes
// after a fifth of the interval, but not before a minute, in which most
// restarts are over, nor after a quarter of an hour.
func schedule(d *check.Definition) string {
	retry := min(max(d.Interval/5, time.Minute), 15*time.Minute, d.Interval)
	return fmt.Sprintf("  register        0\n  check_interval  %g\n  retry_interval  %g\n  notes_url       %s\n", d.Interval.Minutes(), retry.Minutes(), page(d))
}

func dashed(name string) string { return strings.ReplaceAll(name, "_", "-") }

// Variable is an option as a custom variable of a service.
type Variable struct{ Name, Option, Help string }

// Variables lists the options of a check that a service may set: all but
// secrets, which belong into files, and what is about the call itself.
func Variables(d *check.Definition) []Variable {
	perCall := map[string]bool{"help": true, "version": true, "verbose": true, "output": true, "target": true}
	var variables []Variable
	plugin.Flags(d).VisitAll(func(f *pflag.Flag) {
		if perCall[f.Name] || options.IsSecret(f) {
			return
		}
		_, usage := pflag.UnquoteUsage(f)
		variables = append(variables, Variable{
			Name: strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")), Option: f.Name, Help: short(usage, 90),
		})
	})
	return variables
}

// short is the beginning of a usage for a comment, on one line.
func short(usage string, limit int) string {
	words := []rune(strings.Join(strings.Fields(usage), " "))
	if len(words) <= limit {
		return string(words)
	}
	return string(words[:limit]) + "..."
}
