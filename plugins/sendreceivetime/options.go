package sendreceivetime

import (
	"context"
	"net"
	"net/url"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/zulip"
)

// probe is the check with its options.
type probe struct {
	site             string
	sender, receiver *botOptions
	tls              *dial.TLS
	lax              *bool

	from, to zulip.Bot // as the last Prepare read them
}

// botOptions say who a bot is: a zuliprc file, or its parts.
type botOptions struct {
	role    string
	zuliprc string
	email   string
	key     *options.Secret
}

func newProbe(fs *pflag.FlagSet) *probe {
	p := &probe{}
	p.sender = newBotOptions(fs, "sender", "the bot that sends")
	p.receiver = newBotOptions(fs, "receiver", "the bot that receives; may be the sender itself")
	fs.StringVar(&p.site, "site", "", "address of the organization, https where no scheme is given (default: site of the zuliprc files)")
	p.tls = dial.TLSFlags(fs)
	p.lax = options.InsecurePermissions(fs)
	return p
}

func newBotOptions(fs *pflag.FlagSet, role, who string) *botOptions {
	b := &botOptions{role: role}
	fs.StringVar(&b.zuliprc, role+"-zuliprc", "", "zuliprc file of "+who+"; read anew at each look")
	fs.StringVar(&b.email, role+"-email", "", "email of the "+role+" in place of a zuliprc file")
	b.key = options.SecretFlags(fs, role+"-key", "API key of the "+role)
	return b
}

// Prepare reads the files of both bots.
func (p *probe) Prepare() (check.Setup, error) {
	var err error
	if p.from, err = p.bot(p.sender); err != nil {
		return check.Setup{}, err
	}
	if p.to, err = p.bot(p.receiver); err != nil {
		return check.Setup{}, err
	}
	if a, b := p.from.Site.String(), p.to.Site.String(); a != b {
		return check.Setup{}, check.Faultf(check.Config, "", "", "the bots must be of one organization: the sender's site is %s, the receiver's is %s", a, b)
	}
	return check.Setup{Target: p.from.Site.Host + p.from.Site.Path, Notice: p.notice()}, nil
}

// bot puts together who a bot is. An option beats what a zuliprc file says.
func (p *probe) bot(o *botOptions) (zulip.Bot, error) {
	bad := func(format string, args ...any) (zulip.Bot, error) {
		return zulip.Bot{}, check.Faultf(check.Config, "", "", format, args...)
	}
	rc := &zulip.RC{}
	switch {
	case o.zuliprc == "" && (o.email == "" || !o.key.Given()):
		return bad("no %[1]s: give --%[1]s-zuliprc FILE, or --%[1]s-email with --%[1]s-key-file", o.role)
	case o.zuliprc != "" && (o.email != "" || o.key.Given()):
		return bad("--%[1]s-zuliprc and --%[1]s-email with --%[1]s-key-file exclude each other", o.role)
	case o.zuliprc != "":
		var err error
		if rc, err = zulip.ReadRC(o.zuliprc, *p.lax); err != nil {
			return zulip.Bot{}, err
		}
	default:
		var err error
		if rc.Email, err = zulip.ParseEmail(o.email); err != nil {
			return bad("--%s-email: %w", o.role, err)
		}
		if rc.Key, err = o.key.Read(); err != nil {
			return zulip.Bot{}, err
		}
	}
	if p.site != "" {
		rc.Site = p.site
	}
	if rc.Site == "" {
		return bad("no site of the %s: give --site, or site= in its zuliprc file", o.role)
	}
	site, err := zulip.ParseSite(rc.Site)
	if err != nil {
		return bad("%s: %w", o.role, err)
	}
	return zulip.Bot{Role: o.role, Site: site, Email: rc.Email, Key: rc.Key, TLS: rc.TLS(*p.tls)}, nil
}

// notice says what weakens the look: an unverified certificate, or keys sent
// in the clear beyond this machine.
func (p *probe) notice() string {
	if p.from.Site.Scheme == "http" && !isLocal(p.from.Site) {
		return "API keys sent without TLS"
	}
	if n := p.from.TLS.Notice(); n != "" {
		return n
	}
	return p.to.TLS.Notice()
}

func isLocal(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Run takes one look.
func (p *probe) Run(ctx context.Context, r *check.Report) error {
	d, err := newDelivery(p.from, p.to)
	if err != nil {
		return err
	}
	return d.run(ctx, r)
}

// Close has nothing to give back: every look dials afresh.
func (p *probe) Close() error { return nil }
