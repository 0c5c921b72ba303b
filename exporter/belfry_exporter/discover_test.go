package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

// host is a machine on which there is only what a test puts there: its own
// /proc shows the processes and sockets that are named, and no others.
type host struct {
	t    *testing.T
	bed  *testbed.Bed
	root string
	home string   // of the user who looks
	show []string // in lines of /proc/net: ":PORT" in hexadecimal, or a path
}

func newHost(t *testing.T, bed *testbed.Bed, name string) *host {
	t.Helper()
	h := &host{t: t, bed: bed, root: bed.MkdirFor("root", name, 0o755)}
	h.home = bed.MkdirFor("nobody", name+"-home", 0o700)
	for _, dir := range []string{"proc/net"} {
		if err := os.MkdirAll(filepath.Join(h.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"1", "uptime", "meminfo", "vmstat", "stat", "sys"} {
		h.link(name)
	}
	h.update()
	return h
}

func (h *host) link(name string) {
	h.t.Helper()
	if err := os.Symlink("/proc/"+name, filepath.Join(h.root, "proc", name)); err != nil {
		h.t.Fatal(err)
	}
}

// runs shows processes; listens shows ports and sockets.
func (h *host) runs(pids ...int) {
	for _, pid := range pids {
		h.link(strconv.Itoa(pid))
	}
}

func (h *host) listens(ports ...int) {
	for _, port := range ports {
		h.show = append(h.show, fmt.Sprintf(":%04X ", port))
	}
	h.update()
}

func (h *host) socket(path string) {
	h.show = append(h.show, " "+path)
	h.update()
}

// update makes the tables of sockets anew.
func (h *host) update() {
	h.t.Helper()
	for _, name := range []string{"tcp", "tcp6", "unix"} {
		text, err := os.ReadFile("/proc/net/" + name)
		if err != nil {
			h.t.Fatal(err)
		}
		lines := strings.SplitAfter(string(text), "\n")
		kept := lines[:1]
		for _, line := range lines[1:] {
			if slices.ContainsFunc(h.show, func(s string) bool { return strings.Contains(line, s) }) {
				kept = append(kept, line)
			}
		}
		h.file("proc/net/"+name, strings.Join(kept, ""), 0o644)
	}
}

// file writes a file of the machine, of root's.
func (h *host) file(name, text string, mode os.FileMode) string {
	h.t.Helper()
	path := filepath.Join(h.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	return h.bed.WriteFileFor("root", path, text, mode)
}

// discover runs belfry_exporter --discover as the user nobody, whose other
// users' open files and secrets are closed to him, and returns what it prints.
// What is printed must be a configuration that --config.check accepts.
func (h *host) discover(args ...string) string {
	h.t.Helper()
	binary := h.bed.Build("./exporter/belfry_exporter")
	env := []string{"HOME=" + h.home, "PATH=/usr/bin:/bin"}
	r := testbed.RunAs(h.t, "nobody", append([]string{binary, "--discover", "--discover.root=" + h.root}, args...), env)
	if (r.Exit == 0) != strings.Contains(r.Stdout, "\nchecks:\n") {
		h.t.Errorf("--discover = exit %d, prints\n%s\n%s\nwant 0 where there are checks", r.Exit, r.Stdout, r.Stderr)
	}
	if r.Exit == 0 {
		file := h.bed.WriteFileFor("nobody", filepath.Join(h.home, "discovered.yml"), r.Stdout, 0o644)
		if c := testbed.RunAs(h.t, "nobody", []string{binary, "--config.file=" + file, "--config.check"}, env); c.Exit != 0 {
			h.t.Errorf("--config.check of what --discover prints = exit %d\n%s\n%s", c.Exit, c.Stderr, r.Stdout)
		}
	}
	return r.Stdout
}

// want fails for each text that is not there; one behind "!" must
// not be there.
func want(t *testing.T, what, got string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		absent, no := strings.CutPrefix(text, "!")
		if strings.Contains(got, absent) == no {
			t.Errorf("%s prints\n%s\nwant %s", what, got, text)
		}
	}
}

func TestDiscoverNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, testbed.New(t), "host")
	want(t, "an empty machine", h.discover(), "# Looked for: Zulip, PostgreSQL, RabbitMQ, Redis, memcached.", "# Nothing was found", "!checks:")
}

