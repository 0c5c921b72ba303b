package nagios_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// A list in one custom variable arrives as it was written: Nagios takes no
// character out of it.
func TestLiveNagiosHandsOverRealms(t *testing.T) {
	bed := testbed.New(t)
	binary := bed.Build("./plugins/sendreceivetime/check_send_receive_time")
	servers := make(map[string]*zulipserver.Server)
	var realms []string
	for _, name := range []string{"prod", "lab"} {
		s := zulipserver.StartTest(t, zulipserver.Options{})
		file := bed.WriteFileFor("nagios", name+".zuliprc", s.Zuliprc(s.AddUser(zulipserver.User{Email: name + "-bot@chat.example.org", Bot: true})), 0o400)
		servers[name], realms = s, append(realms, name+"="+file+","+file)
	}
	config := objects(t, map[string]string{"live.cfg": fmt.Sprintf(`
define host {
  host_name              chat
  address                127.0.0.1
  check_command          nobody-is-told
  max_check_attempts     1
  check_period           24x7
  notification_period    24x7
  contacts               operator
}
define service {
  use                    belfry-send-receive-time
  host_name              chat
  service_description    realms
  check_interval         2
  retry_interval         1
  _REALM                 %s
  _STAGING               lab
  _CRITICAL              end_to_end{realm=prod}=6
}
`, strings.Join(realms, " "))})
	live := bed.Nagios(testbed.NagiosOptions{Objects: config, Macros: map[string]string{"USER1": filepath.Dir(binary)}})
	const patience = 30 * time.Second
	fine := live.Await(patience, "chat/realms", 0)
	if !strings.HasPrefix(fine.Output, "ZULIP SEND RECEIVE TIME OK: delivered in 2 realms, slowest ") || !strings.Contains(fine.PerfData, "'end_to_end lab'=") || !strings.Contains(fine.PerfData, ";3;6") {
		t.Errorf("%q, perfdata %q; want both realms and their values", fine.Output, fine.PerfData)
	}
	servers["lab"].Fail(zulipserver.Every, zulipserver.Page(502))
	if staging := live.Await(patience, "chat/realms", 1); !strings.Contains(staging.Output, "WARNING: lab: register an event queue at ") {
		t.Errorf("%q; want the staging realm as a warning", staging.Output)
	}
	servers["prod"].Fail(zulipserver.Every, zulipserver.Page(502))
	if down := live.Await(patience, "chat/realms", 2); !strings.Contains(down.Output, "CRITICAL: prod: register an event queue at ") {
		t.Errorf("%q; want the realm that is down", down.Output)
	}
}
