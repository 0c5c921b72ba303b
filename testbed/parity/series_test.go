package parity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

func TestSeries(t *testing.T) {
	got := series(strings.Join([]string{
		"# HELP belfry_x_depth Depth.", "# TYPE belfry_x_depth gauge",
		`belfry_x_depth{target="t",check="c",queue="a,b}\"\\ d"} 5`,
		"belfry_x_plain 1", "go_goroutines 7", "belfry_exporter_checks 1", `belfry_x_depth{queue="open`, "",
	}, "\n"))
	want := map[string]string{
		`belfry_x_depth{check="c",queue="a,b}\"\\ d",target="t"}`: "5", "belfry_x_plain{}": "1",
		`not a series: belfry_x_depth{queue="open`: "",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("series = %v; want %v", got, want)
	}
}

func TestDiffer(t *testing.T) {
	plugin := map[string]string{`belfry_check_state{}`: "2", `belfry_x{a="1"}`: "5", `belfry_check_finding{f}`: "1"}
	for _, c := range []struct {
		name     string
		exporter map[string]string
		loose    bool
		want     string
	}{
		{"equal", map[string]string{`belfry_check_state{}`: "2", `belfry_x{a="1"}`: "6", `belfry_check_finding{f}`: "1", `belfry_check_runs_total{}`: "4"}, false, ""},
		{"verdict", map[string]string{`belfry_check_state{}`: "2", `belfry_x{a="1"}`: "6", `belfry_check_finding{f}`: "0"}, true, "belfry_check_finding{f} is 1 in the plugin, 0 in the exporter"},
		{"missing", map[string]string{`belfry_check_state{}`: "2", `belfry_check_finding{f}`: "1"}, false, `only the plugin has belfry_x{a="1"}`},
		{"missing, loose", map[string]string{`belfry_check_state{}`: "2", `belfry_check_finding{f}`: "1"}, true, ""},
		{"more", map[string]string{`belfry_check_state{}`: "2", `belfry_x{a="1"}`: "6", `belfry_check_finding{f}`: "1", `belfry_y{}`: "1"}, false, "only the exporter has belfry_y{}"},
	} {
		err := differ(plugin, c.exporter, c.loose)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasSuffix(err.Error(), "\n"+c.want)) {
			t.Errorf("%s: differ = %v; want %q", c.name, err, c.want)
		}
	}
}

func TestBothCommandLines(t *testing.T) {
	c := Case{
		Definition: &check.Definition{Name: "some_check"}, Timeout: 3 * time.Second,
		Options: map[string][]string{"host": {"a", "b"}, "insecure": {"true"}}, Critical: []string{"depth=5"}, Severity: []string{"lost=ok"}, Skip: []string{"slots"},
	}
	args := strings.Join(c.args("/m"), " ")
	if want := "--target=parity --state-dir=/m --timeout=3s --host=a --host=b --insecure=true --critical=depth=5 --severity=lost=ok --skip=slots"; args != want {
		t.Errorf("args = %s; want %s", args, want)
	}
	const want = `checks:
    - check: some_check
      critical:
        - depth=5
      interval: 3s
      options:
        host:
            - a
            - b
        insecure:
            - "true"
      severity:
        lost: ok
      skip:
        - slots
      target: parity
      timeout: 3s
modules:
    parity:
        check: some_check
        targets:
            probed:
                critical:
                    - depth=5
                options:
                    host:
                        - a
                        - b
                    insecure:
                        - "true"
                severity:
                    lost: ok
                skip:
                    - slots
                timeout: 3s
spread: 0s
`
	if got := c.yaml(); got != want {
		t.Errorf("yaml =\n%s; want\n%s", got, want)
	}
}