func TestDiscoverPostgreSQL(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	db := bed.Postgres(testbed.PostgresOptions{HBA: []string{"local postgres nobody peer"}, Config: map[string]string{"archive_mode": "on", "archive_command": "/bin/true"}}) // that archives nothing
	h := newHost(t, bed, "host")
	h.runs(db.PID())
	h.socket(fmt.Sprintf("%s/.s.PGSQL.%d", db.SocketDir, db.Port))
	address := fmt.Sprintf("%s:%d", db.SocketDir, db.Port)

	want(t, "no role", h.discover(), address+", unreadable: ", `role "nobody" does not exist`, `CREATE ROLE "nobody" LOGIN; GRANT pg_read_all_stats TO "nobody"`, "-h "+db.SocketDir+" -p "+strconv.Itoa(db.Port), "!checks:")

	db.Exec("CREATE ROLE nobody LOGIN")
	want(t, "a role without grants", h.discover(), "archive_command names no segment", "check: backup", address+", watched: PostgreSQL ", "primary, no standby is connected", "check: postgres_replication_lag", "no_standby: ok", `GRANT pg_read_all_stats TO "nobody"`, "pg_ls_archive_statusdir")

	db.Exec("GRANT pg_read_all_stats TO nobody")
	db.Exec("GRANT EXECUTE ON FUNCTION pg_ls_archive_statusdir() TO nobody")
	want(t, "a role with grants", h.discover(), "check: postgres_replication_lag", "check: backup", "- archiving", "!GRANT")

	db.Exec("ALTER ROLE nobody NOLOGIN")
	want(t, "a role that may not log in", h.discover(), "unreadable", "is not permitted to log in", `ALTER ROLE "nobody" LOGIN`, "!checks:")
	bed.WriteFileFor("nobody", filepath.Join(h.home, ".pgpass"), fmt.Sprintf("%s:%d:postgres:monitor:%s\n", db.SocketDir, db.Port, db.Password(testbed.RoleMonitor)), 0o600)
	want(t, "a password in ~/.pgpass", h.discover(), "watched", "as role monitor: ", "home: "+h.home, "user: monitor", "!"+db.Password(testbed.RoleMonitor))
	bed.WriteFileFor("nobody", filepath.Join(h.home, ".pgpass"), "localhost:*:*:monitor:wrong\n", 0o644)
	want(t, "~/.pgpass that others can read", h.discover(), "unreadable", "~/.pgpass is not used", "mode 0644", "!wrong")
	bed.WriteFileFor("nobody", filepath.Join(h.home, ".pgpass"), fmt.Sprintf("%s:%d:postgres:monitor:%s\n", db.SocketDir, db.Port, db.Password(testbed.RoleMonitor)), 0o600)

	db.Freeze()
	want(t, "a server that hangs", h.discover(), "watched: PostgreSQL runs and does not serve", "timed out", "check: postgres_replication_lag")
	db.Thaw()

	if err := os.Chmod(db.SocketDir, 0o700); err != nil {
		t.Fatal(err)
	}
	want(t, "a socket out of reach", h.discover(), "unreadable", "permission denied", "unix_socket_permissions", "!checks:")
	if err := os.Chmod(db.SocketDir, 0o755); err != nil {
		t.Fatal(err)
	}

	h.file("etc/postgresql/15/main/postgresql.conf", fmt.Sprintf("port = %d\n", db.Port), 0o644)
	want(t, "a cluster of Debian's", h.discover(), "watched", "!stopped")
	db.Stop()
	h.update()
	if err := os.Remove(filepath.Join(h.root, "proc", strconv.Itoa(db.PID()))); err != nil {
		t.Fatal(err)
	}
	want(t, "a cluster that does not run", h.discover(), "cluster 15/main, stopped: ", "pg_ctlcluster 15 main start", "!checks:")
}

