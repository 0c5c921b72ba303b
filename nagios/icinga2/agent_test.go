package icinga2_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/testbed"
)

// A check with command_endpoint runs on the agent, with the agent's own
// plugins, and gets the options that the master knows, those too that a
// function of the CheckCommand makes.
func TestAnAgentRunsTheCheck(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	seen := bed.MkdirFor("nagios", "seen", 0o755)
	recorders := bed.MkdirFor("nagios", "plugins", 0o755)
	bed.WriteFileFor("nagios", filepath.Join(recorders, "check_backup"), fmt.Sprintf("#!/bin/sh\nprintf '%%s\\0' \"$@\" >'%[1]s/argv.'$$\nmv '%[1]s/argv.'$$ '%[1]s/argv'\necho \"BACKUP OK: on the agent | age=5s;10;20\"\n", seen), 0o755)
	commands, err := os.ReadFile("belfry-commands.conf")
	if err != nil {
		t.Fatal(err)
	}
	port := bed.Port()
	zones := func(address string) string {
		return fmt.Sprintf("object Endpoint \"master\" { }\nobject Zone \"master\" { endpoints = [ \"master\" ] }\n"+
			"object Endpoint \"agent\" { %s }\nobject Zone \"agent\" {\n  endpoints = [ \"agent\" ]\n  parent = \"master\"\n}\n", address)
	}
	bed.Icinga(testbed.IcingaOptions{
		Name: "agent", Port: port, Zones: zones(""), Files: map[string]string{"belfry-commands.conf": string(commands)},
		Constants: map[string]string{"BelfryPluginDir": recorders},
	})
	master := bed.Icinga(testbed.IcingaOptions{
		Name: "master", Zones: zones(fmt.Sprintf("host = \"127.0.0.1\"\n  port = %d", port)), Files: shipped(t, map[string]string{"live.conf": `
object Host "h" {
  check_command = "dummy"
  address = "10.0.0.5"
  vars.belfry.backup["x"] = {
    host = [ "$address$", "a b" ]
    stanza = "größe"
    verify = true
    archiving = false
    warning = { age = "26h", copies = "2:" }
    critical = [ "age=50h" ]
    extra_opts = "main@/etc/belfry/plugins.ini"
    verbose = 2
    password = "secret"
    command_endpoint = "agent"
    check_interval = 2s
    retry_interval = 1s
  }
}
`})})
	const name = "h!backup-x"
	testbed.WaitFor(t, patience, "the agent's connection", func() error {
		master.CheckNow(name)
		return master.Try(name, testbed.InState(0))
	})
	state := master.Await(patience, name, testbed.InState(0))
	if strings.TrimSpace(state.Output) != "BACKUP OK: on the agent" || !slices.Equal(state.PerfData, []string{"age=5s;10;20"}) {
		t.Errorf("%+v; want what the plugin on the agent says", state)
	}
	got := recorded(t, filepath.Join(seen, "argv"))
	want := []string{
		"--critical", "age=50h", "--extra-opts=main@/etc/belfry/plugins.ini", "--host", "10.0.0.5", "--host", "a b", "--stanza", "größe",
		"--verbose=2", "--verify", "--warning", "age=26h", "--warning", "copies=2:",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the agent's plugin was called with %q; want %q", got, want)
	}
}

// The services of example.conf that go through NRPE and SSH call Debian's
// plugins as they want to be called, and have interval and page of the check.
func TestRemoteServicesOfTheExample(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	dir := bed.MkdirFor("nagios", "plugins", 0o755)
	for _, name := range []string{"check_nrpe", "check_by_ssh"} {
		bed.WriteFileFor("nagios", filepath.Join(dir, name), "#!/bin/sh\nprintf '<%s>' \"$@\"\n", 0o755)
	}
	example, err := os.ReadFile("example.conf")
	if err != nil {
		t.Fatal(err)
	}
	live := bed.Icinga(testbed.IcingaOptions{Constants: map[string]string{"PluginDir": dir}, Files: shipped(t, map[string]string{
		"site.conf": site, "example.conf": string(example), "live.conf": `
object Host "far" {
  check_command = "dummy"
  address = "10.0.0.5"
  vars.nrpe["backup"] = "check_backup"
  vars.ssh["worker-memory"] = [ "/usr/lib/nagios/plugins/check_worker_memory", "--expect=15", "--pattern=a b" ]
}
`})})
	for name, want := range map[string]string{
		"far!nrpe-backup":       "<-H><10.0.0.5><-c><check_backup><-t><55:3>",
		"far!ssh-worker-memory": "<-C><'/usr/lib/nagios/plugins/check_worker_memory' '--expect=15' '--pattern=a b'><-H><10.0.0.5><-l><nagios><-t><55>",
	} {
		if got := live.Look(patience, name); got.Output != want {
			t.Errorf("%s calls %s; want %s", name, got.Output, want)
		}
	}
	answer := string(live.Get("/v1/objects/services/far!nrpe-backup?attrs=check_interval&attrs=notes_url&attrs=groups"))
	for _, want := range []string{`"check_interval":300`, "/docs/checks/backup.md", `"belfry-backup"`} {
		if !strings.Contains(answer, want) {
			t.Errorf("the service is %s; want it to have %s", answer, want)
		}
	}
}
