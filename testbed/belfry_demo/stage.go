package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/scene"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// Accounts: Nagios runs the plugins as nagios; the exporter runs as the user
// who may ask pgBackRest.
const (
	nagiosAccount   = "nagios"
	exporterAccount = "postgres"
)

// stage is everything that the demonstration starts.
type stage struct {
	bed *testbed.Bed
	bin string
	say func(format string, args ...any)

	primary, standby *testbed.Postgres
	broker           *testbed.RabbitMQ
	work             []testbed.Queue
	backrest         *testbed.PgBackRest
	backrestInfo     string // what pgBackRest says, written by cron
	dumps            string
	verdict          string // of a job, written by cron
	zulip            *zulipserver.Server
	plugins          string                       // directory of the binaries, open to every user
	files            map[string]map[string]string // by account, then by name: secrets and the like

	nagios     *testbed.Nagios
	exporter   *testbed.Exporter
	prometheus *testbed.Prometheus
}

func newStage(bed *testbed.Bed, bin string, say func(string, ...any)) *stage {
	return &stage{bed: bed, bin: bin, say: say, files: make(map[string]map[string]string)}
}

// acts are what is to be done, one after the other.
func (s *stage) acts() []func() error {
	return []func() error{s.databases, s.backups, s.queues, s.workers, s.chat, s.binaries, s.secrets, s.exporterAndPrometheus, s.underNagios}
}

func (s *stage) databases() error {
	s.say("PostgreSQL: a primary and a standby that streams from it")
	s.primary = s.bed.Postgres(testbed.PostgresOptions{})
	s.standby = s.bed.Standby(s.primary, testbed.StandbyOptions{})
	return nil
}

func (s *stage) backups() error {
	s.say("pgBackRest: a full backup; a directory with dumps")
	s.backrest = s.bed.PgBackRest(s.primary)
	s.backrest.Backup("full")
	s.standby.WaitStreaming()
	s.dumps = s.bed.MkdirFor(exporterAccount, "dumps", 0o755)
	s.primary.Dump("postgres", filepath.Join(s.dumps, "zulip.dump"))
	return s.cron()
}

// cron is two jobs that others read: the repository's owner's, and one that
// leaves its verdict.
func (s *stage) cron() error {
	s.backrestInfo = s.bed.WriteFileFor(s.backrest.Account, "pgbackrest-info.json", s.backrest.Info(), 0o644)
	return s.job()
}

// job renames the verdict into its place, so that nobody reads half of it.
func (s *stage) job() error {
	fresh := s.bed.WriteFileFor("", "copy-uploads.tmp", fmt.Sprintf("%d|0|OK|copied 3410 files\n", time.Now().Unix()), 0o644)
	s.verdict = strings.TrimSuffix(fresh, ".tmp")
	return os.Rename(fresh, s.verdict)
}

func (s *stage) queues() error {
	s.say("RabbitMQ: queues with traffic and consumers")
	names := []string{"deferred_work", "digest_emails", "email_senders", "missedmessage_emails", "outgoing_webhooks", "user_activity"}
	var queues []testbed.Queue
	for _, n := range names {
		queues = append(queues, testbed.Queue{Name: n})
	}
	s.broker = s.bed.RabbitMQ(testbed.RabbitMQOptions{Queues: queues})
	for _, q := range queues {
		s.broker.Consume(q, 10, 30*time.Millisecond)
	}
	s.work = queues
	s.traffic()
	return nil
}

// traffic gives every queue some seconds of work.
func (s *stage) traffic() {
	for i, q := range s.work {
		s.broker.Publish(q, 4*(i+1), time.Now())
	}
}

func (s *stage) workers() error {
	s.say("worker processes, one for each queue")
	for i, queue := range []string{"deferred_work", "email_senders", "user_activity"} {
		s.bed.Worker(testbed.WorkerOptions{Name: "worker-" + queue, Argv: testbed.ZulipWorker(queue), MiB: 30 + 20*i})
	}
	return nil
}

func (s *stage) chat() error {
	s.zulip = zulipserver.New(zulipserver.Options{})
	if err := s.zulip.Start(); err != nil {
		return err
	}
	s.say("a stand-in Zulip at %s", s.zulip.URL())
	return nil
}

// binaries copies what make has built to where every user can run it.
func (s *stage) binaries() (err error) {
	s.plugins, err = scene.CopyBinaries(s.bed, s.bin)
	return err
}

