// Package parity holds the faces of a check against each other: on the same
// server, in good and bad health, the plugin's exit code and the exporter's
// belfry_check_state are equal, of its scheduled look as of one that is asked
// for at /probe, and so are their series.
package parity

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/testbed"
)

// Case is a check, how both faces are to run it, and what happens to its
// server meanwhile.
type Case struct {
	Definition *check.Definition
	// Options of the check by flag name, without dashes: the plugin gets them
	// as --name=value, the exporter's YAML under options. A list sets the flag
	// once for each item. Secrets stand in files, which Account can read.
	Options           map[string][]string
	Warning, Critical []string // as -w and -c
	Severity          []string // as --severity: finding=state
	Only, Skip        []string
	// Timeout of a look in both faces, and the exporter's interval where that
	// is at least a second; zero: the definition's timeout. A short one makes
	// a fast test.
	Timeout time.Duration
	// Account is the system user that both run as when the test is root;
	// default "nobody".
	Account string
	// Limit is how long both faces may take to agree after a step; default
	// one minute and four intervals.
	Limit time.Duration
	Steps []Step
}

// Step changes the server's health and says what both faces must make of it.
type Step struct {
	Name string
	Do   func() // nil: nothing, for a server that is in this health already
	Want check.State
	// Reason is that of the worst fault; "" for none.
	Reason check.Reason
	// Loose leaves it at state, reason and findings, for servers whose series
	// differ from one look to the next.
	Loose bool
}

// Run builds both binaries and goes through the steps. One exporter lives
// through all of them, so that it sees each change after its first look; at
// each step another one starts in that health.
func Run(t *testing.T, c Case) {
	t.Helper()
	bed := testbed.New(t)
	c.Account = cmp.Or(c.Account, "nobody")
	c.Timeout = cmp.Or(c.Timeout, c.Definition.Timeout)
	c.Limit = cmp.Or(c.Limit, time.Minute+4*c.interval())
	r := &runner{
		t: t, bed: bed, c: c,
		plugin: bed.Build("./plugins/" + strings.ReplaceAll(c.Definition.Name, "_", "") + "/" + c.Definition.Plugin()),
		memory: bed.MkdirFor(c.Account, "memory", 0o700),
	}
	var lasting *testbed.Exporter
	for i, step := range c.Steps {
		if step.Do != nil {
			step.Do()
		}
		name := fmt.Sprintf("%d-%s", i+1, strings.Map(fileName, step.Name))
		fresh := bed.Exporter(testbed.ExporterOptions{Name: "exporter-" + name, Config: c.yaml(), Account: c.Account})
		if lasting == nil {
			lasting = fresh
		}
		r.agree(step, "the exporter that started in this health", fresh)
		if lasting != fresh {
			r.agree(step, "the exporter that started in the first step", lasting)
			fresh.Stop()
		}
		r.record(step)
	}
}

// fileName keeps of a step's name what is good for a directory.
func fileName(c rune) rune {
	if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
		return c
	}
	return '-'
}

func (c *Case) interval() time.Duration { return max(c.Timeout, time.Second) }

// target is the name of the thing looked at in both faces; probed is that of
// the same thing for /probe, because the exporter knows each name once.
const (
	target = "parity"
	probed = "probed"
)

