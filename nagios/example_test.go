package nagios_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/testbed"
)

// site is the example on a live Nagios, with Debian's own objects. The plugins
// are stand-ins that say what the test wants: what is proven here is who is
// told of what.
type site struct {
	t     *testing.T
	bed   *testbed.Bed
	live  *testbed.Nagios
	said  string // directory of what each plugin says, by name
	mails string // directory of the mails
	port  int
}

func exampleSite(t *testing.T) *site {
	bed := testbed.New(t)
	s := &site{t: t, bed: bed, said: bed.MkdirFor("root", "said", 0o755), mails: bed.MkdirFor("nagios", "mails", 0o755), port: bed.Port()}
	usr := bed.MkdirFor("root", "usr", 0o755)
	for _, c := range commandsOf(t) {
		bed.WriteFileFor("root", filepath.Join(usr, c.binary), "#!/bin/sh\nsay=${0##*/}\n"+speak(s.said), 0o755)
	}
	bed.WriteFileFor("root", filepath.Join(usr, "check_nrpe"), "#!/bin/sh\nsay=alive\nwhile [ $# -gt 0 ]; do [ \"$1\" != -c ] || say=$2; shift; done\n"+speak(s.said), 0o755)
	bed.WriteFileFor("root", filepath.Join(usr, "check_by_ssh"), "#!/bin/sh\nsay=ssh\n"+speak(s.said), 0o755)
	mail := bed.WriteFileFor("root", filepath.Join(usr, "mail"), "#!/bin/sh\n{ printf '%s\\n' \"$@\"; cat; } >"+s.mails+"/.$$ && mv "+s.mails+"/.$$ "+s.mails+"/$$\n", 0o755)
	config := with(debian(t), readFiles(t, "*.cfg", "example/*.cfg"))
	delete(config, "etc-nagios4-objects-localhost.cfg") // looks at this machine
	for name, text := range config {
		if strings.HasPrefix(name, "example-") {
			config[name] = strings.NewReplacer("192.0.2.", "127.0.0.", "check-host-alive", "return-ok", "check_tcp!5432", fmt.Sprintf("check_tcp!%d", s.port),
				"/usr/bin/mail", mail).Replace(text)
		}
	}
	s.live = bed.Nagios(testbed.NagiosOptions{Objects: config, Macros: map[string]string{"USER1": usr}, Config: map[string]string{"enable_notifications": "1", "interval_length": "1"}})
	return s
}

// speak is the rest of a stand-in: builtins of the shell only, because it runs often.
func speak(dir string) string {
	return "if [ -e " + dir + "/$say ]; then\n{ read -r code; while IFS= read -r line; do printf '%s\\n' \"$line\"; done; } <" + dir + "/$say\nexit $code\nfi\necho \"$say fine\"\n"
}

// say makes a plugin, or a command behind NRPE, say something from now on.
func (s *site) say(plugin string, state int, text string) {
	s.t.Helper()
	next := s.bed.WriteFileFor("root", filepath.Join(s.said, "."+plugin), fmt.Sprintf("%d\n%s\n", state, text), 0o644)
	if err := os.Rename(next, filepath.Join(s.said, plugin)); err != nil {
		s.t.Fatal(err)
	}
}

// told returns the mails whose subject says so.
func (s *site) told(subject string) (mails []string) {
	s.t.Helper()
	for name, text := range readDirFiles(s.t, s.mails) {
		if !strings.HasPrefix(name, ".") && strings.Contains(text, subject) {
			mails = append(mails, text)
		}
	}
	return mails
}

func (s *site) awaitMail(subject string) string {
	s.t.Helper()
	var mails []string
	testbed.WaitFor(s.t, patience, "a mail with "+subject, func() error {
		if mails = s.told(subject); len(mails) == 0 {
			return fmt.Errorf("none; Nagios says %+v", s.live.Status())
		}
		return nil
	})
	return mails[0]
}

// awaitHard waits until a service has been in a hard state of this number at
// two checks, the second of which would have told of it.
func (s *site) awaitHard(name string, state int) {
	s.t.Helper()
	var first int64
	testbed.WaitFor(s.t, patience, name+" to be in a hard state for two checks", func() error {
		got := s.live.Status()[name]
		switch {
		case got.State != state || !got.Hard:
			return fmt.Errorf("%+v", got)
		case first == 0:
			first = got.LastCheck
		}
		if got.LastCheck <= first {
			return fmt.Errorf("checked once")
		}
		return nil
	})
}

