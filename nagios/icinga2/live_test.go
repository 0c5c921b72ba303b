package icinga2_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/nagios/icinga2"
	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/testbed"
)

const patience = time.Minute

// site is what Debian's conf.d brings and the example stands on.
const site = `
template Host "generic-host" {
  check_command = "dummy"
  check_interval = 1h
}
template Notification "mail-service-notification" {
  command = "mail-service-notification"
}
object NotificationCommand "mail-service-notification" {
  command = [ "/bin/true" ]
}
object UserGroup "icingaadmins" { }
object User "icingaadmin" {
  groups = [ "icingaadmins" ]
}
`

func TestIcingaAcceptsTheFiles(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	example, err := os.ReadFile("example.conf")
	if err != nil {
		t.Fatal(err)
	}
	output, err := bed.VerifyIcinga(testbed.IcingaOptions{Files: shipped(t, map[string]string{
		"site.conf": site, "example.conf": string(example),
		// What the example mentions and its host has not.
		"more.conf": `
object Host "more" {
  import "generic-host"
  vars.machine = true
  vars.ntp_server = "ntp.example.org"
  vars.nrpe["backup"] = "check_backup"
  vars.ssh["worker-memory"] = [ "check_worker_memory", "--expect=15" ]
  vars.passive["nightly"] = 25h
}`})})
	if err != nil {
		t.Fatalf("icinga2 daemon -C: %v", err)
	}
	for _, want := range []string{"Instantiated 20 Services", "Instantiated 5 Dependencies", "Instantiated 20 Notifications"} {
		if !strings.Contains(output, want) {
			t.Errorf("icinga2 daemon -C lacks %q:\n%s", want, output)
		}
	}
}

// odd are values that a configuration language, a macro processor or a shell
// could spoil.
func odd() []string {
	return []string{
		"two words", `q"u'o`, "a;b", "$HOME", "größer als 10 €", "-5:5", "~:10", `back\slash\n`, "{{{x}}}", "a=b,c=d", "*", "`id`", "$(id)", "<>&", "",
		"line\nbreak", "-", "--x", "trailing ", strings.Repeat("long ", 400),
	}
}

// literal writes a value in Icinga's language, with dollars doubled as an
// operator has to.
func literal(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "$", "$$").Replace(value) + `"`
}

// settings give every option of a check a value, odd wherever its flag takes
// one, and say what must arrive: items of a flag, and of the environment.
func settings(d *check.Definition, start int) (config string, want map[string][]string, env map[string]string) {
	want, env = make(map[string][]string), make(map[string]string)
	var b strings.Builder
	flags := plugin.Flags(d)
	next := start
	one := func(f *pflag.Flag) string {
		for _, candidate := range append(append(slices.Clone(odd()[next%len(odd()):]), odd()...), "7", "90s", "critical", "http://proxy.example.org:3128") {
			next++
			if f.Value.Set(candidate) == nil {
				return candidate
			}
		}
		return ""
	}
	for _, o := range icinga2.Options(d) {
		f := flags.Lookup(o.Name)
		var value string
		switch o.Kind {
		case icinga2.Secret:
			value = literal("se$cret " + o.Key)
			for _, name := range o.Env {
				env[name] = "se$cret " + o.Key
			}
		case icinga2.Switch:
			value = "true"
			want[o.Name] = []string{"true"}
		case icinga2.List, icinga2.Glued:
			items := []string{one(f), one(f), one(f)}
			if o.Kind == icinga2.Glued {
				items = slices.DeleteFunc(items, func(s string) bool { return s == "" })
			}
			want[o.Name] = items
			var literals []string
			for _, i := range items {
				literals = append(literals, literal(i))
			}
			value = "[ " + strings.Join(literals, ", ") + " ]"
		case icinga2.Pairs:
			value = `{ "a{label=x*}" = "10:20", b = 5, c = "ok" }`
			want[o.Name] = []string{"a{label=x*}=10:20", "b=5", "c=ok"}
		default:
			v := one(f)
			want[o.Name] = []string{v}
			value = literal(v)
		}
		fmt.Fprintf(&b, "  vars.%s = %s\n", o.Variable, value)
	}
	return b.String(), want, env
}

