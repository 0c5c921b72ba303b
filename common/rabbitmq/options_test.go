package rabbitmq

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func optionsOf(t *testing.T, args ...string) (*Options, *Selection) {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o, s := Flags(fs), SelectionFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return o, s
}

func TestOptionsRefuse(t *testing.T) {
	user := []string{"-u", "monitor", "--password-file", "/x"}
	for _, c := range []struct {
		args []string
		says string // empty: fine
	}{
		{nil, "no user"},
		{[]string{"-u", "monitor"}, "no password"},
		{user, ""},
		{append(user, "--vhost", ""), "--vhost"},
		{append(user, "-H", ""), "--host"},
		{append(user, "-H", "http://mq"), "--host"},
		{append(user, "-H", "me:pw@mq"), "--host"},
		{append(user, "-H", "::1"), ""},
		{append(user, "-H", "[::1]"), ""},
		{append(user, "-H", "mq:15672"), "give it with --port"},
		{append(user, "-H", "[::1]:15672"), "give it with --port"},
		{append(user, "-p", "70000"), "--port"},
		{append(user, "-p", "-1"), "--port"},
		{append(user, "--ca-file", "ca.pem"), "need --tls"},
		{append(user, "--insecure"), "need --tls"},
		{append(user, "--ca-file", "ca.pem", "--tls"), ""},
	} {
		o, _ := optionsOf(t, c.args...)
		err := o.Validate()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v; want %q", c.args, err, c.says)
		}
	}
}

func TestBase(t *testing.T) {
	for _, c := range []struct {
		args         []string
		base, target string
	}{
		{nil, "http://localhost:15672/", "localhost"},
		{[]string{"--tls"}, "https://localhost:15671/", "localhost"},
		{[]string{"-H", "mq.example.org", "-p", "8080", "--path-prefix", "rabbit/"}, "http://mq.example.org:8080/rabbit", "mq.example.org"},
		{[]string{"-H", "::1", "--vhost", "shop"}, "http://[::1]:15672/", "::1/shop"},
		{[]string{"-H", "[::1]"}, "http://[::1]:15672/", "[::1]"},
	} {
		o, _ := optionsOf(t, c.args...)
		if o.base().String() != c.base || o.Target() != c.target {
			t.Errorf("%q: base %s, target %s; want %s, %s", c.args, o.base(), o.Target(), c.base, c.target)
		}
	}
}

func TestSelection(t *testing.T) {
	for _, c := range []struct {
		args []string
		name string
		want bool
	}{
		{nil, "any", true},
		{[]string{"--queue", "email_*"}, "email_senders", true},
		{[]string{"--queue", "email_*"}, "deferred_email_senders", false},
		{[]string{"--queue", "a", "--queue", "b"}, "b", true},
		{[]string{"--exclude", "*.dead"}, "mail.dead", false},
		{[]string{"--queue", "mail.*", "--exclude", "*.dead"}, "mail.dead", false},
		{[]string{"--queue", "mail.*", "--exclude", "*.dead"}, "mail.new", true},
		{[]string{"--queue", "with,comma"}, "with,comma", true},
	} {
		_, s := optionsOf(t, c.args...)
		if got := s.Selected(c.name); got != c.want {
			t.Errorf("%q: Selected(%s) = %t; want %t", c.args, c.name, got, c.want)
		}
	}
	_, s := optionsOf(t, "--queue", "a", "--queue", "b*", "--queue", "a")
	if names := s.Names(); len(names) != 1 || names[0] != "a" {
		t.Errorf("Names = %q; want a alone: no queue has the name of a glob", names)
	}
	if idle := s.Idle([]Queue{{Name: "a"}, {Name: "c"}}); len(idle) != 1 || idle[0] != "b*" {
		t.Errorf("Idle = %q; want b*", idle)
	}
	if idle := s.Idle([]Queue{{Name: "b1"}}); len(idle) != 0 {
		t.Errorf("Idle = %q with b1 there; want none", idle)
	}
	if _, excluded := optionsOf(t, "--queue", "b*", "--exclude", "b1"); len(excluded.Idle([]Queue{{Name: "b1"}})) != 1 {
		t.Error("a glob whose only queue is left out matches something; want nothing")
	}
	if _, empty := optionsOf(t, "--queue", "b*", "--allow-empty"); len(empty.Idle(nil)) != 0 {
		t.Error("a glob without queue is said with --allow-empty; want it allowed")
	}
	for _, args := range [][]string{{"--queue", "a", "--exclude", "a*"}, {"--queue", ""}, {"--exclude", ""}} {
		if _, s := optionsOf(t, args...); s.Validate() == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestWords(t *testing.T) {
	for n, want := range map[int]string{0: "0 queues", 1: "1 queue", 24: "24 queues"} {
		if got := Count(n, "queue"); got != want {
			t.Errorf("Count(%d) = %q; want %q", n, got, want)
		}
	}
	for word, want := range map[string]string{"/": "/", "shop": "shop", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'"} {
		if got := quote(word); got != want {
			t.Errorf("quote(%q) = %s; want %s", word, got, want)
		}
	}
	if got := Names([]Queue{{Name: "a"}, {Name: "b|c\n"}}); got != "a, b!c" {
		t.Errorf("Names = %q; want %q", got, "a, b!c")
	}
	if got := Names(make([]Queue, 9)); !strings.HasSuffix(got, ", ...") {
		t.Errorf("Names of nine = %q; want it cut", got)
	}
}

// Zulip's own password is used where no other is given.
func TestZulipSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zulip-secrets.conf")
	if err := os.WriteFile(path, []byte("[secrets]\nrabbitmq_password = zulips\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args           []string
		user, password string
		fails          bool
	}{
		{args: []string{"--zulip-secrets-file", path}, user: "zulip", password: "zulips"},
		{args: []string{"--zulip-secrets-file", path, "--user", "other"}, user: "other", password: "zulips"},
		{args: []string{"--zulip-secrets-file", path + ".none"}, user: "zulip", fails: true},
	} {
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		o := Flags(fs)
		if err := fs.Parse(tt.args); err != nil {
			t.Fatal(err)
		}
		if err := o.Validate(); err != nil {
			t.Errorf("Validate(%q) = %v; want nil", tt.args, err)
		}
		login, err := o.Login()
		if (err != nil) != tt.fails || err == nil && (login.User != tt.user || login.Password.Reveal() != tt.password) {
			t.Errorf("Login(%q) = %q %q, %v; want %q %q", tt.args, login.User, login.Password.Reveal(), err, tt.user, tt.password)
		}
	}
}
