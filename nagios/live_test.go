package nagios_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/nagios"
	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/testbed"
)

// patience bounds the waiting for Nagios on a slow machine.
const patience = 90 * time.Second

// hostHere is the host of the live tests.
const hostHere = `
define host {
  host_name              here
  address                127.0.0.1
  check_command          nobody-is-told
  max_check_attempts     1
  check_period           24x7
  notification_period    24x7
  contacts               operator
}
`

// command is one of commands.cfg.
type command struct {
	name, binary string
	definition   *check.Definition
	options      []string
}

// commandsOf reads all commands as Nagios does.
func commandsOf(t *testing.T) []command {
	t.Helper()
	text := string(nagios.Commands(plugins.Catalog()))
	var all []command
	for _, m := range regexp.MustCompile(`command_name +(\S+)\n  command_line  \$USER1\$/(\S+)(.*)\n`).FindAllStringSubmatch(text, -1) {
		c := command{name: m[1], binary: m[2]}
		for _, o := range regexp.MustCompile(`--([a-z0-9-]+)='([^']*)'`).FindAllStringSubmatch(m[3], -1) {
			c.options = append(c.options, o[1]+" "+o[2])
		}
		i := slices.IndexFunc(plugins.Catalog(), func(d *check.Definition) bool {
			return d.Plugin() == c.binary || slices.Contains(d.Aliases, c.binary)
		})
		if i < 0 {
			t.Fatalf("command %s runs %s, which is no plugin", c.name, c.binary)
		}
		c.definition = plugins.Catalog()[i]
		all = append(all, c)
	}
	if len(all) < len(plugins.Catalog()) {
		t.Fatalf("found %d commands for %d checks", len(all), len(plugins.Catalog()))
	}
	return all
}

func template(d *check.Definition) string { return "belfry-" + strings.ReplaceAll(d.Name, "_", "-") }

// Every command, run by a live Nagios with every variable of its template set
// to something odd, hands each option to the plugin as it was written: but for
// the characters of illegal_macro_output_chars, which Nagios takes out of
// custom variables.
func TestLiveNagiosHandsOverEveryOption(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	dir := bed.MkdirFor("nagios", "argv", 0o777)
	strip := strings.NewReplacer("`", "", "~", "", "$", "", "&", "", "|", "", "'", "", `"`, "", "<", "", ">", "")
	const odd = ` "d" \ é | & < > # ! * ? [x] ~ %s ` + "`id`" + ` =,{a=b}`
	var services strings.Builder
	services.WriteString(hostHere)
	made := map[string]bool{}
	for _, c := range commandsOf(t) {
		if !made[c.binary] {
			made[c.binary] = true
			bed.WriteFileFor("root", c.binary, "#!/bin/sh\nprintf '%s\\n' \"$@\" >"+dir+"/$$.tmp && mv "+dir+"/$$.tmp "+dir+"/$$\necho fine\n", 0o755)
		}
		fmt.Fprintf(&services, "define service {\n  use %s\n  host_name here\n  service_description %s\n  check_command %s\n  check_interval 30\n", template(c.definition), c.name, c.name)
		for _, o := range c.options {
			option, macro, _ := strings.Cut(o, " ")
			if name, ok := strings.CutPrefix(macro, "$_SERVICE"); ok {
				fmt.Fprintf(&services, "  _%s %s %s%s\n", strings.TrimSuffix(name, "$"), c.name, option, odd)
			}
		}
		services.WriteString("}\n")
	}
	live := bed.Nagios(testbed.NagiosOptions{Objects: objects(t, map[string]string{"live.cfg": services.String()}), Macros: map[string]string{"USER1": bed.Dir()}})
	for _, c := range commandsOf(t) {
		live.Await(patience, "here/"+c.name, 0)
	}
	got := map[string][]string{}
	for _, text := range readDirFiles(t, dir) {
		args := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		for _, arg := range args {
			if _, value, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(arg, "--timeout=") {
				name, _, _ := strings.Cut(value, " ")
				got[name] = args
			}
		}
	}
	for _, c := range commandsOf(t) {
		var want []string
		for _, o := range c.options {
			option, macro, _ := strings.Cut(o, " ")
			value := c.name + " " + option + strip.Replace(strings.TrimRight(odd, " "))
			if macro == "$HOSTADDRESS$" {
				value = "127.0.0.1"
			}
			want = append(want, "--"+option+"="+value)
		}
		if len(got[c.name]) != len(want) {
			t.Errorf("%s got %d words: %q; want %d", c.name, len(got[c.name]), got[c.name], len(want))
			continue
		}
		for i := range want {
			if got[c.name][i] != want[i] {
				t.Errorf("%s got %q; want %q", c.name, got[c.name][i], want[i])
			}
		}
	}
}

func readDirFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // renamed meanwhile
		} else if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(text)
	}
	return files
}

// Every command run by a live Nagios, and every check through NRPE and through
// ssh: state, text, long text and performance data as Nagios parsed them are
// what the plugin said, byte for byte.
func TestLiveNagiosShowsWhatThePluginSays(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	said := bed.MkdirFor("root", "said", 0o777)
	usr := bed.MkdirFor("root", "usr", 0o755)
	values := realOptions(t, bed)
	ini := strings.Builder{}
	ini.Write(nagios.PluginsINI(plugins.Catalog()))
	for _, d := range plugins.Catalog() {
		real := bed.Build("./plugins/" + plugins.Folder(d) + "/" + d.Plugin())
		for _, name := range append([]string{d.Plugin()}, d.Aliases...) {
			// It keeps a copy of what the plugin said.
			bed.WriteFileFor("root", filepath.Join(usr, name), fmt.Sprintf("#!/bin/sh\nout=$(mktemp %s/%s.XXXXXX)\n%s \"$@\" >\"$out\"\ncode=$?\ncat \"$out\"\necho \"exit $code\" >>\"$out\"\nmv \"$out\" \"$out.done\"\nexit $code\n",
				said, d.Plugin(), real), 0o755)
		}
		fmt.Fprintf(&ini, "\n[%s]\n", d.Plugin())
		for option, value := range values[d.Name] {
			fmt.Fprintf(&ini, "%s=%s\n", option, value)
		}
	}
	for _, name := range []string{"check_nrpe", "check_by_ssh"} {
		if err := os.Symlink("/usr/lib/nagios/plugins/"+name, filepath.Join(usr, name)); err != nil {
			t.Fatal(err)
		}
	}
	remote := strings.ReplaceAll(string(nagios.NRPE(plugins.Catalog())), "/usr/lib/nagios/plugins", usr)
	nrpeINI := bed.WriteFileFor("nagios", "nrpe.ini", ini.String(), 0o600)
	nrpe := bed.NRPE(testbed.NRPEOptions{Commands: map[string]string{"belfry.cfg": strings.ReplaceAll(remote, "/etc/belfry/plugins.ini", nrpeINI)}})
	sshINI := bed.WriteFileFor(sshAccount, "ssh.ini", ini.String(), 0o600)
	commands := bed.WriteFileFor("root", "commands.cfg", strings.ReplaceAll(remote, "/etc/belfry/plugins.ini", sshINI), 0o644)
	ssh := bed.SSH(sshAccount, dispatcher(t, bed)+" "+commands)

	var services strings.Builder
	services.WriteString(hostHere)
	var names []string
	service := func(name, template string, d *check.Definition, lines ...string) {
		names = append(names, name)
		fmt.Fprintf(&services, "define service {\n  use %s\n  host_name here\n  service_description %s\n  check_interval 30\n  retry_interval 30\n  %s\n}\n", template, name, strings.Join(lines, "\n  "))
	}
	plugin := map[string]string{}
	for _, c := range commandsOf(t) {
		lines := []string{"check_command " + c.name}
		for option, value := range values[c.definition.Name] {
			if !strings.HasSuffix(c.name, "_at_address") || option != "host" {
				lines = append(lines, "_"+strings.ToUpper(strings.ReplaceAll(option, "-", "_"))+" "+value)
			}
		}
		service(c.name, template(c.definition), c.definition, lines...)
		plugin[c.name] = c.definition.Plugin()
	}
	for _, d := range plugins.Catalog() {
		service(d.Name+"-nrpe", template(d)+"-nrpe", d, fmt.Sprintf("_NRPE_PORT %d", nrpe.Port))
		service(d.Name+"-ssh", template(d)+"-ssh", d, fmt.Sprintf("_SSH_PORT %d", ssh.Port), "_SSH_USER "+ssh.User, "_SSH_KEY "+ssh.KeyFile, "_SSH_KNOWN_HOSTS "+ssh.KnownHosts)
		plugin[d.Name+"-nrpe"], plugin[d.Name+"-ssh"] = d.Plugin(), d.Plugin()
	}
	live := bed.Nagios(testbed.NagiosOptions{Objects: objects(t, map[string]string{"live.cfg": services.String()}), Macros: map[string]string{"USER1": usr}})
	states := map[string]testbed.NagiosState{}
	testbed.WaitFor(t, 2*patience, "a result of every service", func() error {
		states = live.Status()
		for _, name := range names {
			if !states["here/"+name].Checked {
				return fmt.Errorf("none of %s", name)
			}
		}
		return nil
	})
	outputs := readDirFiles(t, said)
	seen := map[int]bool{}
	for _, name := range names {
		got := states["here/"+name]
		seen[got.State] = true
		if !slices.ContainsFunc(sortedKeys(outputs), func(file string) bool {
			return strings.HasPrefix(file, plugin[name]+".") && strings.HasSuffix(file, ".done") && got.Same(outputs[file])
		}) {
			t.Errorf("%s: Nagios shows\n%+v\nand %s has said nothing of the kind:\n%s", name, got, plugin[name], filter(outputs, plugin[name]+"."))
		}
		t.Logf("%s: %d %.120s", name, got.State, got.Output)
	}
	for state := range 4 {
		if !seen[state] {
			t.Errorf("no service is in state %d; the proof should have all four", state)
		}
	}
	for _, name := range []string{"check_cron_file", "cron_file-nrpe", "cron_file-ssh"} {
		if got := states["here/"+name]; !strings.Contains(got.Output, "odd: ") || !strings.Contains(got.Output, `é “q” "d" 's' `) || !strings.Contains(got.PerfData, ";") || got.LongOutput == "" {
			t.Errorf("%s: %+v; want the odd characters, performance data and rows", name, got)
		}
	}
}

