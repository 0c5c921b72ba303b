package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/certs"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
	"github.com/belfry-monitoring/belfry/testbed/scene"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// Accounts: Nagios runs the plugins as nagios; the exporter, and the plugin
// that asks pgBackRest, run as the user who may.
const (
	pluginAccount   = "nagios"
	exporterAccount = "postgres"
)

// day is the scene and what is going on in it.
type day struct {
	bed *testbed.Bed
	bin string
	say func(format string, args ...any)

	db1, db2         *testbed.Postgres // by their names
	primary, standby *testbed.Postgres // by their roles
	link             map[*testbed.Postgres]*faultproxy.Proxy
	broker           *testbed.RabbitMQ
	work             map[string]*testbed.Supervised // by queue
	stats            string
	backrest         *testbed.PgBackRest
	listFile         string
	dumpDir          string
	zulip            *zulipserver.Server
	bots             [2]zulipserver.User
	certs            *certs.Set
	cert             atomic.Pointer[tls.Certificate] // that Zulip shows
	caFile           string
	plugins          string
	state            map[string]string // --state-dir by account
	exporter         *testbed.Exporter

	jobs    jobs
	ticking func(*day)
	broken  atomic.Bool // something could not be done: the scene is not what it should be
	undoing []func()    // what a situation has left for its end

	kills        int         // the kernel's count at the last look, -1 before
	killing      atomic.Bool // the scene itself has the kernel kill
	foreignUntil time.Time   // see foreignKills

	mu     sync.Mutex                            // situations change while faces look
	change func([]scene.Setting) []scene.Setting // what a situation configures otherwise
	files  map[string]map[string]string          // secrets by account and name
}

func newDay(bed *testbed.Bed, bin string, say func(string, ...any)) *day {
	return &day{bed: bed, bin: bin, say: say, link: map[*testbed.Postgres]*faultproxy.Proxy{}, work: map[string]*testbed.Supervised{},
		kills: -1, state: map[string]string{}, files: map[string]map[string]string{}}
}

// acts are what is to be done before the day begins.
func (d *day) acts() []func() error {
	return []func() error{d.databases, d.backups, d.queues, d.chat, d.faces, d.startJobs}
}

// address of a server as host:port.
func address(p *testbed.Postgres) string { return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) }

func (d *day) databases() (err error) {
	d.say("PostgreSQL: a primary and a standby that streams from it")
	d.db1 = d.bed.Postgres(testbed.PostgresOptions{Name: "db1", Config: map[string]string{
		// A fifth of the defaults, so that silence is found in a fifth of the time.
		"wal_sender_timeout": "12s", "wal_receiver_timeout": "12s", "wal_receiver_status_interval": "2s",
		"max_wal_size": "128MB", "min_wal_size": "32MB", "superuser_reserved_connections": "3",
	}})
	if d.link[d.db1], err = faultproxy.New(address(d.db1)); err != nil {
		return err
	}
	d.db2 = d.bed.Standby(d.db1, testbed.StandbyOptions{Name: "db2", Via: d.link[d.db1].Addr()})
	if d.link[d.db2], err = faultproxy.New(address(d.db2)); err != nil {
		return err
	}
	d.primary, d.standby = d.db1, d.db2
	d.db1.Exec("CREATE TABLE messages (id bigserial PRIMARY KEY, content text)")
	return nil
}

func (d *day) backups() error {
	d.say("pgBackRest: a full backup; a directory with two dumps")
	d.backrest = d.bed.PgBackRest(d.db1)
	d.bed.Tmpfs(d.backrest.Repo, 600<<10)
	d.backrest.Backup("full")
	d.standby.WaitStreaming()
	d.listFile = filepath.Join(d.bed.MkdirFor(exporterAccount, "list", 0o755), "pgbackrest.json")
	d.dumpDir = d.bed.MkdirFor(exporterAccount, "dumps", 0o755)
	d.bed.Tmpfs(d.dumpDir, 4<<10)
	d.dump("zulip-2026-11-23.dump", 24*time.Hour)
	d.dump("zulip-2026-11-24.dump", 0)
	return nil
}

// dump makes a dump, as the nightly job does, that ended some time ago.
func (d *day) dump(name string, ago time.Duration) string {
	file := filepath.Join(d.dumpDir, name)
	d.primary.Dump("postgres", file)
	d.age(file, ago)
	return file
}

