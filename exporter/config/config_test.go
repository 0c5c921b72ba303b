package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
)

var (
	depth = &check.Metric{Family: "fake", Key: "depth", Help: "How deep.", Labels: []string{"queue"}, Critical: "10"}
	size  = &check.Metric{Family: "fake", Key: "size", Unit: check.Bytes, Help: "How big."}
)

func catalog() []*check.Definition {
	return []*check.Definition{
		{
			Name: "fake_queue", Title: "FAKE QUEUE", Interval: time.Minute, Timeout: 10 * time.Second,
			Metrics:  []*check.Metric{depth, size},
			Findings: []*check.Finding{{Key: "no_consumer", Help: "nobody listens", State: check.Critical}},
			Parts:    []check.Part{{Name: "depths"}, {Name: "rates"}},
			New:      newFake,
		},
		{
			Name: "fake_backup", Title: "FAKE BACKUP", Interval: time.Hour, Timeout: 30 * time.Second,
			Metrics: []*check.Metric{size}, New: newFake,
		},
	}
}

// fake has an option of each kind.
type fake struct {
	hosts    []string
	port     int
	insecure bool
	password *options.Secret
	file     string
}

func newFake(fs *pflag.FlagSet) check.Check {
	f := &fake{}
	fs.StringArrayVarP(&f.hosts, "host", "H", nil, "")
	fs.IntVarP(&f.port, "port", "p", 5432, "")
	fs.BoolVar(&f.insecure, "insecure", false, "")
	fs.StringVar(&f.file, "file", "", "")
	f.password = options.SecretFlags(fs, "password", "password", "FAKE_PASSWORD")
	return f
}

func (f *fake) Prepare() (check.Setup, error) {
	setup := check.Setup{Target: strings.Join(f.hosts, "+")}
	switch f.file {
	case "":
		return setup, nil
	case "hang":
		select {}
	case "panic":
		panic("in Prepare")
	}
	_, err := os.Stat(f.file)
	return setup, err
}

func (f *fake) Run(context.Context, *check.Report) error { return nil }
func (f *fake) Close() error                             { return nil }

func parse(text string) (*Config, error) {
	return (&reader{file: "f.yml", catalog: catalog()}).read([]byte(text))
}

func TestParse(t *testing.T) {
	c, err := parse(`
# Everything that a check can have.
concurrency: 3
spread: 0s
defaults:
  interval: 30s
checks:
  - check: fake_queue
    target: main
    interval: 2m
    timeout: 5s
    timeout_state: critical
    options: &login
      H: [a.example.org, b.example.org]
      port: 5433
      insecure: true
      password: "*pw"
    warning: 5
    critical: ["depth{queue=a*}=~:20", size=1GiB]
    severity:
      no_consumer: warning
      clock_skew: 2
    only: depths
    skip: [rates]
  - check: fake_queue
    options: {<<: *login, port: 1}
  - check: fake_backup
    options: {host: only}
`)
	if err != nil {
		t.Fatalf("parse = %v; want nil", err)
	}
	if c.Places != 3 || c.PlacesNeeded != 2 || c.Spread != 0 || len(c.Checks) != 3 {
		t.Errorf("parse = %d places, %d needed, spread %v, %d checks; want 3, 2, 0s, 3", c.Places, c.PlacesNeeded, c.Spread, len(c.Checks))
	}
	one := c.Checks[0]
	if one.Target != "main" || one.Interval != 2*time.Minute || one.Timeout != 5*time.Second || *one.TimeoutState != check.Critical || one.Line != 8 {
		t.Errorf("first check = %+v; want target main, 2m, 5s, CRITICAL, line 8", one)
	}
	var limits []string
	for _, l := range one.Limits {
		limits = append(limits, l.Severity.String()+" "+l.String())
	}
	if got, want := strings.Join(limits, ", "), "WARNING depth=5, CRITICAL depth{queue=a*}=~:20, CRITICAL size=1073741824"; got != want {
		t.Errorf("limits = %s; want %s", got, want)
	}
	if one.Severities["no_consumer"] != check.Warning || one.Severities["clock_skew"] != check.Critical || one.Only[0] != "depths" || one.Skip[0] != "rates" {
		t.Errorf("severities %v, only %v, skip %v; want warning, critical, depths, rates", one.Severities, one.Only, one.Skip)
	}
	f := one.New().(*fake)
	password, _ := f.password.Read()
	if strings.Join(f.hosts, " ") != "a.example.org b.example.org" || f.port != 5433 || !f.insecure || password.Reveal() != "*pw" {
		t.Errorf("options = %v, %d, %v, %q; want those of the file", f.hosts, f.port, f.insecure, password.Reveal())
	}
	if two := c.Checks[1]; two.New().(*fake).port != 1 || len(two.New().(*fake).hosts) != 2 || two.Target != "a.example.org+b.example.org" || two.Interval != 30*time.Second || two.Timeout != 10*time.Second {
		t.Errorf("second check = %+v; want merged options with port 1, target of Prepare, the file's interval, the definition's timeout", two)
	}
	if three := c.Checks[2]; three.Timeout != 30*time.Second {
		t.Errorf("third check's timeout = %v; want the definition's 30s", three.Timeout)
	}
}