// A server with a standby is held to what it has; the standby is watched by
// itself.
func TestDiscoverStandby(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	hba := []string{"local postgres nobody peer"}
	primary := bed.Postgres(testbed.PostgresOptions{HBA: hba})
	primary.Exec("CREATE ROLE nobody LOGIN")
	primary.Exec("GRANT pg_read_all_stats TO nobody")
	standby := bed.Standby(primary, testbed.StandbyOptions{})
	h := newHost(t, bed, "host")
	for _, db := range []*testbed.Postgres{primary, standby} {
		h.runs(db.PID())
		h.socket(fmt.Sprintf("%s/.s.PGSQL.%d", db.SocketDir, db.Port))
	}
	var got string
	testbed.WaitFor(t, time.Minute, "the standby to be connected", func() error {
		if got = h.discover(); !strings.Contains(got, "primary with 1 standby connected") {
			return fmt.Errorf("it is not:\n%s", got)
		}
		return nil
	})
	want(t, "a pair", got, `standbys: "1"`, ", as role nobody: standby.", "!unreadable")
}

// The table of sockets is the network's, and shows those of other file
// systems, too: their names lead nowhere, and are no server that is down.
func TestDiscoverSocketElsewhere(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	h := newHost(t, bed, "host")
	path := filepath.Join(h.root, ".s.PGSQL.5432")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h.socket(path)
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	want(t, "a socket of another file system", h.discover(), h.root+":5432, unreadable", "no such socket", "PrivateTmp", "!checks:")
}

// What answers in the place of PostgreSQL is never taken for one that works.
func TestDiscoverStrangers(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	for name, c := range map[string]struct {
		answer func(net.Conn)
		want   string
	}{
		"garbage": {func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, "unreadable"},
		"flood": {func(c net.Conn) {
			for _, err := c.Write(make([]byte, 1<<16)); err == nil; {
				_, err = c.Write(make([]byte, 1<<16))
			}
		}, "unreadable"},
		"hangs up":     {func(net.Conn) {}, "unreadable"},
		"says nothing": {func(c net.Conn) { _, _ = c.Read(make([]byte, 1<<16)); _, _ = c.Read(make([]byte, 1)) }, "watched: PostgreSQL runs and does not serve"},
	} {
		h := newHost(t, bed, strings.ReplaceAll(name, " ", "-"))
		path := filepath.Join(h.root, ".s.PGSQL.5432")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() { defer conn.Close(); c.answer(conn) }()
			}
		}()
		h.socket(path)
		want(t, name, h.discover(), h.root+":5432, "+c.want)
	}
}

