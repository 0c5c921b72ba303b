package ini

import (
	"fmt"
	"strings"
	"testing"
)

func text(f *File, section string) string {
	pairs, ok := f.Section(section)
	if !ok {
		return "none"
	}
	var b strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&b, "%s=%s;", p.Name, p.Value)
	}
	return b.String()
}

func TestParse(t *testing.T) {
	const file = "\ufeff# comment\r\n; another\n\n[one]\r\n host = db # part of it\npassword=a;b#c%d=e\\\nqueue=x\nqueue: y\nverbose\nquoted=\" two \"\nhalf=\"x\nempty=\n[ two ]\n[one]\nlater=1\n"
	f, err := Parse([]byte(file), "=")
	if err != nil {
		t.Fatal(err)
	}
	for section, want := range map[string]string{
		"one":   "host=db # part of it;password=a;b#c%d=e\\;queue=x;queue: y=;verbose=;quoted= two ;half=\"x;empty=;later=1;",
		"two":   "",
		"three": "none",
	} {
		if got := text(f, section); got != want {
			t.Errorf("section %s = %q; want %q", section, got, want)
		}
	}
	f, err = Parse([]byte("[api]\nkey: a=b\nsite=https://x:1\n"), "=:")
	if got, want := text(f, "api"), "key=a=b;site=https://x:1;"; err != nil || got != want {
		t.Errorf("both delimiters: %q, %v; want %q", got, err, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for file, want := range map[string]string{
		"hunter2=x\n":     "line 1: it stands before the first [section]",
		"[a]\n=hunter2\n": "line 2: no name before the value",
		"[a\nhunter2":     "line 1: a section must look like [name]",
		"[]\n":            "line 1: a section must look like [name]",
		"[a]\n" + strings.Repeat("hunter2", MaxLine): "a line is longer than",
	} {
		_, err := Parse([]byte(file), "=")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Parse(%.20q) = %v; want %q and nothing of the line", file, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[a]\nx=1\ny\n", "=")
	f.Add("\xef\xbb\xbf[a]\r\nx:%(y)s\r\n", "=:")
	f.Fuzz(func(t *testing.T, file, delimiters string) {
		parsed, err := Parse([]byte(file), delimiters)
		if err != nil {
			return
		}
		for name, pairs := range parsed.sections {
			for _, p := range pairs {
				if p.Name == "" && delimiters != "" || strings.ContainsAny(p.Value, "\n") {
					t.Fatalf("Parse(%q) has %+v in [%s]", file, p, name)
				}
			}
		}
	})
}