func TestPlaces(t *testing.T) {
	var text strings.Builder
	text.WriteString("checks:\n")
	for _, target := range strings.Split("abcdefghijklmnopqrst", "") {
		text.WriteString("- {check: fake_queue, target: " + target + ", interval: 10s}\n")
	}
	c, err := parse(text.String())
	if err != nil || c.Places != 20 || c.PlacesNeeded != 20 {
		t.Errorf("parse(20 checks of 10s each 10s) = %+v, %v; want 20 places", c, err)
	}
	c, err = parse("checks: [{check: fake_queue}]")
	if err != nil || c.Places != 8 || c.PlacesNeeded != 1 || c.Spread != 10*time.Second {
		t.Errorf("parse(one check) = %+v, %v; want 8 places, 1 needed, spread 10s", c, err)
	}
}

func TestIdentity(t *testing.T) {
	of := func(text string) *Check {
		c, err := parse("checks:\n- {check: fake_queue, target: t" + text + "}")
		if err != nil {
			t.Fatalf("parse(%q) = %v", text, err)
		}
		return c.Checks[0]
	}
	base := of(`, options: {host: [a, b], port: 1, password: x}`)
	for text, want := range map[string]struct{ identity, memory bool }{
		`, options: {port: 1, password: x, H: [a, b]}`:                               {true, true},
		`, interval: 60s, options: {host: [a, b], port: 1, password: x}`:             {true, true},
		`, interval: 61s, options: {host: [a, b], port: 1, password: x}`:             {false, true},
		`, timeout: 9s, options: {host: [a, b], port: 1, password: x}`:               {false, true},
		`, timeout_state: ok, options: {host: [a, b], port: 1, password: x}`:         {false, true},
		`, warning: 3, options: {host: [a, b], port: 1, password: x}`:                {false, true},
		`, critical: 3, options: {host: [a, b], port: 1, password: x}`:               {false, true},
		`, severity: {clock_skew: 0}, options: {host: [a, b], port: 1, password: x}`: {false, true},
		`, options: {host: [a, b], port: 1, password: y}`:                            {false, true},
		`, options: {host: [b, a], port: 1, password: x}`:                            {false, false},
		`, options: {host: [a, b], port: 2, password: x}`:                            {false, false},
		`, skip: rates, options: {host: [a, b], port: 1, password: x}`:               {false, false},
	} {
		other := of(text)
		if got := other.Identity() == base.Identity(); got != want.identity {
			t.Errorf("Identity of %s the same = %v; want %v", text, got, want.identity)
		}
		if got := other.MemoryKey() == base.MemoryKey(); got != want.memory {
			t.Errorf("MemoryKey of %s the same = %v; want %v", text, got, want.memory)
		}
	}
}

