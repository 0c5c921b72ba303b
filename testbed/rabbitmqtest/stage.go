// Package rabbitmqtest is what the tests of all checks of RabbitMQ share: a
// broker, looks at it as its several users, and the faults that any of them
// must tell apart.
package rabbitmqtest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
	"github.com/belfry-monitoring/belfry/testbed/script"
)

// Stage is a broker and the check that looks at it.
type Stage struct {
	*testbed.RabbitMQ
	Definition *check.Definition

	bed     *testbed.Bed
	secrets map[string]string // password files by user
}

// New starts a broker for the check. It collects statistics every second
// instead of every five, for fast tests.
func New(t *testing.T, d *check.Definition, options testbed.RabbitMQOptions) *Stage {
	t.Helper()
	options.Config = append(options.Config,
		"collect_statistics_interval = 1000",
		// The longest of these and the interval counts.
		"management.sample_retention_policies.global.minute = 1",
		"management.sample_retention_policies.basic.minute = 1",
		"management.sample_retention_policies.detailed.minute = 1")
	bed := testbed.New(t)
	s := &Stage{RabbitMQ: bed.RabbitMQ(options), Definition: d, bed: bed, secrets: make(map[string]string)}
	for _, user := range []string{testbed.UserAdmin, testbed.UserMonitor, testbed.UserBlind, testbed.UserManagement, testbed.UserZulip} {
		s.secrets[user] = bed.WriteFileFor("nobody", user+".pw", s.Password(user)+"\n", 0o400)
	}
	return s
}

// To is the command line of a look at an address as the user with the
// password of another, who may be the same.
func (s *Stage) To(host string, port int, user, passwordOf string) []string {
	return []string{"-H", host, "-p", strconv.Itoa(port), "-u", user, "--password-file", s.secrets[passwordOf]}
}

// As is the command line of a look at the broker as the user.
func (s *Stage) As(user string) []string { return s.To(s.Host, s.ManagementPort, user, user) }

// Look takes one look as the monitoring user.
func (s *Stage) Look(t *testing.T, args ...string) lookat.Document {
	t.Helper()
	return lookat.Args(t, s.Definition, append(s.As(testbed.UserMonitor), args...)...)
}

// Await looks until the condition holds: statistics take a while.
func (s *Stage) Await(t *testing.T, what string, args []string, condition func(lookat.Document) bool) lookat.Document {
	t.Helper()
	var last lookat.Document
	testbed.WaitFor(t, 30*time.Second, what, func() error {
		if last = s.Look(t, args...); condition(last) {
			return nil
		}
		return fmt.Errorf("%s: %s", last.State, last.Text)
	})
	return last
}

// Is is the condition that a look has the state.
func Is(state string) func(lookat.Document) bool {
	return func(d lookat.Document) bool { return d.State == state }
}

// Want compares the state and the beginning of line 1.
func Want(t *testing.T, d lookat.Document, state, text string) {
	t.Helper()
	if d.State != state || !strings.HasPrefix(d.Text, text) {
		t.Errorf("%s: %s\nwant %s: %s", d.State, d.Text, state, text)
	}
}

// Script prepares a script: $PORT, the password in $PW, in monitor.pw and in
// the section mq of options.ini.
func (s *Stage) Script(env *testscript.Env) error {
	password := s.Password(testbed.UserMonitor)
	env.Setenv("PORT", strconv.Itoa(s.ManagementPort))
	env.Setenv("PW", password)
	return script.WriteFiles(env, map[string]string{
		"monitor.pw":  password + "\n",
		"options.ini": fmt.Sprintf("[mq]\nhost=%s\nport=%d\nuser=%s\npassword=%s\n", s.Host, s.ManagementPort, testbed.UserMonitor, password),
	})
}

// Options are those of a look as the monitoring user, as testbed/parity takes
// them, and more.
func (s *Stage) Options(more map[string][]string) map[string][]string {
	options := map[string][]string{
		"host": {s.Host}, "port": {strconv.Itoa(s.ManagementPort)}, "user": {testbed.UserMonitor}, "password-file": {s.secrets[testbed.UserMonitor]},
	}
	for name, values := range more {
		options[name] = values
	}
	return options
}

// Unprivileged runs the released binary as a user who owns nothing but the
// password file, and wants it to be fine and to begin with the text.
func (s *Stage) Unprivileged(t *testing.T, text string) {
	t.Helper()
	name := strings.ReplaceAll(s.Definition.Name, "_", "")
	binary := s.bed.Build("./plugins/" + name + "/" + s.Definition.Plugin())
	got := testbed.RunAs(t, "nobody", append([]string{binary}, s.As(testbed.UserMonitor)...), nil)
	if got.Exit != 0 || !strings.HasPrefix(got.Stdout, text) || got.Stderr != "" {
		t.Errorf("as nobody: exit %d, %q, stderr %q; want 0, %q", got.Exit, got.Stdout, got.Stderr, text)
	}
}

// StatisticsOff tells the broker to collect no statistics, until restored.
func (s *Stage) StatisticsOff() (restore func()) {
	const set = "application:set_env(rabbitmq_management_agent, disable_metrics_collector, %t)."
	s.Ctl("eval", fmt.Sprintf(set, true))
	return func() { s.Ctl("eval", fmt.Sprintf(set, false)) }
}