func (d *day) age(file string, ago time.Duration) {
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(-ago)); err != nil {
		d.fail(err)
	}
}

// process is what serves a queue of Zulip.
type process struct {
	queue string
	argv  []string
	mib   int
	pace  time.Duration
}

func processes() []process {
	list := []process{{queue: "notify_tornado", argv: []string{"python3", "/home/zulip/deployments/current/manage.py", "runtornado", "127.0.0.1:9800"}, mib: 30, pace: time.Millisecond}}
	for queue, pace := range map[string]time.Duration{
		"deferred_work": 5 * time.Millisecond, "digest_emails": 10 * time.Millisecond, "email_senders": 5 * time.Millisecond,
		"embed_links": 5 * time.Millisecond, "missedmessage_emails": 5 * time.Millisecond, "user_activity": time.Millisecond,
	} {
		list = append(list, process{queue, testbed.ZulipWorker(queue), 24, pace})
	}
	return list
}

func (d *day) queues() error {
	d.say("RabbitMQ, and a worker for each of Zulip's queues")
	d.broker = d.bed.RabbitMQ(testbed.RabbitMQOptions{})
	d.stats = d.bed.MkdirFor("nobody", "queue_stats", 0o755)
	for _, p := range processes() {
		d.work[p.queue] = d.bed.Supervised(testbed.SupervisedOptions{Name: "worker-" + p.queue, Argv: p.argv, MiB: p.mib,
			Broker: d.broker, Queue: p.queue, Pace: p.pace, Stats: d.stats})
	}
	return nil
}

func (d *day) chat() (err error) {
	if d.certs, err = certs.NewSet(); err != nil {
		return err
	}
	d.cert.Store(&d.certs.OK.TLS)
	d.caFile = d.bed.WriteFileFor("root", "ca.crt", string(d.certs.CA.CertPEM), 0o644)
	if err := d.startZulip("", "", 0); err != nil {
		return err
	}
	d.say("a stand-in Zulip at %s", d.zulip.URL())
	return nil
}

// startZulip starts the stand-in, at an address that it had before, with the
// bots that it had.
func (d *day) startZulip(listen, version string, level int) error {
	show := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return d.cert.Load(), nil }
	d.zulip = zulipserver.New(zulipserver.Options{Listen: listen, Version: version, FeatureLevel: level, TLS: &tls.Config{GetCertificate: show}})
	// Two faces that look every few seconds need more than what is allowed for
	// one look a minute.
	d.zulip.Set(func(k *zulipserver.Knobs) { k.RateLimit = 5000 })
	for i, name := range []string{"nagios-send-bot", "nagios-receive-bot"} {
		d.bots[i] = d.zulip.AddUser(zulipserver.User{Email: name + "@zulip.example", Bot: true, APIKey: d.bots[i].APIKey})
	}
	return d.zulip.Start()
}

func (d *day) faces() (err error) {
	if d.plugins, err = scene.CopyBinaries(d.bed, d.bin); err != nil {
		return err
	}
	for _, account := range []string{pluginAccount, exporterAccount} {
		d.state[account] = d.bed.MkdirFor(account, "state-"+account, 0o700)
		d.bed.Tmpfs(d.state[account], 512)
		d.bed.MkdirFor(account, "secrets-"+account, 0o700)
	}
	d.secrets()
	d.writeList()
	d.exporter = d.bed.Exporter(testbed.ExporterOptions{
		Config: scene.Config(head, d.settings(exporterAccount)), Account: exporterAccount, Binary: filepath.Join(d.plugins, "belfry_exporter")})
	d.say("the exporter at %s", d.exporter.URL())
	return nil
}

// secrets lays out the files that both faces read, each account its own.
func (d *day) secrets() {
	for _, account := range []string{pluginAccount, exporterAccount} {
		files := map[string]string{}
		for name, content := range map[string]string{
			"sender.zuliprc": d.zulip.Zuliprc(d.bots[0]), "receiver.zuliprc": d.zulip.Zuliprc(d.bots[1]),
			"postgres": d.primary.Password(testbed.RoleMonitor) + "\n", "rabbitmq": d.broker.Password(testbed.UserMonitor) + "\n",
		} {
			files[name] = d.bed.WriteFileFor(account, filepath.Join("secrets-"+account, name), content, 0o600)
		}
		d.mu.Lock()
		d.files[account] = files
		d.mu.Unlock()
	}
}

