package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/common/options"
)

// anchored compiles a pattern that a target must match from its first to its
// last character. A dot that stands for one character is refused: where one
// dot of a name is meant, the names of others would match, too.
func anchored(text string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("not a regular expression (RE2): %w", err)
	}
	if loneDot(parsed) {
		return nil, errors.New(`a dot stands for any character, so that db.example.org allows dbxexample.org too: write \. for a dot, .* or .+ for anything`)
	}
	// On its own it has been parsed: it cannot close this group.
	pattern, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("not a regular expression (RE2) that can stand in a group: %w", err)
	}
	return pattern, nil
}

// loneDot finds a dot that is not repeated.
func loneDot(e *syntax.Regexp) bool {
	switch e.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		if op := e.Sub[0].Op; op == syntax.OpAnyChar || op == syntax.OpAnyCharNotNL {
			return false
		}
	}
	for _, sub := range e.Sub {
		if loneDot(sub) {
			return true
		}
	}
	return false
}

// maxAddress bounds a free-form target in bytes: a name of DNS has at most
// 253, and a port and a scheme stand around it.
const maxAddress = 270

// isAddress reports whether a free-form target is one address and nothing
// else, whatever the pattern allows: no socket's directory, connection
// string, list, user, path or zone, no other script's letters, and no scheme
// but https, so that nobody can ask for a look without TLS.
func isAddress(text string, form options.AddressForm) bool {
	if len(text) > maxAddress {
		return false
	}
	if form == options.Site {
		text = strings.TrimPrefix(text, "https://")
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Zone() == "" && (addr.Is4() || form != options.Site)
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, after, closed := strings.Cut(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return closed && err == nil && addr.Is6() && addr.Zone() == "" && isPortSuffix(after, form)
	}
	host := text
	if colon := strings.IndexByte(text, ':'); colon >= 0 {
		host = text[:colon]
	}
	return isHostName(host) && isPortSuffix(text[len(host):], form)
}

// isPortSuffix accepts nothing, or a port where the form has one.
func isPortSuffix(text string, form options.AddressForm) bool {
	if text == "" {
		return true
	}
	digits, ok := strings.CutPrefix(text, ":")
	port, err := strconv.ParseUint(digits, 10, 16)
	return ok && form != options.Host && err == nil && port > 0 && strconv.FormatUint(port, 10) == digits
}

// isHostName accepts names of DNS, with the underscores that some have.
func isHostName(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	for _, label := range strings.Split(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return true
}

// formText says what a free-form target may be.
func formText(form options.AddressForm) string {
	switch form {
	case options.Host:
		return "a host name or IP address"
	case options.Site:
		return "a host name or IP address, with or without a port and https:// before it"
	}
	return "a host name or IP address, with or without a port"
}
