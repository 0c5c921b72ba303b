package tutorial

import (
	"reflect"
	"strings"
	"testing"
)

func TestBlocks(t *testing.T) {
	const text = "# Title\n```sh\na\n\nb\n```\n```\nplain\n```\n```text\nsh\n```\n```sh\nc\n```\n"
	want := []Block{{"a\n\nb\n", 3}, {"c\n", 14}}
	if got := Blocks(text, "sh"); !reflect.DeepEqual(got, want) {
		t.Errorf("Blocks(sh) = %+v; want %+v", got, want)
	}
}

func TestRunReplacesAndDoes(t *testing.T) {
	var did []string
	r := &Reader{Dir: t.TempDir(), Env: []string{"PATH=/usr/bin:/bin"}, Replace: []string{"/etc/x", "/etc/y"}, Do: map[string]func(){
		"systemctl stop it": func() { did = append(did, "stop") }, "apt-get install it": nil,
	}}
	got := r.Run(t, Blocks("```sh\napt-get install it\necho /etc/x\nsystemctl stop it\necho after\n```\n", "sh"))
	if got != "/etc/y\nafter\n" || strings.Join(did, " ") != "stop" {
		t.Errorf("Run printed %q and did %q; want the path replaced and one stop", got, did)
	}
}
