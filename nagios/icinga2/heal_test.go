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

// notified makes Icinga write a line for each notification of a service, and
// returns its configuration and what reads the lines.
func notified(t *testing.T, bed *testbed.Bed) (config string, lines func() []string) {
	t.Helper()
	path := bed.WriteFileFor("nagios", "notified", "", 0o644)
	config = fmt.Sprintf(`
object NotificationCommand "note" {
  command = [ "/bin/sh", "-c", "echo \"$$1\" >>'%s'", "note", "$notification.type$ $service.name$ $service.state$: $service.output$" ]
}
object User "operator" { }
apply Notification "note" to Service {
  command = "note"
  users = [ "operator" ]
  interval = 0
  assign where true
}
`, path)
	return config, func() []string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
}

// awaitLine waits for a notification that starts with text.
func awaitLine(t *testing.T, lines func() []string, text string) string {
	t.Helper()
	var found string
	testbed.WaitFor(t, patience, "a notification "+text, func() error {
		at := slices.IndexFunc(lines(), func(l string) bool { return strings.HasPrefix(l, text) })
		if at < 0 {
			return fmt.Errorf("there are %q", lines())
		}
		found = lines()[at]
		return nil
	})
	return found
}

// A server breaks and heals: OK, CRITICAL, hard after its attempts, one
// notification; what needs the server is CRITICAL and notifies nobody; then
// OK again, with a notification. A server that hangs is told by the plugin,
// not by Icinga's own timeout.
func TestAServerBreaksAndHeals(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	server := bed.Postgres(testbed.PostgresOptions{})
	binary := bed.Build("./plugins/postgresreplicationlag/check_postgres_replication_lag")
	password := bed.WriteFileFor("nagios", "pg-password", server.Password(testbed.RoleMonitor)+"\n", 0o600)
	config, lines := notified(t, bed)
	// Looks come when the test asks for them, so that their order is known.
	entry := fmt.Sprintf(`{
    host = "$address$"
    port = %d
    user = %q
    password_file = %s
    standbys = 0
    timeout = 5
    check_interval = 1d
    retry_interval = 1d
`, server.Port, testbed.RoleMonitor, literal(password))
	config += fmt.Sprintf(`
object Host "db" {
  check_command = "dummy"
  address = "127.0.0.1"
  vars.belfry.postgres_replication_lag["free"] = %s  }
  vars.belfry.postgres_replication_lag["needing"] = %s    needs = "postgresql"
  }
}
object Service "postgresql" {
  host_name = "db"
  check_command = "tcp"
  vars.tcp_port = %d
  check_interval = 1d
  retry_interval = 1d
}
`, entry, entry, server.Port)
	live := bed.Icinga(testbed.IcingaOptions{
		Files: shipped(t, map[string]string{"live.conf": config}), Constants: map[string]string{"BelfryPluginDir": filepath.Dir(binary)},
	})
	live.CheckAllNow()
	const free, needing, parent = "db!postgres_replication_lag-free", "db!postgres_replication_lag-needing", "db!postgresql"
	for _, name := range []string{parent, free, needing} {
		live.Await(patience, name, testbed.InHardState(0))
	}
	server.Stop()
	if down := live.Look(patience, parent); down.State != 2 || down.Hard {
		t.Errorf("%s: %+v; want it CRITICAL, softly", parent, down)
	}
	for _, name := range []string{free, needing} {
		soft := live.Look(patience, name)
		if soft.State != 2 || soft.Hard || !strings.HasPrefix(soft.Output, "POSTGRES REPLICATION LAG CRITICAL") || !strings.Contains(soft.Output, "connection refused") {
			t.Errorf("%s after one look: hard %t, %q; want it soft, and the refused connection", name, soft.Hard, soft.Output)
		}
		live.Look(patience, name)
		if hard := live.Look(patience, name); hard.State != 2 || !hard.Hard {
			t.Errorf("%s after three looks: %+v; want it CRITICAL, hard", name, hard)
		}
	}
	line := awaitLine(t, lines, "PROBLEM postgres_replication_lag-free CRITICAL: POSTGRES REPLICATION LAG CRITICAL: ")
	if !strings.Contains(line, "connection refused") {
		t.Errorf("the notification says %q; want the cause", line)
	}
	server.Start()
	for _, name := range []string{parent, free, needing} {
		if healed := live.Look(patience, name); healed.State != 0 || !healed.Hard {
			t.Errorf("%s on the healed server: %+v; want it OK", name, healed)
		}
	}
	awaitLine(t, lines, "RECOVERY postgres_replication_lag-free OK: POSTGRES REPLICATION LAG OK")

	server.Freeze()
	hung := live.Look(patience, free)
	server.Thaw()
	if hung.State != 2 || !strings.HasPrefix(hung.Output, "POSTGRES REPLICATION LAG CRITICAL") || !strings.Contains(hung.Output, "timed out") {
		t.Errorf("a server that hangs: %q; want the plugin's own words", hung.Output)
	}
	for _, l := range lines() {
		if strings.Contains(l, "needing") {
			t.Errorf("%q; want no notification of what needs a server that is down", l)
		}
	}
}

// What is still wrong when the thing that it needs is mended does notify:
// one fault must not hide another for good. WARNING and UNKNOWN of what is
// needed hide nothing. Results come in by the API, as from cron.
func TestWhatIsNeededHidesOnlyItsOwnFault(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	config, lines := notified(t, bed)
	config += `
template Service "passive" {
  host_name = "h"
  check_command = "passive"
  enable_active_checks = false
  max_check_attempts = 1
}
object Host "h" { check_command = "dummy" }
object Service "cause" { import "passive" }
object Service "effect" {
  import "passive"
  vars.belfry_needs = { "h cause" = [ "h", "cause" ] }
}
`
	live := bed.Icinga(testbed.IcingaOptions{Files: shipped(t, map[string]string{"live.conf": config})})
	say := func(service string, state int, text string) {
		t.Helper()
		live.Action("process-check-result", map[string]any{
			"type": "Service", "service": "h!" + service, "exit_status": state, "plugin_output": text, "performance_data": []string{"a=1;2;3", "'b c'=4s"},
		})
		got := live.Await(patience, "h!"+service, testbed.InState(state))
		if got.Output != text || !slices.Equal(got.PerfData, []string{"a=1;2;3", "'b c'=4s"}) {
			t.Errorf("%s: %+v; want %q and its performance data", service, got, text)
		}
	}
	say("cause", 0, "fine\nlong")
	say("effect", 0, "fine")
	for _, state := range []int{1, 3} {
		say("cause", state, "not quite")
		say("effect", 2, fmt.Sprintf("beside %d", state))
		awaitLine(t, lines, fmt.Sprintf("PROBLEM effect CRITICAL: beside %d", state))
		say("effect", 0, "fine")
	}
	say("cause", 2, "down")
	say("effect", 2, "because of it, or not")
	awaitLine(t, lines, "PROBLEM cause CRITICAL: down")
	say("cause", 0, "up")
	say("effect", 2, "for another reason")
	awaitLine(t, lines, "PROBLEM effect CRITICAL: for another reason")
	for _, l := range lines() {
		if strings.Contains(l, "because of it") {
			t.Errorf("%q while the cause was down", l)
		}
	}
}
