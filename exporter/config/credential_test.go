package config

import (
	"strings"
	"testing"
)

func TestCredentialPath(t *testing.T) {
	for _, tt := range []struct{ dir, name, want, err string }{
		{"/run/credentials/x.service", "postgres", "/run/credentials/x.service/postgres", ""},
		{"/run/credentials/x.service", "a.b-c_d", "/run/credentials/x.service/a.b-c_d", ""},
		{"", "postgres", "", "no credentials here"},
		{"/run/credentials/x.service", "", "", "write credential:NAME"},
		{"/run/credentials/x.service", "..", "", "write credential:NAME"},
		{"/run/credentials/x.service", "../../etc/shadow", "", "write credential:NAME"},
		{"/run/credentials/x.service", "/etc/shadow", "", "write credential:NAME"},
	} {
		got, err := credentialPath(tt.dir, tt.name)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("credentialPath(%q, %q) = %q, %v; want %q, %q", tt.dir, tt.name, got, err, tt.want, tt.err)
		}
	}
}

// Options name credentials as the unit does; the secret itself may look like
// one.
func TestCredentials(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "/run/credentials/belfry-exporter.service")
	const text = `checks:
- check: fake_queue
  target: a
  options: {host: ["credential:x", "b"], password-file: "credential:mq"}
- check: fake_queue
  target: b
  options: {password: "credential:mq"}
`
	c, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, one := range c.Checks {
		for _, v := range one.values {
			got[one.Target+" "+v.Name] = strings.Join(v.Items, " ")
		}
	}
	for name, want := range map[string]string{
		"a host": "/run/credentials/belfry-exporter.service/x b", "a password-file": "/run/credentials/belfry-exporter.service/mq", "b password": "credential:mq",
	} {
		if got[name] != want {
			t.Errorf("option %s = %q; want %q", name, got[name], want)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := parse(text); err == nil || !strings.Contains(err.Error(), ":4: option password-file: credential:mq: no credentials here: they come from systemd, with LoadCredential=mq:FILE in the unit") {
		t.Errorf("without CREDENTIALS_DIRECTORY: %v; want each named with its line", err)
	}
}