// sshAccount is a user with a shell, whom a key may log in as.
const sshAccount = "postgres"

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func filter(m map[string]string, prefix string) string {
	var b strings.Builder
	for _, k := range sortedKeys(m) {
		if strings.HasPrefix(k, prefix) {
			b.WriteString(k + ": " + m[k])
		}
	}
	return b.String()
}

// realOptions are the options of a real look for each check that has some:
// with what there is on any machine, in good and bad health. A check that is
// not here says which option it lacks, which is as good to compare.
func realOptions(t *testing.T, bed *testbed.Bed) map[string]map[string]string {
	t.Helper()
	jobs := bed.MkdirFor("root", "jobs", 0o755)
	now := time.Now().Unix()
	bed.WriteFileFor("root", jobs+"/odd", fmt.Sprintf("%d|2|CRITICAL|é “q” \"d\" 's' a|b=1;2 c;d <x> $(id) `id` \\ \\n %%s ~ # ! %s\n", now, strings.Repeat("long ", 200)), 0o644)
	bed.WriteFileFor("root", jobs+"/warns", fmt.Sprintf("%d|1|warning|large\n", now), 0o644)
	bed.WriteFileFor("root", jobs+"/fine", fmt.Sprintf("%d|0|OK|fine\n", now), 0o644)
	dumps := bed.MkdirFor("root", "dumps", 0o755)
	dump := bed.WriteFileFor("root", dumps+"/zulip.sql", strings.Repeat("-- dump\n", 400), 0o644)
	if err := os.Chtimes(dump, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	nobody := fmt.Sprint(bed.Port())
	return map[string]map[string]string{
		"backup":                   {"path": dumps + "/*.sql", "stat-only": "true"},
		"cron_file":                {"file": jobs, "critical": "1d"},
		"postgres_replication_lag": {"host": "127.0.0.1", "port": nobody, "user": "monitor"},
		"rabbitmq_consumers":       {"host": "127.0.0.1", "port": nobody, "user": "monitor"},
		"rabbitmq_queues":          {"host": "127.0.0.1", "port": nobody},
		// More than fits into 4,096 bytes.
		"worker_memory": {"pattern": ".", "user": "root", "warning": "1B", "critical": "1TB"},
	}
}
