package prometheus

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/plugins"
)

// documented returns a metric of the catalog.
func documented(name, key string) *check.Metric {
	for _, d := range plugins.Catalog() {
		if d.Name == name {
			return d.MetricByKey(key)
		}
	}
	return nil
}

// haste is by how much tests shorten the times of rules and of Alertmanager.
const haste = 40

// hasten shortens the times in a file of rules or of Alertmanager, and nothing
// else: ranges, offsets, for, keep_firing_for, and the waits of routes. It is
// the only thing in which a test's file differs from the shipped one.
func hasten(text string) string {
	times := regexp.MustCompile(`(\[|offset |for: |interval: |wait: )((?:\d+[dhms])+)`)
	return times.ReplaceAllStringFunc(text, func(found string) string {
		m := times.FindStringSubmatch(found)
		return m[1] + duration(max(parseDuration(m[2])/haste, time.Second).Truncate(time.Second))
	})
}

// parseDuration reads what duration writes.
func parseDuration(text string) (d time.Duration) {
	units := map[string]time.Duration{"d": day, "h": time.Hour, "m": time.Minute, "s": time.Second}
	for _, m := range regexp.MustCompile(`(\d+)([dhms])`).FindAllStringSubmatch(text, -1) {
		var n time.Duration
		fmt.Sscan(m[1], &n) //nolint:errcheck // digits
		d += n * units[m[2]]
	}
	return d
}

func TestHasten(t *testing.T) {
	for text, want := range map[string]string{
		"expr: x[2m30s] offset 1h == 2":        "expr: x[3s] offset 1m30s == 2",
		"keep_firing_for: 5m\nfor: 10s":        "keep_firing_for: 7s\nfor: 1s",
		"group_wait: 30s\ngroup_interval: 5m":  "group_wait: 1s\ngroup_interval: 7s",
		"summary: 'in the last 2m30s for 3 m'": "summary: 'in the last 2m30s for 3 m'",
		"rate(x[3d])":                          "rate(x[1h48m])",
	} {
		if got := hasten(text); got != want {
			t.Errorf("hasten(%q) = %q; want %q", text, got, want)
		}
	}
}

// shipped are the files of rules by name, hastened.
func shipped(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, path := range ruleFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = hasten(string(text))
	}
	return files
}
