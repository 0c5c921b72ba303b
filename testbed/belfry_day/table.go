package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed/scene"
)

//go:embed page.md
var prose string

// page is docs/situations.md: the rows of the situations that were played, and
// for the others those that an earlier page has.
func page(earlier string, outcomes []outcome, all []situation) string {
	rows := make(map[string]string)
	_, old, _ := strings.Cut(earlier, tableHead)
	name := ""
	for line := range strings.Lines(old) {
		if cells := strings.SplitN(line, " | ", 2); len(cells) == 2 {
			if first := strings.Trim(cells[0], "| "); first != "" {
				name = first
			}
			rows[name] += line
		}
	}
	for _, o := range outcomes {
		rows[o.name] = o.rows()
	}
	var b strings.Builder
	b.WriteString("<!-- Written by \"make day WRITE=docs/situations.md\"; do not edit. -->\n" + strings.TrimSpace(prose) + "\n\n" + tableHead)
	for _, s := range all {
		b.WriteString(rows[s.name])
	}
	return b.String()
}

const tableHead = "| situation | what is done | must say | says (line 1 of the plugin) | plugin | exporter |\n|---|---|---|---|---|---|\n"

// table shows what came of the situations.
func table(outcomes []outcome) string {
	var b strings.Builder
	b.WriteString(tableHead)
	for _, o := range outcomes {
		b.WriteString(o.rows())
	}
	return b.String()
}

// rows of a situation: one for each check of which something else than OK is
// wanted, and one for each defect.
func (o *outcome) rows() string {
	var b strings.Builder
	first := [2]string{o.name, o.described()}
	for _, target := range o.mentioned() {
		line, states := "", [2]string{"OK", "OK"}
		if target == "" {
			line = "no check says anything but OK"
		}
		if seen := o.last[target]; seen != nil {
			line = seen[plugin].line
			for i, f := range []face{plugin, exporter} {
				states[i] = scene.Word(seen[f].state)
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", first[0], first[1], o.expected(target), cell(line), states[0], states[1])
		first = [2]string{}
	}
	for _, d := range o.defects {
		fmt.Fprintf(&b, "|  |  | **%s**, %s | %s | %s |  |\n", d.kind, d.phase, cell(d.got.line), d.face)
	}
	return b.String()
}

// described is what is done, and what stands for something longer.
func (s *situation) described() string {
	text := s.what
	if s.compressed != "" {
		text += " (compressed: " + s.compressed + ")"
	}
	if s.gap != "" {
		text += " (not seen: " + s.gap + ")"
	}
	return cell(text)
}

// mentioned are the targets of which something else than OK is wanted, or ""
// where there is none.
func (s *situation) mentioned() []string {
	var list []string
	for _, t := range targets() {
		if s.expected(t) != "" {
			list = append(list, t)
		}
	}
	if list == nil {
		return []string{""}
	}
	return list
}

// expected says what is wanted of a target: "replication CRITICAL", or
// "queues WARNING or CRITICAL", or "" where it is OK. An empty target stands
// for all.
func (s *situation) expected(target string) string {
	if target == "" {
		return "all OK"
	}
	var words []string
	only := both
	for _, w := range s.want {
		if w.target == target {
			words = append(words, w.state.String())
			only = w.face
		}
	}
	if len(words) == 0 || len(words) == 1 && words[0] == check.OK.String() {
		return ""
	}
	text := target + " " + strings.Join(words, " or ")
	if only != both {
		text += " (" + only.String() + ")"
	}
	return text
}

// cell makes text fit for a Markdown table.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " ")
}

// named puts names for addresses and directories that differ from run to run.
func (d *day) named(line string) string {
	pairs := []string{
		address(d.db1), "db1:5432", address(d.db2), "db2:5432",
		d.broker.Host + fmt.Sprintf(":%d", d.broker.ManagementPort), "mq:15672",
		strings.TrimPrefix(d.zulip.URL(), "https://"), "chat:443", d.dumpDir, "/var/backups/zulip", d.bed.Dir(), "",
	}
	for p, link := range d.link {
		pairs = append(pairs, link.Addr(), p.Name+":5432")
	}
	line = strings.NewReplacer(pairs...).Replace(line)
	return regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(line, "client")
}
