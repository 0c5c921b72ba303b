package nagios_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/nagios"
	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/testbed"
)

// dispatcher copies ssh/belfry_dispatch to where every user can run it.
func dispatcher(t *testing.T, bed *testbed.Bed) string {
	t.Helper()
	text, err := os.ReadFile("ssh/belfry_dispatch")
	if err != nil {
		t.Fatal(err)
	}
	return bed.WriteFileFor("root", "belfry_dispatch", string(text), 0o755)
}

// What the client sends is a name or nothing: no word of it is evaluated,
// split or matched as a pattern, and a line of the file is no shell either.
func TestDispatch(t *testing.T) {
	bed := testbed.New(t)
	script := dispatcher(t, bed)
	dir := bed.MkdirFor("nobody", "d", 0o777)
	show := bed.WriteFileFor("root", "show", "#!/bin/sh\nprintf 'SHOW OK:'\nprintf ' <%s>' \"$@\"\nexit 1\n", 0o755)
	bed.WriteFileFor("root", "plain", "#!/bin/sh\nexit 0\n", 0o644)
	pwned := filepath.Join(dir, "pwned")
	commands := bed.WriteFileFor("root", "commands.cfg", strings.Join([]string{
		"# command[comment]=" + show, "command_timeout=50", "",
		"command[check_a]=" + show + " --extra-opts=a@/x  two", "  command[check_b]=" + show + " 'quoted word' $(touch " + pwned + ") ; touch " + pwned + " * $HOME `id`",
		"command[relative]=bin/true", "command[nothing]=", "command[gone]=" + filepath.Join(dir, "gone"), "command[plain]=" + filepath.Join(bed.Dir(), "plain"),
		"command[check_a]=" + show + " second", "command[last]=" + show + " no newline",
	}, "\n"), 0o644)
	tests := []struct {
		sent string
		exit int
		out  string
	}{
		{"check_a", 1, "SHOW OK: <--extra-opts=a@/x> <two>"},
		{"check_b", 1, "SHOW OK: <'quoted> <word'> <$(touch> <" + pwned + ")> <;> <touch> <" + pwned + "> <*> <$HOME> <`id`>"},
		{"last", 1, "SHOW OK: <no> <newline>"},
		{"comment", 3, "no command[comment] in " + commands},
		{"check_c", 3, "no command[check_c]"},
		{"check", 3, "no command[check]"},
		{"relative", 3, "must begin with an absolute path"},
		{"nothing", 3, "must begin with an absolute path"},
		{"gone", 3, "gone is not there, or this user may not run it"},
		{"plain", 3, "plain is not there, or this user may not run it"},
		{"", 3, "must send the name of a command and nothing else"},
		{"check_a --extra-opts=@/etc/shadow", 3, "and nothing else"},
		{"check_a; touch " + pwned, 3, "and nothing else"},
		{"$(touch " + pwned + ")", 3, "and nothing else"},
		{"`touch " + pwned + "`", 3, "and nothing else"},
		{"check_a\ntouch " + pwned, 3, "and nothing else"},
		{"check_?", 3, "and nothing else"},
		{"check_*", 3, "and nothing else"},
		{"*", 3, "and nothing else"},
		{"[a-z]*", 3, "and nothing else"},
		{"check_a]=" + show, 3, "and nothing else"},
		{"../../bin/sh", 3, "and nothing else"},
		{"-c", 3, "no command[-c]"},
		{"chéck", 3, "and nothing else"},
		{"scp -f /etc/passwd", 3, "and nothing else"},
		{"internal-sftp", 3, "no command[internal-sftp]"},
	}
	for _, tt := range tests {
		got := testbed.RunAs(t, "nobody", []string{"/bin/sh", "-c", script + " " + commands}, []string{"SSH_ORIGINAL_COMMAND=" + tt.sent})
		if got.Exit != tt.exit || !strings.Contains(got.Stdout, tt.out) || got.Stderr != "" {
			t.Errorf("client sends %q: exit %d, %q, stderr %q; want exit %d and %q", tt.sent, got.Exit, got.Stdout, got.Stderr, tt.exit, tt.out)
		}
	}
	if _, err := os.Stat(pwned); err == nil {
		t.Error("something that was sent was evaluated")
	}
	for _, argv := range [][]string{{script}, {script, filepath.Join(dir, "gone")}, {script, dir}, {script, commands, "x"}} {
		if got := testbed.RunAs(t, "nobody", argv, []string{"SSH_ORIGINAL_COMMAND=check_a"}); got.Exit != 3 || !strings.HasPrefix(got.Stdout, "BELFRY UNKNOWN: belfry_dispatch") {
			t.Errorf("%q: exit %d, %q; want UNKNOWN and why", argv, got.Exit, got.Stdout)
		}
	}
	if got := testbed.RunAs(t, "nobody", []string{script, commands}, nil); got.Exit != 3 {
		t.Errorf("without SSH_ORIGINAL_COMMAND: exit %d, %q; want 3", got.Exit, got.Stdout)
	}
	// The generated file has no word that would need a shell.
	for line := range strings.Lines(string(nagios.NRPE(plugins.Catalog()))) {
		if strings.HasPrefix(line, "command[") && strings.ContainsAny(line, `'"\$`+"`;|&<>*?") {
			t.Errorf("a line that ssh/belfry_dispatch and NRPE's shell would read differently: %s", line)
		}
	}
}
