package testbed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Roles of every PostgreSQL of a bed. Passwords are random: a known superuser's password would let everybody on the
// machine run commands as the system user postgres.
const (
	RoleSuperuser  = "postgres"   // also without a password on the socket for the system user of the server and root
	RoleMonitor    = "monitor"    // LOGIN, pg_read_all_stats: what a monitoring role should have
	RolePlain      = "plain"      // LOGIN and no grants
	RoleReplicator = "replicator" // LOGIN REPLICATION
)

const postgresAccount = "postgres"

// TLSFiles are PEM files a server presents; they are copied for it. CA, of clients' certificates, may be empty.
type TLSFiles struct{ Cert, Key, CA string }

// PostgresOptions change what Bed.Postgres starts; the zero value is a working primary.
type PostgresOptions struct {
	Name   string            // default "primary"
	Config map[string]string // lines of postgresql.conf, written after the bed's own; values are quoted for you
	HBA    []string          // lines of pg_hba.conf before the bed's own
	TLS    *TLSFiles         // ssl = on with these
	BinDir string            // of another version (see PostgresVersion); default: the newest in /usr/lib/postgresql
}

// Postgres is a running PostgreSQL server, primary or standby. Passwords are asked for everywhere (SCRAM), but for the
// superuser on the socket.
type Postgres struct {
	*Server
	Host      string // 127.0.0.1
	Port      int
	SocketDir string
	DataDir   string
	BinDir    string

	options   PostgresOptions
	passwords map[string]string
}

// Postgres starts a primary of an own cluster, with the roles above and the database postgres.
func (b *Bed) Postgres(options PostgresOptions) *Postgres {
	b.t.Helper()
	if options.Name == "" {
		options.Name = "primary"
	}
	p := b.postgresOf(options)
	p.passwords = map[string]string{}
	for _, role := range []string{RoleSuperuser, RoleMonitor, RolePlain, RoleReplicator} {
		p.passwords[role] = rand.Text()
	}
	pwfile := b.WriteFileFor(postgresAccount, filepath.Join(p.Dir, "pwfile"), p.passwords[RoleSuperuser]+"\n", 0o600)
	p.tool("initdb", "-D", p.DataDir, "--no-sync", "-E", "UTF8", "--locale", "C.UTF-8",
		"-U", RoleSuperuser, "--pwfile", pwfile, "-A", "scram-sha-256")
	p.configure(nil)
	p.Start()
	for _, statement := range []string{
		"CREATE ROLE monitor LOGIN PASSWORD '" + p.passwords[RoleMonitor] + "'",
		"GRANT pg_read_all_stats TO monitor",
		"CREATE ROLE plain LOGIN PASSWORD '" + p.passwords[RolePlain] + "'",
		"CREATE ROLE replicator LOGIN REPLICATION PASSWORD '" + p.passwords[RoleReplicator] + "'",
	} {
		p.Exec(statement)
	}
	return p
}

// postgresOf lays out a server and how it starts, without a cluster in it.
func (b *Bed) postgresOf(options PostgresOptions) *Postgres {
	b.t.Helper()
	if options.BinDir == "" {
		dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // fails on a bad pattern only
		if len(dirs) == 0 {
			b.fail("no PostgreSQL in /usr/lib/postgresql: run testbed/install.sh")
		}
		options.BinDir = slices.MaxFunc(dirs, func(x, y string) int { return versionOf(x) - versionOf(y) })
	}
	s := b.serverOf(postgresAccount, options.Name)
	p := &Postgres{
		Server: s, Host: "127.0.0.1", Port: b.Port(), SocketDir: s.Dir, BinDir: options.BinDir,
		DataDir: filepath.Join(s.Dir, "pgdata"), options: options, // the reaper knows the name pgdata
	}
	if socket := p.socket(); len(socket) > 107 {
		b.fail("the socket's name %s is too long for Unix sockets: use a directory with a shorter name", socket)
	}
	s.argv = []string{filepath.Join(p.BinDir, "postgres"), "-D", p.DataDir}
	s.env = b.environ(s.Dir)
	s.stopBy = syscall.SIGINT
	s.ready = func() error { return p.try("SELECT 1") }
	return p
}

