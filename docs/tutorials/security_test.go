package tutorials_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/tutorial"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// account stands for the user belfry of the tutorial, which the machine of the
// tests has not.
const account, group = "nobody", "nogroup"

// secured goes through the sections of the tutorial on security.
type secured struct {
	*testing.T
	bed      *testbed.Bed
	sections map[string]string
	tools    string // directory of what stands in for the system's programs
	bin      string // directory of the plugins
	etc      string // in place of /etc/belfry
	replace  []string
}

func newSecured(t *testing.T, plugins ...string) *secured {
	t.Helper()
	text, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	bed := testbed.New(t)
	s := &secured{T: t, bed: bed, sections: make(map[string]string), tools: bed.MkdirFor("root", "tools", 0o755), etc: filepath.Join(bed.Dir(), "etc")}
	for _, section := range strings.Split(string(text), "\n## ") {
		heading, body, _ := strings.Cut(section, "\n")
		s.sections[heading] = body
	}
	for _, p := range plugins {
		s.bin = filepath.Dir(bed.Build("./plugins/" + strings.ReplaceAll(p, "_", "") + "/check_" + p))
	}
	s.replace = []string{"/etc/belfry", s.etc}
	as := ""
	if os.Getuid() == 0 {
		as = "exec /usr/sbin/runuser -u \"$user\" -- "
		s.replace = append(s.replace, "-o belfry", "-o "+account, "-g belfry", "-g "+group)
	} else {
		as = "exec "
		s.replace = append(s.replace, "-o belfry", "", "-g belfry", "", "-o postgres", "")
	}
	s.script("runuser", `user=$2; shift 3; [ "$user" != belfry ] || user=`+account+"\n"+as+`"$@"`)
	s.run("# Security: what to grant, one product at a time")
	return s
}

// script puts a program into the way of the commands.
func (s *secured) script(name, body string) {
	s.Helper()
	s.bed.WriteFileFor("root", filepath.Join(s.tools, name), "#!/bin/sh\n"+body+"\n", 0o755)
}

// tool lets a program find its server, as it finds the system's.
func (s *secured) tool(name string, cmd *exec.Cmd, before string) {
	s.Helper()
	var body strings.Builder
	for _, pair := range cmd.Env {
		variable, value, _ := strings.Cut(pair, "=")
		fmt.Fprintf(&body, "export %s='%s'\n", variable, value)
	}
	body.WriteString("exec " + before + " " + strings.Join(cmd.Args, " ") + ` "$@"`)
	s.script(name, body.String())
}

// run goes through the blocks of a section as its reader does.
func (s *secured) run(section string) {
	s.Helper()
	body, ok := s.sections[section]
	if !ok {
		s.Fatalf("the tutorial has no section %q", section)
	}
	blocks := tutorial.Blocks(body, "sh")
	if len(blocks) == 0 {
		s.Fatalf("the section %q has no commands", section)
	}
	r := &tutorial.Reader{Dir: s.bed.Dir(), Replace: s.replace, Env: []string{"HOME=/nonexistent", "LANG=C.UTF-8", "PATH=" + s.tools + ":" + s.bin + ":/usr/sbin:/usr/bin:/sbin:/bin"}}
	s.Log(r.Run(s.T, blocks))
}

// want runs a plugin as the user belfry.
func (s *secured) want(exit int, text, plugin string, args ...string) {
	s.Helper()
	var got testbed.Result
	testbed.WaitFor(s.T, time.Minute, plugin, func() error {
		got = testbed.RunAs(s.T, account, append([]string{filepath.Join(s.bin, plugin)}, args...), []string{"HOME=/nonexistent", "PATH=/usr/bin:/bin"})
		if got.Exit != exit || !strings.Contains(got.Stdout, text) {
			return fmt.Errorf("%s %s = exit %d, %s\nwant %d, %q", plugin, strings.Join(args, " "), got.Exit, got.Stdout, exit, text)
		}
		return nil
	})
}

