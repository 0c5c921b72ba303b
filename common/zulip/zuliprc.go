package zulip

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/ini"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// RC is a zuliprc file: what a bot needs to log in, as Zulip's own settings
// offer it for download and as the official clients read it.
type RC struct {
	Email string
	Key   check.Secret
	Site  string // as written; ParseSite makes a URL of it; may be empty

	// TLS settings that the official Python client takes from the file.
	CertBundle    string
	ClientCert    string
	ClientCertKey string
	Insecure      bool
}

// ReadRC reads a zuliprc file, which is refused where others can read or
// write it, unless lax. The error is a *check.Fault.
func ReadRC(path string, lax bool) (*RC, error) {
	data, err := safefile.ReadSecret(path, lax)
	if err != nil {
		return nil, err
	}
	rc, err := ParseRC(data)
	if err != nil {
		return nil, check.Faultf(check.Config, "read zuliprc", path, "%w", err)
	}
	return rc, nil
}

// ParseRC reads the [api] section of a zuliprc file. Names are not
// case-sensitive, as in Python's configparser. No error quotes the file,
// which holds a key.
func ParseRC(data []byte) (*RC, error) {
	file, err := ini.Parse(data, "=:")
	if err != nil {
		return nil, fmt.Errorf("not an INI file with [api] and the lines email=, key= and site=: %w", err)
	}
	pairs, ok := file.Section("api")
	if !ok {
		return nil, errors.New("no section [api] in it")
	}
	get := func(name string) string {
		value := ""
		for _, p := range pairs {
			if strings.EqualFold(p.Name, name) {
				value = p.Value
			}
		}
		return value
	}
	rc := &RC{
		Email: get("email"), Key: check.NewSecret(get("key")), Site: get("site"),
		CertBundle: get("cert_bundle"), ClientCert: get("client_cert"), ClientCertKey: get("client_cert_key"),
	}
	if rc.Email == "" || rc.Key.Empty() {
		return nil, errors.New("section [api] must hold email= and key=")
	}
	if rc.Email, err = ParseEmail(rc.Email); err != nil {
		return nil, err
	}
	switch strings.ToLower(get("insecure")) {
	case "":
	case "true":
		rc.Insecure = true
	case "false":
	default:
		return nil, errors.New("insecure= must be true or false")
	}
	return rc, nil
}

// ParseEmail accepts the name with which a bot logs in. A colon would end it
// early in HTTP's basic authentication.
func ParseEmail(text string) (string, error) {
	if !strings.Contains(text, "@") || strings.ContainsAny(text, ":\r\n\t \x00") || check.Clean(text) != text {
		return "", errors.New("the bot's email must look like name-bot@chat.example.org")
	}
	return text, nil
}

// TLS fills what the options leave open from the file.
func (rc *RC) TLS(options dial.TLS) dial.TLS {
	if options.CAFile == "" {
		options.CAFile = rc.CertBundle
	}
	if options.CertFile == "" && options.KeyFile == "" {
		options.CertFile, options.KeyFile = rc.ClientCert, rc.ClientCertKey
		if options.KeyFile == "" {
			options.KeyFile = options.CertFile // both in one file, as the Python client allows
		}
	}
	options.Insecure = options.Insecure || rc.Insecure
	return options
}

// ParseSite reads the address of an organization: "chat.example.org",
// "https://chat.example.org:8443/zulip". Without a scheme it is https; http
// must be asked for. A trailing "/api", which old files have, is dropped.
func ParseSite(text string) (*url.URL, error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("site is not an address like https://chat.example.org")
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch {
	case u.User != nil:
		return nil, errors.New("site must hold no user or password")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("site: %q is neither https nor http", u.Scheme)
	case u.Hostname() == "" || strings.ContainsAny(u.Host, " \t"):
		return nil, errors.New("site names no host: write https://chat.example.org")
	case u.Port() != "" && !isPort(u.Port()):
		return nil, fmt.Errorf("site: there is no port %s", u.Port())
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("site must end with its path: no ? and no #")
	}
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/api")
	u.RawPath = ""
	return u, nil
}

func isPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0
}
