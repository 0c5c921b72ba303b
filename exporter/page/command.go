package page

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/belfry-monitoring/belfry/exporter/config"
)

// Command is the line that gives the check's verdict at a shell.
type Command struct {
	Text string
	// Hints say what must be put in place of a secret, which stands in the
	// configuration and must not stand on a command line.
	Hints []string
}

// makeCommand writes the plugin's command line of a configured check. The
// plugin's flags are the configuration's options by the same names, and the
// common ones.
func makeCommand(c *config.Check) Command {
	words := []string{c.Definition.Plugin()}
	add := func(flag, value string) { words = append(words, "--"+flag+"="+quote(value)) }
	if c.Target != "" {
		add("target", c.Target)
	}
	if c.Timeout != c.Definition.Timeout {
		add("timeout", c.Timeout.String())
	}
	if c.TimeoutState != nil {
		add("timeout-state", strings.ToLower(c.TimeoutState.String()))
	}
	var hints []string
	for _, o := range c.Options() {
		if !o.Secret {
			for _, v := range o.Values {
				add(o.Name, v)
			}
			continue
		}
		hints = append(hints, visible(hint(o)))
		if file, _, ok := strings.Cut(o.Instead, " FILE"); ok {
			words = append(words, file+"=FILE")
		}
	}
	for _, l := range c.Limits {
		add(strings.ToLower(l.Severity.String()), l.String())
	}
	for _, key := range sortedKeys(c.Severities) {
		add("severity", key+"="+strings.ToLower(c.Severities[key].String()))
	}
	for _, part := range c.Only {
		add("only", part)
	}
	for _, part := range c.Skip {
		add("skip", part)
	}
	return Command{Text: wrap(words), Hints: hints}
}

// hint says how to give a secret that the command line leaves out.
func hint(o config.Option) string {
	if o.Instead == "" {
		return fmt.Sprintf("--%s is left out: it is or holds a secret, which must not stand on a command line.", o.Name)
	}
	return fmt.Sprintf("--%s holds a secret that stands in the exporter's configuration: use %s.", o.Name, o.Instead)
}

// wrap joins words to a command, a long one with a line for each option.
func wrap(words []string) string {
	one := strings.Join(words, " ")
	if len(one) <= 80 && !strings.Contains(one, "\n") {
		return one
	}
	return strings.Join(words, " \\\n  ")
}

// quote makes a word of a POSIX shell that means exactly the text. What would
// not be seen on the page is written in octal.
func quote(text string) string {
	if strings.IndexFunc(text, special) < 0 && text != "" {
		return text
	}
	if hides(text) && !strings.HasSuffix(text, "\n") { // a command substitution loses line ends at its end
		return `"$(printf '` + octal(text) + `')"`
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// special reports what a shell may read otherwise than as itself.
func special(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-_=+:,./@%", r):
		return false
	}
	return true
}

// hides reports whether the text has something that a page cannot show.
func hides(text string) bool { return !utf8.ValidString(text) || strings.IndexFunc(text, hidden) >= 0 }

// octal writes the text as a format of printf.
func octal(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c == '%':
			b.WriteString("%%")
		case c == '-' && i == 0: // no option of printf
			b.WriteString(`\055`)
		case c < ' ' || c > '~' || c == '\\' || c == '\'':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