func listen(t *testing.T, port int) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// One page per outage, and none of a fault is held back for good.
func TestLiveExampleTellsOnce(t *testing.T) {
	t.Parallel()
	s := exampleSite(t)
	l := listen(t, s.port)
	for _, name := range []string{"db1/PostgreSQL port", "db1/PostgreSQL replication", "db1/Backup", "zulip1/RabbitMQ queues", "zulip1/RabbitMQ port", "zulip1/Disk", "vault/Copy of the backup", "zulip1/Send and receive time"} {
		s.live.Await(patience, name, 0)
	}

	// PostgreSQL goes down, and the replication check says so too.
	l.Close()
	s.awaitMail("PROBLEM db1/PostgreSQL port is CRITICAL")
	s.say("check_postgres_replication_lag", 2, `POSTGRES REPLICATION LAG CRITICAL: connect to "db1": 'refused' $(touch `+s.mails+`/pwned) `+"`touch "+s.mails+"/pwned`"+`; a \`)
	s.awaitHard("db1/PostgreSQL replication", 2)
	if mails := s.told("PostgreSQL replication"); len(mails) != 0 {
		t.Errorf("told of the replication while PostgreSQL is down: %q", mails)
	}
	// It is back, but the standby is not: that must be told now.
	listen(t, s.port)
	s.awaitMail("RECOVERY db1/PostgreSQL port is OK")
	mail := s.awaitMail("PROBLEM db1/PostgreSQL replication is CRITICAL")
	for _, want := range []string{"POSTGRES REPLICATION LAG CRITICAL: connect to db1", "What to do: https://github.com/belfry-monitoring/belfry/blob/main/docs/checks/postgres_replication_lag.md", "oncall@example.org", `: a \`} {
		if !strings.Contains(mail, want) {
			t.Errorf("mail %q has no %q", mail, want)
		}
	}
	if _, err := os.Stat(s.mails + "/pwned"); err == nil {
		t.Error("the output was evaluated by the shell of the notification")
	}

	// NRPE is down: one mail for the machine, none for what is behind it, but
	// still one of what its users feel.
	s.say("alive", 2, "connect to address 127.0.0.10 port 5666: Connection refused")
	for _, host := range []string{"zulip1", "db1", "db2"} {
		s.awaitMail("PROBLEM " + host + "/NRPE is CRITICAL")
	}
	for _, behind := range []string{"check_disk", "check_rabbitmq_port", "check_rabbitmq_queues", "check_rabbitmq_consumers", "check_worker_memory", "check_cron_file"} {
		s.say(behind, 3, "CHECK_NRPE: cannot connect")
	}
	s.say("check_send_receive_time", 2, "ZULIP SEND RECEIVE TIME CRITICAL: not delivered")
	s.awaitMail("PROBLEM zulip1/Send and receive time is CRITICAL")
	for _, name := range []string{"zulip1/Disk", "zulip1/RabbitMQ queues", "zulip1/RabbitMQ consumers", "zulip1/Worker memory", "db1/Backup"} {
		s.awaitHard(name, 3)
	}
	for _, name := range []string{"Disk", "RabbitMQ", "Worker memory", "Backup"} {
		if mails := s.told("/" + name); len(mails) != 0 {
			t.Errorf("told of %s while NRPE is down: %q", name, mails)
		}
	}
	s.say("alive", 0, "NRPE v4.1.0")
	s.say("check_disk", 2, "DISK CRITICAL - free space: / 1%")
	s.say("check_rabbitmq_port", 0, "fine")
	s.say("check_rabbitmq_consumers", 0, "fine")
	s.say("check_rabbitmq_queues", 2, "RABBITMQ QUEUES CRITICAL: email_senders: 40 messages and no consumer")
	s.awaitMail("PROBLEM zulip1/Disk is CRITICAL")
	s.awaitMail("PROBLEM zulip1/RabbitMQ queues is CRITICAL")
}
