package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// The goals, as ratios.
const (
	goalStart    = 1.5  // -V to hello-world
	goalSize     = 1.25 // binary to its bare client library's
	goalPostgres = 1.3  // a look to the least program
	goalRabbitMQ = 1.3
	goalPerlPG   = 20.0 // check_postgres to a look
	goalPerlMQ   = 10.0
	goalResident = 20 << 20 // bytes
)

const baseline = "./testbed/belfry_bench/baseline/"

type bench struct {
	bed          *testbed.Bed
	bin          string
	rounds, slow int
	scaleTime    time.Duration
	table        *report
	dumps        string // a directory with a real dump
	peak         []peak
}

// peak is the resident memory of a plugin in a real look.
type peak struct {
	name  string
	bytes int64
}

func (b *bench) plugin(name string) string { return filepath.Join(b.bin, name) }

// start compares -V of every plugin with hello-world.
func (b *bench) start() error {
	s := b.table.section("Start: `-V` against a Go hello-world", fmt.Sprintf("Goal: at most %g times.\n\n| plugin | `-V` | hello | ratio | within |\n|---|---|---|---|---|", goalStart))
	hello := command{name: "hello", argv: []string{b.bed.Build(baseline + "hello")}}
	for _, d := range plugins.Catalog() {
		f, err := pair(b.rounds, command{name: d.Plugin(), argv: []string{b.plugin(d.Plugin()), "-V"}, fine: []int{3}}, hello)
		if err != nil {
			return err
		}
		r := ratio(f[0].wall, f[1].wall)
		s.row("| %s | %s | %s | %.2f | %s |", d.Plugin(), ms(median(f[0].wall)), ms(median(f[1].wall)), r, within(r, goalStart))
	}
	return nil
}

// sizes compares each binary with the least one that links the same client
// library.
func (b *bench) sizes() error {
	bare := map[string]string{
		"backup": "exec", "postgres_replication_lag": "postgres", "rabbitmq_consumers": "http", "rabbitmq_queues": "http",
		"send_receive_time": "http", "worker_memory": "procfs",
	}
	s := b.table.section("Size of the binaries", fmt.Sprintf("Against the least program with the same client library. Goal: at most %g times.\n\n| plugin | MB | bare library | MB | ratio | within |\n|---|---|---|---|---|---|", goalSize))
	for _, d := range plugins.Catalog() {
		own, err := os.Stat(b.plugin(d.Plugin()))
		if err != nil {
			return err
		}
		other, err := os.Stat(b.bed.Build(baseline + bare[d.Name]))
		if err != nil {
			return err
		}
		r := float64(own.Size()) / float64(other.Size())
		s.row("| %s | %.2f | %s | %.2f | %.2f | %s |", d.Plugin(), float64(own.Size())/1e6, bare[d.Name], float64(other.Size())/1e6, r, within(r, goalSize))
	}
	return nil
}

