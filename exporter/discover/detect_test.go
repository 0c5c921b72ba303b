package discover

import (
	"errors"
	"io/fs"
	"net/netip"
	"path"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
)

// files stands for the machine's files; "!" is one that cannot be read.
type files map[string]string

func (f files) Path(path string) string   { return path }
func (f files) Socket(path string) string { return path }

func (f files) Read(name string) ([]byte, error) {
	text, ok := f[name]
	switch {
	case !ok:
		return nil, &check.Fault{Reason: check.Config, Stage: "read", Peer: name, Err: fs.ErrNotExist}
	case text == "!":
		return nil, &check.Fault{Reason: check.Permission, Stage: "read", Peer: name, Err: fs.ErrPermission}
	}
	return []byte(text), nil
}

func (f files) Glob(pattern string) []string {
	var found []string
	for name := range f {
		if ok, _ := path.Match(pattern, name); ok {
			found = append(found, name)
		}
	}
	return found
}

// machine makes a machine. Listeners are ADDRESS:PORT=UID, processes are
// command lines of uid 100 whose sockets cannot be seen.
func machine(f files, listeners []string, processes ...string) *Machine {
	m := &Machine{User: Account{UID: 7, Name: "belfry", Home: "/home/belfry"}, Files: f, Accounts: map[int]string{100: "daemon"}}
	for i, text := range listeners {
		if strings.HasPrefix(text, "/") {
			m.Sockets = append(m.Sockets, Socket{text, uint64(i)})
			continue
		}
		addr, owner, _ := strings.Cut(text, "=")
		ap := netip.MustParseAddrPort(addr)
		l := Listener{Addr: ap.Addr(), Port: ap.Port(), UID: 100, Inode: uint64(i)}
		if owner == "other" {
			l.UID = 200
		}
		m.Listeners = append(m.Listeners, l)
	}
	for i, text := range processes {
		args := strings.Split(text, " ")
		if strings.HasPrefix(text, "redis") { // one argument that was written over
			args = []string{text}
		}
		m.Processes = append(m.Processes, Process{PID: 10 + i, UID: 100, Args: args})
	}
	return m
}

func keys(list []candidate) string {
	var names []string
	for _, c := range list {
		names = append(names, c.key)
	}
	return strings.Join(names, ", ")
}

