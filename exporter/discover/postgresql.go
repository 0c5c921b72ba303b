package discover

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgpassfile"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

const postgresPort = 5432

// isPostgres knows the server's first process: its children write a title
// over their command line ("postgres: checkpointer").
func isPostgres(args []string) bool {
	switch path.Base(args[0]) {
	case "postgres", "postmaster":
		return true
	}
	return false
}

// pgServer is a server as the machine shows it.
type pgServer struct {
	host   string // as -H takes it: DIRECTORY:PORT, or ADDRESS:PORT
	socket string // directory of the socket; empty for none
	port   uint16
	owner  string // system user it runs as
	sure   bool   // a process of the product, or its own kind of socket
	unsafe bool   // no password may be sent to who listens there
}

// postgresql finds servers by their sockets, which have a name of their own
// (.s.PGSQL.PORT), by the ports of their processes, and clusters of Debian's
// that do not run.
func postgresql(m *Machine) []candidate {
	processes := m.of(isPostgres)
	owner := "postgres"
	if len(processes) > 0 {
		owner = m.Accounts[processes[0].UID]
	}
	var servers []pgServer
	ports := make(map[uint16]bool)
	for _, s := range m.Sockets {
		port, ok := pgSocketPort(s.Path)
		if !ok {
			continue
		}
		dir := path.Dir(m.Files.Socket(s.Path))
		ports[port] = true
		servers = append(servers, pgServer{host: dir + ":" + strconv.Itoa(int(port)), socket: dir, port: port, owner: owner, sure: true})
	}
	for _, l := range m.Listeners {
		owned := slices.ContainsFunc(processes, func(p Process) bool { return p.owns(l, false) })
		if ports[l.Port] || !owned && l.Port != postgresPort {
			continue
		}
		ports[l.Port] = true
		l, _ = m.at(l.Port)
		servers = append(servers, pgServer{host: net.JoinHostPort(l.host(), strconv.Itoa(int(l.Port))), port: l.Port, owner: owner, sure: owned, unsafe: !m.trusts(l.UID)})
	}
	var list []candidate
	for _, s := range servers {
		list = append(list, candidate{s.host, func(ctx context.Context, a *asker) (Thing, bool) { return s.examine(ctx, a) }})
	}
	if len(servers) == 0 && len(processes) > 0 {
		list = append(list, certain("process of "+owner, Thing{
			Name: "process of user " + owner, Outcome: Unreadable,
			Text:  "PostgreSQL runs, and listens nowhere that can be seen from here: it may be in a container, or has just been started.",
			Help:  []string{"configure: - {check: postgres_replication_lag, target: NAME, options: {host: ADDRESS:PORT, user: USER, password-file: FILE}}"},
			again: true,
		}))
	}
	return append(list, pgStopped(m.Files, ports)...)
}

// pgSocketPort reads the port out of /run/postgresql/.s.PGSQL.5432.
func pgSocketPort(socket string) (uint16, bool) {
	digits, ok := strings.CutPrefix(path.Base(socket), ".s.PGSQL.")
	port, err := strconv.ParseUint(digits, 10, 16)
	return uint16(port), ok && err == nil && port > 0
}

// pgStopped finds the clusters of Debian's and Ubuntu's pg_createcluster(1)
// that should be started with the machine and do not run.
func pgStopped(files Files, running map[uint16]bool) []candidate {
	var list []candidate
	for _, conf := range files.Glob("/etc/postgresql/*/*/postgresql.conf") {
		dir := path.Dir(conf)
		cluster := path.Base(path.Dir(dir)) + "/" + path.Base(dir)
		if start, err := files.Read(dir + "/start.conf"); err == nil && pgStart(start) != "auto" {
			continue
		}
		data, err := files.Read(conf)
		if err != nil {
			continue // who runs is found all the same
		}
		port := pgPort(data)
		if port == 0 || running[port] {
			continue
		}
		version, name, _ := strings.Cut(cluster, "/")
		list = append(list, certain("cluster "+cluster, Thing{
			Name: "cluster " + cluster, Outcome: Stopped,
			Text: fmt.Sprintf("The cluster is to be started with the machine (%s/start.conf), and nothing listens at its port %d.", dir, port),
			Help: []string{
				fmt.Sprintf("pg_ctlcluster %s %s start   # it is watched as soon as it runs", shellQuote(version), shellQuote(name)),
				fmt.Sprintf("echo manual >%s   # where it is not to run", shellQuote(dir+"/start.conf")),
			},
		}))
	}
	return list
}

