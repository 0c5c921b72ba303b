package prometheus

import (
	"fmt"
	"strings"
	"time"
)

// rule is one entry of a group: a recording rule where record is set, else an
// alert.
type rule struct {
	comment     string
	record      string
	alert       string
	expr        string
	keepFiring  time.Duration
	labels      []field
	annotations []field
}

// field is a key with its value, in the order in which people read them.
type field struct{ key, value string }

// group writes rules that are evaluated together.
func group(b *strings.Builder, name, comment string, interval time.Duration, rules []rule) {
	fmt.Fprintf(b, "\n  %s  - name: %s\n", commented(comment, "  "), name)
	if interval > 0 {
		fmt.Fprintf(b, "    interval: %s\n", duration(interval))
	}
	b.WriteString("    rules:\n")
	for _, r := range rules {
		if r.comment != "" {
			b.WriteString("      " + commented(r.comment, "      "))
		}
		if r.record != "" {
			fmt.Fprintf(b, "      - record: %s\n", r.record)
		} else {
			fmt.Fprintf(b, "      - alert: %s\n", r.alert)
		}
		b.WriteString("        expr: |-\n" + indented(r.expr, "          "))
		if r.keepFiring > 0 {
			fmt.Fprintf(b, "        keep_firing_for: %s\n", duration(r.keepFiring))
		}
		fields(b, "        ", "labels", r.labels)
		fields(b, "        ", "annotations", r.annotations)
	}
}

func fields(b *strings.Builder, indent, name string, list []field) {
	if len(list) == 0 {
		return
	}
	b.WriteString(indent + name + ":\n")
	for _, f := range list {
		fmt.Fprintf(b, "%s  %s: %s\n", indent, f.key, scalar(f.value))
	}
}

// scalar writes a text as YAML: plain where it is one word, else quoted.
func scalar(text string) string {
	plain := text != ""
	for _, c := range text {
		plain = plain && (c == '_' || c >= 'a' && c <= 'z')
	}
	if plain {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

// commented writes lines of a comment, the first of which is indented
// already.
func commented(text, indent string) string {
	return "# " + strings.ReplaceAll(text, "\n", "\n"+indent+"# ") + "\n"
}

func indented(text, indent string) string {
	return indent + strings.ReplaceAll(text, "\n", "\n"+indent) + "\n"
}

// duration writes whole seconds as Prometheus reads them: 2m30s.
func duration(d time.Duration) string {
	var b strings.Builder
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / u.unit; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.unit
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}