const (
	postgresProcess = "/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf"
	beamProcess     = "/usr/lib/erlang/erts-13.1.5/bin/beam.smp -W w -MBas ageffcbf -- -root /usr/lib/erlang -bindir /x -progname erl -- -home /var/lib/rabbitmq -- -pa -noshell -s rabbit boot -boot start_sasl"
	workerProcess   = "/srv/zulip-venv/bin/python3 /home/zulip/deployments/current/manage.py process_queue --queue_name=email_senders --skip-checks"
)

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		name   string
		detect func(*Machine) []candidate
		m      *Machine
		want   string
	}{
		{"nothing", postgresql, machine(nil, nil), ""},
		{"a socket", postgresql, machine(nil, []string{"/var/run/postgresql/.s.PGSQL.5432", "/run/x.sock"}), "/var/run/postgresql:5432"},
		{"a socket and its port are one", postgresql, machine(nil, []string{"127.0.0.1:5432", "/var/run/postgresql/.s.PGSQL.5432"}, postgresProcess), "/var/run/postgresql:5432"},
		{"two servers", postgresql, machine(nil, []string{"/run/postgresql/.s.PGSQL.5432", "/run/postgresql/.s.PGSQL.5433"}), "/run/postgresql:5432, /run/postgresql:5433"},
		{"no port in a name", postgresql, machine(nil, []string{"/run/.s.PGSQL.x", "/run/.s.PGSQL.0", "/run/.s.PGSQL.70000"}), ""},
		{"the port alone", postgresql, machine(nil, []string{"0.0.0.0:5432=other"}), "127.0.0.1:5432"},
		{"of IPv6 alone", postgresql, machine(nil, []string{"[::1]:5432=other"}), "[::1]:5432"},
		{"other ports of the user are none", postgresql, machine(nil, []string{"127.0.0.1:9187"}, postgresProcess), "process of daemon"},
		{"stopped cluster", postgresql, machine(files{"/etc/postgresql/15/main/postgresql.conf": "port = 5433\n"}, nil), "cluster 15/main"},
		{"cluster that runs", postgresql, machine(files{"/etc/postgresql/15/main/postgresql.conf": "#port = 1\nport=5433 # x\n"}, []string{"/run/postgresql/.s.PGSQL.5433"}), "/run/postgresql:5433"},
		{"cluster that is not to run", postgresql, machine(files{"/etc/postgresql/15/main/postgresql.conf": "", "/etc/postgresql/15/main/start.conf": "# c\n\nmanual # x\n"}, nil), ""},
		{"cluster that cannot be read", postgresql, machine(files{"/etc/postgresql/15/main/postgresql.conf": "!"}, nil), ""},

		{"nothing", rabbitMQ, machine(nil, nil), ""},
		{"a broker", rabbitMQ, machine(nil, []string{"[::]:15672", "[::]:5672"}, beamProcess), "broker of user daemon"},
		{"a broker without any port", rabbitMQ, machine(nil, nil, beamProcess), "broker of user daemon"},
		{"another Erlang program", rabbitMQ, machine(nil, nil, "/usr/bin/beam.smp -s ejabberd"), ""},
		{"the port alone", rabbitMQ, machine(nil, []string{"0.0.0.0:15672=other"}), "broker at 127.0.0.1:15672"},

		{"nothing", redis, machine(nil, nil), ""},
		{"title", redis, machine(nil, nil, "redis-server 127.0.0.1:6390"), "127.0.0.1:6390"},
		{"title and port", redis, machine(nil, []string{"0.0.0.0:6379"}, "redis-server *:6379 [cluster]"), "127.0.0.1:6379"},
		{"socket", redis, machine(nil, nil, "redis-server unixsocket:/run/redis/r.sock"), "/run/redis/r.sock"},
		{"title that leads elsewhere", redis, machine(nil, nil, "redis-server example.org:6379"), "process of daemon"},
		{"no title", redis, machine(nil, []string{"127.0.0.1:6379"}, "redis-server"), "127.0.0.1:6379"},
		{"the port alone", redis, machine(nil, []string{"127.0.0.1:6379=other"}), "127.0.0.1:6379"},

		{"nothing", memcached, machine(nil, nil), ""},
		{"Debian's", memcached, machine(nil, []string{"127.0.0.1:11211"}, "/usr/bin/memcached -m 64 -p 11211 -u memcache -l 127.0.0.1 -P /var/run/memcached/memcached.pid"), "127.0.0.1:11211"},
		{"other port", memcached, machine(nil, nil, "memcached --port=11300 -l::1"), "[::1]:11300"},
		{"all addresses", memcached, machine(nil, nil, "memcached -p11300"), "127.0.0.1:11300"},
		{"socket", memcached, machine(nil, nil, "memcached -s /run/m.sock"), "/run/m.sock"},
		{"a name", memcached, machine(nil, nil, "memcached -l cache.example.org"), "process of daemon"},

		{"nothing", zulip, machine(nil, nil), ""},
		{"workers", zulip, machine(nil, nil, workerProcess), "delivery of messages, queue workers"},
		{"stopped", zulip, machine(files{zulipConf: "[machine]\npuppet_classes = zulip::profile::standalone\n"}, nil), "delivery of messages, queue workers"},
		{"a database's machine", zulip, machine(files{zulipConf: "[machine]\npuppet_classes = zulip::profile::postgresql\n"}, nil), ""},
		{"unreadable", zulip, machine(files{zulipConf: "!"}, nil), "delivery of messages, queue workers"},
	} {
		if got := keys(tt.detect(tt.m)); got != tt.want {
			t.Errorf("%s: found %q; want %q", tt.name, got, tt.want)
		}
	}
}

