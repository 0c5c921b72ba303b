// Package icinga2 makes the Icinga 2 side of the catalog: CheckCommands,
// service templates and apply rules. Every option of a check is a custom
// variable belfry_<check>_<option>; a secret never stands on a command line.
package icinga2

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/plugin"
)

const header = `// Generated from the definitions of the checks by "make generate"; do not edit.
`

// Files returns the generated files by their path below the module's root.
func Files(catalog []*check.Definition) map[string][]byte {
	return map[string][]byte{
		"nagios/icinga2/belfry-commands.conf":  Commands(catalog),
		"nagios/icinga2/belfry-templates.conf": Templates(catalog),
		"nagios/icinga2/belfry-services.conf":  Services(catalog),
	}
}

// Kind is how Icinga hands an option over.
type Kind string

// The kinds of options, under the names that belfry-services.conf uses.
const (
	Text   Kind = "text"   // --name value
	List   Kind = "list"   // likewise, once for each item of an array
	Pairs  Kind = "pairs"  // likewise, and key=value for each entry of a dictionary
	Switch Kind = "switch" // --name where the variable is true
	Glued  Kind = "glued"  // --name=value, for options that may stand without one
	Secret Kind = "secret" // no argument: its environment variable, where it has one
)

// Option is an option of a check as Icinga sees it.
type Option struct {
	Name     string // of the flag: "password-file"
	Key      string // in Icinga: "password_file"
	Variable string // custom variable: "belfry_backup_password_file"
	Kind     Kind
	Env      []string // environment variables, of a Secret
	Help     string
}

// Options lists the options of a check that Icinga may set: all but those
// that make the plugin print something else than a verdict for it.
func Options(d *check.Definition) []Option {
	prints := map[string]bool{"help": true, "version": true, "output": true}
	pairs := map[string]bool{"warning": true, "critical": true, "severity": true}
	var list []Option
	plugin.Flags(d).VisitAll(func(f *pflag.Flag) {
		if prints[f.Name] {
			return
		}
		o := Option{Name: f.Name, Key: strings.ReplaceAll(f.Name, "-", "_"), Kind: Text}
		o.Variable = "belfry_" + d.Name + "_" + o.Key
		_, o.Help = pflag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "false" && f.DefValue != "0" {
			o.Help += " (default " + f.DefValue + ")"
		}
		_, many := f.Value.(pflag.SliceValue)
		switch {
		case options.IsSecret(f):
			o.Kind, o.Env = Secret, options.Variables(f)
		case pairs[f.Name]:
			o.Kind = Pairs
		case many:
			o.Kind = List
		case f.Value.Type() == "bool" && f.DefValue == "false":
			o.Kind = Switch
		case f.NoOptDefVal != "":
			o.Kind = Glued
		}
		list = append(list, o)
	})
	return list
}

// Commands renders a CheckCommand for every name of every check.
func Commands(catalog []*check.Definition) []byte {
	var b strings.Builder
	b.WriteString(header + `//
// Where the plugins are. Set it before, in constants.conf, where they are
// elsewhere: const BelfryPluginDir = "/usr/local/lib/nagios/plugins"
if (!globals.contains("BelfryPluginDir")) {
  const BelfryPluginDir = PluginContribDir
}
`)
	for _, d := range catalog {
		command(&b, d)
		for _, alias := range d.Aliases {
			fmt.Fprintf(&b, "\nobject CheckCommand %s {\n  import %s\n  command = [ BelfryPluginDir + %s ]\n}\n",
				quote(alias), quote(d.Plugin()), quote("/"+alias))
		}
	}
	return []byte(b.String())
}

func command(b *strings.Builder, d *check.Definition) {
	fmt.Fprintf(b, "\n// %s\nobject CheckCommand %s {\n  command = [ BelfryPluginDir + %s ]\n  timeout = %s\n",
		d.Summary, quote(d.Plugin()), quote("/"+d.Plugin()), duration(commandTimeout(d)))
	var env []string
	b.WriteString("  arguments = {\n")
	for _, o := range Options(d) {
		if o.Kind == Secret {
			for _, name := range o.Env {
				env = append(env, fmt.Sprintf("    %s = %s\n", quote(name), quote("$"+o.Variable+"$")))
			}
			continue
		}
		argument(b, o)
	}
	b.WriteString("  }\n")
	if len(env) > 0 {
		b.WriteString("  // Custom variables can be read in Icinga Web and by the API: a file of\n  // the option's name with _file is the better place.\n  env = {\n" +
			strings.Join(env, "") + "  }\n")
	}
	b.WriteString("}\n")
}

