package postgres

import (
	"os"
	"os/user"
	"path/filepath"
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

const defaultPort = "5432"

// Options say which servers a check looks at, and as whom.
type Options struct {
	flags        *pflag.FlagSet
	hosts        []string
	uri          *options.Secret
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
	o := &Options{flags: fs}
	fs.StringArrayVarP(&o.hosts, "host", "H", nil, "server: name, host:port or the directory of its socket (default "+defaultSocket+"); several: repeat, or separate by commas; or one connection string without a password")
	options.Address(fs, "host", options.HostPort)
	o.uri = options.SecretFlags(fs, "uri", "connection string of libpq: postgresql://user:password@host:port,host:port/dbname?sslmode=..., or host=... user=...")
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
	effective := *o
	settings, err := effective.settings()
	if err != nil {
		return nil, err
	}
	effective.yield(settings)
	password, passfile, err := effective.passwords(settings)
	if err != nil {
		return nil, err
	}
	hosts, err := effective.addresses(settings)
	if err != nil {
		return nil, err
	}
	effective.tls = effective.tlsOptions(settings)
	var servers []*Server
	seen := make(map[string]bool)
	for _, h := range hosts {
		s, err := effective.server(h, settings)
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

// yield drops what only the environment of this process says where the
// connection string or the service says it, too, as libpq does (PostgreSQL
// documentation, 34.17): PGHOST or PGPORT must not lead to another server.
func (o *Options) yield(settings map[string]string) {
	says := func(flag, keyword string) bool {
		return settings[keyword] != "" && options.FromEnvironment(o.flags, flag)
	}
	if says("host", "host") || says("host", "hostaddr") {
		o.hosts = nil
	}
	t := *o.tls
	for _, one := range []struct {
		flag, keyword string
		value         *string
	}{
		{"port", "port", &o.port}, {"user", "user", &o.user}, {"dbname", "dbname", &o.dbname}, {"passfile", "passfile", &o.passFile},
		{"sslmode", "sslmode", &o.sslmode}, {"ca-file", "sslrootcert", &t.CAFile}, {"client-cert-file", "sslcert", &t.CertFile}, {"client-key-file", "sslkey", &t.KeyFile},
	} {
		if says(one.flag, one.keyword) {
			*one.value = ""
		}
	}
	o.tls = &t
}

// settings are what stands in the connection string, and in the service for
// what does not. A connection string among the hosts is taken away there.
func (o *Options) settings() (map[string]string, error) {
	secret, err := o.uri.Read()
	if err != nil {
		return nil, err
	}
	text := secret.Reveal()
	inHosts := len(o.hosts) == 1 && isConnString(o.hosts[0])
	if inHosts && text != "" {
		return nil, check.Faultf(check.Config, "", "", "--uri and a connection string in --host: give one of them")
	}
	if inHosts {
		text, o.hosts = o.hosts[0], nil
	}
	var settings map[string]string
	if text != "" {
		if settings, err = parseConnString(text); err != nil {
			return nil, &check.Fault{Reason: check.Config, Err: err}
		}
		if inHosts && settings["password"] != "" {
			return nil, check.Faultf(check.Config, "", "", "the connection string in --host holds a password, which every local user can read: put it into a file and give --uri-file")
		}
		o.service = first(o.service, settings["service"])
	}
	service, err := o.readService()
	if err != nil || settings == nil {
		return service, err
	}
	for keyword, value := range service {
		if (keyword == "hostaddr" || keyword == "port") && settings["host"]+settings["hostaddr"] != "" {
			continue // they belong to the service's hosts
		}
		if settings[keyword] == "" {
			settings[keyword] = value
		}
	}
	return settings, nil
}

// address is a server as it was given.
type address struct {
	text string // as parseAddress reads it
	dial string // hostaddr, where the name is not to be looked up
	port uint16 // where the text has none
}

// addresses are the servers as given. Commas separate them as in PGHOST,
// where libpq tries one after the other and a check looks at all; so do
// several hosts of a service or a connection string, whatever their
// target_session_attrs.
func (o *Options) addresses(settings map[string]string) ([]address, error) {
	var addresses []address
	dial := strings.Split(settings["hostaddr"], ",")
	given := o.hosts
	if len(given) > 0 {
		dial = nil
	} else {
		given = []string{first(settings["host"], settings["hostaddr"], defaultSocket)}
	}
	for _, g := range given {
		for _, text := range strings.Split(g, ",") {
			addresses = append(addresses, address{text: strings.TrimSpace(text)})
		}
	}
	if settings["host"] != "" && settings["hostaddr"] != "" && dial != nil {
		if len(dial) != len(addresses) {
			return nil, check.Faultf(check.Config, "", "", "%d hosts and %d values of hostaddr: one for each host", len(addresses), len(dial))
		}
		for i := range addresses {
			addresses[i].dial = strings.TrimSpace(dial[i])
		}
	}
	text := first(o.port, settings["port"], defaultPort)
	if len(o.hosts) > 0 && o.port == "" && strings.Contains(text, ",") {
		text = defaultPort // the list belongs to other hosts
	}
	ports := strings.Split(text, ",")
	if len(ports) != 1 && len(ports) != len(addresses) {
		return nil, check.Faultf(check.Config, "", "", "port %q: one port for all, one for each of %d servers, or host:port for each server", text, len(addresses))
	}
	for i := range addresses {
		one := strings.TrimSpace(ports[min(i, len(ports)-1)])
		port, err := parsePort(first(one, defaultPort))
		if err != nil {
			return nil, &check.Fault{Reason: check.Config, Err: err}
		}
		addresses[i].port = port
	}
	return addresses, nil
}

// passwords is the password given, or else the file to look each server up in:
// an explicit source beats a discovered one.
func (o *Options) passwords(service map[string]string) (check.Secret, *pgpassfile.Passfile, error) {
	password, err := o.password.Read()
	weak := service["password"] != "" && options.FromEnvironment(o.flags, "password")
	if err != nil || !password.Empty() && !weak {
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
	t.CertFile, t.KeyFile = first(t.CertFile, service["sslcert"]), first(t.KeyFile, service["sslkey"])
	// As libpq does, where both are there.
	cert, key := o.ownFile("postgresql.crt"), o.ownFile("postgresql.key")
	if t.CertFile == "" && t.KeyFile == "" && cert != "" && key != "" {
		t.CertFile, t.KeyFile = cert, key
	}
	return &t
}

// ownFile is a file of libpq's directory in the home directory, "" where there
// is none.
func (o *Options) ownFile(name string) string {
	if o.home == "" {
		return ""
	}
	path := filepath.Join(o.home, ".postgresql", name)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

func (o *Options) server(a address, service map[string]string) (*Server, error) {
	host, port, err := parseAddress(a.text)
	if err != nil {
		return nil, &check.Fault{Reason: check.Config, Err: err}
	}
	if port == 0 {
		port = a.port
	}
	s := &Server{Host: host, Port: port, Database: first(o.dbname, service["dbname"], "postgres"), User: first(o.user, service["user"]), addr: a.dial}
	if s.User == "" {
		if s.User, err = systemUser(); err != nil {
			return nil, err
		}
	}
	if s.sslMode, err = o.sslMode(first(a.dial, host), first(o.sslmode, service["sslmode"])); err != nil {
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
		if s.tls != nil && !isLocal(first(s.addr, s.Host)) && (s.sslMode == sslPrefer || s.sslMode == sslRequire) {
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