// secrets lays out the files that both faces read, each account its own.
func (s *stage) secrets() error {
	sender := s.zulip.AddUser(zulipserver.User{Email: "nagios-send-bot@zulip.example", Bot: true})
	receiver := s.zulip.AddUser(zulipserver.User{Email: "nagios-receive-bot@zulip.example", Bot: true})
	for _, account := range []string{nagiosAccount, exporterAccount} {
		dir := s.bed.MkdirFor(account, "secrets-"+account, 0o700)
		s.files[account] = map[string]string{}
		for name, content := range map[string]string{
			"sender.zuliprc": s.zulip.Zuliprc(sender), "receiver.zuliprc": s.zulip.Zuliprc(receiver),
			"postgres": s.primary.Password(testbed.RoleMonitor) + "\n", "rabbitmq": s.broker.Password(testbed.UserMonitor) + "\n",
		} {
			s.files[account][name] = s.bed.WriteFileFor(account, filepath.Join(dir, name), content, 0o600)
		}
	}
	return nil
}

func (s *stage) exporterAndPrometheus() error {
	s.exporter = s.bed.Exporter(testbed.ExporterOptions{
		Config: scene.Config(head, s.settings(exporterAccount)), Account: exporterAccount, Binary: filepath.Join(s.plugins, "belfry_exporter"),
	})
	s.say("the exporter at %s", s.exporter.URL())
	s.prometheus = s.bed.Prometheus(testbed.PrometheusOptions{Config: fmt.Sprintf(
		"global:\n  scrape_interval: 5s\nscrape_configs:\n  - job_name: belfry\n    static_configs:\n      - targets: ['127.0.0.1:%d']\n", s.exporter.Port)})
	s.say("Prometheus at %s", s.prometheus.URL())
	return nil
}

func (s *stage) underNagios() error {
	objects, err := nagiosObjects(s.settings(nagiosAccount))
	if err != nil {
		return err
	}
	s.nagios = s.bed.Nagios(testbed.NagiosOptions{Objects: objects, Macros: map[string]string{"USER1": s.plugins}})
	s.say("Nagios; its status is in %s", s.nagios.StatusFile)
	return nil
}

// addresses says where to look.
func (s *stage) addresses() {
	fmt.Printf("\n  exporter    %s/  (metrics at /metrics, JSON at /api/v1/checks)\n", s.exporter.URL())
	fmt.Printf("  Prometheus  %s/graph?g0.expr=belfry_check_state&g0.tab=1\n", s.prometheus.URL())
	fmt.Printf("  Nagios      %s\n", s.nagios.StatusFile)
	fmt.Printf("  plugins     %s\n", s.plugins)
}

// rows reads what both faces say now: Nagios from its status, the exporter
// through Prometheus.
func (s *stage) rows() []row {
	states := make(map[string]int)
	for _, sample := range s.prometheus.Query("belfry_check_state") {
		states[sample.Labels["target"]] = int(sample.Value)
	}
	status := s.nagios.Status()
	var rows []row
	for _, c := range s.settings(nagiosAccount) {
		r := row{name: c.Target, nagios: -1, exporter: -1}
		if n, ok := status["demo/"+c.Target]; ok && n.Checked {
			r.nagios, r.text = n.State, n.Output
		}
		if state, ok := states[c.Target]; ok {
			r.exporter = state
		}
		rows = append(rows, r)
	}
	return rows
}

// await waits until every check is OK in both faces, or until the limit: what
// has just been started may need some seconds until it is. It tells whether
// the faces agree on every verdict.
func (s *stage) await(ctx context.Context, limit time.Duration) (rows []row, settled bool) {
	s.say("waiting for the first verdicts")
	for end := time.Now().Add(limit); ; {
		rows = s.rows()
		settled = !slices.ContainsFunc(rows, func(r row) bool { return !r.settled() })
		if problems(rows) == nil || ctx.Err() != nil || time.Now().After(end) {
			return rows, settled
		}
		s.traffic()
		pause(ctx, time.Second)
	}
}

// watch keeps the scene busy until the context ends, and prints the table
// again when a verdict changes.
func (s *stage) watch(ctx context.Context, w *os.File) {
	fmt.Fprintf(w, "  Try it: kill -STOP -- -%d  (the standby), watch the verdict change, kill -CONT -- -%d\n  Ctrl-C ends everything.\n",
		s.standby.PID(), s.standby.PID())
	last := s.rows()
	for round := 1; ctx.Err() == nil; round++ {
		pause(ctx, 2*time.Second)
		if s.broker.Running() {
			s.traffic()
		}
		if round%15 == 0 {
			if err := s.cron(); err != nil {
				s.say("%v", err) // its verdict grows old, and that is seen
			}
		}
		rows := s.rows()
		if slices.EqualFunc(rows, last, func(a, b row) bool { return a.nagios == b.nagios && a.exporter == b.exporter }) {
			continue
		}
		printTable(w, rows)
		last = rows
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