// oomWindow is how long a killed process is reported.
const oomWindow = 20 * time.Second

// head is the exporter's configuration before the checks.
const head = "spread: 1s\n"

// settings are the checks of the day, with the files that the account may
// read.
func (d *day) settings(account string) []scene.Setting {
	d.mu.Lock()
	defer d.mu.Unlock()
	file := d.files[account]
	broker := func() map[string][]string {
		return scene.One(map[string]string{"host": d.broker.Host, "port": strconv.Itoa(d.broker.ManagementPort),
			"user": testbed.UserMonitor, "password-file": file["rabbitmq"]})
	}
	settings := []scene.Setting{
		{Check: "send_receive_time", Target: zulip, Options: scene.One(map[string]string{
			"sender-zuliprc": file["sender.zuliprc"], "receiver-zuliprc": file["receiver.zuliprc"], "ca-file": d.caFile})},
		{Check: "postgres_replication_lag", Target: replication, Options: map[string][]string{
			"host": {address(d.db1), address(d.db2)}, "user": {testbed.RoleMonitor}, "password-file": {file["postgres"]}, "standbys": {"1"}}},
		{Check: "rabbitmq_queues", Target: queues, Options: with(broker(), "queue-stats-dir", d.stats),
			Warning: []string{"stalled=20s"}, Critical: []string{"stalled=40s"}},
		{Check: "rabbitmq_consumers", Target: consumers, Options: broker()},
		{Check: "backup", Target: pgbackrest, Options: scene.One(map[string]string{"stanza": d.backrest.Stanza, "config": d.backrest.ConfigFile})},
		{Check: "backup", Target: list, Options: scene.One(map[string]string{"stanza": d.backrest.Stanza, "json-file": d.listFile}),
			Warning: []string{"listed=10s"}, Critical: []string{"listed=20s"}},
		{Check: "backup", Target: dumps, Options: scene.One(map[string]string{"path": d.dumpDir + "/*.dump", "settle": "5s"})},
		{Check: "worker_memory", Target: workers, Options: scene.One(map[string]string{
			"parent": strconv.Itoa(os.Getpid()), "expect": strconv.Itoa(len(processes()) - 1), "oom-window": oomWindow.String()}),
			// A restart would be told for half an hour; "worker crash loop" has the defaults.
			Warning: []string{"rss=120MB", "recent_restarts=1000"}, Critical: []string{"rss=400MB", "recent_restarts=1000"}},
	}
	for i := range settings {
		s := &settings[i]
		s.Interval, s.Timeout = 4*time.Second, 4*time.Second
		if s.Target == zulip {
			s.Interval, s.Timeout = 6*time.Second, 6*time.Second // sending and waiting have their steps within it
		}
	}
	if d.change != nil {
		settings = d.change(settings)
	}
	return settings
}

func with(options map[string][]string, name, value string) map[string][]string {
	options[name] = append(options[name], value)
	return options
}

// limit gives the targets these critical limits instead of their own, and no
// limits of warning, until configure(nil).
func (d *day) limit(ranges []string, targets ...string) {
	d.configure(func(settings []scene.Setting) []scene.Setting {
		for i := range settings {
			if slices.Contains(targets, settings[i].Target) {
				settings[i].Warning, settings[i].Critical = nil, ranges
			}
		}
		return settings
	})
}

// configure changes what both faces are told, and has the exporter reload;
// nil takes it back.
func (d *day) configure(change func([]scene.Setting) []scene.Setting) {
	d.mu.Lock()
	d.change = change
	d.mu.Unlock()
	d.reload(scene.Config(head, d.settings(exporterAccount)))
}

// reload gives the exporter a configuration file and has it read anew.
func (d *day) reload(text string) {
	d.bed.WriteFileFor(exporterAccount, d.exporter.ConfigFile, text, 0o600)
	d.signalExporter()
}

// fail ends the day: the scene itself does not work.
func (d *day) fail(err error) { d.bed.Fail(fmt.Errorf("the day cannot go on: %w", err)) }