func TestSecurityPostgres(t *testing.T) {
	t.Parallel()
	s := newSecured(t, "postgres_replication_lag")
	primary := s.bed.Postgres(testbed.PostgresOptions{})
	standby := s.bed.Standby(primary, testbed.StandbyOptions{})
	standby.WaitStreaming()
	// A server as Debian leaves it lets nobody in from elsewhere.
	hba := filepath.Join(primary.DataDir, "pg_hba.conf")
	closed := func() {
		s.bed.WriteFileFor("postgres", hba, "local all postgres peer map=owner\nhost replication replicator 127.0.0.1/32 scram-sha-256\n", 0o600)
		primary.Exec("SELECT pg_reload_conf()")
	}
	closed()
	s.tool("psql", primary.Command(context.Background(), "psql"), "")
	address := primary.Host + ":" + strconv.Itoa(primary.Port)
	password := filepath.Join(s.etc, "postgres-password")
	s.replace = append(s.replace, "-H 127.0.0.1 -U", "-H "+address+" -U", "/etc/postgresql/15/main/pg_hba.conf", hba)
	s.run("PostgreSQL")

	args := []string{"-H", address, "-U", "belfry", "--password-file", password, "--standbys", "1"}
	const plugin = "check_postgres_replication_lag"
	s.want(0, "is primary, 1 standby", plugin, args...)
	primary.Exec("REVOKE pg_read_all_stats FROM belfry")
	s.want(3, "GRANT pg_read_all_stats TO belfry", plugin, args...)
	primary.Exec("GRANT pg_read_all_stats TO belfry")
	s.want(0, "is primary, 1 standby", plugin, args...)

	// More than that it may not.
	primary.Exec("CREATE TABLE secrets (x int)")
	secret, err := os.ReadFile(password)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"SELECT * FROM secrets", "SELECT * FROM pg_authid", "CREATE TABLE x ()", "SHOW primary_conninfo", "SELECT pg_read_file('/etc/passwd')", "SELECT pg_switch_wal()",
	} {
		argv := []string{filepath.Join(primary.BinDir, "psql"), "-h", primary.Host, "-p", strconv.Itoa(primary.Port), "-U", "belfry", "-d", "postgres", "-c", sql}
		got := testbed.RunAs(t, account, argv, []string{"HOME=/nonexistent", "PATH=/usr/bin:/bin", "PGPASSWORD=" + strings.TrimSpace(string(secret))})
		if got.Exit != 1 || !strings.Contains(got.Stderr, "ERROR:  permission denied") && !strings.Contains(got.Stderr, "ERROR:  must be superuser") {
			t.Errorf("%s as belfry = exit %d, %s%s; want it refused", sql, got.Exit, got.Stdout, got.Stderr)
		}
	}
	closed()
	s.want(3, "no pg_hba.conf entry", plugin, args...)
}

func TestSecurityRabbitMQ(t *testing.T) {
	t.Parallel()
	s := newSecured(t, "rabbitmq_queues", "rabbitmq_consumers")
	broker := s.bed.RabbitMQ(testbed.RabbitMQOptions{Queues: []testbed.Queue{{Name: "email_senders"}}})
	broker.Consume(testbed.Queue{Name: "email_senders"}, 10, 0)
	before := ""
	if os.Getuid() == 0 {
		before = "setpriv --reuid rabbitmq --regid rabbitmq --init-groups --" // keeps HOME, where the cookie lies
	}
	s.tool("rabbitmqctl", broker.Command(context.Background()), before)
	port := strconv.Itoa(broker.ManagementPort)
	s.replace = append(s.replace, "check_rabbitmq_queues -u", "check_rabbitmq_queues -H 127.0.0.1 -p "+port+" -u",
		// The broker knows the consumers of a new queue some seconds later.
		"check_rabbitmq_consumers -u", "check_rabbitmq_consumers -H 127.0.0.1 -p "+port+" -u")
	password := filepath.Join(s.etc, "rabbitmq-password")
	args := []string{"-H", "127.0.0.1", "-p", port, "-u", "belfry", "--password-file", password}
	monitor := s.bed.WriteFileFor(account, "monitor", broker.Password(testbed.UserMonitor), 0o400)
	s.want(0, "", "check_rabbitmq_consumers", "-H", "127.0.0.1", "-p", port, "-u", testbed.UserMonitor, "--password-file", monitor)
	s.run("RabbitMQ")
	for _, plugin := range []string{"check_rabbitmq_queues", "check_rabbitmq_consumers"} {
		s.want(0, "1 queue", plugin, args...)
	}

	// More than that it may not.
	secret, err := os.ReadFile(password)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []struct{ method, path, body string }{
		{http.MethodPost, "/api/exchanges/%2F/amq.default/publish", `{"properties":{},"routing_key":"email_senders","payload":"x","payload_encoding":"string"}`},
		{http.MethodPost, "/api/queues/%2F/email_senders/get", `{"count":1,"ackmode":"ack_requeue_true","encoding":"auto"}`},
		{http.MethodDelete, "/api/queues/%2F/email_senders/contents", ""},
		{http.MethodDelete, "/api/queues/%2F/email_senders", ""},
		{http.MethodPut, "/api/queues/%2F/another", "{}"},
		{http.MethodPut, "/api/users/another", `{"password":"x","tags":"administrator"}`},
	} {
		r, err := http.NewRequest(request.method, broker.ManagementURL()+request.path, strings.NewReader(request.body))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("belfry", strings.TrimSpace(string(secret)))
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode < 400 || response.StatusCode >= 500 {
			t.Errorf("%s %s as belfry = %s; want it refused", request.method, request.path, response.Status)
		}
	}
	broker.Ctl("clear_permissions", "-p", "/", "belfry")
	s.want(3, "rabbitmqctl set_permissions -p / belfry", "check_rabbitmq_queues", args...)
	s.want(3, "rabbitmqctl set_permissions -p / belfry", "check_rabbitmq_consumers", args...)
	broker.Ctl("set_permissions", "-p", "/", "belfry", "^$", "^$", "^$")
	broker.Ctl("set_user_tags", "belfry")
	s.want(3, "belfry", "check_rabbitmq_queues", args...)
}

