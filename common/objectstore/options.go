package objectstore

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/httpclient"
	"github.com/belfry-monitoring/belfry/common/options"
)

const (
	defaultRegion  = "us-east-1"
	defaultProfile = "default"
	pathStyle      = "path"
	virtualStyle   = "virtual"
)

// Options say which server is asked, and as whom.
type Options struct {
	flags      *pflag.FlagSet
	endpoint   string
	region     string
	addressing string
	file       string
	profile    string
	keyID      string
	secret     *options.Secret
	token      *options.Secret
	tls        dial.TLS
	route      *httpclient.Route
	lax        *bool
}

// Flags declares the --s3-* options and those of the way
// (httpclient.RouteFlags). The environment variables are those of the AWS
// tools. TLS has options of its own, because those of dial.TLSFlags may be
// another peer's of the same check.
func Flags(fs *pflag.FlagSet) *Options {
	o := &Options{flags: fs, lax: options.InsecurePermissions(fs)}
	fs.StringVar(&o.endpoint, "s3-endpoint", "", "S3: address of the server, https://host:port (default Amazon's of the region)")
	options.Address(fs, "s3-endpoint", options.Site)
	fs.StringVar(&o.region, "s3-region", defaultRegion, "S3: region of the bucket; other servers than Amazon's mostly take any")
	fs.StringVar(&o.addressing, "s3-addressing", "", "S3: where a request names the bucket: path (https://host/bucket) or virtual (https://bucket.host) (default virtual at Amazon's, path at --s3-endpoint)")
	fs.StringVar(&o.file, "s3-credentials-file", "", "S3: file with the keys, as ~/.aws/credentials of the AWS tools; read anew at each look")
	fs.StringVar(&o.profile, "s3-profile", defaultProfile, "S3: section of that file")
	fs.StringVar(&o.keyID, "s3-access-key-id", "", "S3: access key ID, in place of --s3-credentials-file")
	o.secret = options.SecretFlags(fs, "s3-secret-access-key", "S3: secret access key that goes with it", "AWS_SECRET_ACCESS_KEY")
	o.token = options.SecretFlags(fs, "s3-session-token", "S3: session token that goes with it, of temporary keys", "AWS_SESSION_TOKEN")
	fs.StringVar(&o.tls.CAFile, "s3-ca-file", "", "S3: verify the server's certificate against these authorities (PEM) instead of the system's")
	fs.BoolVar(&o.tls.Insecure, "s3-insecure", false, "S3: do not verify the server's certificate; said on line 1")
	o.route = httpclient.RouteFlags(fs)
	for flag, variables := range map[string][]string{
		"s3-endpoint": {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}, "s3-region": {"AWS_REGION", "AWS_DEFAULT_REGION"},
		"s3-credentials-file": {"AWS_SHARED_CREDENTIALS_FILE"}, "s3-profile": {"AWS_PROFILE"}, "s3-access-key-id": {"AWS_ACCESS_KEY_ID"},
	} {
		options.Env(fs, flag, variables...)
	}
	return o
}

// Given names an option of S3 that was set otherwise than by the environment,
// empty for none.
func (o *Options) Given() (name string) {
	o.flags.Visit(func(f *pflag.Flag) {
		if (strings.HasPrefix(f.Name, "s3-") || f.Name == "force-address") && !options.FromEnvironment(o.flags, f.Name) && f.Value.String() != "" && name == "" {
			name = f.Name
		}
	})
	return name
}

// Notice is what line 1 must say of the options; empty for nothing.
func (o *Options) Notice() string {
	var all []string
	for _, one := range []string{o.tls.Notice(), o.route.Notice()} {
		if one != "" {
			all = append(all, one)
		}
	}
	return strings.Join(all, ", ")
}