// args is the plugin's command line without its name.
func (c *Case) args(memory string) []string {
	args := []string{"--target=" + target, "--state-dir=" + memory, "--timeout=" + c.Timeout.String()}
	each := func(flag string, values []string) {
		for _, v := range values {
			args = append(args, "--"+flag+"="+v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Options)) {
		each(name, c.Options[name])
	}
	each("warning", c.Warning)
	each("critical", c.Critical)
	each("severity", c.Severity)
	each("only", c.Only)
	each("skip", c.Skip)
	return args
}

// yaml is the exporter's configuration of the same.
func (c *Case) yaml() string {
	entry := map[string]any{"timeout": c.Timeout.String()}
	severity := make(map[string]string)
	for _, s := range c.Severity {
		key, state, _ := strings.Cut(s, "=")
		severity[key] = state
	}
	// What is empty must not stand in the file.
	for key, v := range map[string]struct {
		value any
		given bool
	}{
		"options": {c.Options, len(c.Options) > 0}, "severity": {severity, len(severity) > 0},
		"warning": {c.Warning, len(c.Warning) > 0}, "critical": {c.Critical, len(c.Critical) > 0},
		"only": {c.Only, len(c.Only) > 0}, "skip": {c.Skip, len(c.Skip) > 0},
	} {
		if v.given {
			entry[key] = v.value
		}
	}
	module := map[string]any{"check": c.Definition.Name, "targets": map[string]any{probed: entry}}
	scheduled := maps.Clone(entry)
	scheduled["check"], scheduled["target"], scheduled["interval"] = c.Definition.Name, target, c.interval().String()
	text, err := yaml.Marshal(map[string]any{"spread": "0s", "checks": []any{scheduled}, "modules": map[string]any{target: module}})
	if err != nil { // maps of strings can be encoded
		panic("parity: " + err.Error())
	}
	return string(text)
}

type runner struct {
	t      *testing.T
	bed    *testbed.Bed
	c      Case
	plugin string
	memory string // directory in which the plugin remembers, as the exporter does
}

// agree waits until both faces say what the step wants, at the same time.
func (r *runner) agree(step Step, who string, exporter *testbed.Exporter) {
	r.t.Helper()
	var last plugin.Document
	testbed.WaitFor(r.t, r.c.Limit, fmt.Sprintf("step %q: the plugin and %s to agree on %s", step.Name, who, step.Want), func() error {
		err := r.compare(step, exporter, &last)
		if err != nil {
			time.Sleep(300 * time.Millisecond) // a look costs more than a poll
		}
		return err
	})
	r.t.Logf("%s, %s: %s %s", step.Name, who, last.State, last.Text)
}

// compare takes one look with the plugin for each output, and one scrape.
func (r *runner) compare(step Step, exporter *testbed.Exporter, document *plugin.Document) error {
	looked := r.run("json")
	*document = plugin.Document{}
	if err := json.Unmarshal([]byte(looked.Stdout), document); err != nil {
		return fmt.Errorf("the plugin's output is not JSON: %w\n%s%s", err, looked.Stdout, looked.Stderr)
	}
	if looked.Exit != int(step.Want) || check.Reason(document.Reason) != step.Reason {
		return fmt.Errorf("the plugin exits with %d, reason %q: %s\nwant %d, reason %q", looked.Exit, document.Reason, document.Text, int(step.Want), step.Reason)
	}
	page, err := exporter.Get("/metrics")
	if err != nil {
		return err
	}
	state := fmt.Sprintf(`belfry_check_state{check=%q,target=%q}`, r.c.Definition.Name, target)
	theirs, ours := series(page), series(r.run("prometheus").Stdout)
	if got, ok := theirs[state]; !ok || got != fmt.Sprint(looked.Exit) {
		return fmt.Errorf("belfry_check_state is %q (empty: not there); the plugin exits with %d: %s\nthe exporter says: %s", got, looked.Exit, document.Text, r.said(exporter))
	}
	if err := differ(ours, theirs, step.Loose); err != nil {
		return err
	}
	return r.compareProbe(step, exporter, ours)
}

// compareProbe holds a look that is asked for against the plugin's. It has
// none of what only a schedule knows.
func (r *runner) compareProbe(step Step, exporter *testbed.Exporter, plugin map[string]string) error {
	page, err := exporter.GetWithin(r.c.Timeout+10*time.Second, "/probe?module="+target+"&target="+probed)
	if err != nil {
		return err
	}
	theirs := series(strings.ReplaceAll(page, fmt.Sprintf("target=%q", probed), fmt.Sprintf("target=%q", target)))
	for id := range theirs {
		if exportersOwn(id) {
			return fmt.Errorf("/probe has %s, which only a schedule knows", id)
		}
	}
	if err := differ(plugin, theirs, step.Loose); err != nil {
		return fmt.Errorf("/probe: %w", err)
	}
	return nil
}

func (r *runner) run(output string) testbed.Result {
	argv := append([]string{r.plugin}, r.c.args(r.memory)...)
	return testbed.RunAs(r.t, r.c.Account, append(argv, "--output="+output), []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + filepath.Dir(r.memory), "LANG=C.UTF-8",
	})
}

// said is the exporter's own line 1.
func (r *runner) said(exporter *testbed.Exporter) string {
	body, err := exporter.Get("/api/v1/checks")
	if err != nil {
		return err.Error()
	}
	var list struct {
		Checks []struct{ State, Text string }
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Checks) != 1 {
		return body
	}
	return list.Checks[0].State + " " + list.Checks[0].Text
}
