package plugin

import (
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
)

// A quiet metric is in performance data where a limit judges it only.
func TestQuiet(t *testing.T) {
	quiet := &check.Metric{Family: "test", Key: "rate", Labels: []string{"queue"}, Help: "Rate.", Quiet: true}
	r := &check.Result{Definition: &check.Definition{Metrics: []*check.Metric{depth, quiet}}, Values: []check.Value{
		{Metric: quiet, Labels: []string{"a"}, Number: 1, Judged: 1},
		{Metric: quiet, Labels: []string{"b"}, Number: 2, Judged: 2, Critical: &check.Range{End: 5}},
		{Metric: depth, Labels: []string{"a"}, Number: 3, Judged: 3},
	}}
	if got, left := perfdata(r, 100); got != "'depth a'=3 'rate b'=2;;5" || left != 0 {
		t.Errorf("perfdata() = %q, %d left out; want 'depth a'=3 'rate b'=2;;5, none", got, left)
	}
}
