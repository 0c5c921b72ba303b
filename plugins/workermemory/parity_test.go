package workermemory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/cgroup"
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

// A limit on a worker that is not there must not silence the check.
func TestParityOfATypo(t *testing.T) {
	bed := testbed.New(t)
	bed.Worker(testbed.WorkerOptions{Name: "small", Argv: testbed.ZulipWorker("email_senders"), MiB: 20})
	parity.Run(t, parity.Case{
		Definition: Definition, Options: map[string][]string{"parent": {ours()[len("--parent="):]}},
		Critical: []string{"rss{worker=emial_senders}=800MB"}, Timeout: 2 * time.Second,
		Steps: []parity.Step{{Name: "a typo", Want: check.Unknown}},
	})
}

// TestParityControlGroup: the limit that workers share, reached after the
// exporter's first look.
func TestParityControlGroup(t *testing.T) {
	bed := testbed.New(t)
	dir, ok := controlGroup(t, 64<<20)
	if !ok {
		return
	}
	workerIn(t, bed, dir, "email_senders", 10)
	testbed.WaitFor(t, 30*time.Second, "a worker", func() error {
		text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err == nil && len(text) == 0 {
			err = errors.New("none in the control group")
		}
		return err
	})
	parity.Run(t, parity.Case{
		Definition: Definition,
		Options:    map[string][]string{"parent": {ours()[len("--parent="):]}, "no-pss": {"true"}},
		Warning:    []string{"cgroup_share=75%"}, Critical: []string{"cgroup_share=95%"},
		Timeout: 2 * time.Second,
		Steps: []parity.Step{
			{Name: "room left", Want: check.OK},
			{Name: "nearly full", Do: func() {
				workerIn(t, bed, dir, "embed_links", 38)
				waitForShare(t, dir, 0.75)
			}, Want: check.Warning},
		},
	})
}

// waitForShare waits until the control group's own use is above a share of 64 MiB.
func waitForShare(t *testing.T, dir string, share float64) {
	t.Helper()
	testbed.WaitFor(t, 30*time.Second, "a full control group", func() error {
		groups, err := cgroup.Open("/proc", "").Of(firstProcess(t, dir))
		if err == nil && (len(groups) == 0 || groups[0].Share() < share+0.02) {
			err = fmt.Errorf("%+v; want a share above %v", groups, share)
		}
		return err
	})
}

func firstProcess(t *testing.T, dir string) int {
	t.Helper()
	var pid int
	if _, err := fmt.Sscan(readFile(t, filepath.Join(dir, "cgroup.procs")), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}