// PostgresVersion is the BinDir of a major version, from Debian or from where testbed/install.sh test puts the servers of
// other versions.
func (b *Bed) PostgresVersion(major int) string {
	b.t.Helper()
	dirs := []string{fmt.Sprintf("/usr/lib/postgresql/%d/bin", major)}
	caches := []string{"/var/cache"}
	if own, err := os.UserCacheDir(); err == nil {
		caches = append(caches, own)
	}
	for _, cache := range caches {
		dirs = append(dirs, fmt.Sprintf("%s/belfry-testbed/postgresql/node_modules/postgresql-%d/native/bin", cache, major))
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "postgres")); err == nil {
			return dir
		}
	}
	b.fail("no PostgreSQL %d in %s: run testbed/install.sh test", major, strings.Join(dirs, ", "))
	return ""
}

func versionOf(binDir string) int {
	version, err := strconv.Atoi(filepath.Base(filepath.Dir(binDir)))
	if err != nil {
		return 0
	}
	return version
}

func (p *Postgres) socket() string {
	return filepath.Join(p.SocketDir, ".s.PGSQL."+strconv.Itoa(p.Port))
}

// Command is one of the server's tools (pg_dump, psql ...) ready to run as the server's user, with its socket, port and
// superuser in the environment. It ends with ctx.
func (p *Postgres) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	p.bed.t.Helper()
	credential, err := credentialOf(postgresAccount)
	if err != nil {
		p.bed.fail("%v", err)
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(p.BinDir, name)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = p.bed.environ(p.Dir, "PGHOST="+p.SocketDir, "PGPORT="+strconv.Itoa(p.Port), "PGUSER="+RoleSuperuser, "PGDATABASE=postgres")
	cmd.Dir = p.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential}
	return cmd
}

// tool runs one of the server's tools to its end, or another program by its whole path.
func (p *Postgres) tool(name string, args ...string) {
	p.bed.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if out, err := p.Command(ctx, name, args...).CombinedOutput(); err != nil {
		p.bed.fail("run %s for %s: %v\n%s", name, p.Name, err, tail(string(out), 30))
	}
}

// configure writes postgresql.conf and pg_hba.conf; own are the lines of a standby.
func (p *Postgres) configure(own map[string]string) {
	p.bed.t.Helper()
	config := map[string]string{
		"listen_addresses": p.Host, "port": strconv.Itoa(p.Port),
		"unix_socket_directories": p.SocketDir, "unix_socket_permissions": "0777",
		// Speed: what is lost in a power failure is a test's.
		"fsync": "off", "shared_buffers": "16MB", "max_connections": "40",
		// No shared memory outside of the data directory that a killed server would leave behind.
		"dynamic_shared_memory_type": "mmap",
		"wal_level":                  "replica", "max_wal_senders": "10", "max_replication_slots": "10", "hot_standby": "on",
		"max_wal_size": "512MB", "password_encryption": "scram-sha-256", "log_timezone": "UTC", "timezone": "UTC", "log_line_prefix": "%m [%p] %q%u@%d ",
	}
	if files := p.options.TLS; files != nil {
		config["ssl"] = "on"
		config["ssl_cert_file"] = p.bed.copyFor(postgresAccount, files.Cert, filepath.Join(p.Dir, "server.crt"))
		config["ssl_key_file"] = p.bed.copyFor(postgresAccount, files.Key, filepath.Join(p.Dir, "server.key"))
		if files.CA != "" {
			config["ssl_ca_file"] = p.bed.copyFor(postgresAccount, files.CA, filepath.Join(p.Dir, "ca.crt"))
		}
	}
	maps.Copy(config, own)
	maps.Copy(config, p.options.Config)
	p.bed.WriteFileFor(postgresAccount, filepath.Join(p.DataDir, "postgresql.conf"), configLines(config), 0o600)

	owner, err := osUser(postgresAccount)
	if err != nil {
		p.bed.fail("%v", err)
	}
	p.bed.WriteFileFor(postgresAccount, filepath.Join(p.DataDir, "pg_ident.conf"),
		fmt.Sprintf("owner \"%s\" postgres\nowner root postgres\n", owner), 0o600)
	hba := append(slices.Clone(p.options.HBA),
		"local all postgres peer map=owner",
		"local all all scram-sha-256",
		"local replication postgres peer map=owner",
		"local replication replicator scram-sha-256",
		"host all all 127.0.0.1/32 scram-sha-256",
		"host replication replicator 127.0.0.1/32 scram-sha-256")
	p.bed.WriteFileFor(postgresAccount, filepath.Join(p.DataDir, "pg_hba.conf"), strings.Join(hba, "\n")+"\n", 0o600)
}