func TestPrepareErrorsAreKept(t *testing.T) {
	c, err := parse(`checks:
- {check: fake_queue, target: missing, options: {file: /nonexistent/file}}
- {check: fake_queue, options: {host: panics, file: panic}}
- {check: fake_queue, options: {host: fine}}
`)
	if err != nil {
		t.Fatalf("parse = %v; want nil: the file is right", err)
	}
	for i, want := range []string{"no such file", "in Prepare", ""} {
		got := c.Checks[i].PrepareErr
		if want == "" && got != nil || want != "" && (got == nil || !strings.Contains(got.Error(), want)) {
			t.Errorf("check %d: PrepareErr = %v; want %q", i, got, want)
		}
	}
}

func TestPrepareThatHangs(t *testing.T) {
	t.Parallel() // it takes its 5 s in real time, because the hang never ends
	begin := time.Now()
	c, err := parse("checks: [{check: fake_queue, target: a, options: {file: hang}}, {check: fake_queue, target: b}]")
	if err != nil || c.Checks[0].PrepareErr == nil || c.Checks[1].PrepareErr != nil {
		t.Fatalf("parse(a check whose files hang) = %v, %v; want an error of that check only", c, err)
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("it took %v; want %v", took, prepareLimit)
	}
	if want := "read the files of check fake_queue: no end within 5 s"; c.Checks[0].PrepareErr.Error() != want {
		t.Errorf("PrepareErr = %v; want %s", c.Checks[0].PrepareErr, want)
	}
}

func TestLoad(t *testing.T) {
	write := func(mode os.FileMode, text string) string {
		path := filepath.Join(t.TempDir(), "f.yml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const plain = "checks: [{check: fake_queue}]"
	const secret = "checks:\n- check: fake_queue\n  options:\n    password: hunter2\n"
	const proxy = "checks:\n- check: proxied\n  options:\n    proxy: http://u:hunter2@p\n"
	checks := append(catalog(), &check.Definition{Name: "proxied", Title: "PROXIED", Interval: time.Minute, Timeout: time.Second, New: func(fs *pflag.FlagSet) check.Check {
		fs.String("proxy", "", "")
		options.MayHoldPassword(fs, "proxy", "--proxy-password-file")
		return &fake{}
	}})
	for _, c := range []struct {
		name, path, want string
	}{
		{"password in an address, private", write(0o600, proxy), ""},
		{"password in an address, readable by all", write(0o644, proxy), ":4: option proxy: a secret in a file of mode 0644"},
		{"address without a password, readable by all", write(0o644, strings.Replace(proxy, "u:hunter2@", "", 1)), ""},
		{"plain, readable by all", write(0o644, plain), ""},
		{"secret, private", write(0o600, secret), ""},
		{"secret, shared with a group", write(0o640, secret), ""},
		{"secret, readable by all", write(0o644, secret), ":4: option password: a secret in a file of mode 0644, which others can read or write: chmod o-rw,g-w "},
		{"missing", "/nonexistent/f.yml", "configuration: read /nonexistent/f.yml: no such file or directory"},
		{"directory", t.TempDir(), "not a regular file (directory)"},
		{"huge", write(0o600, plain+strings.Repeat("\n", maxFile)), "more than 4194304 bytes"},
	} {
		_, err := Load(c.path, checks)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: Load = %v; want nil", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: Load = %v; want %q", c.name, err, c.want)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: Load = %v; want no secret in it", c.name, err)
		}
	}
}

func TestErrorUnwraps(t *testing.T) {
	_, err := parse("nonsense")
	var one *Error
	if !errors.As(err, &one) || one.Line != 1 || one.File != "f.yml" {
		t.Errorf("parse = %#v; want an *Error of line 1", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"checks: [{check: fake_queue}]", "checks:\n- &a {check: fake_queue, options: {<<: *a}}", "a: &a [*a]", "---\n---\n", "# only\n", "checks: [[]]",
		"defaults: {interval: 1m}\nchecks: [{check: fake_backup, warning: [size=1GB], severity: {x: y}}]", "? [a]\n: b", "!!null", "checks: !x []",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "hang") {
			return
		}
		c, err := parse(text)
		if (c == nil) == (err == nil) {
			t.Errorf("parse(%q) = %v, %v; want one of them", text, c, err)
		}
		if c != nil && len(c.All())+len(c.Modules) == 0 {
			t.Errorf("parse(%q) looks at nothing; want an error", text)
		}
	})
}