func TestDiscoverRabbitMQ(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	mq := bed.RabbitMQ(testbed.RabbitMQOptions{Vhosts: []string{"shop"}, Queues: []testbed.Queue{{Name: "email_senders"}}})
	h := newHost(t, bed, "host")
	h.runs(mq.PID())
	h.listens(mq.AMQPPort, mq.ManagementPort)
	h.file("etc/rabbitmq/rabbitmq.conf", fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d\nmanagement.tcp.port = %d\n", mq.AMQPPort, mq.ManagementPort), 0o644)
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(mq.ManagementPort))

	want(t, "no login", h.discover(), address+", unreadable: RabbitMQ's management API asks for a login", "rabbitmqctl set_user_tags nobody monitoring", "--discover.rabbitmq-user=nobody", "!checks:")

	as := func(user string) []string {
		file := bed.WriteFileFor("nobody", filepath.Join(h.home, user), mq.Password(user)+"\n", 0o600)
		return []string{"--discover.rabbitmq-user=" + user, "--discover.rabbitmq-password-file=" + file}
	}
	want(t, "a login for monitoring", h.discover(as(testbed.UserMonitor)...), "watched: RabbitMQ, vhosts /, shop, as user monitor.", "check: rabbitmq_queues", "vhost: shop", "!"+mq.Password(testbed.UserMonitor))
	want(t, "a login without access", h.discover(as(testbed.UserBlind)...), "unreadable", "rabbitmqctl set_permissions -p shop blind", "!checks:")
	want(t, "a login without the tag", h.discover(as(testbed.UserZulip)...), "unreadable", "rabbitmqctl set_user_tags zulip monitoring", "!checks:")
	wrong := bed.WriteFileFor("nobody", filepath.Join(h.home, "wrong"), "hunter2\n", 0o600)
	want(t, "a wrong password", h.discover("--discover.rabbitmq-user=monitor", "--discover.rabbitmq-password-file="+wrong), "unreadable", "wrong password", "!hunter2", "!checks:")

	worker := bed.Worker(testbed.WorkerOptions{Name: "worker", Argv: testbed.ZulipWorker("email_senders")})
	h.runs(worker.PID())
	secrets := h.file("etc/zulip/zulip-secrets.conf", "[secrets]\nrabbitmq_password = "+mq.Password(testbed.UserZulip)+"\n", 0o600)
	want(t, "Zulip's secrets out of reach", h.discover(), "unreadable: RabbitMQ runs, and cannot be looked at as Zulip does: ", "usermod -aG zulip nobody", "check: worker_memory", "!check: rabbitmq_queues")
	if err := os.Chown(secrets, 0, gid(t, "nobody")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(secrets, 0o640); err != nil {
		t.Fatal(err)
	}
	want(t, "Zulip's secrets", h.discover(), "watched: RabbitMQ, 1 queue of Zulip's workers", "amqp: ", "- email_senders", "zulip-secrets-file: "+secrets, "held_unknown: ok", "!"+mq.Password(testbed.UserZulip))
	want(t, "Zulip and a login", h.discover(as(testbed.UserMonitor)...), "check: rabbitmq_consumers", "- email_senders", "!amqp: ")

	mq.Freeze()
	want(t, "a broker that hangs", h.discover(as(testbed.UserMonitor)...), "watched: RabbitMQ runs and does not serve", "check: rabbitmq_queues")
	want(t, "a broker that hangs, with Zulip's secrets", h.discover(), "check: rabbitmq_queues")
	mq.Thaw()

	h.show = nil
	h.listens(mq.AMQPPort)
	if err := os.Remove(secrets); err != nil {
		t.Fatal(err)
	}
	want(t, "the management plugin off", h.discover(), "unreadable", "its plugin is off", "rabbitmq-plugins enable rabbitmq_management")
}

func gid(t *testing.T, account string) int {
	t.Helper()
	if os.Getuid() != 0 {
		return os.Getgid()
	}
	info, err := os.Stat(testbed.New(t).MkdirFor(account, "gid", 0o755))
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Gid)
}

func TestDiscoverCaches(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	open, locked := bed.Redis(testbed.RedisOptions{}), bed.Redis(testbed.RedisOptions{Name: "locked", Password: "hunter2"})
	cache := bed.Memcached(testbed.MemcachedOptions{})
	cacheLocked := bed.Memcached(testbed.MemcachedOptions{Name: "cache-locked", User: "a", Password: "hunter2"})
	h := newHost(t, bed, "host")
	h.runs(open.PID(), locked.PID(), cache.PID(), cacheLocked.PID())
	want(t, "caches", h.discover(),
		open.Addr()+", unwatched: Redis answers. No check", locked.Addr()+", unwatched: Redis answers and asks for a password.",
		cache.Addr()+", unwatched: memcached 1.", cacheLocked.Addr()+", unwatched: memcached answers and asks for a password.", "!checks:", "!hunter2")
	open.Freeze()
	cache.Freeze()
	want(t, "caches that hang", h.discover(), open.Addr()+", unwatched: Redis runs and does not answer", cache.Addr()+", unwatched: memcached runs and does not answer")
	open.Thaw()
	cache.Thaw()
}

