package sendreceivetime

import (
	"context"
	"net"
	"net/url"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/httpclient"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/zulip"
)

// probe is the check with its options.
type probe struct {
	site                       string
	sender, receiver           *botOptions
	realmValues, stagingValues []string
	stream, topic              string
	tls                        *dial.TLS
	route                      *httpclient.Route
	lax                        *bool

	// As the last Prepare read them.
	realms  []realm
	channel zulip.Recipient // no stream: a direct message
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
	options.Address(fs, "site", options.Site)
	fs.StringArrayVar(&p.realmValues, "realm", nil, "NAME=SENDER-ZULIPRC,RECEIVER-ZULIPRC: look at several organizations or servers, side by side; repeat, or separate by blanks")
	fs.StringArrayVar(&p.stagingValues, "staging", nil, "NAME of a --realm in which nothing is worse than a warning; several: repeat or separate by blanks or commas")
	fs.StringVar(&p.stream, "stream", "", "send to this channel (stream), to which the receiver is subscribed, in place of a direct message")
	fs.StringVar(&p.topic, "topic", defaultTopic, "topic in the channel")
	p.tls = dial.TLSFlags(fs)
	p.route = httpclient.RouteFlags(fs)
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

// defaultTopic says who writes there.
const defaultTopic = "check_send_receive_time"

// Prepare reads the files of all bots.
func (p *probe) Prepare() (check.Setup, error) {
	var err error
	p.channel = zulip.Recipient{}
	if p.stream != "" {
		if p.channel.Stream, err = zulip.ParseStream(p.stream); err != nil {
			return check.Setup{}, err
		}
		if p.channel.Topic, err = zulip.ParseTopic(p.topic); err != nil {
			return check.Setup{}, err
		}
	} else if p.topic != defaultTopic {
		return check.Setup{}, check.Faultf(check.Config, "", "", "--topic needs --stream: a direct message has no topic")
	}
	if p.realms, err = p.readRealms(); err != nil {
		return check.Setup{}, err
	}
	return check.Setup{Target: p.target(), Notice: p.notice(), Limits: p.limits()}, nil
}

func (o *botOptions) given() bool {
	return o.zuliprc != "" || o.email != "" || o.key != nil && o.key.Given()
}

// bot puts together who a bot is. An option beats what a zuliprc file says.
func (p *probe) bot(o *botOptions) (zulip.Bot, error) {
	bad := func(format string, args ...any) (zulip.Bot, error) {
		return zulip.Bot{}, check.Faultf(check.Config, "", "", format, args...)
	}
	rc := &zulip.RC{}
	switch {
	case o.zuliprc == "" && (o.email == "" || o.key == nil || !o.key.Given()):
		return bad("no %[1]s: give --%[1]s-zuliprc FILE, or --%[1]s-email with --%[1]s-key-file", o.role)
	case o.zuliprc != "" && (o.email != "" || o.key != nil && o.key.Given()):
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

// isLocal reports whether what is sent to the site stays on this machine.
func (p *probe) isLocal(u *url.URL) bool {
	host := u.Hostname()
	if forced := p.route.ForceAddress; forced != "" {
		host = forced
		if h, _, err := net.SplitHostPort(forced); err == nil {
			host = h
		}
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Run takes one look at each organization, side by side.
func (p *probe) Run(ctx context.Context, r *check.Report) error {
	if only := p.realms[0]; only.name == "" {
		d, err := p.delivery(only)
		if err != nil {
			return err
		}
		return d.run(ctx, r)
	}
	all := make([]*delivery, len(p.realms))
	looks := make([]func(context.Context) error, 0, len(p.realms))
	for i, one := range p.realms {
		looks = append(looks, func(ctx context.Context) error {
			d, err := p.delivery(one)
			if err == nil {
				all[i] = d
				err = d.run(ctx, r)
			}
			return one.fail(r, err)
		})
	}
	err := check.Go(ctx, looks...)
	summarize(r, all)
	return err
}

func (p *probe) delivery(one realm) (*delivery, error) {
	if one.err != nil {
		return nil, one.err
	}
	one.from.Route, one.to.Route = p.route, p.route
	to := p.channel
	if to.Stream == "" {
		to.Email = one.to.Email
	}
	return newDelivery(one, to)
}

// Close has nothing to give back: every look dials afresh.
func (p *probe) Close() error { return nil }