// The listener of another address than that of loopback is asked at its own,
// and never at that of another machine.
func TestHost(t *testing.T) {
	for in, want := range map[string]string{"0.0.0.0:1": "127.0.0.1", "[::]:1": "127.0.0.1", "127.0.0.2:1": "127.0.0.2", "[::1]:1": "::1", "10.0.0.5:1": "10.0.0.5"} {
		if got := machine(nil, []string{in}).Listeners[0].host(); got != want {
			t.Errorf("host of %s = %s; want %s", in, got, want)
		}
	}
	m := machine(nil, []string{"10.0.0.5:1", "[::1]:1", "0.0.0.0:1", "127.0.0.1:1"})
	if l, ok := m.at(1); !ok || l.Addr.String() != "127.0.0.1" {
		t.Errorf("at(1) = %v, %t; want 127.0.0.1", l.Addr, ok)
	}
}

func TestPgPort(t *testing.T) {
	for text, want := range map[string]uint16{"": 5432, "port = 5433": 5433, "port 5434": 5434, "PORT='5435'\n": 5435, "port = 1\nport = 2\n": 2, "#port = 1": 5432, "report = 1": 5432, "port = 99999": 0} {
		if got := pgPort([]byte(text)); got != want {
			t.Errorf("pgPort(%q) = %d; want %d", text, got, want)
		}
	}
}

func TestPgLogins(t *testing.T) {
	self := Account{Name: "belfry", Home: "/home/belfry"}
	socket := pgServer{host: "/run/postgresql:5432", socket: "/run/postgresql", port: 5432}
	tcp := pgServer{host: "127.0.0.1:5432", port: 5432}
	for _, tt := range []struct {
		s            pgServer
		pgpass, want string
	}{
		{socket, "", "belfry"},
		{tcp, "", ""},
		{socket, "localhost:5432:postgres:monitor:secret\n", "belfry, monitor+"},
		{socket, "/run/postgresql:*:*:monitor:secret\n*:*:*:monitor:other\n", "belfry, monitor+"},
		{socket, "localhost:5432:postgres:belfry:secret\n", "belfry+"},
		{socket, "*:*:*:*:secret\n", "belfry+"},
		{pgServer{host: "/tmp/x:5432", socket: "/tmp/x", port: 5432}, "*:*:*:monitor:secret\nlocalhost:*:*:monitor:secret\n", "belfry"},
		{pgServer{host: "/tmp/x:5432", socket: "/tmp/x", port: 5432}, "/tmp/x:*:*:monitor:secret\n", "belfry, monitor+"},
		{pgServer{host: "127.0.0.1:5432", port: 5432, unsafe: true}, "*:*:*:monitor:secret\n", ""},
		{socket, "db.example.org:5432:*:monitor:secret\nlocalhost:5433:*:monitor:secret\nlocalhost:5432:zulip:zulip:secret\n", "belfry"},
		{tcp, "127.0.0.1:5432:*:monitor:secret\n", "monitor+"},
		{tcp, "localhost:*:*:a:s\nlocalhost:*:*:b:s\nlocalhost:*:*:c:s\nlocalhost:*:*:d:s\nlocalhost:*:*:e:s\n", "a+, b+, c+, d+"},
		{socket, "nonsense\n\x00:::\n", "belfry"},
	} {
		var got []string
		for _, l := range pgLogins(tt.s, self, []byte(tt.pgpass)) {
			if l.home != "" {
				l.user += "+"
			}
			got = append(got, l.user)
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("pgLogins(%s, %q) = %q; want %q", tt.s.host, tt.pgpass, strings.Join(got, ", "), tt.want)
		}
	}
}

