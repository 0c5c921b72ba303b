package workermemory

import (
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/parity"
)

func TestParity(t *testing.T) {
	bed := testbed.New(t)
	small := bed.Worker(testbed.WorkerOptions{Name: "small", Argv: testbed.ZulipWorker("email_senders"), MiB: 20})
	large := bed.Worker(testbed.WorkerOptions{Name: "large", Argv: testbed.ZulipWorker("embed_links"), MiB: 60})
	large.Stop()
	parity.Run(t, parity.Case{
		Definition: Definition,
		// The exporter and the plugin are no workers, though children of the
		// same parent.
		Options: map[string][]string{"parent": {ours()[len("--parent="):]}, "expect": {"1:2"}},
		Warning: []string{"50MB"}, Critical: []string{"200MB"},
		Timeout: 2 * time.Second,
		Steps: []parity.Step{
			{Name: "one small worker", Want: check.OK},
			{Name: "a large one beside it", Do: large.Start, Want: check.Warning},
			{Name: "none", Do: func() { large.Stop(); small.Kill() }, Want: check.Critical},
			{Name: "mended", Do: small.Start, Want: check.OK},
		},
	})
}
