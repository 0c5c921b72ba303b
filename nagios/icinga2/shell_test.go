package icinga2_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/plugin/reparse"
	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// instance is an entry of a host's dictionary and what its look says.
type instance struct {
	check, name, config string
	want                check.State
	line                string // part of line 1
}

// Every CheckCommand runs the real plugin, in good and bad health: state,
// exit code, text and performance data as Icinga parsed them are what the
// plugin printed for it, and what it says at a shell with the same options.
func TestEveryCommandSaysWhatItSaysAtAShell(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	server := bed.Postgres(testbed.PostgresOptions{})
	password := bed.WriteFileFor("nagios", "pg-password", server.Password(testbed.RoleMonitor)+"\n", 0o600)
	wrong := bed.WriteFileFor("nagios", "wrong-password", "wrong\n", 0o600)
	dumps := bed.MkdirFor("nagios", "größte Sicherung; $HOME", 0o755)
	dump := bed.WriteFileFor("nagios", filepath.Join(dumps, "a.sql"), "-- PostgreSQL database dump\nSELECT 1;\n-- PostgreSQL database dump complete\n", 0o644)
	if err := os.Chtimes(dump, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	bed.Worker(testbed.WorkerOptions{Name: "worker", Argv: testbed.ZulipWorker("icinga_" + filepath.Base(bed.Dir()))})
	workers := "pattern = " + literal("icinga_"+filepath.Base(bed.Dir())) + "\n skip = \"oom_kills\"\n expect = " // the kernel's kills are the machine's
	jobs := bed.MkdirFor("nagios", "jobs", 0o755)
	bed.WriteFileFor("nagios", filepath.Join(jobs, "check-backup"), fmt.Sprintf("%d|1|WARNING|größe ; $x\n", time.Now().Unix()), 0o644)
	bed.WriteFileFor("nagios", filepath.Join(jobs, "check-old"), fmt.Sprintf("%d|0|OK|all is well\n", time.Now().Unix()-600), 0o644)
	chat := zulipserver.StartTest(t, zulipserver.Options{})
	zuliprc := bed.WriteFileFor("nagios", "bot.zuliprc", chat.Zuliprc(chat.AddUser(zulipserver.User{Email: "bot@chat.example.org", Bot: true})), 0o400)
	closed := fmt.Sprint(bed.Port()) // reserved, and nobody listens

	postgres := fmt.Sprintf("host = \"127.0.0.1\"\n port = %d\n user = %q\n", server.Port, testbed.RoleMonitor)
	instances := []instance{
		{"postgres_replication_lag", "alone", postgres + "password_file = " + literal(password) + "\n standbys = 0", check.OK, "POSTGRES REPLICATION LAG OK"},
		{"postgres_replication_lag", "missing", postgres + "password_file = " + literal(password) + "\n standbys = 1\n verbose = 2", check.Critical, "standby"},
		{"postgres_replication_lag", "limits", postgres + "password_file = " + literal(password) + "\n standbys = 0\n warning = { standbys = \"@0\" }\n severity = [ \"no_timeout=ok\" ]", check.Warning, "standbys"},
		{"postgres_replication_lag", "secret", postgres + "password = " + literal(server.Password(testbed.RoleMonitor)) + "\n standbys = 0", check.OK, "POSTGRES REPLICATION LAG OK"},
		{"postgres_replication_lag", "refused", postgres + "password_file = " + literal(wrong) + "\n standbys = 0", check.Unknown, "password"},
		{"postgres_replication_lag", "typo", postgres + "standbys = 0\n critical = \"replay_lagg=5\"", check.Unknown, "replay_lagg"},
		{"rabbitmq_queues", "down", "host = \"127.0.0.1\"\n port = " + closed + "\n user = \"m\"\n password_file = " + literal(wrong), check.Critical, "connection refused"},
		{"rabbitmq_consumers", "down", "host = \"127.0.0.1\"\n port = " + closed + "\n user = \"m\"\n password_file = " + literal(wrong) + "\n expect = [ \"a=1\", \"b=1:\" ]", check.Critical, "connection refused"},
		{"send_receive_time", "chat", "sender_zuliprc = " + literal(zuliprc) + "\n receiver_zuliprc = " + literal(zuliprc) + "\n warning = 15\n critical = 18", check.OK, "ZULIP SEND RECEIVE TIME OK"},
		{"backup", "dumps", "path = [ " + literal(dumps) + " ]\n stat_only = true\n warning = { completed = \"2h\" }", check.OK, "BACKUP OK"},
		{"backup", "young", "path = " + literal(dumps) + "\n critical = [ \"backups=5:\", \"completed=26h\" ]", check.Critical, "below 5"},
		{"cron_file", "jobs", "file = " + literal(filepath.Join(jobs, "check-*")) + "\n critical = { written = \"1h\", \"written{file=check-o*}\" = \"5min\" }", check.Critical, "check-old: age"},
		{"cron_file", "warns", "file = " + literal("backup="+filepath.Join(jobs, "check-backup")), check.Warning, "backup: größe ; $x"},
		{"worker_memory", "workers", workers + "1", check.OK, "WORKER MEMORY OK"},
		{"worker_memory", "few", workers + "\"900:\"", check.Critical, "900"},
	}
	var config strings.Builder
	config.WriteString("object Host \"h\" {\n  check_command = \"dummy\"\n")
	for _, i := range instances {
		fmt.Fprintf(&config, "  vars.belfry.%s[%q] = {\n %s\n }\n", i.check, i.name, i.config)
	}
	config.WriteString("}\n")
	// Other names, and checks that have no instance above, run bare.
	binaries := bed.MkdirFor("nagios", "plugins", 0o755)
	said := bed.MkdirFor("nagios", "said", 0o755)
	home, memory, shellMemory := bed.MkdirFor("nagios", "home", 0o755), bed.MkdirFor("nagios", "memory", 0o700), bed.MkdirFor("nagios", "shell-memory", 0o700)
	names := make(map[string]bool) // services
	for _, d := range plugins.Catalog() {
		real := bed.Build("./plugins/" + plugins.Folder(d) + "/" + d.Plugin())
		for _, name := range append([]string{d.Plugin()}, d.Aliases...) {
			// What the plugin prints for Icinga is kept.
			bed.WriteFileFor("nagios", filepath.Join(binaries, name), fmt.Sprintf(`#!/bin/sh
into=$(mktemp %[1]s/XXXXXX)
HOME=%[2]s BELFRY_STATE_DIR=%[5]s %[3]s "$@" >"$into.stdout"
code=$?
printf '%%s\0' '%[4]s' "$@" >"$into.argv"
cat "$into.stdout"
exit $code
`, said, home, real, filepath.Join(binaries, name), memory), 0o755)
			bare := "bare " + name
			names["h!"+bare] = true
			fmt.Fprintf(&config, "object Service %q {\n  host_name = \"h\"\n  check_command = %q\n  check_interval = 1h\n  vars.belfry_%s_timeout = 5\n}\n", bare, name, d.Name)
		}
	}
	for _, i := range instances {
		names["h!"+i.check+"-"+i.name] = true
	}
	// The example's options and limits are such as the plugins know, whatever
	// they find on this machine.
	example, err := os.ReadFile("example.conf")
	if err != nil {
		t.Fatal(err)
	}
	live := bed.Icinga(testbed.IcingaOptions{
		Files: shipped(t, map[string]string{"live.conf": config.String(), "site.conf": site, "example.conf": string(example)}), Constants: map[string]string{"BelfryPluginDir": binaries},
	})
	live.CheckAllNow()
	states := make(map[string]testbed.IcingaState)
	for name := range names {
		states[name] = live.Await(patience, name, testbed.Checked)
	}
	for name := range live.Status() {
		if strings.HasPrefix(name, "zulip!") && !strings.HasPrefix(name, "zulip!machine-") {
			s := live.Await(patience, name, testbed.Checked)
			if strings.Contains(s.Output, "option") || strings.Contains(s.Output, "no metric") || strings.Contains(s.Output, "no finding") || s.Output == "" {
				t.Errorf("example.conf, %s: %q", name, s.Output)
			}
		}
	}
	live.Stop()
	printed := outputs(t, said)
	for _, i := range instances {
		s := states["h!"+i.check+"-"+i.name]
		first, _, _ := strings.Cut(s.Output, "\n")
		if check.State(s.State) != i.want || !strings.Contains(first, i.line) {
			t.Errorf("%s %s: state %d, %q; want %s with %q", i.check, i.name, s.State, first, i.want, i.line)
		}
	}
	for name := range names {
		s := states[name]
		if s.State != s.Exit {
			t.Errorf("%s: state %d of exit code %d", name, s.State, s.Exit)
		}
		mine := printed[strings.Join(s.Command, "\x00")]
		if !slices.ContainsFunc(mine, func(text string) bool { return text == printedAs(t, s, text) }) {
			t.Errorf("%s: Icinga has %q and %q; the plugin printed %q", name, s.Output, s.PerfData, mine)
		}
		// At a shell. What a bare check looks at is the machine's and changes.
		if strings.HasPrefix(name, "h!bare") {
			continue
		}
		// Its memory is its own: what it remembers of Icinga's look would make
		// it another one.
		environment := []string{"HOME=" + home, "BELFRY_STATE_DIR=" + shellMemory, "PATH=/usr/bin:/bin"}
		if strings.HasSuffix(name, "-secret") {
			environment = append(environment, "PGPASSWORD="+server.Password(testbed.RoleMonitor))
		}
		shell := testbed.RunAs(t, "nagios", s.Command, environment)
		if shell.Exit != s.State || title(shell.Stdout) != title(s.Output) {
			t.Errorf("%s: state %d, %q; at a shell %d, %q", name, s.State, title(s.Output), shell.Exit, title(shell.Stdout))
		}
		out, err := reparse.Parse([]byte(shell.Stdout))
		if err != nil {
			t.Errorf("%s: at a shell %q: %v", name, shell.Stdout, err)
			continue
		}
		var labels, want []string
		for _, v := range out.Perfdata {
			want = append(want, v.Label)
		}
		for _, p := range s.PerfData {
			label, _, _ := strings.Cut(p, "=")
			labels = append(labels, strings.Trim(label, "'"))
		}
		if !slices.Equal(labels, want) {
			t.Errorf("%s: performance data of %q; at a shell of %q", name, labels, want)
		}
	}
}

// title is line 1 up to what was measured.
func title(output string) string {
	head, _, _ := strings.Cut(output, ":")
	return head
}

// printedAs puts together again what Icinga took apart: text if nothing of it
// was lost or changed.
func printedAs(t *testing.T, s testbed.IcingaState, text string) string {
	t.Helper()
	first, long, _ := strings.Cut(s.Output, "\n")
	if len(s.PerfData) > 0 {
		first += "| " + strings.Join(s.PerfData, " ")
	}
	if long != "" {
		first += "\n" + long
	}
	return strings.TrimSuffix(first, "\n") + "\n"
}

// outputs are what was printed for each command line.
func outputs(t *testing.T, dir string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.argv"))
	if err != nil {
		t.Fatal(err)
	}
	printed := make(map[string][]string)
	for _, f := range files {
		text, err := os.ReadFile(strings.TrimSuffix(f, ".argv") + ".stdout")
		if err != nil {
			t.Fatal(err)
		}
		command := strings.Join(recorded(t, f), "\x00")
		printed[command] = append(printed[command], string(text))
	}
	return printed
}