// Store validates the options for a bucket and opens nothing.
func (o *Options) Store(bucket string) (*Store, error) {
	if !bucketName(bucket) {
		return nil, fmt.Errorf("%q is no name of a bucket", check.CleanMax(bucket, 80))
	}
	if o.region == "" || strings.ContainsFunc(o.region, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		return nil, fmt.Errorf("--s3-region %q is no region, such as %s", check.CleanMax(o.region, 80), defaultRegion)
	}
	endpoint, virtual := o.endpoint, false
	if endpoint == "" {
		endpoint = "https://s3." + o.region + ".amazonaws.com"
		virtual = !strings.Contains(bucket, ".") // no wildcard of a certificate has two levels
	}
	base, err := parseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	switch o.addressing {
	case "":
	case pathStyle:
		virtual = false
	case virtualStyle:
		virtual = true
	default:
		return nil, fmt.Errorf("--s3-addressing %q: write path or virtual", check.CleanMax(o.addressing, 40))
	}
	s := &Store{Bucket: bucket, Region: o.region, virtual: virtual, server: base.Hostname(), base: base, tls: &o.tls, route: o.route}
	switch {
	case !virtual:
		s.prefix = "/" + escape(bucket)
	case net.ParseIP(base.Hostname()) != nil:
		return nil, errors.New("--s3-addressing virtual needs an --s3-endpoint with a name: an address has no names below it")
	case base.Path != "":
		return nil, errors.New("--s3-addressing virtual needs an --s3-endpoint without a path")
	default:
		base.Host = bucket + "." + base.Host
	}
	if err := o.route.Validate(s.base); err != nil {
		return nil, err
	}
	s.login, err = o.credentials()
	return s, err
}

// credentials chooses where the keys come from. What was given by an option
// beats the environment; the two never mix, so that a session token of one
// does not go with the keys of another.
func (o *Options) credentials() (func() (Credentials, error), error) {
	byKey := o.keyID != ""
	if byKey && o.file != "" {
		keyFromEnv, fileFromEnv := options.FromEnvironment(o.flags, "s3-access-key-id"), options.FromEnvironment(o.flags, "s3-credentials-file")
		if !keyFromEnv && !fileFromEnv {
			return nil, errors.New("--s3-credentials-file and --s3-access-key-id are two sources of the same: choose one")
		}
		byKey = !keyFromEnv || fileFromEnv
	}
	switch {
	case byKey && !o.secret.Given():
		return nil, errors.New("--s3-access-key-id needs --s3-secret-access-key-file")
	case byKey:
		return o.ownKeys, nil
	case o.file == "":
		return nil, errors.New("no credentials: give --s3-credentials-file, or --s3-access-key-id and --s3-secret-access-key-file")
	}
	return func() (Credentials, error) { return readCredentials(o.file, o.profile, *o.lax) }, nil
}

func (o *Options) ownKeys() (c Credentials, err error) {
	c.KeyID = o.keyID
	if c.Secret, err = o.secret.Read(); err != nil {
		return c, err
	}
	// The token of the environment belongs to the keys of the environment.
	if options.FromEnvironment(o.flags, "s3-access-key-id") == options.FromEnvironment(o.flags, "s3-session-token") {
		if c.Token, err = o.token.Read(); err != nil {
			return c, err
		}
	}
	if err := c.valid(); err != nil {
		return c, check.Faultf(check.Config, "", "", "%w", err)
	}
	return c, nil
}

// parseEndpoint reads the address of a server. Without a scheme it is https.
func parseEndpoint(text string) (*url.URL, error) {
	given := strings.TrimSpace(text)
	if !strings.Contains(given, "://") {
		given = "https://" + given
	}
	u, err := url.Parse(given)
	if err != nil {
		return nil, errors.New("--s3-endpoint is no address like https://s3.example.org")
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch {
	case u.User != nil:
		return nil, errors.New("--s3-endpoint must hold no user or password")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("--s3-endpoint: %q is neither https nor http", check.CleanMax(u.Scheme, 20))
	case u.Hostname() == "" || check.Clean(u.Host) != u.Host || strings.ContainsAny(u.Host, " \t"):
		return nil, errors.New("--s3-endpoint names no host: write https://s3.example.org")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("--s3-endpoint must end with its path: no ? and no #")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("--s3-endpoint: there is no port %s", check.CleanMax(port, 20))
		}
		// The Host header that is signed is sent without it.
		if u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
			u.Host = strings.TrimSuffix(u.Host, ":"+port)
		}
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// bucketName accepts Amazon's rules and what other servers allow beside them.
func bucketName(name string) bool {
	return len(name) >= 3 && len(name) <= 255 && !strings.Contains(name, "..") && name[0] != '.' && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	})
}