func argument(b *strings.Builder, o Option) {
	macro := quote("$" + o.Variable + "$")
	fmt.Fprintf(b, "    %s = {\n      description = %s\n", quote("--"+o.Name), quote(o.Help))
	switch o.Kind {
	case Switch:
		fmt.Fprintf(b, "      set_if = %s\n", macro)
	case List:
		fmt.Fprintf(b, "      value = %s\n      repeat_key = true\n", macro)
	case Pairs:
		fmt.Fprintf(b, `      value = {{
        var given = macro(%s)
        if (typeof(given) != Dictionary) {
          return if (given) { given } else { [] }
        }
        var pairs = []
        for (key => value in given) {
          pairs.add(key + "=" + value)
        }
        return pairs
      }}
      repeat_key = true
`, macro)
	case Glued:
		fmt.Fprintf(b, `      value = {{
        var given = macro(%s)
        if (typeof(given) != Array) {
          given = [ given ]
        }
        var glued = []
        for (value in given) {
          if (value) {
            glued.add(%s + value)
          }
        }
        return glued
      }}
      skip_key = true
`, macro, quote("--"+o.Name+"="))
	default:
		fmt.Fprintf(b, "      value = %s\n", macro)
	}
	b.WriteString("    }\n")
}

// commandTimeout is when Icinga kills the plugin: Icinga's default, or more
// where that would come before the plugin's own deadline and what it tidies up
// after it, so that it is the plugin that says what took so long.
func commandTimeout(d *check.Definition) time.Duration {
	return max(time.Minute, d.Timeout+timeoutMargin)
}

const timeoutMargin = 30 * time.Second

// Templates renders a service template for every name of a check.
func Templates(catalog []*check.Definition) []byte {
	var b strings.Builder
	b.WriteString(header + `//
// Each stands on belfry-service in belfry-service.conf. What is set there
// holds for all of them, because it is read last.
`)
	for _, d := range catalog {
		fmt.Fprintf(&b, `
template Service %s {
  check_command = %s
  check_interval = %s
  retry_interval = %s
  max_check_attempts = %d
  notes = %s
  notes_url = %s
  groups += [ "belfry", %s ]
  vars.belfry_check = %s
  import "belfry-service"
}

object ServiceGroup %s {
  display_name = %s
}
`, quote("belfry-"+dashed(d.Name)), quote(d.Plugin()), duration(d.Interval), duration(retryInterval(d)), attempts,
			quote(literal(d.Summary)), quote(page(d)), quote("belfry-"+dashed(d.Name)), quote(d.Name),
			quote("belfry-"+dashed(d.Name)), quote("Belfry: "+strings.ReplaceAll(d.Name, "_", " ")))
	}
	b.WriteString(`
object ServiceGroup "belfry" {
  display_name = "Belfry"
}

object HostGroup "belfry" {
  display_name = "Hosts with checks of Belfry"
  assign where host.vars.belfry
}
`)
	return []byte(b.String())
}

// retryInterval is when Icinga looks again after a problem: after a fifth of
// the interval, but not before a minute, in which most restarts are over, nor
// after a quarter of an hour. It is what Nagios's templates say.
func retryInterval(d *check.Definition) time.Duration {
	return min(max(d.Interval/5, time.Minute), 15*time.Minute, d.Interval)
}

// attempts is the number of bad looks in a row that make a hard state, as in
// Nagios's template.
const attempts = 3

// page is the address of the check's page, for the person who is paged.
func page(d *check.Definition) string {
	return "https://github.com/belfry-monitoring/belfry/blob/main/docs/checks/" + d.Name + ".md"
}

func dashed(name string) string { return strings.ReplaceAll(name, "_", "-") }

// duration writes a literal of Icinga's language: 90s, 5m, 1h.
func duration(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%gs", d.Seconds())
}

// quote writes a string literal of Icinga's language. In one line between
// quotes only quotes, backslashes and control characters mean something.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\%03o`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// literal doubles what would begin a macro in an attribute that Icinga looks
// for macros in.
func literal(text string) string { return strings.ReplaceAll(text, "$", "$$") }
