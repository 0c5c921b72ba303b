package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
)

// probed is a catalog of checks with no, one and two options for addresses.
func probed() []*check.Definition {
	made := func(name string, flags func(*pflag.FlagSet)) *check.Definition {
		return &check.Definition{
			Name: name, Title: strings.ToUpper(name), Interval: time.Minute, Timeout: 10 * time.Second, Metrics: []*check.Metric{depth, size},
			Findings: []*check.Finding{{Key: "no_consumer", Help: "nobody listens", State: check.Critical}},
			Parts:    []check.Part{{Name: "depths"}, {Name: "rates"}},
			New: func(fs *pflag.FlagSet) check.Check {
				f := newFake(fs)
				flags(fs)
				return f
			},
		}
	}
	return []*check.Definition{
		made("none", func(*pflag.FlagSet) {}),
		made("one", func(fs *pflag.FlagSet) { options.Address(fs, "host", options.HostPort) }),
		made("two", func(fs *pflag.FlagSet) {
			fs.String("site", "", "")
			options.Address(fs, "host", options.HostPort)
			options.Address(fs, "site", options.Site)
		}),
	}
}

func parseModules(text string) (*Config, error) {
	return (&reader{file: "f.yml", catalog: probed()}).read([]byte(text))
}

func TestModules(t *testing.T) {
	c, err := parseModules(`
modules:
  db:
    check: one
    timeout: 5s
    timeout_state: critical
    options: {port: 5433, password-file: /etc/belfry/pw, insecure: true}
    warning: depth=5
    severity: {no_consumer: warning, clock_skew: ok}
    skip: rates
    targets:
      db1: 10.0.0.5
      pair: [10.0.0.6, 10.0.0.7]
      db3.example.org:
      own:
        timeout: 2s
        timeout_state: warning
        options: {host: 10.0.0.8, port: 1, password: "*pw"}
        warning: depth=7
        severity: {no_consumer: ok}
        only: depths
    targets_pattern: 'free[0-9]\.example\.org(:5432)?'
  list:
    check: two
    target_option: site
    targets: [a.example.org, b.example.org]
  files:
    check: none
    targets: {x: {options: {file: ""}}}
`)
	if err != nil {
		t.Fatalf("parseModules = %v; want nil", err)
	}
	describe := func(c *Check) string {
		f := c.New().(*fake)
		password, _ := f.password.Read()
		var limits []string
		for _, l := range c.Limits {
			limits = append(limits, l.String())
		}
		state := "nil"
		if c.TimeoutState != nil {
			state = c.TimeoutState.String()
		}
		return fmt.Sprintf("%s host=%v port=%d insecure=%v pw=%q %s %s %v %v only=%v skip=%v", c.Target, f.hosts, f.port, f.insecure, password.Reveal(), c.Timeout, state, limits, c.Severities, c.Only, c.Skip)
	}
	const tail = ` pw="" 5s CRITICAL [depth=5] map[clock_skew:OK no_consumer:WARNING] only=[] skip=[rates]`
	db := c.Modules[0]
	free, err := db.FreeForm("free1.example.org:5432")
	if err != nil {
		t.Fatalf("FreeForm = %v; want nil", err)
	}
	for i, want := range []string{
		"db1 host=[10.0.0.5] port=5433 insecure=true" + tail,
		"pair host=[10.0.0.6 10.0.0.7] port=5433 insecure=true" + tail,
		"db3.example.org host=[db3.example.org] port=5433 insecure=true" + tail,
		`own host=[10.0.0.8] port=1 insecure=true pw="*pw" 2s WARNING [depth=5 depth=7] map[clock_skew:OK no_consumer:OK] only=[depths] skip=[rates]`,
		"free1.example.org:5432 host=[free1.example.org:5432] port=5433 insecure=true" + tail,
	} {
		one := free
		if i < len(db.Targets) {
			one = db.Targets[i]
		}
		if got := describe(one); got != want {
			t.Errorf("target %d is\n%s; want\n%s", i, got, want)
		}
	}
	for text, want := range map[string]string{
		"free1.example.org:5433":              "module db has no such target, and its targets_pattern does not allow this address",
		"free1.example.org,10.0.0.9":          "module db has no such target, and takes as others only a host name or IP address, with or without a port",
		"free1.example.org\n":                 "module db has no such target, and takes as others only a host name or IP address, with or without a port",
		"postgresql://free1.example.org/?x=1": "module db has no such target, and takes as others only a host name or IP address, with or without a port",
	} {
		if one, err := db.FreeForm(text); err == nil || err.Error() != want {
			t.Errorf("FreeForm(%q) = %v, %v; want %s", text, one, err, want)
		}
	}
	if got := c.Modules[1].Targets[1].values; len(got) != 1 || got[0].Name != "site" || got[0].Items[0] != "b.example.org" {
		t.Errorf("options of a list's target = %v; want site b.example.org", got)
	}
	if _, err := c.Modules[1].FreeForm("c.example.org"); err == nil || err.Error() != "module list has no such target, and takes none that is not configured" {
		t.Errorf("FreeForm of a module without a pattern = %v; want a refusal", err)
	}
	if db.Target("own") == nil || db.Target("free1.example.org") != nil {
		t.Error("Target: want those that are configured, and only them")
	}
	if len(c.Checks) != 0 || len(c.All()) != 7 || c.Probes != 64 || c.FreeFormProbes != 64 {
		t.Errorf("%d checks, %d in all, %d and %d probes; want 0, 7, 64, 64", len(c.Checks), len(c.All()), c.Probes, c.FreeFormProbes)
	}
	var own []string
	for _, o := range db.Target("own").Options() {
		own = append(own, o.Name+"="+strings.Join(o.Values, ","))
	}
	if got, want := strings.Join(own, " "), "host=10.0.0.8 insecure=true password=*** port=1"; got != want {
		t.Errorf("Options() = %s; want %s: the password as ***, and no password-file beside it", got, want)
	}
}