// postgres compares a look at a pair with the least program and with Perl.
func (b *bench) postgres() error {
	primary := b.bed.Postgres(testbed.PostgresOptions{})
	standby := b.bed.Standby(primary, testbed.StandbyOptions{})
	b.dumps = b.bed.MkdirFor("postgres", "dumps", 0o755)
	primary.Dump("postgres", filepath.Join(b.dumps, "zulip.dump"))
	password := primary.Password(testbed.RoleMonitor)
	file := b.bed.WriteFileFor("root", "pg-password", password+"\n", 0o600)
	address := func(p *testbed.Postgres) string { return p.Host + ":" + strconv.Itoa(p.Port) }
	common := []string{b.plugin("check_postgres_replication_lag"), "-U", testbed.RoleMonitor, "--password-file", file, "--standbys", "1"}
	one := command{name: "check_postgres_replication_lag", argv: append(common[:len(common):len(common)], "-H", address(primary))}
	two := command{name: "check_postgres_replication_lag, two servers", argv: append(common[:len(common):len(common)], "-H", address(primary), "-H", address(standby))}
	least := command{name: "least program", argv: []string{b.bed.Build(baseline + "postgres"), primary.DSN(testbed.RoleMonitor, "postgres"), "plugins/postgresreplicationlag/query.sql"}}
	perl := command{name: "check_postgres hot_standby_delay", argv: []string{"/usr/bin/check_postgres", "--action=hot_standby_delay",
		"--host=" + primary.Host + "," + standby.Host, fmt.Sprintf("--port=%d,%d", primary.Port, standby.Port),
		"--dbuser=" + testbed.RoleMonitor, "--dbname=postgres", "--warning=16777216", "--critical=83886080"},
		env: []string{"PGPASSWORD=" + password, "PATH=/usr/bin:/bin", "HOME=/"}}

	s := b.table.section("check_postgres_replication_lag", "One look at a local server over TCP with SCRAM; the least program opens the same connection and sends the same query.\n\n"+
		"| command | wall | CPU | against | ratio | goal | kept |\n|---|---|---|---|---|---|---|")
	if err := settle(one); err != nil {
		return err
	}
	f, err := pair(b.rounds, one, least)
	if err != nil {
		return err
	}
	r := ratio(f[0].wall, f[1].wall)
	s.row("| one server | %s | %s | least program, %s | %.2f | at most %g | %s |", ms(median(f[0].wall)), ms(median(f[0].cpu)), ms(median(f[1].wall)), r, goalPostgres, within(r, goalPostgres))
	if err := settle(two); err != nil {
		return err
	}
	f, err = pair(b.slow, two, perl)
	if err != nil {
		return err
	}
	r = ratio(f[1].wall, f[0].wall)
	s.row("| two servers | %s | %s | Perl check_postgres hot_standby_delay, %s | %.0f times faster | at least %g | %s |", ms(median(f[0].wall)), ms(median(f[0].cpu)), ms(median(f[1].wall)), r, goalPerlPG, beyond(r, goalPerlPG))
	return b.resident(two)
}

