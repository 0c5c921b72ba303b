package exporter

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/exporter/config"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

// writeDebug says in plain text what a look saw, how long it took, which
// options it had, secrets masked, and which series it makes.
func (e *Exporter) writeDebug(w http.ResponseWriter, f *probed, request probeRequest, timeout time.Duration, answer schedule.Answer) {
	var b bytes.Buffer
	part := func(title string, lines ...string) {
		fmt.Fprintf(&b, "# %s\n%s\n\n", title, strings.Join(lines, "\n"))
	}
	part("verdict", strings.TrimRight(string(plugin.Text(answer.Result, 2)), "\n"))
	part("timing", timing(f, request, timeout, answer)...)
	part("look", lookLines(f)...)
	b.WriteString("# series\n")
	for _, family := range e.families.gather(answer) {
		if _, err := expfmt.MetricFamilyToText(&b, family); err != nil {
			fmt.Fprintf(&b, "# %s cannot be written: %v\n", family.GetName(), err)
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write(b.Bytes()) //nolint:errcheck // the client is gone
}

func timing(f *probed, request probeRequest, timeout time.Duration, answer schedule.Answer) []string {
	why := "the module's"
	if timeout < f.check.Timeout {
		why = fmt.Sprintf("the scrape's %s less what the way back may take; the module's is %s",
			check.FormatDuration(request.scrape), check.FormatDuration(f.check.Timeout))
	}
	lines := []string{fmt.Sprintf("timeout: %s (%s)", check.FormatDuration(timeout), why)}
	switch {
	case !answer.Looked:
		lines = append(lines, "look: of another request, and not over")
	case answer.Shared:
		lines = append(lines, "look: of another request that came at the same time")
	default:
		lines = append(lines, "look: of this request, after waiting for "+check.FormatDuration(answer.Waited))
	}
	lines = append(lines, "began: "+stamp(answer.Result.Started), "took: "+check.FormatDuration(answer.Result.Duration))
	for _, p := range answer.Result.Parts {
		lines = append(lines, fmt.Sprintf("part %s took: %s", p.Name, check.FormatDuration(p.Duration)))
	}
	return lines
}

// lookLines are how the look was configured, as the configuration file would
// say it.
func lookLines(f *probed) []string {
	c := f.check
	kind := "configured"
	if f.freeForm() {
		kind = "free-form: nothing is remembered between looks"
	}
	lines := []string{"module: " + f.module.Name, "target: " + check.Clean(c.Target) + " (" + kind + ")", "check: " + c.Definition.Name, "options:"}
	for _, o := range c.Options() {
		for _, value := range o.Values {
			lines = append(lines, "  "+o.Name+": "+check.Clean(value))
		}
	}
	return append(lines, judging(c)...)
}

func judging(c *config.Check) (lines []string) {
	for _, l := range c.Limits {
		lines = append(lines, strings.ToLower(l.Severity.String())+": "+l.String())
	}
	for _, key := range slices.Sorted(maps.Keys(c.Severities)) {
		lines = append(lines, fmt.Sprintf("severity: %s=%s", key, strings.ToLower(c.Severities[key].String())))
	}
	if c.TimeoutState != nil {
		lines = append(lines, "timeout_state: "+strings.ToLower(c.TimeoutState.String()))
	}
	for name, parts := range map[string][]string{"only": c.Only, "skip": c.Skip} {
		if len(parts) > 0 {
			lines = append(lines, name+": "+strings.Join(parts, ", "))
		}
	}
	return lines
}