func TestProbeConcurrency(t *testing.T) {
	targets := func(n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprint("db", i)
		}
		return "modules: {m: {check: one, targets: [" + strings.Join(names, ", ") + "]}}\n"
	}
	for _, c := range []struct {
		text             string
		configured, free int
	}{
		{targets(200), 200, 64},
		{targets(1200), 1000, 64},
		{targets(200) + "probe_concurrency: 5\n", 5, 5},
		{"checks: [{check: one}]\n", 64, 64},
	} {
		got, err := parseModules(c.text)
		if err != nil || got.Probes != c.configured || got.FreeFormProbes != c.free {
			t.Errorf("parseModules(%.40s...) = %+v, %v; want %d and %d probes", c.text, got, err, c.configured, c.free)
		}
	}
}

func TestModuleErrors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string // without "f.yml:"
	}{
		{"neither", "spread: 1s\n", []string{"1: no checks and no modules: an exporter that looks at nothing would always be content"}},
		{"empty", "modules: {}\n", []string{"1: modules must be a mapping with at least one module"}},
		{"no mapping", "modules: [a]\n", []string{"1: modules must be a mapping (key: value)"}},
		{"module is no mapping", "modules:\n  m: one\n", []string{"2: module m must be a mapping (key: value)"}},
		{"name", "modules:\n  a b: {check: one, targets: [x]}\n", []string{`2: module "a b": a name must be of letters, digits, dots, dashes and underscores, 63 at most`}},
		{"no check", "modules:\n  m: {targets: [x]}\n", []string{"2: module m without its check: write check: NAME, one of none, one, two"}},
		{"unknown check", "modules:\n  m: {check: three}\n", []string{`2: unknown check "three"; there are none, one, two`}},
		{"unknown key", "modules:\n  m:\n    check: one\n    interval: 1m\n    targets: [x]\n", []string{
			`4: unknown key "interval" in module m; there are check, timeout, timeout_state, options, warning, critical, severity, only, skip, targets, targets_pattern, target_option`,
		}},
		{"no target", "modules:\n  m: {check: one}\n", []string{"2: module m has no target: give it targets, targets_pattern or both"}},
		{"empty targets", "modules:\n  m:\n    check: one\n    targets: {}\n  n:\n    check: one\n    targets: []\n", []string{"4: targets of module m is empty", "7: targets is an empty list"}},
		{"target twice", "modules:\n  m:\n    check: one\n    targets: [a, b, a]\n", []string{`4: target "a" twice in module m, first on line 4`}},
		{"target's name", "modules:\n  m:\n    check: one\n    targets: {\"a|b\": x, \"\": y}\n", []string{
			`4: target "a!b" of module m: must be a name of at most 200 characters, without | and control characters`,
			`4: target "" of module m: must be a name of at most 200 characters, without | and control characters`,
		}},
		{"unknown key of a target", "modules:\n  m:\n    check: one\n    targets:\n      a: {host: x}\n", []string{
			`5: unknown key "host" in target a of module m; there are timeout, timeout_state, options, warning, critical, severity, only, skip`,
		}},
		{"target's options and limits", "modules:\n  m:\n    check: one\n    targets:\n      a:\n        options: {hots: x, port: y}\n        warning: 20:10\n        timeout: 11m\n", []string{
			`6: check one has no option "hots"; it has file, host, insecure, insecure-permissions, password, password-file, port`,
			`6: option port: "y": strconv.ParseInt: parsing "y": invalid syntax`,
			`7: warning: range "20:10": start is above end: write the smaller one first, or @ for an alert inside`,
			"8: timeout 11m: must be 100ms to 10m",
		}},
		{"no option for an address", "modules:\n  m:\n    check: none\n    targets: [a]\n    targets_pattern: b\n", []string{
			"4: target a of module m: check none has no option that an address may fill: name each target with its options",
			"5: targets_pattern of module m: check none has no option that an address may fill: name each target with its options",
		}},
		{"several options for an address", "modules:\n  m:\n    check: two\n    targets_pattern: b\n", []string{
			"4: targets_pattern of module m: an address may fill host or site of check two: say which with target_option",
		}},
		{"a secret's option", "modules:\n  m:\n    check: one\n    target_option: password\n    targets_pattern: b\n", []string{
			`4: target_option "password" of module m: an address may fill host of check one`,
		}},
		{"a file's option", "modules:\n  m:\n    check: none\n    target_option: file\n    targets: [b]\n", []string{
			`4: target_option "file" of module m: check none has no option that an address may fill: name each target with its options`,
		}},
		{"given twice", "modules:\n  m:\n    check: one\n    options: {H: x}\n    targets: [a]\n    targets_pattern: b\n", []string{
			"5: target a of module m fills option host, which the module's options give too: leave it out there",
			"6: targets_pattern of module m fills option host, which the module's options give too: leave it out there",
		}},
		{"a list for one value", "modules:\n  m:\n    check: two\n    target_option: site\n    targets: {a: [x, y]}\n", []string{"5: target a of module m: option site takes one value, not a list"}},
		{"pattern", "modules:\n  m:\n    check: one\n    targets_pattern: db.example.org\n  n:\n    check: one\n    targets_pattern: a)|(b\n", []string{
			`4: targets_pattern of module m: a dot stands for any character, so that db.example.org allows dbxexample.org too: write \. for a dot, .* or .+ for anything`,
			"7: targets_pattern of module n: not a regular expression (RE2): error parsing regexp: unexpected ): `a)|(b`",
		}},
		{"the same series", "checks:\n- {check: one, target: a}\nmodules:\n  m:\n    check: one\n    targets: [a]\n  n:\n    check: one\n    targets:\n      b: x\n      a: y\n", []string{
			`6: check one of target "a" twice, first on line 2: give each a target of its own`,
			`11: check one of target "a" twice, first on line 2: give each a target of its own`,
		}},
		{"concurrency", "probe_concurrency: 0\nmodules: {m: {check: one, targets: [a]}}\n", []string{`1: probe_concurrency "0": must be a whole number from 1 to 2000`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := parseModules(c.text)
			if err == nil {
				t.Fatalf("parseModules(%q) = %v; want an error", c.text, config)
			}
			got := strings.Split(err.Error(), "\n")
			for i, want := range c.want {
				if i < len(got) && got[i] != "f.yml:"+want {
					t.Errorf("error %d = %s; want f.yml:%s", i+1, got[i], want)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("%d errors; want %d:\n%s", len(got), len(c.want), err)
			}
		})
	}
}

// A secret may stand in a module as in a check: in a file of its own mode.
func TestModuleSecretsNeedAPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.yml")
	text := "modules:\n  m:\n    check: one\n    targets:\n      a:\n        options: {host: x, password: hunter2}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, probed()); err != nil {
		t.Errorf("Load of a private file = %v; want nil", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, probed())
	if err == nil || !strings.Contains(err.Error(), ":6: option password: a secret in a file of mode 0644") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Load of a file that others can read = %v; want a refusal of line 6", err)
	}
}

func FuzzModules(f *testing.F) {
	for _, text := range []string{
		"modules: {m: {check: one, targets: [a]}}", "modules:\n  m: &a {check: two, target_option: site, targets_pattern: '.*'}\n  n: *a", "modules: {m: {check: one, targets: {a: , b: [c], d: {options: {host: e}}}}}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "hang") {
			return
		}
		c, err := parseModules(text)
		if (c == nil) == (err == nil) {
			t.Errorf("parseModules(%q) = %v, %v; want one of them", text, c, err)
		}
	})
}
