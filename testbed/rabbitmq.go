package testbed

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Users of every RabbitMQ of a bed, with random passwords. "No right" is the pattern '^$'.
const (
	UserAdmin      = "admin"      // tag administrator, all rights
	UserMonitor    = "monitor"    // tag monitoring, no right on every vhost: what a monitoring user should have
	UserBlind      = "blind"      // tag monitoring, no access to any vhost: sees an empty list of queues
	UserManagement = "management" // tag management, no right on every vhost
	UserZulip      = "zulip"      // no tag, all rights on every vhost: what Zulip's workers use
)

const rabbitAccount = "rabbitmq"

// RabbitMQOptions change what Bed.RabbitMQ starts; the zero value is a working node with the vhost "/" and no queue.
type RabbitMQOptions struct {
	Name   string   // default "rabbitmq"
	Vhosts []string // beside "/"
	Queues []Queue  // durable queues that are there from the start
	Config []string // further lines of rabbitmq.conf
	TLS    *TLSFiles
}

// Queue names a queue; an empty Vhost means "/", an empty Type "classic".
type Queue struct{ Vhost, Name, Type string }

// RabbitMQ is a running node with the management plugin.
type RabbitMQ struct {
	*Server
	Host           string // 127.0.0.1
	AMQPPort       int
	AMQPSPort      int // 0 without TLS
	ManagementPort int // HTTP
	ManagementTLS  int // HTTPS; 0 without TLS

	passwords map[string]string
	conns     map[string]*amqp.Connection
}

