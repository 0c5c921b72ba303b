package postgres

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for _, tc := range []struct {
		text, host string
		port       uint16
	}{
		{"db1", "db1", 0},
		{"db1.example.org:5433", "db1.example.org", 5433},
		{"10.0.0.5", "10.0.0.5", 0},
		{"10.0.0.5:6432", "10.0.0.5", 6432},
		{"::1", "::1", 0},
		{"[::1]", "::1", 0},
		{"[fe80::1]:5433", "fe80::1", 5433},
		{"/run/postgresql", "/run/postgresql", 0},
		{"/run/postgresql/", "/run/postgresql", 0},
		{"/run/postgresql:5433", "/run/postgresql", 5433},
		{"/run/postgresql/.s.PGSQL.5433", "/run/postgresql", 5433},
		{"/tmp/a:b", "/tmp/a:b", 0},
	} {
		host, port, err := parseAddress(tc.text)
		if err != nil || host != tc.host || port != tc.port {
			t.Errorf("parseAddress(%q) = %q, %d, %v; want %q, %d", tc.text, host, port, err, tc.host, tc.port)
		}
	}
}

func TestParseAddressRefuses(t *testing.T) {
	for _, text := range []string{
		"", "db1:", "db1:0", "db1:65536", "db1:x", ":5432", "a:b:c", "[::1", "[db1]", "[::1]x", "db 1", "db\n1", "1:2:3",
		"/run/postgresql/.s.PGSQL.x",
	} {
		if host, port, err := parseAddress(text); err == nil {
			t.Errorf("parseAddress(%q) = %q, %d; want an error", text, host, port)
		}
	}
}

func TestParseAddressKeepsSecrets(t *testing.T) {
	for _, text := range []string{"postgres://mon:hunter2@db1/postgres", "host=db1 password=hunter2", "mon:hunter2@db1"} {
		_, _, err := parseAddress(text)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("parseAddress(%q) = %v; want an error without the password", text, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, text := range []string{"db1:5433", "[::1]:5432", "/run/postgresql:5433", "::1", "a:b:c", "/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, port, err := parseAddress(text)
		if err != nil {
			return
		}
		if port == 0 {
			port = 5432
		}
		if name := (&Server{Host: host, Port: port}).String(); isSocket(host) != strings.HasPrefix(name, "/") {
			t.Errorf("parseAddress(%q) = %q, which is named %q", text, host, name)
		}
		again, samePort, err := parseAddress((&Server{Host: host, Port: port}).String())
		if err != nil || again != host || samePort != port {
			t.Errorf("parseAddress(%q) = %q, %d; its name reads back as %q, %d, %v", text, host, port, again, samePort, err)
		}
	})
}
