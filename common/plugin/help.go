package plugin

import (
	"fmt"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/spf13/pflag"
)

// width of help texts in columns, as the guidelines ask.
const width = 80

// help is the long help: examples first, because that is what people look
// for.
func (p *Plugin) help(f *flags) []byte {
	d := p.Definition
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n\nExamples:\n", p.name(), version(), d.Summary)
	for _, e := range d.Examples {
		b.WriteString("  " + e + "\n")
	}
	b.WriteString("\nOptions:\n")
	f.set.VisitAll(func(flag *pflag.Flag) { writeOption(&b, flag) })
	if len(d.Parts) > 0 {
		b.WriteString("\nParts, for --only and --skip:\n")
		for _, part := range d.Parts {
			writeEntry(&b, part.Name, part.Help)
		}
	}
	b.WriteString("\nMetrics, for -w and -c; the first is the one that a bare range means:\n")
	for _, m := range d.Metrics {
		writeEntry(&b, metricHead(m), m.Help+limitsHelp(m))
	}
	b.WriteString("\nFindings, for --severity:\n")
	for _, find := range append(append([]*check.Finding(nil), d.Findings...), check.BuiltinFindings()...) {
		writeEntry(&b, find.Key+" ("+strings.ToLower(find.State.String())+")", find.Help)
	}
	b.WriteString("\nPrivileges:\n")
	for _, privilege := range d.Privileges {
		writeEntry(&b, "", privilege)
	}
	b.WriteString("\nRanges are those of the guidelines: 10, 10:, ~:10, 10:20, @10:20.\n" +
		"Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.\n")
	return []byte(b.String())
}

func metricHead(m *check.Metric) string {
	head := m.Key
	if len(m.Labels) > 0 {
		head += "{" + strings.Join(m.Labels, ",") + "}"
	}
	return head + " in " + m.JudgedUnit().String()
}

func limitsHelp(m *check.Metric) string {
	switch {
	case m.Warning != "" && m.Critical != "":
		return fmt.Sprintf(" Warning %s, critical %s.", m.Warning, m.Critical)
	case m.Warning != "":
		return " Warning " + m.Warning + "."
	case m.Critical != "":
		return " Critical " + m.Critical + "."
	}
	return ""
}

func writeOption(b *strings.Builder, f *pflag.Flag) {
	head := "--" + f.Name
	if f.Shorthand != "" {
		head = "-" + f.Shorthand + ", " + head
	}
	kind, usage := pflag.UnquoteUsage(f)
	if kind != "" && f.Value.Type() != "count" {
		if f.NoOptDefVal != "" && f.Value.Type() != "bool" {
			head += "[=" + kind + "]"
		} else {
			head += " " + strings.ToUpper(strings.TrimSuffix(kind, "Array"))
		}
	}
	if def := f.DefValue; def != "" && def != "[]" && def != "false" && def != "0" {
		usage += " (default " + def + ")"
	}
	if v := options.Variables(f); len(v) > 0 {
		usage += " [$" + strings.Join(v, ", $") + "]"
	}
	writeEntry(b, head, usage)
}

// writeEntry writes a head and a wrapped, indented text below it.
func writeEntry(b *strings.Builder, head, text string) {
	indent := "      "
	if head != "" {
		b.WriteString("  " + head + "\n")
	} else {
		indent = "  "
	}
	line := indent
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width && line != indent {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// shortUsage is what a wrong option gets: the guidelines allow 23 lines.
func (p *Plugin) shortUsage() string {
	var b strings.Builder
	b.WriteString("Usage: " + p.name() + " [options]\n")
	for i, e := range p.Definition.Examples {
		if i == 3 {
			break
		}
		b.WriteString("  " + e + "\n")
	}
	b.WriteString("See " + p.name() + " -h for all options.\n")
	return b.String()
}