// RabbitMQ starts a node of its own with its own epmd. It takes 4 to 7 s: share one between tests.
func (b *Bed) RabbitMQ(options RabbitMQOptions) *RabbitMQ {
	b.t.Helper()
	if options.Name == "" {
		options.Name = "rabbitmq"
	}
	s := b.serverOf(rabbitAccount, options.Name)
	r := &RabbitMQ{Server: s, Host: "127.0.0.1", AMQPPort: b.Port(), ManagementPort: b.Port(),
		passwords: map[string]string{}, conns: map[string]*amqp.Connection{}}
	for _, user := range []string{UserAdmin, UserMonitor, UserBlind, UserManagement, UserZulip} {
		r.passwords[user] = rand.Text()
	}
	definitions, err := json.Marshal(r.definitions(options))
	if err != nil {
		b.fail("write RabbitMQ's definitions: %v", err)
	}
	file := func(name, content string) string {
		return b.WriteFileFor(rabbitAccount, filepath.Join(s.Dir, name), content, 0o600)
	}
	config := []string{
		"listeners.tcp.1 = " + r.address(r.AMQPPort),
		"management.tcp.ip = " + r.Host, "management.tcp.port = " + strconv.Itoa(r.ManagementPort),
		"management.load_definitions = " + file("definitions.json", string(definitions)),
		"log.console = true", "log.console.level = info", "log.file = false",
		// A machine short of disk or memory must not block the tests' publishers.
		"disk_free_limit.absolute = 10MB",
	}
	if files := options.TLS; files != nil {
		config = append(config, r.tlsConfig(files)...)
	}
	config = append(config, options.Config...)

	epmdPort := b.Port()
	node := options.Name + "@localhost"
	s.argv = []string{"/usr/lib/rabbitmq/bin/rabbitmq-server"}
	s.env = b.environ(s.Dir,
		"RABBITMQ_NODENAME="+node,
		"ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT="+strconv.Itoa(epmdPort),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(b.Port()),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		"RABBITMQ_MNESIA_BASE="+filepath.Join(s.Dir, "mnesia"),
		"RABBITMQ_LOG_BASE="+s.Dir,
		"RABBITMQ_CONFIG_FILE="+file("rabbitmq.conf", strings.Join(config, "\n")+"\n"),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+filepath.Join(s.Dir, "advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+file("enabled_plugins", "[rabbitmq_management].\n"),
		"RABBITMQ_PID_FILE="+filepath.Join(s.Dir, "pid"),
		// The system's file would override what is above.
		"RABBITMQ_CONF_ENV_FILE="+file("rabbitmq-env.conf", ""),
		// The script then becomes the Erlang machine itself instead of its parent.
		"RUNNING_UNDER_SYSTEMD=true",
	)
	s.ready = r.usable
	b.epmd(options.Name+"-epmd", epmdPort)
	r.Start()
	return r
}

// epmd starts the name server of Erlang nodes; a node that finds none would start one that outlives it.
func (b *Bed) epmd(name string, port int) {
	b.t.Helper()
	s := b.serverOf(rabbitAccount, name)
	s.argv = []string{"/usr/bin/epmd", "-address", "127.0.0.1", "-port", strconv.Itoa(port)}
	s.env = b.environ(s.Dir)
	s.ready = func() error {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	s.Start()
}

func (r *RabbitMQ) address(port int) string { return net.JoinHostPort(r.Host, strconv.Itoa(port)) }

func (r *RabbitMQ) tlsConfig(files *TLSFiles) []string {
	r.bed.t.Helper()
	r.AMQPSPort, r.ManagementTLS = r.bed.Port(), r.bed.Port()
	cert := r.bed.copyFor(rabbitAccount, files.Cert, filepath.Join(r.Dir, "server.crt"))
	key := r.bed.copyFor(rabbitAccount, files.Key, filepath.Join(r.Dir, "server.key"))
	return []string{
		"listeners.ssl.1 = " + r.address(r.AMQPSPort),
		"ssl_options.certfile = " + cert, "ssl_options.keyfile = " + key,
		"management.ssl.ip = " + r.Host, "management.ssl.port = " + strconv.Itoa(r.ManagementTLS),
		"management.ssl.certfile = " + cert, "management.ssl.keyfile = " + key,
	}
}

// definitions is the JSON that a node loads at its start, in the form of its own export.
func (r *RabbitMQ) definitions(options RabbitMQOptions) map[string]any {
	type object = map[string]any
	vhosts := append([]string{"/"}, options.Vhosts...)
	var users, permissions, vhostList []object
	queues := []object{} // null would end the node's start
	for _, vhost := range vhosts {
		vhostList = append(vhostList, object{"name": vhost})
	}
	grant := func(user, pattern string) {
		for _, vhost := range vhosts {
			permissions = append(permissions, object{"user": user, "vhost": vhost, "configure": pattern, "write": pattern, "read": pattern})
		}
	}
	for user, tag := range map[string]string{
		UserAdmin: "administrator", UserMonitor: "monitoring", UserBlind: "monitoring", UserManagement: "management", UserZulip: "",
	} {
		users = append(users, object{"name": user, "password_hash": rabbitHash(r.passwords[user]),
			"hashing_algorithm": "rabbit_password_hashing_sha256", "tags": tag})
	}
	grant(UserAdmin, ".*")
	grant(UserZulip, ".*")
	grant(UserMonitor, "^$")
	grant(UserManagement, "^$")
	for _, q := range options.Queues {
		q = q.complete()
		queues = append(queues, object{"name": q.Name, "vhost": q.Vhost, "durable": true, "auto_delete": false, "arguments": object{"x-queue-type": q.Type}})
	}
	return object{"users": users, "vhosts": vhostList, "permissions": permissions, "queues": queues}
}

func (q Queue) complete() Queue {
	if q.Vhost == "" {
		q.Vhost = "/"
	}
	if q.Type == "" {
		q.Type = "classic"
	}
	return q
}

// rabbitHash salts and hashes a password as RabbitMQ stores it (its documentation, "Password hashing").
func rabbitHash(password string) string {
	salt := make([]byte, 4)
	_, _ = rand.Read(salt) // never fails
	sum := sha256.Sum256(append(slices.Clone(salt), password...))
	return base64.StdEncoding.EncodeToString(append(salt, sum[:]...))
}

// Password is the password of one of the users above.
func (r *RabbitMQ) Password(user string) string { return r.passwords[user] }

// AMQPURL is the URL for AMQP connections of the user to the vhost.
func (r *RabbitMQ) AMQPURL(user, vhost string) string {
	u := url.URL{Scheme: "amqp", User: url.UserPassword(user, r.passwords[user]), Host: r.address(r.AMQPPort)}
	return u.String() + "/" + url.PathEscape(vhost)
}

// ManagementURL is the base URL of the management API, without credentials.
func (r *RabbitMQ) ManagementURL() string { return "http://" + r.address(r.ManagementPort) }

// Get reads a path of the management API, such as "/api/queues/%2F", as the user.
func (r *RabbitMQ) Get(user, path string) (status int, body string) {
	r.bed.t.Helper()
	status, body, err := r.get(user, path)
	if err != nil {
		r.bed.fail("%v", err)
	}
	return status, body
}

func (r *RabbitMQ) get(user, path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.ManagementURL()+path, nil)
	if err != nil {
		return 0, "", err
	}
	request.SetBasicAuth(user, r.passwords[user])
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	return response.StatusCode, string(content), err
}

// usable tells whether the node serves both its doors, with the definitions loaded.
func (r *RabbitMQ) usable() error {
	path := "/api/health/checks/port-listener/" + strconv.Itoa(r.AMQPPort)
	status, body, err := r.get(UserAdmin, path)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("GET %s: status %d: %s", path, status, tail(body, 5))
	}
	conn, err := r.dial("/")
	if err != nil {
		return err
	}
	return conn.Close()
}

// Command is rabbitmqctl on the node, ready to run as its user. It ends with ctx.
func (r *RabbitMQ) Command(ctx context.Context, args ...string) *exec.Cmd {
	r.bed.t.Helper()
	credential, err := credentialOf(rabbitAccount)
	if err != nil {
		r.bed.fail("%v", err)
	}
	cmd := exec.CommandContext(ctx, "/usr/lib/rabbitmq/bin/rabbitmqctl", args...)
	cmd.Env, cmd.Dir = r.env, r.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential}
	return cmd
}

// Ctl runs rabbitmqctl on the node as its user and returns what it printed. It takes 0.4 s.
func (r *RabbitMQ) Ctl(args ...string) string {
	r.bed.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	out, err := r.Command(ctx, args...).CombinedOutput()
	if err != nil {
		r.bed.fail("rabbitmqctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
