package httpclient

import (
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/net/http/httpproxy"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
)

// Route holds the options of the way to a server: to its name's address, to
// another one in its place, through a proxy. The zero value is the straight
// way.
type Route struct {
	// ForceAddress is dialled in place of the name's addresses: a host or IP
	// address, with or without a port. The Host header, the TLS server name and
	// the certificate's verification stay those of the site.
	ForceAddress string
	// Proxy is an HTTP proxy, http://host:port, that CONNECTs to the server,
	// whether that speaks TLS or not; it may hold a user and a password.
	Proxy check.Secret
	// HTTPSProxy is one for https sites, where Proxy is empty.
	HTTPSProxy check.Secret
	// NoProxy names hosts, domains and networks that are reached without a
	// proxy, separated by commas, as the environment variable NO_PROXY does.
	// The machine itself is never reached through one.
	NoProxy string

	proxyUser     string
	proxyPassword *options.Secret
}

// RouteFlags declares --force-address, --proxy, --https-proxy, --no-proxy,
// --proxy-user and --proxy-password. Plugins read HTTPS_PROXY and NO_PROXY
// from their environment.
func RouteFlags(fs *pflag.FlagSet) *Route {
	r := &Route{}
	fs.StringVar(&r.ForceAddress, "force-address", "", "connect to this address[:port] in place of the site's, one backend behind a balancer for example; Host header and certificate stay the site's")
	options.Address(fs, "force-address", options.HostPort)
	fs.Var(&proxyValue{&r.Proxy}, "proxy", "reach the site by CONNECT through this proxy, http://host:port; never used for the machine itself")
	fs.Var(&proxyValue{&r.HTTPSProxy}, "https-proxy", "likewise, for https sites only")
	fs.StringVar(&r.NoProxy, "no-proxy", "", "hosts, domains and networks that are reached without a proxy, separated by commas")
	fs.StringVar(&r.proxyUser, "proxy-user", "", "user at the proxy")
	r.proxyPassword = options.SecretFlags(fs, "proxy-password", "password at the proxy")
	for _, f := range []string{"proxy", "https-proxy"} {
		options.MayHoldPassword(fs, f, "--proxy-user and --proxy-password-file")
	}
	options.Exclusive(fs, "proxy", "https-proxy")
	options.Env(fs, "https-proxy", "HTTPS_PROXY", "https_proxy")
	options.Env(fs, "no-proxy", "NO_PROXY", "no_proxy")
	return r
}

// proxyValue is a flag that shows nothing of its value: it may hold a password.
type proxyValue struct{ secret *check.Secret }

func (v *proxyValue) String() string        { return "" }
func (v *proxyValue) Type() string          { return "URL" }
func (v *proxyValue) Set(text string) error { *v.secret = check.NewSecret(text); return nil }

// Notice is what line 1 must say of these options; empty for nothing.
func (r *Route) Notice() string {
	if r == nil || r.ForceAddress == "" {
		return ""
	}
	return "address forced to " + check.Clean(r.ForceAddress)
}

// Validate says what is wrong with the options on the way to the site.
func (r *Route) Validate(site *url.URL) error {
	_, err := r.to(site)
	return err
}

// way is a route to one server.
type way struct {
	host, port string // dialled in place of the server's own; empty: those
	proxy      string // host:port; empty: none
	auth       string // of the proxy, as a header's value
}

// to finds the way to a server and reads the proxy's password. Its errors are
// *check.Fault.
func (r *Route) to(base *url.URL) (*way, error) {
	w := &way{}
	if r == nil {
		return w, nil
	}
	var err error
	if w.host, w.port, err = splitAddress(r.ForceAddress); err != nil {
		return nil, check.Faultf(check.Config, "", "", "--force-address: %w", err)
	}
	raw, flag := r.Proxy.Reveal(), "--proxy"
	if raw == "" && base.Scheme == "https" {
		raw, flag = r.HTTPSProxy.Reveal(), "--https-proxy"
	}
	if raw == "" || !r.proxied(base) {
		return w, nil
	}
	u, err := parseProxy(raw)
	if err != nil {
		return nil, check.Faultf(check.Config, "", "", "%s: %w", flag, err)
	}
	w.proxy = u.Host
	user, password := u.User.Username(), ""
	if u.User != nil {
		password, _ = u.User.Password()
	}
	if r.proxyUser != "" {
		user = r.proxyUser
	}
	if r.proxyPassword != nil && r.proxyPassword.Given() {
		secret, err := r.proxyPassword.Read()
		if err != nil {
			return nil, err
		}
		password = secret.Reveal()
	}
	if user != "" {
		w.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	return w, nil
}

// proxied applies NO_PROXY's rules, as the library that Go itself uses reads
// them: only its answer counts, not the address in it.
func (r *Route) proxied(base *url.URL) bool {
	c := httpproxy.Config{HTTPProxy: "http://proxy", HTTPSProxy: "http://proxy", NoProxy: r.NoProxy}
	u, err := c.ProxyFunc()(base)
	return err == nil && u != nil
}

// parseProxy reads a proxy's address. Its errors quote nothing of it.
func parseProxy(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || check.Clean(u.Host) != u.Host || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("not the address of a proxy: write http://host:port")
	case !strings.EqualFold(u.Scheme, "http"):
		return nil, errors.New("only proxies that are spoken to in plain HTTP are known: write http://host:port")
	case u.Port() == "":
		u.Host = net.JoinHostPort(u.Hostname(), "80")
	case !isPort(u.Port()):
		return nil, errors.New("there is no such port: write http://host:port")
	}
	return u, nil
}

// splitAddress reads an address with or without a port.
func splitAddress(text string) (host, port string, err error) {
	bad := errors.New("must be an address or a name, with or without a port: 10.0.0.5, 10.0.0.5:8443, [fd00::5]:8443")
	switch {
	case text == "":
		return "", "", nil
	case net.ParseIP(strings.Trim(text, "[]")) != nil:
		return strings.Trim(text, "[]"), "", nil
	case strings.Contains(text, ":"):
		if host, port, err = net.SplitHostPort(text); err != nil || !isPort(port) {
			return "", "", bad
		}
	default:
		host = text
	}
	if host == "" || strings.ContainsAny(host, "/@?#% \t") || check.Clean(host) != host {
		return "", "", bad
	}
	return host, port, nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// address is where to connect for host:port.
func (w *way) address(hostPort string) string {
	if w.host == "" {
		return hostPort
	}
	port := w.port
	if port == "" {
		_, port, _ = net.SplitHostPort(hostPort) // net/http always gives both
	}
	return net.JoinHostPort(w.host, port)
}

// peer names the server, and the way where it is not the straight one.
func (w *way) peer(server string) string {
	if w.host != "" {
		server += " at " + w.address(server)
	}
	if w.proxy != "" {
		server += " through the proxy " + w.proxy
	}
	return server
}
