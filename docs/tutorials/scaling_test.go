package tutorials_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/belfry-monitoring/belfry/testbed/tutorial"
)

// What the tutorial says to Prometheus is right in Prometheus's own eyes.
func TestScalingConfigurations(t *testing.T) {
	text, err := os.ReadFile("scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := tutorial.Blocks(string(text), "yaml")
	if len(blocks) != 2 {
		t.Errorf("%d configurations; want 2", len(blocks))
	}
	for _, b := range blocks {
		path := filepath.Join(t.TempDir(), "prometheus.yml")
		if err := os.WriteFile(path, []byte(b.Text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("promtool", "check", "config", path).CombinedOutput(); err != nil {
			t.Errorf("scaling.md:%d: promtool check config: %v\n%s", b.Line, err, out)
		}
	}
}