func TestSecurityZulip(t *testing.T) {
	t.Parallel()
	s := newSecured(t, "send_receive_time")
	zulip := zulipserver.New(zulipserver.Options{})
	if err := zulip.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { zulip.Close() })
	var bots []string
	for _, name := range []string{"sender", "receiver"} {
		bot := zulip.AddUser(zulipserver.User{Email: name + "-bot@zulip.example", Bot: true})
		s.bed.WriteFileFor("root", name+".zuliprc", zulip.Zuliprc(bot), 0o600)
		bots = append(bots, "--"+name+"-zuliprc", filepath.Join(s.etc, name+".zuliprc"))
	}
	s.run("Zulip")
	s.want(0, "delivered", "check_send_receive_time", bots...)
	chmod(t, filepath.Join(s.etc, "sender.zuliprc"), 0o644)
	s.want(3, "mode 0644 lets others read or write it", "check_send_receive_time", bots...)
}

func TestSecurityBackups(t *testing.T) {
	t.Parallel()
	s := newSecured(t, "backup")
	primary := s.bed.Postgres(testbed.PostgresOptions{})
	rest := s.bed.PgBackRest(primary)
	rest.Backup("full")
	dumps, lists := filepath.Join(s.bed.Dir(), "dumps"), filepath.Join(s.bed.Dir(), "lists")
	s.replace = append(s.replace, "/var/backups/postgresql", dumps, "/var/lib/belfry-postgres", lists)
	s.tool("pg_dump", primary.Command(context.Background(), "pg_dump"), "")
	s.tool("pgbackrest", rest.Command(context.Background()), "")
	s.run("Backups")

	dump := filepath.Join(dumps, "zulip.dump")
	s.want(0, "1 backup", "check_backup", "--path", dumps)
	if os.Getuid() == 0 { // for others, the dump is their own
		chmod(t, dump, 0o600)
		s.want(3, "permission denied (user nobody; "+dump+" is postgres:"+group+" 0600", "check_backup", "--path", dumps)
		hour := time.Now().Add(-time.Hour) // else it may still be written, as far as its time and size tell
		if err := os.Chtimes(dump, time.Time{}, hour); err != nil {
			t.Fatal(err)
		}
		s.want(0, "1 backup", "check_backup", "--path", dumps, "--stat-only")
		s.want(3, "", "check_backup", "--stanza", rest.Stanza, "--config", rest.ConfigFile)
	}
	s.want(0, "1 backup", "check_backup", "--json-file", filepath.Join(lists, "main.json"), "--stanza", "main")
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
