package rabbitmq

import (
	"strings"
	"testing"
)

func TestParseVhosts(t *testing.T) {
	for _, tt := range []struct{ body, want, err string }{
		{`[{"name":"/"},{"name":"a|b"}]`, "/ a|b", ""},
		{`[]`, "", "the list is empty"},
		{`[{}]`, "", "vhost 1 of the list has no name"},
		{`[{"name":""}]`, "", "vhost 1 of the list has no name"},
		{`{"error":"x"}`, "", "JSON"},
		{`<html>`, "", "JSON"},
	} {
		got, err := parseVhosts([]byte(tt.body))
		if strings.Join(got, " ") != tt.want || (err != nil) != (tt.err != "") || err != nil && tt.err != "JSON" && err.Error() != tt.err {
			t.Errorf("parseVhosts(%s) = %q, %v; want %q, %q", tt.body, got, err, tt.want, tt.err)
		}
	}
}

func FuzzParseVhosts(f *testing.F) {
	f.Add([]byte(`[{"name":"/"}]`))
	f.Add([]byte(`[{"name":null}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		names, err := parseVhosts(body)
		if (err == nil) == (len(names) == 0) {
			t.Errorf("parseVhosts(%q) = %q, %v; want names or an error", body, names, err)
		}
	})
}
