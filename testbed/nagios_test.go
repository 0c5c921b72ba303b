package testbed

import (
	"strings"
	"testing"
	"time"
)

const nagiosObjects = `
define timeperiod {
  timeperiod_name always
  alias always
  sunday 00:00-24:00
  monday 00:00-24:00
  tuesday 00:00-24:00
  wednesday 00:00-24:00
  thursday 00:00-24:00
  friday 00:00-24:00
  saturday 00:00-24:00
}
define command {
  command_name notify
  command_line /bin/true
}
define contact {
  contact_name admin
  host_notification_commands notify
  service_notification_commands notify
  host_notification_period always
  service_notification_period always
  host_notification_options d
  service_notification_options c
}
define command {
  command_name up
  command_line /bin/true
}
define command {
  command_name file
  command_line SCRIPT "$ARG1$" $USER1$
}
define host {
  host_name here
  address 127.0.0.1
  check_command up
  check_interval 1
  max_check_attempts 1
  check_period always
  notification_period always
  contacts admin
}
define service {
  host_name here
  service_description file
  check_command file!FILE
  check_interval 1
  retry_interval 1
  max_check_attempts 1
  check_period always
  notification_period always
  contacts admin
}
`

const nagiosScript = `#!/bin/sh
echo "user $(id -un), $(env | cut -d= -f1 | sort | xargs)|n=1;2;3"
echo second
echo third
test -e "$1" || exit "$2"
`

func TestNagios(t *testing.T) {
	t.Parallel()
	bed := New(t)
	flag := bed.Dir() + "/flag"
	script := bed.WriteFileFor("nagios", "check_file", nagiosScript, 0o755)
	options := NagiosOptions{
		Objects: map[string]string{"all.cfg": strings.NewReplacer("FILE", flag, "SCRIPT", script).Replace(nagiosObjects)},
		Macros:  map[string]string{"USER1": "2"},
	}
	if err := bed.VerifyNagios(options); err != nil {
		t.Error(err)
	}
	n := bed.Nagios(options)
	n.Await(30*time.Second, "here", 0)
	got := n.Await(30*time.Second, "here/file", 2)
	user, err := osUser("nagios")
	if err != nil {
		t.Fatal(err)
	}
	want := NagiosState{Checked: true, State: 2, Hard: true, Output: "user " + user + ", HOME LANG PATH PWD TESTBED_DIR", LongOutput: "second\nthird", PerfData: "n=1;2;3", LastCheck: got.LastCheck}
	if got != want {
		t.Errorf("state = %+v; want %+v", got, want)
	}
	bed.WriteFileFor("nagios", flag, "", 0o644)
	n.Await(30*time.Second, "here/file", 0)
	n.Stop()

	broken := NagiosOptions{Objects: map[string]string{"all.cfg": strings.ReplaceAll(nagiosObjects, "check_command file!", "check_command nosuch!")}}
	if err := bed.VerifyNagios(broken); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("VerifyNagios of a missing command = %v; want an error that names it", err)
	}
}
