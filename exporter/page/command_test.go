package page

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/plugin"
)

// awkward are texts that a shell, a page or a terminal may misread.
func awkward() []string {
	return []string{
		"", "plain", "-n", "--", "-", "a b", "it's", `"quoted"`, "$HOME", "`id`", "$(id)", "a;b", "a&b|c>d<e", "*?[x]", "~", "~root", "#x", "!", "{a,b}", `back\slash`, `\`,
		"100%", "%s%d", "tab\tx", "line\nline", "ends in a line\n", "\x01\x7f", "bad\xff\xfebytes", "\u202eabc", "Grüße 東京", "a=b", `'\''`, "\r", "\\n", "x'$(echo no)'y",
	}
}

// shell returns the words that a shell makes of the text.
func shell(t testing.TB, text string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", "printf '%s\\000' "+text).Output()
	if err != nil {
		t.Fatalf("sh -c %q: %v", text, err)
	}
	return string(out)
}

func TestQuote(t *testing.T) {
	for _, text := range awkward() {
		quoted := quote(text)
		if got := shell(t, quoted); got != text+"\x00" {
			t.Errorf("quote(%q) = %s, which a shell reads as %q", text, quoted, got)
		}
		if hides(quoted) && !strings.HasSuffix(text, "\n") {
			t.Errorf("quote(%q) = %q; want nothing in it that a page cannot show", text, quoted)
		}
	}
}

func FuzzQuote(f *testing.F) {
	for _, text := range awkward() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\x00") || len(text) > 10000 {
			return // no argument holds it
		}
		if got := shell(t, quote(text)); got != text+"\x00" {
			t.Errorf("quote(%q) = %s, which a shell reads as %q", text, quote(text), got)
		}
	})
}

func TestCommand(t *testing.T) {
	for _, tt := range []struct{ yaml, want, hints string }{
		{"{check: fake, target: main}", "check_fake --target=main", ""},
		{"{check: fake}", "check_fake --target=prepared", ""},
		{"{check: fake, target: it's, options: {host: [a, b c], insecure: true}}",
			`check_fake --target='it'\''s' --host=a --host='b c' --insecure=true`, ""},
		{"{check: fake, target: t, interval: 20s, timeout: 5s, timeout_state: critical, warning: ['full=80%'], critical: ['lag{standby=db*}=1MiB', 'full=9%'], severity: {paused: ok}, only: [replay, slots], skip: slots}",
			"check_fake \\\n  --target=t \\\n  --timeout=5s \\\n  --timeout-state=critical \\\n  --warning=full=80 \\\n  --critical='lag{standby=db*}=1048576' \\\n  --critical=full=9 \\\n  --severity=paused=ok \\\n  --only=replay \\\n  --only=slots \\\n  --skip=slots", ""},
		{"{check: fake, target: t, options: {password: hunter2}}", "check_fake --target=t --password-file=FILE",
			"--password holds a secret that stands in the exporter's configuration: use --password-file FILE or the environment variable FAKE_PASSWORD."},
		{"{check: fake, target: t, options: {password-file: /etc/belfry/pw}}", "check_fake --target=t --password-file=/etc/belfry/pw", ""},
		{"{check: fake, target: t, options: {proxy: 'http://me:hunter2@proxy:3128'}}", "check_fake --target=t",
			"--proxy holds a secret that stands in the exporter's configuration: use --proxy-user and --proxy-password-file."},
		{"{check: fake, target: t, options: {proxy: 'http://proxy:3128'}}", "check_fake --target=t --proxy=http://proxy:3128", ""},
		{"{check: fake, target: t, options: {host: 'postgresql://u:hunter2@db'}}", "check_fake --target=t",
			"--host is left out: it is or holds a secret, which must not stand on a command line."},
		{"{check: fake, target: t, options: {host: 'host=db password=hunter2'}}", "check_fake --target=t",
			"--host is left out: it is or holds a secret, which must not stand on a command line."},
	} {
		c := configured(t, tt.yaml)
		got := makeCommand(c)
		if got.Text != tt.want || strings.Join(got.Hints, " ") != tt.hints {
			t.Errorf("command of %s = %s, hints %q; want %s, %q", tt.yaml, got.Text, got.Hints, tt.want, tt.hints)
		}
		page := checkPage(t, snapshot(faked, c.Target, nil), c)
		if strings.Contains(page, "hunter2") {
			t.Errorf("the page of %s shows the secret", tt.yaml)
		}
		// The plugin itself must take it.
		words := strings.Split(strings.TrimSuffix(shell(t, got.Text), "\x00"), "\x00")
		fs := plugin.Flags(faked)
		if err := fs.Parse(words[1:]); err != nil {
			t.Errorf("the plugin's flags refuse %s: %v", got.Text, err)
		}
		fs.Visit(func(f *pflag.Flag) {
			if f.Name == "target" && f.Value.String() != c.Target {
				t.Errorf("%s has the target %q; want %q", got.Text, f.Value, c.Target)
			}
		})
	}
}