// pgStart is the first word of start.conf: auto, manual or disabled.
func pgStart(data []byte) string {
	for line := range bytes.Lines(data) {
		line, _, _ = bytes.Cut(line, []byte("#"))
		if word := bytes.TrimSpace(line); len(word) > 0 {
			return string(word)
		}
	}
	return "auto"
}

// pgPort is the port that postgresql.conf sets, 5432 where it sets none; the
// last line counts.
func pgPort(data []byte) uint16 {
	setting := regexp.MustCompile(`(?i)^\s*port\s*[=\s]\s*'?(\d+)`)
	port := uint64(postgresPort)
	for line := range bytes.Lines(data) {
		if m := setting.FindSubmatch(line); m != nil {
			n, err := strconv.ParseUint(string(m[1]), 10, 16)
			if err != nil {
				n = 0
			}
			port = n
		}
	}
	return uint16(port)
}

// pgLogin is a way to log in that was given.
type pgLogin struct {
	user string
	home string // of ~/.pgpass; empty for none
}

// maxLogins bounds how many ways to log in are tried.
const maxLogins = 4

// pgLogins are, over a socket, the running user without a password (peer), and
// whom ~/.pgpass has passwords for.
func pgLogins(s pgServer, self Account, pgpass []byte) []pgLogin {
	var logins []pgLogin
	if s.socket != "" {
		logins = append(logins, pgLogin{user: self.Name})
	}
	file, err := pgpassfile.ParsePassfile(bytes.NewReader(pgpass))
	if err != nil {
		return logins
	}
	if s.unsafe {
		return logins
	}
	// As libpq does: localhost is also the system's directory of sockets, which
	// only the server can write to. In another one anybody may have put a
	// socket that asks for passwords, so that only its own name means it.
	hosts := []string{"*", "localhost"}
	switch host, _, err := net.SplitHostPort(s.host); {
	case s.socket == "" && err == nil:
		hosts = append(hosts, host)
	case s.systemSocket():
		hosts = append(hosts, s.socket)
	default:
		hosts = []string{s.socket}
	}
	for _, e := range file.Entries {
		user := e.Username
		if user == "*" {
			user = self.Name
		}
		fits := slices.Contains(hosts, e.Hostname) && (e.Port == "*" || e.Port == strconv.Itoa(int(s.port))) && (e.Database == "*" || e.Database == "postgres")
		l := pgLogin{user: user, home: self.Home}
		switch bare := (pgLogin{user: user}); {
		case !fits || user == "" || slices.Contains(logins, l) || len(logins) == maxLogins:
		case slices.Contains(logins, bare): // a password that is there is used only where it is asked for
			logins[slices.Index(logins, bare)] = l
		default:
			logins = append(logins, l)
		}
	}
	return logins
}

func (s pgServer) systemSocket() bool {
	return s.socket == "/run/postgresql" || s.socket == "/var/run/postgresql"
}

func (s pgServer) options(l pgLogin) map[string]any {
	o := map[string]any{"host": s.host, "user": l.user}
	if l.home != "" {
		o["home"] = l.home
	}
	return o
}

// sslRequest asks a server for TLS and nothing else (PostgreSQL documentation,
// "Message Formats", SSLRequest); it answers one byte.
const sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

