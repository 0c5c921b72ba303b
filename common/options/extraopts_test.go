package options

import (
	"strings"
	"testing"
)

func TestParseSection(t *testing.T) {
	const file = "# comment\n; another\n[one]\nhost = db # not a comment\npassword=a;b#c%d=e\nqueue=x\nqueue=y\nverbose\n[two]\nempty=\n"
	values, err := parseSection([]byte(file), "one")
	var got []string
	for _, v := range values {
		got = append(got, v.Name+"="+v.Value)
	}
	if want := "host=db # not a comment|password=a;b#c%d=e|queue=x|queue=y|verbose="; err != nil || strings.Join(got, "|") != want {
		t.Errorf("parseSection(one) = %q, %v; want %s", got, err, want)
	}
	for section, text := range map[string]string{"gone": file, "x": "password hunter2\n[x", "y": "[y]\n=hunter2\n"} {
		if _, err := parseSection([]byte(text), section); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("parseSection(%q, %s) = %v; want an error without the line", text, section, err)
		}
	}
}

func FuzzParseSection(f *testing.F) {
	f.Add("[a]\nx=1\ny\n", "a")
	f.Add("[a]\nx=\"\"\"multi\nline\"\"\"\n", "a")
	f.Add("\xef\xbb\xbf[a]\r\nx=%(y)s\r\ny=%(x)s", "a")
	f.Fuzz(func(t *testing.T, text, section string) {
		values, err := parseSection([]byte(text), section)
		for _, v := range values {
			if err != nil || v.Name == "" {
				t.Fatalf("parseSection(%q) = %+v, %v", text, values, err)
			}
		}
	})
}
