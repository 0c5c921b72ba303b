package config

import (
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/options"
)

func TestIsAddress(t *testing.T) {
	const h, p, s = options.Host, options.HostPort, options.Site
	for _, c := range []struct {
		text  string
		forms []options.AddressForm // that take it
	}{
		{"db1", []options.AddressForm{h, p, s}},
		{"DB_1.example.org", []options.AddressForm{h, p, s}},
		{"10.0.0.5", []options.AddressForm{h, p, s}},
		{"db1.example.org:5432", []options.AddressForm{p, s}},
		{"10.0.0.5:1", []options.AddressForm{p, s}},
		{"fd00::5", []options.AddressForm{h, p}},
		{"[fd00::5]", []options.AddressForm{h, p, s}},
		{"[fd00::5]:5432", []options.AddressForm{p, s}},
		{"https://chat.example.org", []options.AddressForm{s}},
		{"https://[fd00::5]:8443", []options.AddressForm{s}},
		{"", nil},
		{" db1", nil},
		{"db1 ", nil},
		{"db1\n", nil},
		{"db1\x00", nil},
		{"db1,db2", nil},
		{"db1@evil", nil},
		{"user:pw@db1", nil},
		{"db1/evil", nil},
		{"db1:5432/../evil", nil},
		{"db1:", nil},
		{"db1:0", nil},
		{"db1:05432", nil},
		{"db1:+1", nil},
		{"db1:65536", nil},
		{"db1:1:2", nil},
		{"db1?x=1", nil},
		{"db1#x", nil},
		{"db1%00", nil},
		{"db1.", nil},
		{".db1", nil},
		{"a..b", nil},
		{"-oProxyCommand", nil},
		{"/var/run/postgresql", nil},
		{"@abstract", nil},
		{"postgresql://db1/x", nil},
		{"postgres://db1", nil},
		{"host=db1", nil},
		{"http://chat.example.org", nil},
		{"HTTPS://chat.example.org", nil},
		{"https://", nil},
		{"https://https://a", nil},
		{"https://u@a", nil},
		{"https://a/path", nil},
		{"https://a?x", nil},
		{"ftp://a", nil},
		{"fe80::1%eth0", nil},
		{"[fe80::1%25eth0]:1", nil},
		{"[::1]evil", nil},
		{"[::1", nil},
		{"[10.0.0.5]", nil},
		{"[db1]", nil},
		{"db1。evil", nil}, // an ideographic full stop
		{"dь1", nil},      // a Cyrillic letter
		{"db1\u200b", nil},
		{`db1\evil`, nil},
		{strings.Repeat("a", 64), nil},
		{strings.Repeat("a.", 130) + "a", nil},
		{strings.Repeat("a", 1<<20), nil},
	} {
		for _, form := range []options.AddressForm{h, p, s} {
			want := false
			for _, f := range c.forms {
				want = want || f == form
			}
			if got := isAddress(c.text, form); got != want {
				t.Errorf("isAddress(%.60q, %s) = %v; want %v", c.text, form, got, want)
			}
		}
	}
}

// Whatever is an address holds nothing by which any client would be led
// elsewhere.
func FuzzIsAddress(f *testing.F) {
	for _, text := range []string{"db1", "10.0.0.5:5432", "[fd00::5]:1", "https://a", "a@b", "a,b", "::1%lo", "host=a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, form := range []options.AddressForm{options.Host, options.HostPort, options.Site} {
			if !isAddress(text, form) {
				continue
			}
			rest := text
			if form == options.Site {
				rest = strings.TrimPrefix(text, "https://")
			}
			if rest == "" || rest[0] == '-' || strings.Trim(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:[]") != "" ||
				strings.ContainsAny(rest, "/@,%=?#\\ \n\x00") {
				t.Errorf("isAddress(%q, %s) = true; want false", text, form)
			}
		}
	})
}

func TestAnchored(t *testing.T) {
	for _, c := range []struct {
		pattern, match, not string
	}{
		{`db[0-9]+\.example\.org`, "db1.example.org", "db1.example.org.evil"},
		{`db[0-9]+\.example\.org`, "db12.example.org", "evil.db1.example.org"},
		{`a|b`, "b", "ab"},
		{`(?m)^good$`, "good", "evil\ngood"},
		{`(?i)DB1`, "db1", "db1x"},
		{`.*\.example\.org(:5432)?`, "a.b.example.org:5432", "a.example.org:5433"},
		{`10\.0\.0\.[0-9]{1,3}`, "10.0.0.77", "10.0.0.77.evil"},
		{`[a-z.]+`, "a.b", "a.b:1"},
	} {
		re, err := anchored(c.pattern)
		if err != nil || !re.MatchString(c.match) || re.MatchString(c.not) {
			t.Errorf("anchored(%s) = %v, %v; want a match of %q, not of %q", c.pattern, re, err, c.match, c.not)
		}
	}
	for _, c := range []struct{ pattern, want string }{
		{`a)|(b`, "not a regular expression (RE2)"},
		{`(`, "not a regular expression (RE2)"},
		{`\Qa`, "not a regular expression (RE2) that can stand in a group"},
		{`db.example\.org`, "a dot stands for any character"},
		{`(a|b.c)`, "a dot stands for any character"},
		{`(?s)x.`, "a dot stands for any character"},
	} {
		if re, err := anchored(c.pattern); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("anchored(%s) = %v, %v; want %q", c.pattern, re, err, c.want)
		}
	}
}
