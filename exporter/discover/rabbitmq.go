package discover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/httpclient"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/rabbitmq"
	"github.com/belfry-monitoring/belfry/common/zulip/secrets"
)

// isRabbitMQ knows the Erlang machine that runs the broker (-s rabbit boot).
func isRabbitMQ(args []string) bool {
	return strings.HasPrefix(path.Base(args[0]), "beam") && slices.Contains(args, "rabbit")
}

// broker is a broker as the machine shows it.
type broker struct {
	owner string // system user it runs as; empty: not known whether one runs
	// management and amqp are where its APIs listen; port 0: nowhere.
	management, amqp endpoint
	prefix           string // management.path_prefix
	zulip            []string
	awaits           bool   // Zulip's workers should run here, and do not yet
	secrets          string // Zulip's file of passwords, where there is one
	statsDir         string // of Zulip's workers, where it can be read
	conf             error  // why its configuration could not be read
}

// endpoint is an address of this machine.
type endpoint struct {
	host string
	port uint16
	tls  bool
	safe bool // a password may be sent to who listens there
}

func (e endpoint) String() string { return net.JoinHostPort(e.host, strconv.Itoa(int(e.port))) }

// The ports of a broker that is configured to use no others.
const (
	managementPort    = 15672
	managementTLSPort = 15671
	amqpPort          = 5672
)

// rabbitMQ finds the broker of each user that runs one, and whatever listens
// at the port of the management API.
func rabbitMQ(m *Machine) []candidate {
	conf, err := rabbitConf(m.Files)
	var list []candidate
	seen := make(map[int]bool)
	for _, p := range m.of(isRabbitMQ) {
		if seen[p.UID] {
			continue // nodes of one user share what is known of them
		}
		seen[p.UID] = true
		b := rabbitBroker(m, conf, &p)
		b.conf = err
		list = append(list, candidate{"broker of user " + b.owner, b.examine})
	}
	if len(list) == 0 {
		if b := rabbitBroker(m, conf, nil); b.management.port != 0 {
			list = append(list, candidate{"broker at " + b.management.String(), b.examine})
		}
	}
	return list
}

// rabbitBroker settles where a broker listens: where its configuration says,
// or at the ports of the product.
func rabbitBroker(m *Machine, conf map[string]string, p *Process) broker {
	b := broker{prefix: strings.Trim(conf["management.path_prefix"], "/"), zulip: zulipQueues(m)}
	if p != nil {
		b.owner = m.Accounts[p.UID]
	}
	b.awaits = len(b.zulip) == 0 && zulipRunsWorkers(m.Files)
	find := func(tls bool, standard uint16, keys ...string) endpoint {
		port := standard
		for _, key := range keys {
			if n := portOf(conf[key]); n != 0 {
				port = n
				break
			}
		}
		l, ok := m.at(port)
		if !ok || port != standard && (p == nil || !p.owns(l, true)) {
			return endpoint{}
		}
		return endpoint{l.host(), port, tls, m.trusts(l.UID)}
	}
	b.management = find(false, managementPort, "management.tcp.port", "management.listener.port")
	if b.management.port == 0 {
		b.management = find(true, managementTLSPort, "management.ssl.port")
	}
	b.amqp = find(false, amqpPort, "listeners.tcp.default", "listeners.tcp.1", "listeners.tcp.local")
	if len(b.zulip) > 0 {
		b.secrets = secrets.DefaultFile
		if _, err := m.Files.Read(b.secrets); errors.Is(err, fs.ErrNotExist) {
			b.secrets = ""
		} else {
			b.secrets = m.Files.Path(b.secrets)
		}
		if stats := m.Files.Glob(zulipStats + "/*.stats"); len(stats) > 0 {
			if _, err := m.Files.Read(stats[0]); err == nil {
				b.statsDir = m.Files.Path(zulipStats)
			}
		}
	}
	return b
}

// zulipStats is where Zulip's workers write how fast they are
// (QUEUE_STATS_DIR).
const zulipStats = "/var/log/zulip/queue_stats"

