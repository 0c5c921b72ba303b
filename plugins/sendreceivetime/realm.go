package sendreceivetime

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/zulip"
)

// maxRealms bounds how many organizations one look may have: all are looked at
// at the same time.
const maxRealms = 50

// realm is an organization that is looked at.
type realm struct {
	name     string // label of its values; empty where it is the only one
	staging  bool   // nothing of it is worse than a warning
	from, to zulip.Bot
	err      error // why it cannot be looked at; never set for an only one
}

// realmFiles are the zuliprc files of a realm, as --realm names them.
type realmFiles struct{ name, sender, receiver string }

// parseRealms reads the values of --realm. One value may hold several,
// separated by blanks, because Nagios passes one macro.
func parseRealms(values []string) ([]realmFiles, error) {
	var realms []realmFiles
	for _, item := range strings.Fields(strings.Join(values, " ")) {
		r := realmFiles{}
		var files string
		var ok bool
		if r.name, files, ok = strings.Cut(item, "="); !ok || !isRealmName(r.name) {
			return nil, fmt.Errorf("--realm %q: write NAME=SENDER-ZULIPRC,RECEIVER-ZULIPRC, with a name of letters, digits, dots, dashes and underscores", item)
		}
		r.sender, r.receiver, ok = strings.Cut(files, ",")
		if !ok {
			r.receiver = r.sender // one bot for both
		}
		switch {
		case r.sender == "" || r.receiver == "" || strings.Contains(r.receiver, ","):
			return nil, fmt.Errorf("--realm %q: write NAME=SENDER-ZULIPRC,RECEIVER-ZULIPRC, files without commas and blanks in their names", item)
		case slices.ContainsFunc(realms, func(other realmFiles) bool { return other.name == r.name }):
			return nil, fmt.Errorf("--realm: %s is named twice", r.name)
		}
		realms = append(realms, r)
	}
	if len(realms) > maxRealms {
		return nil, fmt.Errorf("--realm: %d are more than %d for one look: make several checks of them", len(realms), maxRealms)
	}
	return realms, nil
}

// isRealmName accepts what is safe as a label, in a limit's braces and in
// performance data.
func isRealmName(name string) bool {
	for i, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("._-", c)) {
			return false
		}
	}
	return name != "" && len(name) <= 60
}

// parseStaging reads the values of --staging, names of realms that are there.
func parseStaging(values []string, realms []realmFiles) (map[string]bool, error) {
	staging := make(map[string]bool)
	for _, name := range strings.FieldsFunc(strings.Join(values, " "), func(r rune) bool { return r == ' ' || r == ',' }) {
		if !slices.ContainsFunc(realms, func(r realmFiles) bool { return r.name == name }) {
			return nil, fmt.Errorf("--staging %q: no --realm has this name", name)
		}
		staging[name] = true
	}
	return staging, nil
}

// readRealms reads the bots of all organizations. In one of several, what is
// wrong is its own.
func (p *probe) readRealms() ([]realm, error) {
	files, err := parseRealms(p.realmValues)
	if err != nil {
		return nil, check.PrepareFault(err)
	}
	staging, err := parseStaging(p.stagingValues, files)
	if err != nil {
		return nil, check.PrepareFault(err)
	}
	if len(files) == 0 {
		only := p.readRealm(p.sender, p.receiver)
		return []realm{only}, only.err
	}
	if p.site != "" || p.sender.given() || p.receiver.given() {
		return nil, check.Faultf(check.Config, "", "", "--realm excludes --site and the options of sender and receiver: its zuliprc files say all that")
	}
	realms := make([]realm, 0, len(files))
	var errs []error
	for _, f := range files {
		r := p.readRealm(&botOptions{role: "sender", zuliprc: f.sender}, &botOptions{role: "receiver", zuliprc: f.receiver})
		r.name, r.staging = f.name, staging[f.name]
		if r.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.name, r.err))
		}
		realms = append(realms, r)
	}
	if len(errs) == len(realms) {
		return nil, errors.Join(errs...)
	}
	return realms, nil
}

func (p *probe) readRealm(sender, receiver *botOptions) (r realm) {
	if r.from, r.err = p.bot(sender); r.err != nil {
		return r
	}
	if r.to, r.err = p.bot(receiver); r.err != nil {
		return r
	}
	if a, b := r.from.Site.String(), r.to.Site.String(); a != b {
		r.err = check.Faultf(check.Config, "", "", "the bots must be of one organization: the sender's site is %s, the receiver's is %s", a, b)
		return r
	}
	r.err = p.route.Validate(r.from.Site)
	return r
}

// target names the organization, or all of them.
func (p *probe) target() string {
	if only := p.realms[0]; only.name == "" {
		target := only.from.Site.Host + only.from.Site.Path
		if p.route.ForceAddress != "" {
			target += " at " + p.route.ForceAddress
		}
		return target
	}
	names := make([]string, 0, len(p.realms))
	for _, r := range p.realms {
		names = append(names, r.name)
	}
	if all := strings.Join(names, ","); len(all) <= 60 {
		return all
	}
	return fmt.Sprintf("%d realms", len(names))
}

// notice says what weakens the look at any of them.
func (p *probe) notice() string {
	var notices []string
	add := func(text string) {
		if text != "" && !slices.Contains(notices, text) {
			notices = append(notices, text)
		}
	}
	for _, r := range p.realms {
		switch {
		case r.err != nil:
		case r.from.Site.Scheme == "http" && !p.isLocal(r.from.Site):
			add("API keys sent without TLS")
		default:
			add(r.from.TLS.Notice())
			add(r.to.TLS.Notice())
		}
	}
	add(p.route.Notice())
	return strings.Join(notices, ", ")
}

// limits keep what is slow in a staging realm from being critical, unless the
// operator says otherwise.
func (p *probe) limits() []check.Limit {
	var limits []check.Limit
	for _, r := range p.realms {
		if r.staging {
			limits = append(limits, neverCritical(r.name))
		}
	}
	return limits
}
