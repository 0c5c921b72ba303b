// Package scenery is a small company's servers for the dashboards to show:
// real PostgreSQL with a standby and a subscription, RabbitMQ with traffic,
// worker processes, backups and a stand-in Zulip, all of them looked at by a
// real exporter under a real Prometheus. What is wrong in it, Break breaks.
package scenery

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/scene"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// account is the exporter's: that of the repository's owner, who may ask
// pgBackRest.
const account = "postgres"

// Options of a scenery.
type Options struct {
	Interval time.Duration // between two looks
	Scrape   time.Duration // between two scrapes
	Rules    string        // Prometheus's rules, YAML; empty for none
	Binary   string        // the exporter's; empty: built
}

// Scenery is everything that was started.
type Scenery struct {
	bed     *testbed.Bed
	options Options

	primary, standby *testbed.Postgres
	broker           *testbed.RabbitMQ
	work             []testbed.Queue
	consumers        map[string]*testbed.Consumer
	backrest         *testbed.PgBackRest
	dumps            string
	jobs             string // directory of what cron jobs record
	zulip            *zulipserver.Server
	files            map[string]string // secrets, by name
	state            string            // the exporter's directory for memories
	broken           bool
	worked           time.Time
	rounds           int

	Exporter   *testbed.Exporter
	Prometheus *testbed.Prometheus
}

// New starts everything; it takes about half a minute.
func New(bed *testbed.Bed, o Options) *Scenery {
	s := &Scenery{bed: bed, options: o, consumers: map[string]*testbed.Consumer{}, files: map[string]string{}}
	s.databases()
	s.backups()
	s.jobs = bed.MkdirFor(account, "nagios_state", 0o755)
	s.queues()
	s.workers()
	s.chat()
	s.secrets()
	s.cron()
	s.state = bed.MkdirFor(account, "memories", 0o700)
	s.Exporter = bed.Exporter(testbed.ExporterOptions{
		Account: account, Binary: o.Binary, Config: scene.Config(s.head(), s.settings()),
		Args: []string{"--state-dir=" + s.state, "--state-interval=5s"},
	})
	files, rules := map[string]string{}, ""
	if o.Rules != "" {
		files["rules.yml"], rules = o.Rules, "rule_files: [rules.yml]\n"
	}
	s.Prometheus = bed.Prometheus(testbed.PrometheusOptions{Files: files, Config: fmt.Sprintf(
		"global: {scrape_interval: %s, evaluation_interval: %[1]s}\n%sscrape_configs:\n- job_name: belfry\n  static_configs: [{targets: ['127.0.0.1:%d']}]\n",
		o.Scrape, rules, s.Exporter.Port)})
	return s
}

func (s *Scenery) head() string {
	return fmt.Sprintf("defaults:\n  interval: %s\n  timeout: %s\nspread: 2s\n", s.options.Interval, s.options.Interval)
}

// databases are a primary with a standby, and a table that a subscription of
// the same server copies to another database.
func (s *Scenery) databases() {
	s.primary = s.bed.Postgres(testbed.PostgresOptions{Config: map[string]string{"wal_level": "logical"}})
	s.primary.Exec("CREATE TABLE message (id serial PRIMARY KEY, content text)")
	s.primary.Exec("CREATE PUBLICATION feed FOR TABLE message")
	s.primary.Exec("CREATE DATABASE reports")
	s.standby = s.bed.Standby(s.primary, testbed.StandbyOptions{})
	// A subscription to the server that it is in needs its slot beforehand.
	s.primary.Exec("SELECT pg_create_logical_replication_slot('feed', 'pgoutput')")
	s.exec("reports", "CREATE TABLE message (id serial PRIMARY KEY, content text)",
		"CREATE SUBSCRIPTION feed CONNECTION '"+s.primary.DSN(testbed.RoleSuperuser, "postgres")+"' PUBLICATION feed WITH (create_slot = false, copy_data = false)")
}

