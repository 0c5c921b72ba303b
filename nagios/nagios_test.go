package nagios_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/nagios"
	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/testbed"
)

// objects are the files an operator loads, from the repository.
func objects(t *testing.T, more map[string]string) map[string]string {
	t.Helper()
	files := map[string]string{"site.cfg": testbed.NagiosSite}
	for _, name := range []string{"commands.cfg", "templates.cfg", "service.cfg", "remote.cfg"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	for name, text := range more {
		files[name] = text
	}
	return files
}

// Every macro of a command is quoted, every option comes from a variable, no
// secret can be given, and every variable is one that the template defines.
func TestCommandsAreSafe(t *testing.T) {
	commands := string(nagios.Commands(plugins.Catalog()))
	templates := string(nagios.Templates(plugins.Catalog()))
	macro := regexp.MustCompile(`\$_SERVICE([A-Z0-9_]+)\$`)
	for _, line := range strings.Split(commands, "\n") {
		if !strings.Contains(line, "command_line") {
			continue
		}
		unquoted := regexp.MustCompile(`'[^']*'`).ReplaceAllString(line, "")
		if strings.Contains(strings.Replace(unquoted, "$USER1$", "", 1), "$") {
			t.Errorf("a macro outside quotes: %s", line)
		}
		if len(line) > 4096 {
			t.Errorf("command line of %d bytes; Nagios takes 8192 after expansion", len(line))
		}
		for _, m := range macro.FindAllStringSubmatch(line, -1) {
			if !strings.Contains(templates, "  _"+m[1]+" ") {
				t.Errorf("no template defines _%s", m[1])
			}
		}
	}
	for _, d := range plugins.Catalog() {
		flags := plugin.Flags(d)
		for _, v := range nagios.Variables(d) {
			if options.IsSecret(flags.Lookup(v.Option)) {
				t.Errorf("%s offers the secret --%s", d.Plugin(), v.Option)
			}
		}
	}
}

// A live Nagios runs the generated command as the user nagios and sees the
// server come and go.
func TestLiveNagiosSeesTheServerComeAndGo(t *testing.T) {
	bed := testbed.New(t)
	server := bed.Postgres(testbed.PostgresOptions{})
	binary := bed.Build("./plugins/postgresreplicationlag/check_postgres_replication_lag")
	password := bed.WriteFileFor("nagios", "pg-password", server.Password(testbed.RoleMonitor)+"\n", 0o600)
	config := objects(t, map[string]string{"live.cfg": fmt.Sprintf(`
define host {
  host_name              db
  address                127.0.0.1
  check_command          nobody-is-told
  max_check_attempts     1
  check_period           24x7
  notification_period    24x7
  contacts               operator
}
define service {
  use                    belfry-postgres-replication-lag
  host_name              db
  service_description    variables
  check_interval         2
  retry_interval         1
  _HOST                  127.0.0.1:%d
  _USER                  %s
  _PASSWORD_FILE         %s
  _STANDBYS              0
}
define service {
  use                    belfry-postgres-replication-lag
  host_name              db
  service_description    address
  check_command          check_postgres_replication_lag_at_address
  check_interval         2
  retry_interval         1
  _PORT                  %d
  _USER                  %s
  _PASSWORD_FILE         %s
  _STANDBYS              0
  _WARNING               standbys=@1:
  _SEVERITY              no_timeout=ok
}
`, server.Port, testbed.RoleMonitor, password, server.Port, testbed.RoleMonitor, password)})
	live := bed.Nagios(testbed.NagiosOptions{Objects: config, Macros: map[string]string{"USER1": filepath.Dir(binary)}})
	const patience = 30 * time.Second
	for _, name := range []string{"db/variables", "db/address"} {
		fine := live.Await(patience, name, 0)
		if !strings.HasPrefix(fine.Output, "POSTGRES REPLICATION LAG OK") || !strings.Contains(fine.PerfData, "=") {
			t.Errorf("%s: %q, perfdata %q; want the OK line with its perfdata", name, fine.Output, fine.PerfData)
		}
	}
	server.Stop()
	for _, name := range []string{"db/variables", "db/address"} {
		if down := live.Await(patience, name, 2); !strings.Contains(down.Output, "connection refused") {
			t.Errorf("%s: %q; want it to say that the connection is refused", name, down.Output)
		}
	}
	server.Start()
	live.Await(patience, "db/variables", 0)
	live.Await(patience, "db/address", 0)
}
