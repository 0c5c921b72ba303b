package rabbitmq

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/httpclient"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/zulip/secrets"
)

// Options say which broker and vhost, and who asks.
type Options struct {
	host, prefix, vhost, user string

	port     int
	https    bool
	tls      *dial.TLS
	password *options.Secret
	zulips   string // file that holds the password of Zulip's user
}

// Flags declares --host, --port, --path-prefix, --vhost, --user, --password,
// --zulip-secrets-file, --tls and the options of TLS.
func Flags(fs *pflag.FlagSet) *Options {
	o := &Options{}
	fs.StringVarP(&o.host, "host", "H", "localhost", "host of the management API")
	options.Address(fs, "host", options.Host)
	fs.IntVarP(&o.port, "port", "p", 0, "port of the management API (default 15672, with --tls 15671)")
	fs.StringVar(&o.prefix, "path-prefix", "", "path before /api, as management.path_prefix or a proxy has it")
	fs.StringVar(&o.vhost, "vhost", "/", "vhost whose queues are looked at")
	fs.StringVarP(&o.user, "user", "u", "", "user with the tag monitoring and access to the vhost")
	o.password = options.SecretFlags(fs, "password", "password of the user", "RABBITMQ_PASSWORD")
	options.Env(fs, "user", "RABBITMQ_USER")
	fs.StringVar(&o.zulips, "zulip-secrets-file", "", "log in as Zulip does, as user zulip with the password in this file ("+secrets.DefaultFile+"), where no other user and password are given; it has no tag, so only --amqp can use it")
	fs.BoolVar(&o.https, "tls", false, "speak HTTPS")
	o.tls = dial.TLSFlags(fs)
	return o
}

// Validate says what is wrong with the options.
func (o *Options) Validate() error {
	switch {
	case o.host == "" || strings.ContainsAny(o.host, "/@?#% "):
		return errors.New("--host must be a name or an address, without scheme, port and path")
	case strings.Contains(o.host, ":") && net.ParseIP(strings.Trim(o.host, "[]")) == nil:
		return errors.New("--host takes no port: give it with --port")
	case o.port < 0 || o.port > 65535:
		return errors.New("--port must be 1 to 65535")
	case o.vhost == "":
		return errors.New("--vhost must not be empty; the default vhost is /")
	case o.account() == "":
		return errors.New("no user: give --user and --password-file, of a user with the tag monitoring (-h shows how to make one)")
	case !o.password.Given() && o.zulips == "":
		return errors.New("no password: give --password-file, the environment variable RABBITMQ_PASSWORD or --extra-opts")
	case !o.https && o.tlsGiven():
		return errors.New("--ca-file, --tls-server-name, --client-cert-file, --client-key-file and --insecure need --tls")
	}
	return nil
}

func (o *Options) tlsGiven() bool {
	return o.tls.CAFile != "" || o.tls.ServerName != "" || o.tls.CertFile != "" || o.tls.KeyFile != "" || o.tls.Insecure
}

// Target names what is looked at: the host, and the vhost where it is not the
// default one.
func (o *Options) Target() string {
	if o.vhost == "/" {
		return o.host
	}
	return o.host + "/" + o.vhost
}

// Notice is what line 1 must say of the options; empty for nothing.
func (o *Options) Notice() string { return o.tls.Notice() }

// Vhost is the vhost that is looked at.
func (o *Options) Vhost() string { return o.vhost }

// Open makes a client; it reads the password and opens no connection.
func (o *Options) Open() (*Client, error) {
	password, err := o.readPassword()
	if err != nil {
		return nil, err
	}
	client, err := httpclient.New(httpclient.Config{
		Base: o.base(), TLS: o.tls, Limit: requestLimit, User: o.account(), Password: password,
	})
	if err != nil {
		return nil, err
	}
	return &Client{http: client, vhost: o.vhost, user: o.account()}, nil
}

// Login is what it takes to log in to the broker by AMQP.
type Login struct {
	Address     string // host:port
	Vhost, User string
	Password    check.Secret
	TLS         *tls.Config // nil: in plain
}

// Login reads the password and the files of TLS, and opens no connection.
func (o *Options) Login() (Login, error) {
	password, err := o.readPassword()
	if err != nil {
		return Login{}, err
	}
	l := Login{Vhost: o.vhost, User: o.account(), Password: password}
	host := strings.Trim(o.host, "[]")
	port := 5672
	if o.https {
		port = 5671
		if l.TLS, err = o.tls.Config(host); err != nil {
			return Login{}, err
		}
	}
	if o.port != 0 {
		port = o.port
	}
	l.Address = net.JoinHostPort(host, strconv.Itoa(port))
	return l, nil
}

// Grant is the command that lets the user see the vhost and do nothing in it.
func (l *Login) Grant() string { return grant(l.Vhost, l.User) }

// account is the user to log in as.
func (o *Options) account() string {
	if o.user == "" && o.zulips != "" {
		return "zulip"
	}
	return o.user
}

func (o *Options) readPassword() (check.Secret, error) {
	if o.zulips != "" && !o.password.Given() {
		return secrets.Read(o.zulips, secrets.RabbitMQ, o.password.Lax())
	}
	password, err := o.password.Read()
	if err == nil && password.Empty() {
		err = check.Faultf(check.Config, "", "", "the password is empty")
	}
	return password, err
}

func (o *Options) base() *url.URL {
	u := &url.URL{Scheme: "http", Path: "/" + strings.Trim(o.prefix, "/")}
	port := o.port
	if o.https {
		u.Scheme = "https"
	}
	switch {
	case port != 0:
	case o.https:
		port = 15671
	default:
		port = 15672
	}
	u.Host = net.JoinHostPort(strings.Trim(o.host, "[]"), strconv.Itoa(port))
	return u
}