// Every CheckCommand hands every option over as it was written: the recorder
// in the plugin's place notes its arguments and environment, and the flags of
// the real plugin take them.
func TestEveryCommandHandsOverEveryOption(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	seen := bed.MkdirFor("nagios", "seen", 0o755)
	recorders := bed.MkdirFor("nagios", "plugins", 0o755)
	var config strings.Builder
	config.WriteString("object Host \"h\" {\n  check_command = \"dummy\"\n}\n")
	type row struct {
		d    *check.Definition
		want map[string][]string
		env  map[string]string
	}
	rows := make(map[string]row)
	for n, d := range plugins.Catalog() {
		for m, name := range append([]string{d.Plugin()}, d.Aliases...) {
			bed.WriteFileFor("nagios", filepath.Join(recorders, name), fmt.Sprintf(`#!/bin/sh
call=all
[ $# -gt 0 ] || call=none
# A second call must not be read half.
printf '%%s\0' "$@" >'%[1]s/%[2]s.'$$
env -0 >'%[1]s/%[2]s.'$$.env
mv '%[1]s/%[2]s.'$$ '%[1]s/%[2]s.'$call
mv '%[1]s/%[2]s.'$$.env '%[1]s/%[2]s.'$call.env
echo "recorded | a=1;2;3 'b c'=4s"
`, seen, name), 0o755)
			set, want, env := settings(d, 7*n+3*m)
			rows[name] = row{d, want, env}
			fmt.Fprintf(&config, "object Service %q {\n  host_name = \"h\"\n  check_command = %q\n%s}\n", name+" all", name, set)
			fmt.Fprintf(&config, "object Service %q {\n  host_name = \"h\"\n  check_command = %q\n", name+" none", name)
			for _, o := range icinga2.Options(d) {
				switch o.Kind {
				case icinga2.Switch:
					fmt.Fprintf(&config, "  vars.%s = false\n", o.Variable)
				case icinga2.List, icinga2.Pairs, icinga2.Glued:
					fmt.Fprintf(&config, "  vars.%s = [ ]\n", o.Variable)
				}
			}
			config.WriteString("}\n")
		}
	}
	live := bed.Icinga(testbed.IcingaOptions{
		Files: shipped(t, map[string]string{"live.conf": config.String()}), Constants: map[string]string{"BelfryPluginDir": recorders},
	})
	live.CheckAllNow()
	for name, r := range rows {
		for _, call := range []string{"all", "none"} {
			state := live.Await(patience, "h!"+name+" "+call, testbed.Checked)
			if state.State != 0 || strings.TrimSpace(state.Output) != "recorded" || !slices.Equal(state.PerfData, []string{"a=1;2;3", "'b c'=4s"}) {
				t.Errorf("%s %s: state %d, %q, %q; want what the recorder says", name, call, state.State, state.Output, state.PerfData)
			}
		}
		if none := recorded(t, filepath.Join(seen, name+".none")); !slices.Equal(none, []string{""}) {
			t.Errorf("%s without options was called with %q", name, none)
		}
		args := recorded(t, filepath.Join(seen, name+".all"))
		flags := plugin.Flags(r.d)
		got := make(map[string][]string)
		if err := flags.ParseAll(args, func(f *pflag.Flag, value string) error {
			got[f.Name] = append(got[f.Name], value)
			return nil
		}); err != nil || flags.NArg() > 0 {
			t.Errorf("%s: the plugin's flags refuse %q: %v, %q left", name, args, err, flags.Args())
		}
		for flag, want := range r.want {
			if !slices.Equal(got[flag], want) {
				t.Errorf("%s: --%s arrives as %q; want %q", name, flag, got[flag], want)
			}
		}
		for flag := range got {
			if r.want[flag] == nil {
				t.Errorf("%s: --%s was not set and arrives as %q", name, flag, got[flag])
			}
		}
		if err := options.FromArgs(plugin.Flags(r.d), args); err != nil {
			t.Errorf("%s refuses %q: %v", name, args, err)
		}
		environment := recorded(t, filepath.Join(seen, name+".all.env"))
		for variable, want := range r.env {
			if !slices.Contains(environment, variable+"="+want) {
				t.Errorf("%s: the environment lacks %s=%s", name, variable, want)
			}
		}
		if text := strings.Join(args, "\n"); strings.Contains(text, "se$cret") {
			t.Errorf("%s: a secret stands on the command line: %q", name, args)
		}
	}
}