// exec runs statements in a database of the primary.
func (s *Scenery) exec(database string, statements ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.primary.DSN(testbed.RoleSuperuser, database))
	if err != nil {
		s.bed.Fail(err)
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is left to lose
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			s.bed.Fail(fmt.Errorf("%s: %w", sql, err))
		}
	}
}

func (s *Scenery) backups() {
	s.backrest = s.bed.PgBackRest(s.primary)
	s.backrest.Backup("full")
	s.standby.WaitStreaming()
	s.dumps = s.bed.MkdirFor(account, "dumps", 0o755)
	for age := range 5 {
		file := filepath.Join(s.dumps, fmt.Sprintf("zulip-%d.dump", age))
		s.primary.Dump("postgres", file)
		s.age(file, time.Duration(age)*24*time.Hour+time.Hour)
	}
}

// age makes a file as old as that.
func (s *Scenery) age(file string, by time.Duration) {
	when := time.Now().Add(-by)
	if err := os.Chtimes(file, when, when); err != nil {
		s.bed.Fail(err)
	}
}

func (s *Scenery) queues() {
	for _, name := range []string{"deferred_work", "digest_emails", "email_senders", "missedmessage_emails", "outgoing_webhooks", "user_activity"} {
		s.work = append(s.work, testbed.Queue{Name: name})
	}
	s.broker = s.bed.RabbitMQ(testbed.RabbitMQOptions{Queues: s.work})
	for i, q := range s.work {
		s.consumers[q.Name] = s.broker.Consume(q, 10, time.Duration(20+10*i)*time.Millisecond)
	}
}

func (s *Scenery) workers() {
	for i, queue := range []string{"deferred_work", "digest_emails", "email_senders", "missedmessage_emails", "user_activity"} {
		s.bed.Worker(testbed.WorkerOptions{Name: "worker-" + queue, Argv: testbed.ZulipWorker(queue), MiB: 24 + 9*i})
	}
}

func (s *Scenery) chat() {
	s.zulip = zulipserver.New(zulipserver.Options{})
	if err := s.zulip.Start(); err != nil {
		s.bed.Fail(err)
	}
	s.zulip.Set(func(k *zulipserver.Knobs) { k.RateLimit = 0; k.DeliveryDelay = 40 * time.Millisecond })
}

func (s *Scenery) secrets() {
	sender := s.zulip.AddUser(zulipserver.User{Email: "nagios-send-bot@zulip.example", Bot: true})
	receiver := s.zulip.AddUser(zulipserver.User{Email: "nagios-receive-bot@zulip.example", Bot: true})
	dir := s.bed.MkdirFor(account, "secrets", 0o700)
	for name, content := range map[string]string{
		"sender": s.zulip.Zuliprc(sender), "receiver": s.zulip.Zuliprc(receiver),
		"postgres": s.primary.Password(testbed.RoleMonitor) + "\n", "rabbitmq": s.broker.Password(testbed.UserMonitor) + "\n",
		"second": s.broker.Password(testbed.UserMonitor) + "\n",
	} {
		s.files[name] = s.bed.WriteFileFor(account, filepath.Join(dir, name), content, 0o600)
	}
}

