package config

import (
	"strings"
	"testing"
)

// A few lines of aliases can stand for more than fits into any memory or day.
func TestAliasesAreBounded(t *testing.T) {
	list := "[" + strings.Repeat("abc, ", 10000) + "abc]"
	text := "checks:\n- &a {check: fake_queue, target: t, only: " + list + "}\n" + strings.Repeat("- *a\n", 100000)
	_, err := parse(text)
	if want := "more than 500000 keys and values, those behind aliases (*name) counted each time"; err == nil || strings.Count(err.Error(), want) != 1 {
		t.Errorf("parse(a bomb of aliases) = %.300v; want once %q", err, want)
	}
}