// examine logs in, by each way that was given until one succeeds.
func (s pgServer) examine(ctx context.Context, a *asker) (Thing, bool) {
	self := a.machine.User
	pgpass, passErr := safefile.ReadSecret(path.Join(self.Home, ".pgpass"), false)
	if self.Home == "" {
		pgpass = nil
	}
	logins := pgLogins(s, self, pgpass)
	if len(logins) == 0 {
		reply, err := a.say(ctx, "tcp", s.host, sslRequest)
		if !s.sure && (err != nil || reply[0] != 'S' && reply[0] != 'N') {
			return Thing{}, false
		}
		return s.refused(self, err, passErr), true
	}
	var refusal error
	for _, l := range logins {
		facts, err := a.postgres(ctx, s.options(l))
		if err == nil {
			t := s.judge(l, facts, a.look(ctx, s.replication(l)))
			if t.Outcome == Watched && facts.archives() {
				c := s.archiving(l)
				t = s.archived(t, l, c, facts, a.look(ctx, c))
			}
			return t, true
		}
		reason := check.ReasonOf(err)
		if !s.sure && (reason == check.Protocol || reason == check.Dial) {
			return Thing{}, false
		}
		if isDead(reason) {
			return s.silent(l, err), true
		}
		if refusal == nil || reason == check.Auth {
			refusal = err
		}
	}
	return s.refused(self, refusal, passErr), true
}

// replication is the check of a server of which nothing says how many standbys
// it should have: none is fine, and whoever is there is watched.
func (s pgServer) replication(l pgLogin) Check {
	return Check{Check: "postgres_replication_lag", Target: s.host, Options: s.options(l), Severity: map[string]string{"no_standby": "ok"}}
}

func (s pgServer) archiving(l pgLogin) Check {
	return Check{Check: "backup", Target: "archive of " + s.host, Options: s.options(l), Only: []string{"archiving"}}
}

// silent is a server that does not serve: that is what its check will say.
// Whether it lets us in, and what it is, is asked again.
func (s pgServer) silent(l pgLogin, err error) Thing {
	return Thing{
		Name: s.host, Outcome: Watched, Checks: []Check{s.replication(l)}, again: true,
		Text: "PostgreSQL runs and does not serve: " + err.Error() + ". It is asked again what it is.",
	}
}

// judge makes a thing of a server that has let us in.
func (s pgServer) judge(l pgLogin, f pgFacts, t trial) Thing {
	version, _, _ := strings.Cut(check.Clean(f.Version), " ")
	thing := Thing{Name: s.host, Text: "PostgreSQL " + version + ", as role " + l.user + ": "}
	if !f.Granted {
		thing.Help = append(thing.Help, s.psql("GRANT pg_read_all_stats TO "+ident(l.user))+"   # without it, standbys and receivers cannot be seen; then reload the exporter")
	}
	if t.blind() {
		thing.Outcome, thing.Text = Unreadable, thing.Text+"it lets us in, and cannot be looked at: "+t.text+"."
		thing.again = mayPass(t.reason)
		return thing
	}
	c := s.replication(l)
	standbys, _ := t.value("standbys")
	switch {
	case f.Recovery:
		thing.Text += "standby."
	case standbys > 0:
		// Counts as long as it is the primary, so that a switch of roles is none.
		c.Options["standbys"] = strconv.Itoa(int(standbys))
		c.Severity = nil
		thing.Text += "primary with " + count(int(standbys), "standby") + " connected; fewer are CRITICAL from now on, more a warning."
	default:
		thing.Text += "primary, no standby is connected, and nothing says that one should be (option standbys)."
	}
	thing.Outcome, thing.Checks, thing.again = Watched, []Check{c}, t.dead()
	return thing
}

