package schedule

import (
	"os/exec"
	"strings"
	"testing"
)

// The scheduler serves any face: it knows neither Prometheus nor HTTP.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if dep == "net/http" || strings.Contains(dep, "client_golang") {
			t.Errorf("the scheduler depends on %s", dep)
		}
	}
}