func TestRabbitBroker(t *testing.T) {
	for _, tt := range []struct {
		name, conf string
		listeners  []string
		management string
		amqp       string
	}{
		{"as it comes", "", []string{"[::]:15672", "[::]:5672"}, "127.0.0.1:15672", "127.0.0.1:5672"},
		{"plugin off", "", []string{"[::]:5672"}, ":0", "127.0.0.1:5672"},
		{"other ports", "management.tcp.port = 16672 # x\nlisteners.tcp.1 = 127.0.0.1:5673\n", []string{"127.0.0.1:16672", "127.0.0.1:5673"}, "127.0.0.1:16672", "127.0.0.1:5673"},
		{"other ports of others", "management.tcp.port = 16672\nlisteners.tcp.1 = 5673\n", []string{"127.0.0.1:16672=other", "127.0.0.1:5673=other"}, ":0", ":0"},
		{"TLS alone", "management.ssl.port = 15671\n", []string{"127.0.0.1:15671"}, "127.0.0.1:15671", ":0"},
		{"published by a container", "", []string{"0.0.0.0:15672=other"}, "127.0.0.1:15672", ":0"},
		{"garbage", "\x00=\nmanagement.tcp.port = x\n===\n", []string{"[::]:15672"}, "127.0.0.1:15672", ":0"},
	} {
		m := machine(files{"/etc/rabbitmq/rabbitmq.conf": tt.conf}, tt.listeners, beamProcess)
		conf, err := rabbitConf(m.Files)
		if err != nil {
			t.Fatal(err)
		}
		b := rabbitBroker(m, conf, &m.Processes[0])
		if b.management.String() != tt.management || b.amqp.String() != tt.amqp {
			t.Errorf("%s: management %s, AMQP %s; want %s, %s", tt.name, b.management, b.amqp, tt.management, tt.amqp)
		}
	}
}

func TestZulipQueues(t *testing.T) {
	m := machine(nil, nil, workerProcess, workerProcess, "python3 manage.py process_queue --queue_name=a*b", "python3 manage.py process_queue --multi_threaded deferred_work digest_emails --skip-checks",
		"python3 manage.py process_queue --queue_name=user_activity --worker_num 2")
	if got, want := strings.Join(zulipQueues(m), " "), "deferred_work digest_emails email_senders user_activity_shard2"; got != want {
		t.Errorf("zulipQueues = %s; want %s", got, want)
	}
}

func TestReplies(t *testing.T) {
	timeout := check.Faultf(check.Timeout, "ask", "a", "timed out after 2 s")
	closed := check.Faultf(check.Protocol, "ask", "a", "connection reset")
	for _, tt := range []struct {
		judge func(string, bool, []byte, error) (Thing, bool)
		sure  bool
		reply string
		err   error
		want  string // part of the text; empty: nothing of the product's
	}{
		{redisThing, false, "+PONG\r\n", nil, "Redis answers. No check"},
		{redisThing, false, "-NOAUTH Authentication required.\r\n", nil, "asks for a password"},
		{redisThing, false, "-LOADING Redis is loading the dataset in memory\r\n", nil, "loads its data"},
		{redisThing, false, "-DENIED Redis is running in protected mode\r\n", nil, "DENIED"},
		{redisThing, false, "HTTP/1.1 400 Bad Request\r\n", nil, ""},
		{redisThing, false, "", timeout, ""},
		{redisThing, true, "", timeout, "does not answer: ask a: timed out"},
		{redisThing, true, "HTTP/1.1 400 Bad Request\r\n", nil, `with "HTTP/1.1 400 Bad Request"`},
		{memcachedThing, false, "VERSION 1.6.18\r\n", nil, "memcached 1.6.18 answers. No check"},
		{memcachedThing, false, "CLIENT_ERROR unauthenticated\r\n", nil, "asks for a password"},
		{memcachedThing, false, "", closed, ""},
		{memcachedThing, true, "", closed, "SASL"},
		{memcachedThing, true, "", timeout, "does not answer"},
		{memcachedThing, true, "ERROR\r\n", nil, `with "ERROR"`},
	} {
		got, ok := tt.judge("a", tt.sure, []byte(tt.reply), tt.err)
		if ok != (tt.want != "") || !strings.Contains(got.Text, tt.want) || ok && got.Outcome != Unwatched {
			t.Errorf("sure %t, reply %q, %v = %+v, %t; want %q", tt.sure, tt.reply, tt.err, got, ok, tt.want)
		}
	}
}

