package config

import (
	"regexp"
	"slices"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/options"
)

// Option is an option as the file sets it, for people to read.
type Option struct {
	Name   string
	Values []string // one for each item of a list
	// Secret marks what is or may hold a secret: each value is then "***".
	Secret bool
	// Instead says how a command line gives a secret: "--password-file FILE or
	// the environment variable PGPASSWORD".
	Instead string
}

// mask stands for a secret, as check.Secret prints it.
const mask = "***"

// Options returns the options that the file sets, by name. No secret is among
// them.
func (c *Check) Options() []Option {
	fs := pflag.NewFlagSet(c.Definition.Plugin(), pflag.ContinueOnError)
	defer c.Definition.New(fs).Close() //nolint:errcheck // it has opened nothing
	var shown []Option
	for _, v := range c.sorted(true) {
		o := Option{Name: v.Name, Values: slices.Clone(v.Items), Secret: c.secret[v.Name] || slices.ContainsFunc(v.Items, looksSecret)}
		if o.Secret {
			for i := range o.Values {
				o.Values[i] = mask
			}
			if f := fs.Lookup(v.Name); f != nil {
				o.Instead = options.Instead(f)
			}
		}
		shown = append(shown, o)
	}
	return shown
}

// secretPattern finds passwords where they should not be: in a URL or in a
// connection string that stands in an option which is not made for them.
var secretPattern = regexp.MustCompile(`://[^/?#\s]*@|(?i)\b(password|passwd|pwd|secret|token|sslpassword|api_?key)\s*=`)

func looksSecret(value string) bool { return secretPattern.MatchString(value) }