// recorded reads items that end with NUL.
func recorded(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

// Help texts are what Icinga's own reader makes of the literals.
func TestHelpSurvivesIcingasLanguage(t *testing.T) {
	const nasty = "a \"quoted\" `x`\\n $macro$ $ 'y'\nnew line\ttab {{{ three }}} // no comment /* */ größer \x01 end"
	d := &check.Definition{
		Name: "odd_help", Title: "ODD", Summary: nasty[:10], Interval: time.Minute, Timeout: time.Second,
		New: func(fs *pflag.FlagSet) check.Check { fs.String("odd", "", nasty); return nil },
	}
	bed := testbed.New(t)
	live := bed.Icinga(testbed.IcingaOptions{Files: map[string]string{"commands.conf": string(icinga2.Commands([]*check.Definition{d}))}})
	var answer struct {
		Results []struct {
			Attrs struct {
				Arguments map[string]struct{ Description string }
				Timeout   float64
			}
		}
	}
	if err := json.Unmarshal(live.Get("/v1/objects/checkcommands/check_odd_help"), &answer); err != nil || len(answer.Results) != 1 {
		t.Fatalf("read the command: %v, %d of it", err, len(answer.Results))
	}
	_, want := pflag.UnquoteUsage(plugin.Flags(d).Lookup("odd"))
	if got := answer.Results[0].Attrs.Arguments["--odd"].Description; got != want {
		t.Errorf("Icinga reads the help as %q; want %q", got, want)
	}
}

// Macros that the host has are taken.
func TestMacrosThatExistAreTaken(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	if _, err := bed.VerifyIcinga(testbed.IcingaOptions{Files: shipped(t, map[string]string{"host.conf": `
object Host "h" {
  check_command = "dummy"
  address = "10.0.0.5"
  vars.limit = "26h"
  vars.site.name = "x"
  vars.belfry.backup["x"] = {
    host = [ "$address$", "$host.name$.example.org" ]
    critical = { completed = "$limit$" }
    stanza = "a$$b$host.vars.site.name$$$"
    target = "$service.name$"
  }
}
`})}); err != nil {
		t.Error(err)
	}
}

// A dictionary that nobody understands fails the configuration.
func TestTyposAreRefused(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	for _, row := range []struct{ config, want string }{
		{`{ pasword_file = "/x" }`, "check_backup has no option 'pasword_file'"},
		{`{ critcal = 5 }`, "has no option 'critcal'"},
		{`{ verify = "yes" }`, "'verify' is true or false"},
		{`{ config = [ "a", "b" ] }`, "'config' takes one value"},
		{`{ path = { a = 1 } }`, "'path' takes a value or an array"},
		{`{ stanza = true }`, "'stanza' takes a value"},
		{`{ timeout = "30s" }`, "write 'timeout' without quotes"},
		{`{ proxy_password = "x" }`, "is given by a file: proxy_password_file"},
		{`"/var/backups"`, "is no dictionary of options"},
		{`{ stanza = "half $macro" }`, "Closing $ not found"},
		{`{ needs = "nothing" }`, "nothing"},
		{`{ host = null }`, "'host' is empty"},
		{`{ host = "" }`, "'host' is empty"},
		{`{ host = "$adress$" }`, "'host': the host has no $adress$"},
		{`{ host = "$address$" }`, "'host': the host has no $address$"}, // it has none indeed
		{`{ host = [ "a", "b $host.vars.nothing$ c" ] }`, "'host': the host has no $host.vars.nothing$"},
		{`{ critical = { completed = "$limit$" } }`, "'critical': the host has no $limit$"},
	} {
		_, err := bed.VerifyIcinga(testbed.IcingaOptions{Files: shipped(t, map[string]string{
			"host.conf": "object Host \"h\" {\n  check_command = \"dummy\"\n  vars.belfry.backup[\"x\"] = " + row.config + "\n}\n",
		})})
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("backup = %s: %v; want it refused with %q", row.config, err, row.want)
		}
	}
	for set, want := range map[string]string{
		`vars.belfry.backups["x"] = { }`:           "vars.belfry has no check 'backups'; there are backup, ",
		`vars.belfry.backup = { stanza = "main" }`: "is no dictionary of options: write vars.belfry.backup[",
		`vars.belfry.backup = [ { } ]`:             "vars.belfry.backup is no dictionary",
		`vars.belfry = [ "backup" ]`:               "vars.belfry is no dictionary",
	} {
		_, err := bed.VerifyIcinga(testbed.IcingaOptions{Files: shipped(t, map[string]string{
			"host.conf": "object Host \"h\" {\n  check_command = \"dummy\"\n  " + set + "\n}\n",
		})})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want it refused with %q", set, err, want)
		}
	}
}
