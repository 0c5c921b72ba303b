package icinga2_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/testbed"
)

// What docs/icinga.md says of Icinga's own ways: values that do not arrive as
// they were meant, and outputs that no plugin of ours makes.
func TestTrapsThatThePageNames(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	dir := bed.MkdirFor("nagios", "plugins", 0o755)
	plugin := func(name, text string) {
		bed.WriteFileFor("nagios", filepath.Join(dir, name), "#!/bin/sh\n"+text+"\n", 0o755)
	}
	plugin("check_backup", `printf 'OK:'; printf ' <%s>' "$@"`)
	plugin("hangs", `exec sleep 300`)
	long := "LONG CRITICAL: größer als; \"x\" $y <z> | a=1\n" + strings.Repeat("\\_ [CRITICAL] a row of many, with ; and 'quotes'\n", 75)
	bed.WriteFileFor("nagios", filepath.Join(dir, "rows"), long, 0o644)
	plugin("long", "cat '"+filepath.Join(dir, "rows")+"'; exit 2")
	plugin("odd", `echo 'odd | a=10;10:20;@5;0;100 b=7;8;9 c=1x'; exit 42`)
	values := map[string]struct{ set, want string }{
		"large":     {`vars.belfry_backup_repo = 1000000000`, "<--repo> <1000000000>"},
		"fraction":  {`vars.belfry_backup_repo = 0.25`, "<--repo> <0.25"},
		"tiny":      {`vars.belfry_backup_repo = 0.0000005`, "<--repo> <0.000000"},
		"pairs":     {`vars.belfry_backup_warning = { b = 1, "a{x=*}" = "5:" }`, "<--warning> <a{x=*}=5:> <--warning> <b=1>"},
		"duration":  {`vars.belfry_backup_timeout = 1m`, "<--timeout> <60>"},
		"dollar":    {`vars.belfry_backup_ignore = "x$$"`, "<--ignore> <x$>"},
		"macro":     {`vars.belfry_backup_host = "$address$"`, "<--host> <10.0.0.5>"},
		"no macro":  {`vars.belfry_backup_host = "$adress$"`, "OK:"},
		"no switch": {`vars.belfry_backup_verify = "yes"`, "OK:"},
		"switch":    {`vars.belfry_backup_verify = 1`, "<--verify>"},
	}
	config := fmt.Sprintf(`
object Host "h" {
  check_command = "dummy"
  address = "10.0.0.5"
}
object CheckCommand "hangs" {
  command = [ "%[1]s/hangs" ]
  timeout = 1s
}
object CheckCommand "odd" { command = [ "%[1]s/odd" ] }
object CheckCommand "long" { command = [ "%[1]s/long" ] }
object CheckCommand "missing" { command = [ "%[1]s/missing" ] }
`, dir)
	for _, name := range []string{"hangs", "odd", "long", "missing"} {
		config += fmt.Sprintf("object Service %q {\n  host_name = \"h\"\n  check_command = %q\n}\n", name, name)
	}
	for name, v := range values {
		config += fmt.Sprintf("object Service %q {\n  host_name = \"h\"\n  check_command = \"check_backup\"\n  %s\n}\n", name, v.set)
	}
	live := bed.Icinga(testbed.IcingaOptions{Files: shipped(t, map[string]string{"live.conf": config}), Constants: map[string]string{"BelfryPluginDir": dir}})
	live.CheckAllNow()
	for name, v := range values {
		got := live.Await(patience, "h!"+name, testbed.Checked).Output
		if v.want == "OK:" && strings.Contains(got, "<-") || !strings.Contains(got, v.want) {
			t.Errorf("%s: the plugin was called with %q; want %q", v.set, got, v.want)
		}
	}
	for name, want := range map[string]string{
		"hangs": "<Timeout exceeded.>", "odd": "odd", "missing": "execvpe",
	} {
		if got := live.Await(patience, "h!"+name, testbed.InState(3)); !strings.Contains(got.Output, want) {
			t.Errorf("%s: %q; want UNKNOWN with %q", name, got.Output, want)
		}
	}
	if got := live.Status()["h!odd"]; got.Exit != 42 || !slices.Equal(got.PerfData, []string{"a=10;10:20;@5;0;100", "b=7;8;9", "c=1x"}) {
		t.Errorf("exit code 42: %+v; want it kept, with the performance data", got)
	}
	if got := live.Await(patience, "h!long", testbed.InState(2)); got.Output+"\n" != strings.Replace(long, "| a=1", "", 1) || !slices.Equal(got.PerfData, []string{"a=1"}) {
		t.Errorf("a long output arrives as %q and %q", got.Output, got.PerfData)
	}
}