func (s *Scenery) settings() []scene.Setting {
	broker := func(password string) map[string][]string {
		return scene.One(map[string]string{"host": s.broker.Host, "port": strconv.Itoa(s.broker.ManagementPort), "user": "monitor", "password-file": s.files[password]})
	}
	address := func(p *testbed.Postgres) string { return p.Host + ":" + strconv.Itoa(p.Port) }
	pair := scene.One(map[string]string{"user": "monitor", "password-file": s.files["postgres"], "standbys": "1"})
	pair["host"] = []string{address(s.primary), address(s.standby)}
	webhooks := broker("second")
	webhooks["queue"] = []string{"outgoing_webhooks"}
	// Workers of another bed on the machine look the same, and what the kernel
	// kills there is told here, too.
	ours := scene.One(map[string]string{"parent": strconv.Itoa(os.Getpid()), "oom-window": "1s"})
	dumps := scene.One(map[string]string{"path": filepath.Join(s.dumps, "*.dump"), "content": "database=*"})
	return []scene.Setting{
		{Check: "send_receive_time", Target: "chat.example", Options: scene.One(map[string]string{"sender-zuliprc": s.files["sender"], "receiver-zuliprc": s.files["receiver"]})},
		{Check: "postgres_replication_lag", Target: "zulip-db", Options: pair},
		{Check: "rabbitmq_queues", Target: "zulip-mq", Options: broker("rabbitmq")},
		{Check: "rabbitmq_consumers", Target: "zulip-mq", Options: broker("rabbitmq")},
		{Check: "rabbitmq_queues", Target: "webhooks-mq", Options: webhooks},
		{Check: "backup", Target: "pgbackrest", Options: scene.One(map[string]string{"stanza": s.backrest.Stanza, "config": s.backrest.ConfigFile,
			"host": address(s.primary), "user": "monitor", "password-file": s.files["postgres"]})},
		{Check: "backup", Target: "dumps", Options: dumps},
		{Check: "cron_file", Target: "zulip-cron", Options: scene.One(map[string]string{"file": s.jobs})},
		{Check: "worker_memory", Target: "zulip-workers", Options: ours, Warning: []string{"120MB"}, Critical: []string{"160MB"}},
	}
}

// Work gives everything two seconds of work: rows, messages in the queues. It
// does nothing where the last of it is not done yet, so call it often.
func (s *Scenery) Work() {
	if time.Since(s.worked) < 2*time.Second {
		return
	}
	s.worked = time.Now()
	s.rounds++
	round := s.rounds
	s.primary.Exec("INSERT INTO message (content) SELECT repeat('x', 500) FROM generate_series(1, 200)")
	for i, q := range s.work {
		s.broker.Publish(q, 3+(round*(i+3))%17, time.Now())
	}
	s.cron()
	s.zulip.Set(func(k *zulipserver.Knobs) { k.DeliveryDelay = time.Duration(30+(round*37)%120) * time.Millisecond })
}

// cron is what Zulip's own jobs record: a second, a state, its word, a text.
func (s *Scenery) cron() {
	for i, job := range []string{"check-analytics-state", "check-rabbitmq-queue", "check-user-zephyr-mirror-liveness"} {
		line := "0|OK|well"
		if s.broken && i == 1 {
			line = "2|CRITICAL|queue email_senders is large"
		}
		s.bed.WriteFileFor(account, filepath.Join(s.jobs, job), fmt.Sprintf("%d|%s\n", time.Now().Unix(), line), 0o644)
	}
}

// Break breaks some of everything: the standby hangs, a queue loses its
// consumer, messages are late, the newest dump is two days old, a worker
// grows, the log is not archived, and a file holds a wrong password.
func (s *Scenery) Break() {
	s.broken = true
	s.standby.Freeze()
	s.consumers["email_senders"].Stop()
	s.broker.Publish(testbed.Queue{Name: "email_senders"}, 60, time.Now())
	s.zulip.Set(func(k *zulipserver.Knobs) { k.DropDelivery = true })
	for age := range 5 {
		s.age(filepath.Join(s.dumps, fmt.Sprintf("zulip-%d.dump", age)), time.Duration(age)*24*time.Hour+50*time.Hour)
	}
	s.bed.Worker(testbed.WorkerOptions{Name: "worker-large", Argv: testbed.ZulipWorker("embed_links"), MiB: 170})
	for _, sql := range []string{"ALTER SYSTEM SET archive_command = '/bin/false'", "SELECT pg_reload_conf()", "SELECT pg_switch_wal()"} {
		s.primary.Exec(sql)
	}
	s.bed.WriteFileFor(account, s.files["second"], "not the password\n", 0o600)
}

// Broken tells whether Break was called.
func (s *Scenery) Broken() bool { return s.broken }