func TestPgRefused(t *testing.T) {
	s := pgServer{host: "/run/postgresql:5433", socket: "/run/postgresql", port: 5433, owner: "postgres"}
	other := pgServer{host: "/tmp/x:5433", socket: "/tmp/x", port: 5433, owner: "postgres"}
	tcp := pgServer{host: "127.0.0.1:5433", port: 5433, owner: "pg"}
	self := Account{Name: `o'brien`, Home: "/home/o"}
	refused := func(s pgServer, text string) error { return check.Faultf(check.Auth, "log in to", s.host, "%s", text) }
	create := `sudo -u postgres psql -h /run/postgresql -p 5433 -d postgres -c 'CREATE ROLE "o'\''brien" LOGIN; GRANT pg_read_all_stats TO "o'\''brien"'`
	for _, tt := range []struct {
		s    pgServer
		err  error
		want []string // of the help
	}{
		{s, refused(s, `role "o'brien" does not exist`), []string{create, "then reload the exporter"}},
		{s, refused(s, `role "o'brien" is not permitted to log in`), []string{strings.Replace(create, "CREATE", "ALTER", 1), "then reload"}},
		{s, refused(s, "password authentication failed"), []string{create, `local postgres "o'brien" peer`, "localhost:5433:postgres:o'brien:PASSWORD", "then reload"}},
		{other, refused(other, "password authentication failed"), []string{"-h /tmp/x", "local postgres", "/tmp/x:5433:postgres:", "then reload"}},
		{tcp, nil, []string{"sudo -u pg psql -p 5433", "a line localhost:5433:", "then reload"}},
		{s, check.Faultf(check.Permission, "connect to", s.host, "permission denied"), []string{"unix_socket_permissions"}},
		{s, check.Faultf(check.Dial, "connect to", s.host, "no such socket"), nil},
		{s, check.Faultf(check.Protocol, "log in to", s.host, "garbage"), nil},
	} {
		got := tt.s.refused(self, tt.err, errors.New("no such file"))
		if got.again != (check.ReasonOf(tt.err) == check.Dial) {
			t.Errorf("refused(%v) is asked again: %t; want that of what takes no connection alone", tt.err, got.again)
		}
		if got.Outcome != Unreadable || len(got.Checks) != 0 || len(got.Help) != len(tt.want) {
			t.Errorf("refused(%v) = %+v; want it unreadable with %d lines of help", tt.err, got, len(tt.want))
			continue
		}
		for i, want := range tt.want {
			if !strings.Contains(got.Help[i], want) {
				t.Errorf("refused(%v) helps with %q; want %s in it", tt.err, got.Help[i], want)
			}
		}
	}
}

// Where /proc hides the processes of others, Zulip's are not said to be
// stopped.
func TestZulipHidden(t *testing.T) {
	m := machine(files{zulipConf: "[machine]\npuppet_classes = zulip::profile::standalone\n"}, nil)
	m.Hidden = true
	got, _ := zulip(m)[1].examine(t.Context(), nil)
	if got.Outcome != Unreadable || len(got.Help) != 1 || !strings.Contains(got.Help[0], "usermod -aG GROUP belfry") {
		t.Errorf("hidden workers = %+v; want them unreadable", got)
	}
	m.Hidden = false
	if got, _ := zulip(m)[1].examine(t.Context(), nil); got.Outcome != Stopped {
		t.Errorf("workers that do not run = %+v; want them stopped", got)
	}
}