func configLines(config map[string]string) string {
	var lines strings.Builder
	for _, key := range slices.Sorted(maps.Keys(config)) {
		fmt.Fprintf(&lines, "%s = '%s'\n", key, strings.ReplaceAll(config[key], "'", "''"))
	}
	return lines.String()
}

// Password is the password of one of the roles above.
func (p *Postgres) Password(role string) string { return p.passwords[role] }

// DSN is a connection URL over TCP with the role's password, and sslmode=disable unless the server has TLS.
func (p *Postgres) DSN(role, db string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, p.passwords[role]),
		Host: net.JoinHostPort(p.Host, strconv.Itoa(p.Port)), Path: "/" + db,
	}
	if p.options.TLS == nil {
		u.RawQuery = "sslmode=disable"
	}
	return u.String()
}

// Exec runs SQL as the superuser in the database postgres.
func (p *Postgres) Exec(sql string, args ...any) {
	p.bed.t.Helper()
	if err := p.try(sql, args...); err != nil {
		p.bed.fail("%s: %s: %v", p.Name, sql, err)
	}
}

// ExecLast runs SQL that takes the server down: whether the answer still comes
// out is chance, so an error of it is only noted.
func (p *Postgres) ExecLast(sql string) {
	p.bed.t.Helper()
	if err := p.try(sql); err != nil {
		p.bed.t.Logf("%s: %s: %v", p.Name, sql, err)
	}
}

// QueryRow reads the one row of a query into dest, as the superuser in the database postgres.
func (p *Postgres) QueryRow(sql string, dest ...any) {
	p.bed.t.Helper()
	if err := p.scan(sql, dest...); err != nil {
		p.bed.fail("%s: %s: %v", p.Name, sql, err)
	}
}

func (p *Postgres) scan(sql string, dest ...any) error {
	return p.connected(func(ctx context.Context, conn *pgx.Conn) error { return conn.QueryRow(ctx, sql).Scan(dest...) })
}

func (p *Postgres) try(sql string, args ...any) error {
	return p.connected(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql, args...)
		return err
	})
}

func (p *Postgres) connected(use func(context.Context, *pgx.Conn) error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=%s dbname=postgres sslmode=disable connect_timeout=5",
		p.SocketDir, p.Port, RoleSuperuser))
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err = errors.Join(err, conn.Close(ctx))
	}()
	return use(ctx, conn)
}

// Configure changes configuration lines and has the server reload them; what needs a restart takes effect at the next Start.
func (p *Postgres) Configure(lines map[string]string) {
	p.bed.t.Helper()
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		p.Exec(fmt.Sprintf("ALTER SYSTEM SET %s = '%s'", key, strings.ReplaceAll(lines[key], "'", "''")))
	}
	p.Exec("SELECT pg_reload_conf()")
}

// Backend finds the one server process of a kind by its title, such as "walreceiver", "walsender" or "archiver", and waits
// for it up to 10 s.
func (p *Postgres) Backend(kind string) int {
	p.bed.t.Helper()
	return p.backend(kind).pid
}

func (p *Postgres) backend(kind string) (found stat) {
	p.bed.t.Helper()
	err := poll(10*time.Second, nil, func() error {
		for _, process := range tree(p.PID()) {
			title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", process.pid))
			if err == nil && strings.HasPrefix(string(title), "postgres: "+kind) {
				found = process
				return nil
			}
		}
		return fmt.Errorf("%s has no process %q", p.Name, "postgres: "+kind)
	})
	if err != nil {
		p.bed.fail("%v", err)
	}
	return found
}

// FreezeBackend stops one server process (see Backend) with SIGSTOP while the others go on; Thaw lets it go on.
func (p *Postgres) FreezeBackend(kind string) {
	p.bed.t.Helper()
	process := p.backend(kind)
	p.signal([]stat{process}, syscall.SIGSTOP)
	p.awaitFrozen([]stat{process})
}
