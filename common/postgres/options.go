package postgres

import (
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/jackc/pgpassfile"
	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/options"
)

// defaultSocket is where Debian's servers listen when no host is given.
const defaultSocket = "/var/run/postgresql"

// Options say which servers a check looks at, and as whom.
type Options struct {
	hosts        []string
	port         string
	user, dbname string
	password     *options.Secret
	passFile     string
	service      string
	serviceFile  string
	home         string
	sslmode      string
	tls          *dial.TLS
}

// Flags declares the options of every check that logs in to PostgreSQL, with
// the environment variables of libpq, which plugins read and the exporter
// does not.
func Flags(fs *pflag.FlagSet) *Options {
	o := &Options{}
	fs.StringArrayVarP(&o.hosts, "host", "H", nil, "server: name, host:port or the directory of its socket (default "+defaultSocket+"); several: repeat, or separate by commas")
	fs.StringVarP(&o.port, "port", "p", "", "port of servers that are given without one (default 5432)")
	fs.StringVarP(&o.user, "user", "U", "", "role to log in as (default: the name of the system user)")
	fs.StringVarP(&o.dbname, "dbname", "d", "", "database to log in to (default postgres)")
	o.password = options.SecretFlags(fs, "password", "password of the role", "PGPASSWORD")
	fs.StringVar(&o.passFile, "passfile", "", "file of passwords in the format of .pgpass (default: .pgpass in the home directory)")
	fs.StringVar(&o.service, "service", "", "take what is not given from this service of pg_service.conf")
	fs.StringVar(&o.serviceFile, "service-file", "", "file that holds the service (default: .pg_service.conf in the home directory, or the system's)")
	fs.StringVar(&o.home, "home", "", "home directory in which .pgpass and .pg_service.conf are looked for (default: a plugin's $HOME, none in the exporter)")
	fs.StringVar(&o.sslmode, "sslmode", "", "disable, prefer, require, verify-ca or verify-full (default verify-full; prefer for servers on this machine)")
	o.tls = dial.TLSFlags(fs)
	for flag, variables := range map[string][]string{
		"host": {"PGHOST"}, "port": {"PGPORT"}, "user": {"PGUSER"}, "dbname": {"PGDATABASE"}, "passfile": {"PGPASSFILE"},
		"service": {"PGSERVICE"}, "service-file": {"PGSERVICEFILE"}, "home": {"HOME"}, "sslmode": {"PGSSLMODE"},
		"ca-file": {"PGSSLROOTCERT"}, "client-cert-file": {"PGSSLCERT"}, "client-key-file": {"PGSSLKEY"},
	} {
		options.Env(fs, flag, variables...)
	}
	return o
}

// Servers settles the servers, one at least, no two the same. Files (service,
// passwords, certificates) are read anew at each call; nothing is opened.
func (o *Options) Servers() ([]*Server, error) {
	service, err := o.readService()
	if err != nil {
		return nil, err
	}
	password, passfile, err := o.passwords(service)
	if err != nil {
		return nil, err
	}
	fallback, err := o.defaultPort(service)
	if err != nil {
		return nil, err
	}
	effective := *o
	effective.tls = o.tlsOptions(service)
	var servers []*Server
	seen := make(map[string]bool)
	for _, text := range o.addresses(service) {
		s, err := effective.server(text, fallback, service)
		if err != nil {
			return nil, err
		}
		if s.password = password; password.Empty() {
			s.password = passwordOf(passfile, s)
		}
		if seen[s.String()] {
			return nil, check.Faultf(check.Config, "", "", "server %s is given twice", s)
		}
		seen[s.String()] = true
		servers = append(servers, s)
	}
	return servers, nil
}

// addresses are the servers as given. Commas separate them as in PGHOST,
// where libpq tries one after the other and a check looks at all.
func (o *Options) addresses(service map[string]string) []string {
	given := o.hosts
	if len(given) == 0 {
		given = []string{first(service["host"], service["hostaddr"], defaultSocket)}
	}
	var addresses []string
	for _, g := range given {
		for _, address := range strings.Split(g, ",") {
			addresses = append(addresses, strings.TrimSpace(address))
		}
	}
	return addresses
}

func (o *Options) defaultPort(service map[string]string) (uint16, error) {
	text := first(o.port, service["port"], "5432")
	if strings.Contains(text, ",") {
		return 0, check.Faultf(check.Config, "", "", "port %q: one port for all, or host:port for each server", text)
	}
	port, err := parsePort(text)
	if err != nil {
		return 0, &check.Fault{Reason: check.Config, Err: err}
	}
	return port, nil
}

// passwords is the password given, or else the file to look each server up in:
// an explicit source beats a discovered one.
func (o *Options) passwords(service map[string]string) (check.Secret, *pgpassfile.Passfile, error) {
	password, err := o.password.Read()
	if err != nil || !password.Empty() {
		return password, nil, err
	}
	if p := service["password"]; p != "" {
		return check.NewSecret(p), nil, nil
	}
	file, err := o.passfile(service)
	return check.Secret{}, file, err
}

// tlsOptions are the options of TLS, with what the service adds.
func (o *Options) tlsOptions(service map[string]string) *dial.TLS {
	t := *o.tls
	t.CAFile = first(t.CAFile, service["sslrootcert"])
	if t.CAFile == "system" { // libpq's word for the system's authorities
		t.CAFile = ""
	}
	t.CertFile, t.KeyFile = first(t.CertFile, service["sslcert"]), first(t.KeyFile, service["sslkey"])
	return &t
}

func (o *Options) server(text string, fallback uint16, service map[string]string) (*Server, error) {
	host, port, err := parseAddress(text)
	if err != nil {
		return nil, &check.Fault{Reason: check.Config, Err: err}
	}
	if port == 0 {
		port = fallback
	}
	s := &Server{Host: host, Port: port, Database: first(o.dbname, service["dbname"], "postgres"), User: first(o.user, service["user"])}
	if s.User == "" {
		if s.User, err = systemUser(); err != nil {
			return nil, err
		}
	}
	if s.sslMode, err = o.sslMode(host, first(o.sslmode, service["sslmode"])); err != nil {
		return nil, err
	}
	s.tls, err = o.tlsConfig(host, s.sslMode)
	return s, err
}

// systemUser is the name of the user that this process runs as, by the
// system's files and not by $USER.
func systemUser() (string, error) {
	uid := strconv.Itoa(os.Geteuid())
	u, err := user.LookupId(uid)
	if err != nil {
		return "", check.Faultf(check.Config, "", "", "user %s of the system has no name, give the role to log in as with --user", uid)
	}
	return u.Username, nil
}

// Notice is what line 1 must say of how the servers are spoken to; empty for
// nothing.
func Notice(servers []*Server) string {
	for _, s := range servers {
		if s.tls != nil && !isLocal(s.Host) && (s.sslMode == sslPrefer || s.sslMode == sslRequire) {
			return "TLS certificate not verified"
		}
	}
	return ""
}

// Names joins the servers' names by commas.
func Names(servers []*Server) string {
	names := make([]string, len(servers))
	for i, s := range servers {
		names[i] = s.String()
	}
	return strings.Join(names, ",")
}
