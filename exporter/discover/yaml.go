package discover

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// encode writes checks as a configuration, which config.Parse reads back.
func encode(checks []Check) ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	err := encoder.Encode(map[string]any{"checks": checks})
	if err == nil {
		err = encoder.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("write a configuration: %w", err)
	}
	return b.Bytes(), nil
}

// YAML writes the configuration of what was found, with what was not or cannot
// be seen as comments. Without any check it holds comments alone, and is none.
func (d *Discovery) YAML() ([]byte, error) {
	var b bytes.Buffer
	comment := func(indent string, lines ...string) {
		for _, line := range lines {
			b.WriteString(strings.TrimRight(indent+"# "+oneLine(line), " ") + "\n")
		}
	}
	comment("", "What belfry_exporter --discover has found on this machine.", "Looked for: "+strings.Join(d.LookedFor, ", ")+".")
	comment("", d.Problems...)
	b.WriteByte('\n')
	checks := d.Checks()
	if len(checks) == 0 {
		comment("", "Nothing was found that a check could look at.")
	}
	for _, t := range d.Things {
		if len(t.Checks) == 0 {
			b.WriteByte('\n')
			d.describe(comment, "", t)
		}
	}
	if len(checks) == 0 {
		return b.Bytes(), nil
	}
	b.WriteString("\nchecks:\n")
	written := make(map[[2]string]bool)
	for _, t := range d.Things {
		var own []Check
		for _, c := range t.Checks {
			if k := [2]string{c.Check, c.Target}; !written[k] {
				written[k] = true
				own = append(own, c)
			}
		}
		if len(own) == 0 {
			continue
		}
		d.describe(comment, "  ", t)
		text, err := encode(own)
		if err != nil {
			return nil, err
		}
		_, list, _ := bytes.Cut(text, []byte("\n")) // behind "checks:"
		b.Write(list)
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// describe says of a thing what a reader needs, as comments.
func (d *Discovery) describe(comment func(indent string, lines ...string), indent string, t Thing) {
	comment(indent, fmt.Sprintf("%s %s, %s: %s", t.Product, t.Name, t.Outcome, t.Text))
	for _, line := range t.Help {
		comment(indent, "  "+line)
	}
}

// oneLine keeps what YAML or a terminal takes for a line end or worse out of
// a comment.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == '\u2028' || r == '\u2029' || r == '\ufeff' || r == '\ufffd' {
			return ' '
		}
		return r
	}, text)
}
