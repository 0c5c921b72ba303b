package icinga2_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/tutorial"
)

// The script of docs/icinga.md sends a result as the user who may do only
// that: Icinga has state, text and performance data of it, and UNKNOWN before.
func TestAResultComesInByTheAPI(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/icinga.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example.conf")
	if err != nil {
		t.Fatal(err)
	}
	users, scripts := tutorial.Blocks(string(page), "icinga"), tutorial.Blocks(string(page), "sh")
	if len(users) != 1 || len(scripts) != 1 {
		t.Fatalf("the page has %d API users and %d scripts; want one of each", len(users), len(scripts))
	}
	bed := testbed.New(t)
	live := bed.Icinga(testbed.IcingaOptions{Files: shipped(t, map[string]string{
		"site.conf": site, "example.conf": string(example),
		"live.conf": strings.Replace(users[0].Text, `"..."`, `"pass word"`, 1) + "object Host \"db1\" {\n  check_command = \"dummy\"\n  vars.passive[\"backup\"] = 30m\n  vars.passive[\"other\"] = 30m\n}\n",
	})})
	const name = "db1!passive-backup"
	live.CheckNow(name)
	if before := live.Await(patience, name, testbed.InHardState(3)); !strings.Contains(before.Output, "no result for 30 minutes") {
		t.Errorf("before any result: %q", before.Output)
	}
	plugin := bed.WriteFileFor("nagios", "check_backup", "#!/bin/sh\n[ \"$*\" = '--stanza main' ] || exit 3\necho \"BACKUP CRITICAL: main: \\\"größe\\\" | age=5s;10;20 'b c'=1\"\necho '\\_ [CRITICAL] main'\nexit 2\n", 0o755)
	netrc := bed.WriteFileFor("nagios", "netrc", "machine localhost login results password \"pass word\"\n", 0o600)
	script := bed.WriteFileFor("nagios", "send", strings.NewReplacer(
		"/usr/lib/nagios/plugins/check_backup", plugin, "/etc/belfry/icinga.netrc", netrc,
		"/etc/belfry/icinga-ca.crt", filepath.Join(live.Dir, "data", "certs", "ca.crt"), "icinga.example.org:5665", fmt.Sprintf("localhost:%d", live.Port),
	).Replace(scripts[0].Text), 0o755)
	run := func(path string) testbed.Result {
		return testbed.RunAs(t, "nagios", []string{path}, []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"})
	}
	if sent := run(script); sent.Exit != 0 {
		t.Fatalf("the script ended with %d: %s %s", sent.Exit, sent.Stdout, sent.Stderr)
	}
	got := live.Await(patience, name, testbed.InHardState(2))
	if got.Output != "BACKUP CRITICAL: main: \"größe\" \n\\_ [CRITICAL] main" || !slices.Equal(got.PerfData, []string{"age=5s;10;20", "'b c'=1"}) {
		t.Errorf("Icinga has %q and %q; want what the plugin said", got.Output, got.PerfData)
	}
	// No other service, and nothing else.
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	other := bed.WriteFileFor("nagios", "other", strings.Replace(string(text), "passive-backup", "passive-other", 1), 0o755)
	if sent := run(other); sent.Exit == 0 {
		t.Errorf("the user may send results of another service, too: %s", sent.Stdout)
	}
}
