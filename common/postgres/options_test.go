package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
)

// parse fills the options as a plugin does.
func parse(t *testing.T, args []string, env map[string]string) *Options {
	t.Helper()
	fs := pflag.NewFlagSet("check_x", pflag.ContinueOnError)
	o := Flags(fs)
	if err := options.FromArgs(fs, args); err != nil {
		t.Fatal(err)
	}
	if err := options.FromEnv(fs, func(name string) (string, bool) { v, ok := env[name]; return v, ok }); err != nil {
		t.Fatal(err)
	}
	return o
}

func write(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(t.TempDir(), name)
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// describe says all of a server that options can settle.
func describe(servers []*Server) string {
	var lines []string
	for _, s := range servers {
		name := s.String()
		if s.addr != "" {
			name += "=" + s.addr
		}
		lines = append(lines, fmt.Sprintf("%s@%s/%s %s %s", s.User, name, s.Database, s.sslMode, s.password.Reveal()))
	}
	return strings.TrimSpace(strings.Join(lines, "; "))
}

func TestServers(t *testing.T) {
	home := t.TempDir()
	write(t, filepath.Join(home, ".pgpass"), strings.Join([]string{
		"# comment", "db1:5432:postgres:mon:from\\:pgpass", "db2:*:*:mon:second", "localhost:5432:*:mon:socket", "*:*:*:other:any",
	}, "\n"), 0o600)
	write(t, filepath.Join(home, ".pg_service.conf"), "[prod]\nhost=db1,db2\nport=5444\nuser=mon\ndbname=app\nsslmode=require\npassword=service\n", 0o600)
	several := write(t, "services", "[lists]\nhost=db1,db2\nhostaddr=10.0.0.1,127.0.0.1\nport=5444,5445\nuser=mon\n", 0o644)
	uriFile := write(t, "uri", "postgresql://mon:p%40ss@db1,db2:5433/app?sslmode=require&target_session_attrs=read-write\n", 0o600)
	keywords := write(t, "keywords", "host=db1 user='m on' password='it\\'s' sslmode = disable service=lists\n", 0o600)
	passwordFile := write(t, "password", "from file\n", 0o600)
	environment := map[string]string{"PGHOST": "db9", "PGPORT": "5439", "PGUSER": "u", "PGDATABASE": "d", "PGPASSWORD": "p", "PGSSLMODE": "disable"}
	for _, tc := range []struct {
		name string
		args []string
		env  map[string]string
		want string
	}{
		{"one server", []string{"-H", "db1", "-U", "mon"}, nil, "mon@db1:5432/postgres verify-full"},
		{"several", []string{"-H", "db1", "-H", "db2:5433", "-p", "6000", "-U", "mon"}, nil,
			"mon@db1:6000/postgres verify-full ; mon@db2:5433/postgres verify-full"},
		{"commas", []string{"-H", "db1, db2", "-U", "mon"}, nil, "mon@db1:5432/postgres verify-full ; mon@db2:5432/postgres verify-full"},
		{"default socket", []string{"-U", "mon"}, nil, "mon@/var/run/postgresql:5432/postgres disable"},
		{"this machine", []string{"-H", "127.0.0.1", "-U", "mon"}, nil, "mon@127.0.0.1:5432/postgres prefer"},
		{"not verified", []string{"-H", "db1", "-U", "mon", "--insecure"}, nil, "mon@db1:5432/postgres require"},
		{"environment", nil, map[string]string{"PGHOST": "db9", "PGPORT": "5439", "PGUSER": "u", "PGDATABASE": "d", "PGPASSWORD": "p", "PGSSLMODE": "disable"},
			"u@db9:5439/d disable p"},
		{"argv beats environment", []string{"-H", "db1", "-U", "mon", "--password-file", passwordFile}, map[string]string{"PGHOST": "db9", "PGPASSWORD": "p"},
			"mon@db1:5432/postgres verify-full from file"},
		{"home", []string{"-H", "db1", "-H", "db2:1", "-H", "db3", "-H", "/run/x", "-U", "mon"}, map[string]string{"HOME": home},
			"mon@db1:5432/postgres verify-full from:pgpass; mon@db2:1/postgres verify-full second; mon@db3:5432/postgres verify-full ; mon@/run/x:5432/postgres disable socket"},
		{"explicit beats discovered", []string{"-H", "db1", "-U", "mon"}, map[string]string{"HOME": home, "PGPASSWORD": "p"}, "mon@db1:5432/postgres verify-full p"},
		{"no such home", []string{"-H", "db1", "-U", "mon"}, map[string]string{"HOME": "/nonexistent"}, "mon@db1:5432/postgres verify-full"},
		{"service", []string{"--service", "prod"}, map[string]string{"HOME": home}, "mon@db1:5444/app require service; mon@db2:5444/app require service"},
		{"lists of a service", []string{"--service", "lists", "--service-file", several}, nil,
			"mon@db1:5444=10.0.0.1/postgres verify-full ; mon@db2:5445=127.0.0.1/postgres prefer"},
		{"hosts beside lists of a service", []string{"-H", "db3", "-H", "db4", "--service", "lists", "--service-file", several}, nil,
			"mon@db3:5432/postgres verify-full ; mon@db4:5432/postgres verify-full"},
		{"lists of libpq's environment", []string{"-U", "mon"}, map[string]string{"PGHOST": "db1,db2,::1", "PGPORT": "5444,,5445"},
			"mon@db1:5444/postgres verify-full ; mon@db2:5432/postgres verify-full ; mon@[::1]:5445/postgres prefer"},
		{"URI in a file", []string{"--uri-file", uriFile}, nil, "mon@db1:5432/app require p@ss; mon@db2:5433/app require p@ss"},
		{"beside a URI", []string{"--uri-file", uriFile, "-U", "me", "-d", "other", "-H", "db3"}, nil, "me@db3:5432/other require p@ss"},
		{"keywords in a file, over a service", []string{"--uri-file", keywords, "--service-file", several}, nil, "m on@db1:5432/postgres disable it's"},
		{"URI as a server", []string{"-H", "postgres://mon@[::1]:5433,db2/app"}, nil, "mon@[::1]:5433/app prefer ; mon@db2:5432/app verify-full"},
		{"URI of a socket", []string{"-H", "postgresql://mon@%2Frun%2Fpostgresql:5433"}, nil, "mon@/run/postgresql:5433/postgres disable"},
		{"beside the service", []string{"-H", "db3:1", "-U", "me"}, map[string]string{"HOME": home, "PGSERVICE": "prod", "PGPASSWORD": "p"}, "me@db3:1/app require service"},
		{"URI over the environment", []string{"--uri-file", uriFile}, environment, "mon@db1:5432/app require p@ss; mon@db2:5433/app require p@ss"},
		{"URI as a server over the environment", []string{"-H", "postgresql://mon@db1:5433/app?sslmode=verify-full"}, environment, "mon@db1:5433/app verify-full p"},
		{"service over the environment", []string{"--service", "prod", "--home", home}, environment, "mon@db1:5444/app require service; mon@db2:5444/app require service"},
		{"environment for what a URI does not say", []string{"-H", "postgresql://db1"}, environment, "u@db1:5439/d disable p"},
	} {
		servers, err := parse(t, tc.args, tc.env).Servers()
		if got := describe(servers); err != nil || got != tc.want {
			t.Errorf("%s: Servers() = %q, %v; want %q", tc.name, got, err, tc.want)
		}
	}
}

func TestServersDefaultUser(t *testing.T) {
	t.Setenv("USER", "somebody-else")
	servers, err := parse(t, nil, nil).Servers()
	if err != nil {
		t.Fatal(err)
	}
	if want, err := systemUser(); err != nil || servers[0].User != want || want == "somebody-else" {
		t.Errorf("user = %q, %v; want the system user's name %q", servers[0].User, err, want)
	}
}

func TestServersRefuse(t *testing.T) {
	shared := write(t, "shared", "*:*:*:*:hunter2\n", 0o644)
	long := write(t, "long", strings.Repeat("hunter2 ", 8192), 0o600)
	services := write(t, "services", "[a]\npassword=hunter2\n[b]\nhost=db1\nuser=mon\n", 0o644)
	broken := write(t, "broken", "[a]\nhunter2\n", 0o600)
	for _, tc := range []struct {
		name   string
		args   []string
		want   string
		reason check.Reason
	}{
		{"twice", []string{"-H", "db1", "-H", "db1:5432"}, "server db1:5432 is given twice", check.Config},
		{"empty", []string{"-H", "db1,"}, "empty server", check.Config},
		{"port", []string{"-p", "http"}, `port "http"`, check.Config},
		{"ports", []string{"-p", "1,2"}, "host:port for each", check.Config},
		{"password in a URI", []string{"-H", "postgres://mon:hunter2@db1/postgres"}, "give --uri-file", check.Config},
		{"two connection strings", []string{"-H", "postgres://db1", "-H", "host=db2"}, "a connection string stands alone", check.Config},
		{"broken URI", []string{"-H", "postgres://mon:hunter2@db1/%zz"}, "write postgresql://user@host:port", check.Config},
		{"other URI", []string{"-H", "mysql://mon:hunter2@db1/"}, "a URI begins with postgresql://", check.Config},
		{"unknown keyword", []string{"-H", "host=db1 hunter2=hunter2"}, "a keyword that libpq does not know", check.Config},
		{"more safety than there is", []string{"-H", "host=db1 channel_binding=require"}, "channel_binding=require is not supported", check.Config},
		{"open quotes", []string{"-H", "host='db1"}, "with quotes around values", check.Config},
		{"hostaddr for one of two", []string{"-H", "host=db1,db2 hostaddr=10.0.0.1"}, "2 hosts and 1 values of hostaddr", check.Config},
		{"sslmode", []string{"-H", "db1", "--sslmode", "allow"}, `sslmode "allow" is none of`, check.Config},
		{"contradiction", []string{"-H", "db1", "--sslmode", "verify-full", "--insecure"}, "contradict", check.Config},
		{"no CA file", []string{"-H", "db1", "--ca-file", "/nonexistent"}, "/nonexistent", check.Config},
		{"no passfile", []string{"--passfile", "/nonexistent"}, "read /nonexistent", check.Config},
		{"shared passfile", []string{"--passfile", shared}, "mode 0644", check.Permission},
		{"long passfile", []string{"--passfile", long}, "a line is too long", check.Config},
		{"no service", []string{"--service", "x"}, `no service "x"`, check.Config},
		{"no service file", []string{"--service", "x", "--service-file", "/nonexistent"}, "/nonexistent", check.Config},
		{"shared password of a service", []string{"--service", "a", "--service-file", services}, "mode 0644", check.Permission},
		{"broken service file", []string{"--service", "a", "--service-file", broken}, "lines must be", check.Config},
	} {
		_, err := parse(t, append(tc.args, "-U", "mon"), nil).Servers()
		if err == nil || !strings.Contains(err.Error(), tc.want) || check.ReasonOf(err) != tc.reason || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: Servers() = %v (%s); want %q (%s) and no password", tc.name, err, check.ReasonOf(err), tc.want, tc.reason)
		}
	}
	if servers, err := parse(t, []string{"--service", "b", "--service-file", services}, nil).Servers(); err != nil {
		t.Errorf("a shared service file without a password: Servers() = %v, %v; want no error", servers, err)
	}
}

