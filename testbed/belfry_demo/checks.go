package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/scene"
)

// settings are the checks of the demonstration, with the files that the
// account may read.
func (s *stage) settings(account string) []scene.Setting {
	file := s.files[account]
	broker := scene.One(map[string]string{"host": s.broker.Host, "port": strconv.Itoa(s.broker.ManagementPort), "user": "monitor", "password-file": file["rabbitmq"]})
	return []scene.Setting{
		{Check: "send_receive_time", Target: "zulip", Options: scene.One(map[string]string{
			"sender-zuliprc": file["sender.zuliprc"], "receiver-zuliprc": file["receiver.zuliprc"]})},
		{Check: "postgres_replication_lag", Target: "replication", Options: scene.One(map[string]string{
			"host": fmt.Sprintf("%s:%d,%s:%d", s.primary.Host, s.primary.Port, s.standby.Host, s.standby.Port), "user": "monitor", "password-file": file["postgres"], "standbys": "1"})},
		{Check: "rabbitmq_queues", Target: "queues", Options: broker},
		{Check: "rabbitmq_consumers", Target: "consumers", Options: broker},
		{Check: "backup", Target: "pgbackrest", Options: scene.One(s.backrestOptions(account))},
		{Check: "backup", Target: "dumps", Options: scene.One(map[string]string{"path": s.dumps})},
		{Check: "worker_memory", Target: "workers"},
		{Check: "cron_file", Target: "copy-uploads", Options: scene.One(map[string]string{"file": s.verdict})},
	}
}

// backrestOptions: only the repository's owner may ask pgBackRest; the others
// read what the owner's cron has written.
func (s *stage) backrestOptions(account string) map[string]string {
	if account == s.backrest.Account {
		return map[string]string{"stanza": s.backrest.Stanza, "config": s.backrest.ConfigFile}
	}
	return map[string]string{"stanza": s.backrest.Stanza, "json-file": s.backrestInfo}
}

// head is the exporter's configuration before the checks.
const head = "defaults:\n  interval: 10s\n  timeout: 9s\nspread: 2s\n"

// nagiosObjects are the generated commands and templates, and a service for
// each check.
func nagiosObjects(settings []scene.Setting) (map[string]string, error) {
	objects := map[string]string{"site.cfg": testbed.NagiosSite, "host.cfg": host}
	for _, name := range []string{"commands.cfg", "templates.cfg", "service.cfg"} {
		text, err := os.ReadFile("nagios/" + name)
		if err != nil {
			return nil, fmt.Errorf("%w: run it from the root of the repository", err)
		}
		objects[name] = string(text)
	}
	var b strings.Builder
	for _, c := range settings {
		fmt.Fprintf(&b, "define service {\n  use                  belfry-%s\n  host_name            demo\n  service_description  %s\n  check_interval       10\n  retry_interval       5\n",
			strings.ReplaceAll(c.Check, "_", "-"), c.Target)
		for _, name := range c.Names() {
			fmt.Fprintf(&b, "  _%s  %s\n", strings.ToUpper(strings.ReplaceAll(name, "-", "_")), strings.Join(c.Options[name], ","))
		}
		b.WriteString("}\n")
	}
	objects["services.cfg"] = b.String()
	return objects, nil
}

// host is the machine of the demonstration as Nagios knows it.
const host = `define host {
  host_name            demo
  address              127.0.0.1
  check_command        nobody-is-told
  max_check_attempts   1
  check_period         24x7
  notification_period  24x7
  contacts             operator
}
`
