package nagios_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/nagios"
	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/testbed"
)

// readFiles reads files of the repository, or of Debian, by pattern; the last
// element of a path is its key.
func readFiles(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("no file %s (%v): run testbed/install.sh test", pattern, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files[strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "-")] = string(text)
		}
	}
	return files
}

// debian is the configuration that Debian's packages bring: commands,
// templates, contacts and time periods.
func debian(t *testing.T) map[string]string {
	t.Helper()
	return readFiles(t, "/etc/nagios-plugins/config/*.cfg", "/etc/nagios4/objects/commands.cfg", "/etc/nagios4/objects/contacts.cfg",
		"/etc/nagios4/objects/templates.cfg", "/etc/nagios4/objects/timeperiods.cfg", "/etc/nagios4/objects/localhost.cfg")
}

// with adds files to files.
func with(files map[string]string, more ...map[string]string) map[string]string {
	for _, m := range more {
		for name, text := range m {
			files[name] = text
		}
	}
	return files
}

// The whole of what is shipped, on a Debian as it comes.
func TestNagiosAcceptsTheExampleOnDebian(t *testing.T) {
	bed := testbed.New(t)
	config := with(debian(t), readFiles(t, "*.cfg", "example/*.cfg"))
	if err := bed.VerifyNagios(testbed.NagiosOptions{Objects: config, Macros: map[string]string{"USER1": "/usr/lib/nagios/plugins"}}); err != nil {
		t.Errorf("nagios4 -v: %v", err)
	}
	// A test that cannot fail proves nothing: without the generated commands the example is refused.
	delete(config, "commands.cfg")
	if err := bed.VerifyNagios(testbed.NagiosOptions{Objects: config}); err == nil {
		t.Error("nagios4 -v accepts the templates without their commands")
	}
}

// Each way to run a check ends before the one around it.
func TestTimeLimitsFit(t *testing.T) {
	remote, nrpe := string(nagios.Remote(plugins.Catalog())), string(nagios.NRPE(plugins.Catalog()))
	for _, want := range []string{"-t 55:UNKNOWN -c '$ARG1$'", "-t 55 -U "} {
		if !strings.Contains(remote, want) {
			t.Errorf("remote.cfg has no %q", want)
		}
	}
	if !strings.Contains(nrpe, "\ncommand_timeout=50\n") {
		t.Error("nrpe/belfry.cfg sets no command_timeout=50")
	}
	for _, d := range plugins.Catalog() {
		line := "command[" + d.Plugin() + "]=/usr/lib/nagios/plugins/" + d.Plugin() + " --extra-opts=" + d.Plugin() + "@/etc/belfry/plugins.ini\n"
		if d.Timeout.Seconds() > 45 {
			line = "command[" + d.Plugin() + "]=/usr/lib/nagios/plugins/check_cron_file --file /var/lib/nagios_state/" + d.Plugin() + " "
		}
		if !strings.Contains(nrpe, line) {
			t.Errorf("nrpe/belfry.cfg has no line %q", line)
		}
	}
}

// A look that takes longer than NRPE waits is read from its file.
func TestLongLooksAreRead(t *testing.T) {
	slow := *plugins.Catalog()[0]
	slow.Name, slow.Interval, slow.Timeout = "restore", 24*3600e9, 4*3600e9
	text := string(nagios.NRPE(append(plugins.Catalog(), &slow)))
	if want := "command[check_restore]=/usr/lib/nagios/plugins/check_cron_file --file /var/lib/nagios_state/check_restore -c 259200s\n"; !strings.Contains(text, want) {
		t.Errorf("no line %q", want)
	}
}

// The INI file as it is shipped is read by every plugin, and holds no option
// that the plugin does not know.
func TestPluginsINI(t *testing.T) {
	var all strings.Builder
	for line := range strings.Lines(string(nagios.PluginsINI(plugins.Catalog()))) {
		name, value, option := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "# "), line == "#\n", !strings.HasPrefix(line, "#"):
			all.WriteString(line)
		case option && strings.TrimSpace(value) == "":
			all.WriteString(name[1:] + "=\n") // taken in: known, and not given
		default:
			all.WriteString(line[1:])
		}
	}
	bed := testbed.New(t)
	file := bed.WriteFileFor("", "plugins.ini", all.String(), 0o600)
	for _, d := range plugins.Catalog() {
		var out strings.Builder
		p := &plugin.Plugin{Definition: d, Name: d.Plugin(), Args: []string{"--extra-opts=" + d.Plugin() + "@" + file, "-t", "1s", "--state-dir", bed.Dir()}, Stdout: &out}
		p.Run(t.Context())
		if strings.Contains(out.String(), "plugins.ini") {
			t.Errorf("%s: %s", d.Plugin(), out.String())
		}
	}
}