// The exporter without a configuration: it says what it has found, looks for
// more while it runs, and forgets nothing until it is told to.
func TestExporterDiscovers(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	h := newHost(t, bed, "host")
	e := bed.Exporter(testbed.ExporterOptions{Args: []string{"--discover.root=" + h.root, "--discover.interval=1s"}})
	get := func(path string) string {
		text, err := e.Get(path)
		if err != nil {
			t.Fatalf("%v\n%s", err, e.LogTail())
		}
		return text
	}
	wait := func(path string, texts ...string) {
		t.Helper()
		testbed.WaitFor(t, time.Minute, path+" of the exporter", func() error {
			got := get(path)
			for _, text := range texts {
				absent, no := strings.CutPrefix(text, "!")
				if strings.Contains(got, absent) == no {
					return fmt.Errorf("it is\n%s\nwant %s\n%s", got, text, e.LogTail())
				}
			}
			return nil
		})
	}
	want(t, "nothing there", get("/-/ready"), "is ready")
	// systemctl reload asks this first.
	if r := testbed.RunAs(t, "nobody", []string{bed.Build("./exporter/belfry_exporter"), "--config.check"}, nil); r.Exit != 0 || !strings.Contains(r.Stderr, "there is no configuration") {
		t.Errorf("--config.check without a configuration = exit %d, %s; want 0 (is there an /etc/belfry/exporter.yml?)", r.Exit, r.Stderr)
	}
	want(t, "nothing there", get("/"), "Nothing was found", "Zulip, PostgreSQL, RabbitMQ, Redis, memcached")
	want(t, "nothing there", get("/metrics"), `belfry_exporter_discovered{outcome="watched",product="zulip"} 0`, "belfry_exporter_checks 0")

	worker := bed.Worker(testbed.WorkerOptions{Name: "worker"})
	redis := bed.Redis(testbed.RedisOptions{})
	h.runs(worker.PID(), redis.PID())
	wait("/metrics", `belfry_check_state{check="worker_memory",target="zulip"} 0`, `belfry_exporter_discovered{outcome="watched",product="zulip"} 1`, `belfry_exporter_discovered{outcome="unwatched",product="redis"} 1`)
	wait("/", "worker_memory", "redis "+redis.Addr()+": unwatched</h2>", "Redis answers.", "delivery of messages")
	var answer struct {
		Discovery struct {
			Found []struct {
				Product, Name, Outcome, Text string
				Help                         []string
				Checks                       []struct{ Check, Target string }
			}
		}
	}
	if err := json.Unmarshal([]byte(get("/api/v1/checks")), &answer); err != nil {
		t.Fatal(err)
	}
	if found := answer.Discovery.Found; len(found) != 3 || found[1].Checks[0].Target != "zulip" || found[0].Outcome != "unreadable" || len(found[0].Help) == 0 {
		t.Errorf("/api/v1/checks says of the discovery %+v; want delivery, workers, Redis", found)
	}

	worker.Kill()
	if err := os.Remove(filepath.Join(h.root, "proc", strconv.Itoa(worker.PID()))); err != nil {
		t.Fatal(err)
	}
	redis.Stop()
	h.runs(bed.Memcached(testbed.MemcachedOptions{}).PID()) // shows that one more discovery has come to its end
	wait("/metrics", `belfry_exporter_discovered{outcome="unwatched",product="memcached"} 1`)
	want(t, "what has stopped", get("/metrics"), `belfry_check_state{check="worker_memory",target="zulip"}`, `belfry_exporter_discovered{outcome="watched",product="zulip"} 1`)
	if err := syscall.Kill(e.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	wait("/metrics", `!belfry_check_state{check="worker_memory"`, `belfry_exporter_discovered{outcome="watched",product="zulip"} 0`)
	want(t, "the log", e.LogTail(), "no configuration file", "nothing was found on this machine", "found on this machine", "not found any more, and not monitored")
}
