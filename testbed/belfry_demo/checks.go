package main

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/testbed"
)

// setting is one configured check, for both faces.
type setting struct {
	check, target string
	options       map[string]string
}

// settings are the checks of the demonstration, with the files that the
// account may read.
func (s *scene) settings(account string) []setting {
	file := s.files[account]
	broker := map[string]string{"host": s.broker.Host, "port": strconv.Itoa(s.broker.ManagementPort), "user": "monitor", "password-file": file["rabbitmq"]}
	return []setting{
		{"send_receive_time", "zulip", map[string]string{"sender-zuliprc": file["sender.zuliprc"], "receiver-zuliprc": file["receiver.zuliprc"]}},
		{"postgres_replication_lag", "replication", map[string]string{
			"host": fmt.Sprintf("%s:%d,%s:%d", s.primary.Host, s.primary.Port, s.standby.Host, s.standby.Port), "user": "monitor", "password-file": file["postgres"], "standbys": "1"}},
		{"rabbitmq_queues", "queues", broker},
		{"rabbitmq_consumers", "consumers", broker},
		{"backup", "pgbackrest", s.backrestOptions(account)},
		{"backup", "dumps", map[string]string{"path": s.dumps}},
		{"worker_memory", "workers", nil},
	}
}

// backrestOptions: only the repository's owner may ask pgBackRest; the others
// read what the owner's cron has written.
func (s *scene) backrestOptions(account string) map[string]string {
	if account == s.backrest.Account {
		return map[string]string{"stanza": s.backrest.Stanza, "config": s.backrest.ConfigFile}
	}
	return map[string]string{"stanza": s.backrest.Stanza, "json-file": s.backrestInfo}
}

// exporterConfig writes the checks as the exporter's YAML.
func exporterConfig(settings []setting) string {
	var b strings.Builder
	b.WriteString("defaults:\n  interval: 10s\n  timeout: 9s\nspread: 2s\nchecks:\n")
	for _, c := range settings {
		fmt.Fprintf(&b, "  - check: %s\n    target: %s\n", c.check, c.target)
		if len(c.options) > 0 {
			b.WriteString("    options:\n")
		}
		for _, name := range names(c.options) {
			fmt.Fprintf(&b, "      %s: %q\n", name, c.options[name])
		}
	}
	return b.String()
}

// nagiosObjects are the generated commands and templates, and a service for
// each check.
func nagiosObjects(settings []setting) (map[string]string, error) {
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
			strings.ReplaceAll(c.check, "_", "-"), c.target)
		for _, name := range names(c.options) {
			fmt.Fprintf(&b, "  _%s  %s\n", strings.ToUpper(strings.ReplaceAll(name, "-", "_")), c.options[name])
		}
		b.WriteString("}\n")
	}
	objects["services.cfg"] = b.String()
	return objects, nil
}

func names(options map[string]string) []string {
	list := make([]string, 0, len(options))
	for name := range options {
		list = append(list, name)
	}
	sort.Strings(list)
	return list
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
