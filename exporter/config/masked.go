package config

import (
	"regexp"
	"slices"

	"github.com/belfry-monitoring/belfry/common/options"
)

// Masked returns the options that the file sets, by name. What is or may hold
// a secret is "***".
func (c *Check) Masked() []options.Value {
	values := c.sorted(true)
	for i, v := range values {
		if !c.secret[v.Name] && !slices.ContainsFunc(v.Items, holdsPassword) {
			continue
		}
		values[i].Items = make([]string, len(v.Items))
		for j := range v.Items {
			values[i].Items[j] = "***"
		}
	}
	return values
}

// holdsPassword finds passwords where they should not be: in a URL or a
// connection string of an option that is not made for them.
func holdsPassword(value string) bool {
	return regexp.MustCompile(`://[^/?#\s]*@|(?i)(password|passwd|pwd|secret|token|key)\s*=`).MatchString(value)
}
