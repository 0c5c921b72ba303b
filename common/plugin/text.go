package plugin

import (
	"fmt"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Bounds of the output in bytes. Nagios loses what is beyond 4,096 when the
// plugin is reaped before its pipe is drained (nagioscore#625).
const (
	maxOutput   = 4096
	maxPerfdata = 3000
	maxLine     = 800
	minText     = 80 // of the problem on line 1
)

// Text renders the result for Nagios and Icinga: the worst problem and the
// performance data on line 1, then a row for each problem, and with verbose
// also for what is fine. It has one "|" at most, on line 1.
func Text(r *check.Result, verbose int) []byte {
	first := cut(firstLine(r), maxLine)
	data, left := perfdata(r, maxPerfdata)
	var b strings.Builder
	b.WriteString(first)
	if data != "" {
		b.WriteString(" | " + data)
	}
	b.WriteByte('\n')
	rows := details(r, verbose)
	if left > 0 {
		rows = append(rows, fmt.Sprintf("%d more values are left out of the performance data", left))
	}
	writeRows(&b, rows)
	return []byte(b.String())
}

// FirstLine is line 1 without title, state and performance data, for faces
// that show these beside it.
func FirstLine(r *check.Result) string {
	return strings.TrimPrefix(firstLine(r), r.Definition.Title+" "+r.State.String()+": ")
}

// firstLine is "TITLE STATE: the worst problem, N more problems of M".
func firstLine(r *check.Result) string {
	text, rest := okText(r), ""
	if r.State != check.OK && len(r.Rows) > 0 {
		text = r.Rows[0].Text
		if more := r.Problems() - 1; more > 0 {
			rest = fmt.Sprintf(", %d more problem%s of %d", more, plural(more), len(r.Rows))
		}
	}
	for _, notice := range r.Notices {
		rest += " (" + check.Clean(notice) + ")"
	}
	head := r.Definition.Title + " " + r.State.String() + ": "
	// A long text must not push out what is said whatever the verdict.
	return head + cut(text, max(maxLine-len(head)-len(rest), minText)) + rest
}

func okText(r *check.Result) string {
	switch {
	case r.Summary != "":
		return r.Summary
	case len(r.Rows) == 1:
		return r.Rows[0].Text
	case len(r.Rows) > 1:
		return fmt.Sprintf("%s, %d more within limits", r.Rows[0].Text, len(r.Rows)-1)
	case len(r.Values) > 0:
		return fmt.Sprintf("%d value%s", len(r.Values), plural(len(r.Values)))
	}
	return "nothing to report"
}

// details are the rows below line 1. A single problem is not repeated.
func details(r *check.Result, verbose int) []string {
	var rows []string
	fine := 0
	for _, row := range r.Rows {
		if row.State == check.OK && verbose == 0 {
			fine++
			continue
		}
		rows = append(rows, `\_ [`+row.State.String()+`] `+row.Text)
	}
	if r.Problems() == 1 && verbose == 0 {
		rows = rows[:0]
	}
	if fine > 0 && r.State != check.OK {
		rows = append(rows, fmt.Sprintf(`\_ [OK] %d within limits`, fine))
	}
	if verbose > 0 {
		for _, n := range r.Notes {
			rows = append(rows, "note: "+n)
		}
	}
	if verbose > 1 {
		for _, p := range r.Parts {
			rows = append(rows, fmt.Sprintf("part %s took %s", p.Name, check.FormatDuration(p.Duration)))
		}
		rows = append(rows, fmt.Sprintf("target %s, looked for %s", check.Clean(r.Target), check.FormatDuration(r.Duration)))
	}
	if verbose > 2 {
		for _, stack := range r.Trace {
			for _, line := range strings.Split(stack, "\n") {
				rows = append(rows, check.Clean(line))
			}
		}
	}
	return rows
}

// writeRows adds rows while they fit into the bound and says how many do not.
func writeRows(b *strings.Builder, rows []string) {
	const reserve = len("... 10000 more rows\n")
	for i, row := range rows {
		row = strings.ReplaceAll(row, "|", "!")
		last := i == len(rows)-1
		room := maxOutput - b.Len()
		if !last {
			room -= reserve
		}
		if len(row)+1 > room {
			fmt.Fprintf(b, "... %d more rows\n", len(rows)-i)
			return
		}
		b.WriteString(row + "\n")
	}
}

// cut bounds a line in bytes at a rune's edge.
func cut(line string, limit int) string {
	line = strings.ReplaceAll(line, "|", "!")
	if len(line) <= limit {
		return line
	}
	end := limit - len("...")
	for end > 0 && line[end]&0xC0 == 0x80 {
		end--
	}
	return line[:end] + "..."
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