// settle waits until the command is content: a standby says how far it is up
// to 10 s after it has connected, and queues have statistics after 5 s.
func settle(c command) error {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		_, _, err := once(c)
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// rabbitmq compares a look at 25 queues with the least program that makes the
// same requests, and with Perl.
func (b *bench) rabbitmq() error {
	var queues []testbed.Queue
	for i := range 25 {
		queues = append(queues, testbed.Queue{Name: fmt.Sprintf("queue_%02d", i)})
	}
	broker := b.bed.RabbitMQ(testbed.RabbitMQOptions{Queues: queues})
	for _, q := range queues {
		broker.Consume(q, 10, time.Millisecond)
	}
	password := broker.Password(testbed.UserMonitor)
	file := b.bed.WriteFileFor("root", "mq-password", password+"\n", 0o600)
	look := func(name string, port int) command {
		return command{name: name, argv: []string{b.plugin(name), "-H", broker.Host, "-p", strconv.Itoa(port), "-u", testbed.UserMonitor, "--password-file", file}}
	}
	if err := settle(look("check_rabbitmq_consumers", broker.ManagementPort)); err != nil {
		return err
	}
	s := b.table.section("check_rabbitmq_queues", "One look at 25 queues; the least program makes the same requests on one connection and decodes the answers.\n\n"+
		"| command | wall | CPU | against | ratio | goal | kept |\n|---|---|---|---|---|---|---|")
	for _, name := range []string{"check_rabbitmq_queues", "check_rabbitmq_consumers"} {
		urls, err := requests(broker, func(port int) error {
			_, _, err := once(look(name, port))
			return err
		})
		if err != nil {
			return err
		}
		own := look(name, broker.ManagementPort)
		least := command{name: "least program", argv: append([]string{b.bed.Build(baseline + "http"), testbed.UserMonitor}, urls...), env: []string{"BENCH_PASSWORD=" + password}}
		f, err := pair(b.rounds, own, least)
		if err != nil {
			return err
		}
		r := ratio(f[0].wall, f[1].wall)
		s.row("| %s | %s | %s | least program, %d requests, %s | %.2f | at most %g | %s |", name, ms(median(f[0].wall)), ms(median(f[0].cpu)), len(urls), ms(median(f[1].wall)), r, goalRabbitMQ, within(r, goalRabbitMQ))
		if err := b.resident(own); err != nil {
			return err
		}
	}
	perl := command{name: "check_rabbitmq_queue", argv: []string{"/usr/bin/check_rabbitmq_queue", "-H", broker.Host, "--port", strconv.Itoa(broker.ManagementPort),
		"-u", testbed.UserMonitor, "-p", password, "--vhost", "/", "--queue", "queue_00", "-w", "1000", "-c", "2000"}}
	f, err := pair(b.slow, look("check_rabbitmq_queues", broker.ManagementPort), perl)
	if err != nil {
		return err
	}
	r := ratio(f[1].wall, f[0].wall)
	s.row("| check_rabbitmq_queues, 25 queues | %s | %s | Perl check_rabbitmq_queue, one queue, %s | %.0f times faster | at least %g | %s |", ms(median(f[0].wall)), ms(median(f[0].cpu)), ms(median(f[1].wall)), r, goalPerlMQ, beyond(r, goalPerlMQ))
	return nil
}

// requests runs a look through a proxy that notes what is asked, and returns
// it as URLs of the broker.
func requests(broker *testbed.RabbitMQ, look func(port int) error) ([]string, error) {
	target, err := url.Parse(broker.ManagementURL())
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var urls []string
	forward := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		urls = append(urls, broker.ManagementURL()+r.URL.RequestURI())
		mu.Unlock()
		forward.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	_, port, err := splitPort(proxy.URL)
	if err != nil {
		return nil, err
	}
	if err := look(port); err != nil {
		return nil, err
	}
	return urls, nil
}

func splitPort(text string) (host string, port int, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(u.Port())
	return u.Hostname(), port, err
}

// memory measures the others' looks and lists the peaks of all.
func (b *bench) memory() error {
	b.bed.Worker(testbed.WorkerOptions{Name: "worker", MiB: 20})
	procfs := command{name: "bare procfs", argv: []string{b.bed.Build(baseline + "procfs")}}
	workers := command{name: "check_worker_memory", argv: []string{b.plugin("check_worker_memory")}, fine: []int{0, 1}}
	procs := command{name: "check_procs", argv: []string{"/usr/lib/nagios/plugins/check_procs", "-a", "process_queue", "-m", "RSS", "-w", "600000", "-c", "800000"}}
	s := b.table.section("check_worker_memory", "| command | wall | CPU | ratio to check_worker_memory |\n|---|---|---|---|")
	f, err := pair(b.rounds, workers, procfs, procs)
	if err != nil {
		return err
	}
	for i, name := range []string{"check_worker_memory", "every process by prometheus/procfs", "C check_procs"} {
		s.row("| %s | %s | %s | %.2f |", name, ms(median(f[i].wall)), ms(median(f[i].cpu)), ratio(f[i].wall, f[0].wall))
	}
	for _, c := range []command{workers, {name: "check_backup", argv: []string{b.plugin("check_backup"), "--path", b.dumps}}} {
		if err := b.resident(c); err != nil {
			return err
		}
	}
	if err := b.message(); err != nil {
		return err
	}
	s = b.table.section("Resident memory in a look", fmt.Sprintf("Goal: at most %d MiB.\n\n| plugin | MiB | within |\n|---|---|---|", goalResident>>20))
	for _, p := range b.peak {
		s.row("| %s | %.1f | %s |", p.name, float64(p.bytes)/(1<<20), within(float64(p.bytes), goalResident))
	}
	return nil
}

// message measures check_send_receive_time against the stand-in Zulip.
func (b *bench) message() error {
	zulip := zulipserver.New(zulipserver.Options{})
	if err := zulip.Start(); err != nil {
		return err
	}
	defer zulip.Close()
	argv := []string{b.plugin("check_send_receive_time")}
	for _, role := range []string{"sender", "receiver"} {
		user := zulip.AddUser(zulipserver.User{Email: role + "-bot@zulip.example", Bot: true})
		argv = append(argv, "--"+role+"-zuliprc", b.bed.WriteFileFor("root", role+".zuliprc", zulip.Zuliprc(user), 0o600))
	}
	return b.resident(command{name: "check_send_receive_time", argv: argv})
}

// resident notes the peak of resident memory of a look.
func (b *bench) resident(c command) error {
	bytes, err := resident(c)
	b.peak = append(b.peak, peak{argv0(c), bytes})
	return err
}

func argv0(c command) string { return filepath.Base(c.argv[0]) }