// No password is sent to what anybody could have opened.
func TestNoPasswordForStrangers(t *testing.T) {
	m := machine(files{"/etc/zulip/zulip-secrets.conf": "[secrets]\n"}, []string{"127.0.0.1:15672=other", "127.0.0.1:5672=other"}, beamProcess, workerProcess)
	for i := range m.Listeners {
		m.Listeners[i].UID = 1001
	}
	b := rabbitBroker(m, nil, &m.Processes[0])
	b.management.port = 0 // nothing is asked
	for _, f := range []*Finder{{}, {RabbitMQUser: "monitor", RabbitMQPasswordFile: "/nonexistent"}} {
		if got, ok := b.examine(t.Context(), &asker{finder: f, machine: m}); f.RabbitMQUser == "" && (!ok || got.Outcome != Unreadable || len(got.Checks) != 0 || !strings.Contains(got.Text, "no password is sent")) {
			t.Errorf("examine as %q = %+v, %t; want that no password is sent", f.RabbitMQUser, got, ok)
		}
	}
	if m.trusts(1001) || !m.trusts(0) || !m.trusts(999) || !m.trusts(7) || m.trusts(65534) {
		t.Error("trusts: want root, the system's users and our own alone")
	}
}

func TestPgJudge(t *testing.T) {
	s := pgServer{host: "/run/postgresql:5432", socket: "/run/postgresql", port: 5432, owner: "postgres"}
	l := pgLogin{user: "belfry"}
	values := func(standbys float64) trial {
		return trial{result: &check.Result{Values: []check.Value{{Metric: &check.Metric{Key: "standbys"}, Number: standbys}}}}
	}
	alone := s.judge(l, pgFacts{Version: "15.18", Granted: true}, values(0))
	if alone.Outcome != Watched || alone.Checks[0].Severity["no_standby"] != "ok" || alone.Checks[0].Options["standbys"] != nil || len(alone.Help) != 0 {
		t.Errorf("a primary alone = %+v; want it watched without a demand", alone)
	}
	pair := s.judge(l, pgFacts{Version: "15.18", Granted: false}, values(2))
	if pair.Outcome != Watched || pair.Checks[0].Options["standbys"] != "2" || len(pair.Help) != 1 || !strings.Contains(pair.Help[0], `GRANT pg_read_all_stats TO "belfry"`) {
		t.Errorf("a primary with two = %+v; want two demanded and the grant named", pair)
	}
	blind := s.judge(l, pgFacts{Version: "15.18"}, trial{reason: check.Permission, text: "may not"})
	if blind.Outcome != Unreadable || len(blind.Checks) != 0 || !strings.Contains(blind.Text, "may not") {
		t.Errorf("a role that may not look = %+v; want it unreadable", blind)
	}
	hung := s.silent(l, timeoutFault())
	if hung.Outcome != Watched || len(hung.Checks) != 1 || !hung.again {
		t.Errorf("a server that hangs = %+v; want it watched, and asked again", hung)
	}
}

func timeoutFault() error {
	return check.Faultf(check.Timeout, "log in to", "x", "timed out after 3 s")
}

func TestJudgeVhosts(t *testing.T) {
	b := broker{owner: "rabbitmq", management: endpoint{"127.0.0.1", 15672, false, true}}
	f := &Finder{RabbitMQUser: "monitor", RabbitMQPasswordFile: "/p"}
	checks := [][]Check{{b.queues(f, "/")}, {b.queues(f, "a b")}}
	got := b.judgeVhosts(Thing{}, "monitor", []string{"/", "a b"}, checks, []trial{{}, {reason: check.Permission, text: "no access"}})
	if got.Outcome != Watched || len(got.Checks) != 1 || got.Checks[0].Target != "127.0.0.1:15672" || len(got.Help) != 1 || !strings.Contains(got.Help[0], "-p 'a b' monitor") {
		t.Errorf("one of two vhosts = %+v; want one watched, and the other's grant", got)
	}
	got = b.judgeVhosts(Thing{}, "monitor", []string{"/"}, checks[:1], []trial{{reason: check.Auth, text: "refused"}})
	if got.Outcome != Unreadable || len(got.Checks) != 0 {
		t.Errorf("no vhost = %+v; want it unreadable", got)
	}
}