// archived adds the look at the archive of the log, where one is kept.
func (s pgServer) archived(thing Thing, l pgLogin, c Check, f pgFacts, t trial) Thing {
	if t.blind() {
		thing.Text += " Its archive of the log cannot be looked at: " + t.text + "."
	} else if t.state == check.Critical {
		thing.Checks = append(thing.Checks, c)
		thing.Text += " Its archive of the log: " + t.text + "."
	} else {
		thing.Checks = append(thing.Checks, c)
	}
	if !f.Listable {
		thing.Help = append(thing.Help, s.psql("GRANT EXECUTE ON FUNCTION pg_ls_archive_statusdir() TO "+ident(l.user))+"   # to see what waits to be archived")
	}
	return thing
}

// refused is a server that lets nobody in who was given.
func (s pgServer) refused(self Account, err, passErr error) Thing {
	thing := Thing{Name: s.host, Outcome: Unreadable, Text: "PostgreSQL runs, and no way to log in was given."}
	switch reason := check.ReasonOf(err); {
	case err == nil:
	case reason == check.Dial && s.socket != "":
		thing.Text = "PostgreSQL listens, and its socket cannot be found from here: " + err.Error() + ". It may be one of a container, or in a /tmp that this service does not share (PrivateTmp)."
		thing.again = true
	case reason == check.Protocol:
		thing.Text = "What listens in PostgreSQL's place does not speak as it does: " + err.Error() + "."
	default:
		thing.Text, thing.again = "PostgreSQL runs, and cannot be looked at: "+err.Error()+".", mayPass(reason)
	}
	if s.unsafe {
		thing.Text += " What listens there belongs to a user who is neither root nor a service of the system: no password is sent to it."
	}
	if passErr != nil && check.ReasonOf(passErr) == check.Permission {
		thing.Text += " ~/.pgpass is not used: " + passErr.Error() + "."
	}
	if reason := check.ReasonOf(err); err != nil && reason != check.Auth {
		if reason == check.Permission {
			thing.Help = []string{"let user " + self.Name + " reach the socket in " + s.socket + " (unix_socket_permissions, unix_socket_group), then reload the exporter"}
		}
		return thing
	}
	said, to := "", ident(self.Name)
	if err != nil {
		said = err.Error()
	}
	grant := " LOGIN; GRANT pg_read_all_stats TO " + to
	reload := "then reload the exporter"
	switch {
	case strings.Contains(said, "not permitted to log in"):
		thing.Help = []string{s.psql("ALTER ROLE " + to + grant), reload}
		return thing
	case s.socket != "" && strings.Contains(said, "does not exist"): // peer has let us pass so far
		thing.Help = []string{s.psql("CREATE ROLE " + to + grant), reload}
		return thing
	case s.socket != "":
		thing.Help = []string{s.psql("CREATE ROLE " + to + grant), "in pg_hba.conf, above the other lines of local, and then pg_ctl reload: local postgres " + hbaQuote(self.Name) + " peer"}
	default:
		thing.Help = []string{s.psql("CREATE ROLE " + to + " LOGIN PASSWORD '...'; GRANT pg_read_all_stats TO " + to)}
	}
	host := "localhost"
	if s.socket != "" && !s.systemSocket() {
		host = s.socket
	}
	password := fmt.Sprintf("a line %s:%d:postgres:%s:PASSWORD in ~/.pgpass of user %[3]s (mode 0600)", host, s.port, self.Name)
	if s.socket != "" {
		password = "or, with a password instead of peer: " + password
	}
	thing.Help = append(thing.Help, password, reload)
	return thing
}

// count puts a number and its noun together.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// psql is the command with which an administrator runs a statement on the
// server.
func (s pgServer) psql(statement string) string {
	command := "sudo -u " + shellQuote(s.owner) + " psql"
	if s.socket != "" {
		command += " -h " + shellQuote(s.socket)
	}
	return command + " -p " + strconv.Itoa(int(s.port)) + " -d postgres -c " + shellQuote(statement)
}

// ident quotes a name for SQL, always: upper case would be lost otherwise.
func ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// hbaQuote quotes a name for pg_hba.conf where it has to be.
func hbaQuote(name string) string {
	if shellQuote(name) == name {
		return name
	}
	return ident(name)
}