// portOf reads 5672, 127.0.0.1:5672 and [::1]:5672; 0 for anything else.
func portOf(text string) uint16 {
	n, err := strconv.ParseUint(text[strings.LastIndexByte(text, ':')+1:], 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// rabbitConf reads rabbitmq.conf and the files beside it (RabbitMQ's
// documentation, "Configuration"); a later line counts.
func rabbitConf(files Files) (map[string]string, error) {
	settings := make(map[string]string)
	var failed error
	for _, name := range append([]string{"/etc/rabbitmq/rabbitmq.conf"}, files.Glob("/etc/rabbitmq/conf.d/*.conf")...) {
		data, err := files.Read(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = err
		}
		parseRabbitConf(data, settings)
	}
	return settings, failed
}

// parseRabbitConf reads lines of "key = value", with comments behind "#".
func parseRabbitConf(data []byte, into map[string]string) {
	for line := range bytes.Lines(data) {
		line, _, _ = bytes.Cut(line, []byte("#"))
		key, value, ok := strings.Cut(string(line), "=")
		if key = strings.TrimSpace(key); ok && key != "" {
			into[key] = strings.TrimSpace(value)
		}
	}
}

// examine asks the management API without a login what it is, and logs in
// where a login was given.
func (b broker) examine(ctx context.Context, a *asker) (Thing, bool) {
	api, err := b.api(ctx, a)
	if b.owner == "" && !api {
		return Thing{}, false
	}
	switch f := a.finder; {
	case f.RabbitMQUser != "" && b.management.port != 0 && !b.management.safe, f.RabbitMQUser == "" && b.secrets != "" && b.amqp.port != 0 && !b.amqp.safe:
		return b.unsafe(), true
	case f.RabbitMQUser != "" && b.management.port != 0:
		return b.byManagement(ctx, a, err), true
	case b.secrets != "" && b.amqp.port != 0:
		c := b.byAMQP()
		return b.judgeAMQP(a.machine.User, c, a.look(ctx, c)), true
	}
	return b.unread(a.machine.User, api, err), true
}

// api asks whether it is RabbitMQ's management that listens there.
func (b broker) api(ctx context.Context, a *asker) (bool, error) {
	if b.management.port == 0 || b.management.tls { // nobody can say whose certificate it should be
		return false, nil
	}
	answer, err := a.get(ctx, b.management.String(), b.path()+"/api/overview")
	if err != nil {
		return false, err
	}
	return isManagement(answer), nil
}

func (b broker) path() string {
	if b.prefix == "" {
		return ""
	}
	return "/" + b.prefix
}

// isManagement knows the refusal of somebody without a login: 401 with a
// realm of its own, and JSON.
func isManagement(answer *httpclient.Answer) bool {
	return answer.Status == 401 && strings.Contains(answer.Header.Get("WWW-Authenticate"), "RabbitMQ")
}

func (b broker) name() string {
	switch {
	case b.management.port != 0:
		return b.management.String()
	case b.amqp.port != 0:
		return b.amqp.String()
	}
	return "broker of user " + b.owner
}

// login are the options with which the management API is asked.
func (b broker) login(f *Finder, vhost string) map[string]any {
	o := map[string]any{
		"host": b.management.host, "port": strconv.Itoa(int(b.management.port)), "vhost": vhost,
		"user": f.RabbitMQUser, "password-file": f.RabbitMQPasswordFile,
	}
	if b.management.tls {
		o["tls"] = "true"
	}
	if b.prefix != "" {
		o["path-prefix"] = b.path()
	}
	return o
}

// queues is the check of a vhost's queues.
func (b broker) queues(f *Finder, vhost string) Check {
	c := Check{Check: "rabbitmq_queues", Target: b.target(vhost), Options: b.login(f, vhost)}
	switch {
	case len(b.zulip) == 0 || vhost != "/":
		c.Options["profile"] = "none"
	case b.statsDir != "":
		c.Options["queue-stats-dir"] = b.statsDir
	}
	return c
}

func (b broker) target(vhost string) string {
	if vhost == "/" {
		return b.name()
	}
	return check.Clean(b.name() + "/" + vhost)
}

// byManagement looks at all vhosts with the login that was given.
func (b broker) byManagement(ctx context.Context, a *asker, asked error) Thing {
	f := a.finder
	thing := Thing{Name: b.name(), waits: b.awaits, growing: len(b.zulip) > 0}
	if isDead(check.ReasonOf(asked)) && asked != nil {
		thing.Outcome, thing.Checks, thing.again = Watched, []Check{b.queues(f, "/")}, true
		thing.Text = "RabbitMQ runs and does not serve: " + asked.Error() + ". It is asked again which vhosts it has."
		return thing
	}
	vhosts, err := vhosts(ctx, b.login(f, "/"))
	if err != nil {
		thing.Outcome, thing.Text = Unreadable, "RabbitMQ runs, and cannot be looked at: "+err.Error()+"."
		thing.Help, thing.again = b.userHelp(f.RabbitMQUser), mayPass(check.ReasonOf(err))
		return thing
	}
	if more := len(vhosts) - maxCandidates; more > 0 {
		thing.Help = append(thing.Help, fmt.Sprintf("%d more vhosts than the %d that are looked at: configure them", more, maxCandidates))
		vhosts = vhosts[:maxCandidates]
	}
	checks := make([][]Check, len(vhosts))
	trials := make([]trial, len(vhosts))
	looks := make([]func(context.Context) error, len(vhosts))
	for i, vhost := range vhosts {
		looks[i] = func(ctx context.Context) error {
			c := b.queues(f, vhost)
			trials[i], checks[i] = a.look(ctx, c), []Check{c}
			if vhost == "/" && len(b.zulip) > 0 {
				checks[i] = append(checks[i], Check{Check: "rabbitmq_consumers", Target: b.target(vhost), Options: b.consumers(f, vhost)})
			}
			return nil
		}
	}
	if err := check.Go(ctx, looks...); err != nil {
		thing.Outcome, thing.Text = Failed, "RabbitMQ runs, and cannot be examined: "+err.Error()
		return thing
	}
	return b.judgeVhosts(thing, f.RabbitMQUser, vhosts, checks, trials)
}

// allowEmpty is the option of a vhost in which no queue need be. Many a broker
// has one: "/", where applications have vhosts of their own.
const allowEmpty = "allow-empty"

// consumers are the options of the check of the consumers of Zulip's queues:
// of those whose workers run, because former versions leave queues behind.
func (b broker) consumers(f *Finder, vhost string) map[string]any {
	o := b.login(f, vhost)
	o["queue"] = b.zulip
	return o
}

// judgeVhosts keeps the checks of those vhosts that can be looked at.
func (b broker) judgeVhosts(thing Thing, user string, vhosts []string, checks [][]Check, trials []trial) Thing {
	var seen, unseen []string
	for i, vhost := range vhosts {
		if trials[i].blind() {
			thing.again = thing.again || mayPass(trials[i].reason)
			unseen = append(unseen, "vhost "+vhost+": "+trials[i].text)
			thing.Help = append(thing.Help, "rabbitmqctl set_permissions -p "+shellQuote(vhost)+" "+shellQuote(user)+" '^$' '^$' '^$'   # then reload the exporter")
			continue
		}
		seen = append(seen, vhost)
		if c := checks[i][0]; c.Options["profile"] == "none" && trials[i].found(rabbitmq.NoQueue.Key) {
			c.Options[allowEmpty], thing.waits = "true", true // until there is one
		}
		thing.Checks = append(thing.Checks, checks[i]...)
		thing.again = thing.again || trials[i].dead()
	}
	thing.Outcome, thing.Text = Watched, "RabbitMQ, vhosts "+strings.Join(seen, ", ")+", as user "+user+"."
	if len(seen) == 0 {
		thing.Outcome, thing.Text = Unreadable, "RabbitMQ lets user "+user+" in and shows no vhost."
	}
	if len(unseen) > 0 {
		thing.Text += " Not watched: " + strings.Join(unseen, "; ") + "."
	}
	return thing
}

// vhosts lists the vhosts of a broker.
func vhosts(ctx context.Context, given map[string]any) ([]string, error) {
	fs := pflag.NewFlagSet("discover", pflag.ContinueOnError)
	o := rabbitmq.Flags(fs)
	if err := options.FromValues(fs, values(given)); err != nil {
		return nil, &check.Fault{Reason: check.Config, Err: err}
	}
	if err := o.Validate(); err != nil {
		return nil, check.PrepareFault(err)
	}
	client, err := o.Open()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return client.Vhosts(ctx)
}

// byAMQP is the check of Zulip's queues with the password that Zulip itself
// logs in with, which asks for each queue by name.
func (b broker) byAMQP() Check {
	c := Check{
		Check: "rabbitmq_queues", Target: b.name(),
		Options: map[string]any{
			"amqp": "true", "host": b.amqp.host, "port": strconv.Itoa(int(b.amqp.port)), "zulip-secrets-file": b.secrets, "queue": b.zulip,
		},
		// What consumers hold is not in the answer, which is no fault.
		Severity: map[string]string{"held_unknown": "ok"},
	}
	if b.statsDir != "" {
		c.Options["queue-stats-dir"] = b.statsDir
	}
	return c
}

// judgeAMQP judges a look with Zulip's own login.
func (b broker) judgeAMQP(self Account, c Check, t trial) Thing {
	thing := Thing{Name: b.name(), Help: b.grants(self), growing: true}
	if t.blind() {
		thing.Outcome, thing.Text = Unreadable, "RabbitMQ runs, and cannot be looked at as Zulip does: "+t.text+"."
		thing.again = mayPass(t.reason)
		if t.reason == check.Permission {
			thing.Help = append([]string{"usermod -aG zulip " + shellQuote(self.Name) + "   # lets it read " + b.secrets + "; then restart the exporter"}, thing.Help...)
		}
		return thing
	}
	thing.Outcome, thing.Checks, thing.again = Watched, []Check{c}, t.dead()
	thing.Text = fmt.Sprintf("RabbitMQ, %s of Zulip's workers that run, by AMQP as Zulip does (%s). Other queues, and what workers hold, cannot be seen so: a user of its own sees them.", rabbitmq.Count(len(b.zulip), "queue"), b.secrets)
	return thing
}

// unsafe is a broker that belongs to a person, to whom no password is sent.
func (b broker) unsafe() Thing {
	return Thing{
		Name: b.name(), Outcome: Unreadable,
		Text: "What listens at RabbitMQ's port belongs to a user who is neither root nor a service of the system: no password is sent to it.",
		Help: []string{"configure: - {check: rabbitmq_queues, target: NAME, options: {host: " + b.management.host + ", user: USER, password-file: FILE}}   # where that is meant"},
	}
}

// unread is a broker for which no login was given.
func (b broker) unread(self Account, api bool, err error) Thing {
	thing := Thing{Name: b.name(), Outcome: Unreadable, Help: b.grants(self), waits: b.awaits}
	switch {
	case err != nil:
		thing.Text = "RabbitMQ runs, and its management API cannot be asked: " + err.Error() + "."
		thing.again = mayPass(check.ReasonOf(err))
	case api || b.management.tls:
		thing.Text = "RabbitMQ's management API asks for a login, and none was given."
	case b.management.port != 0:
		thing.Text = "RabbitMQ runs, and what listens at " + b.management.String() + " is not its management API."
	default:
		thing.Text = "RabbitMQ runs, and no management API listens where it should: its plugin is off, or it has another port."
		thing.Help = append([]string{"rabbitmq-plugins enable rabbitmq_management"}, thing.Help...)
	}
	if b.conf != nil {
		thing.Text += " Its configuration cannot be read: " + b.conf.Error() + "."
	}
	return thing
}

// grants make a user for monitoring and let the exporter use it.
func (b broker) grants(self Account) []string {
	user := self.Name
	if user == "root" || user == "guest" {
		user = "monitor"
	}
	return append(b.userHelp(user),
		"write the password into /etc/belfry/rabbitmq-password, readable by user "+self.Name+" only, and start the exporter with --discover.rabbitmq-user="+shellQuote(user)+" --discover.rabbitmq-password-file=/etc/belfry/rabbitmq-password")
}

func (b broker) userHelp(user string) []string {
	user = shellQuote(user)
	return []string{
		"rabbitmqctl add_user " + user + "   # asks for a password",
		"rabbitmqctl set_user_tags " + user + " monitoring",
		"rabbitmqctl set_permissions -p / " + user + " '^$' '^$' '^$'   # sees the vhost and can do nothing in it",
	}
}