func TestNotice(t *testing.T) {
	for _, tc := range []struct{ host, mode, want string }{
		{"db1", "require", "TLS certificate not verified"}, {"db1", "prefer", "TLS certificate not verified"},
		{"db1", "verify-full", ""}, {"db1", "verify-ca", ""}, {"db1", "disable", ""}, {"127.0.0.1", "prefer", ""}, {"localhost", "require", ""},
	} {
		servers, err := parse(t, []string{"-H", tc.host, "--sslmode", tc.mode, "-U", "mon"}, nil).Servers()
		if err != nil {
			t.Fatal(err)
		}
		if got := Notice(servers); got != tc.want {
			t.Errorf("Notice for %s with sslmode %s = %q; want %q", tc.host, tc.mode, got, tc.want)
		}
	}
}

func FuzzParseConnString(f *testing.F) {
	for _, text := range []string{"postgresql://mon:p%40ss@db1,[::1]:5433/app?sslmode=require", "host=db1 user='m on' password='it\\'s'", "postgres://", "host = a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		settings, err := parseConnString(text)
		if err != nil && (settings != nil || len(text) > 12 && strings.Contains(err.Error(), text)) {
			t.Errorf("parseConnString(%q) = %v, %v; want nothing beside the error, and nothing of the text in it", text, settings, err)
		}
		if _, known := checkKeywords(settings); err == nil && known != nil {
			t.Errorf("parseConnString(%q) = %v, which libpq does not know", text, settings)
		}
	})
}

func FuzzParseService(f *testing.F) {
	f.Add([]byte("[a]\nhost=db1\n# x\n[b]\nport = 5433\n"), "a")
	f.Add([]byte("host=db1"), "")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		settings, err := parseService(data, name)
		if err != nil && settings != nil {
			t.Errorf("parseService(%q, %q) = %v beside the error %v", data, name, settings, err)
		}
	})
}
