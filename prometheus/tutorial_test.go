package prometheus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/tutorial"
)

// The commands of the tutorial do what it says, one after the other in one
// shell of an ordinary user, with the shipped files. Ports are others than
// those that it names, and times shorter: the rules' (see hasten), and looks,
// scrapes and evaluations of each second. What the kernel kills on this machine
// meanwhile, in another test, is the check's business for a second only. What
// it runs by "go run" is built before, because that user has no cache here.
func TestTutorial(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/tutorials/prometheus.md")
	if err != nil {
		t.Fatal(err)
	}
	bed := testbed.New(t)
	const account = "nobody"
	repository := bed.MkdirFor(account, "repository", 0o755)
	for _, dir := range []string{"bin", "prometheus", "prometheus/rules", "dashboards", "dashboards/json"} {
		bed.MkdirFor(account, filepath.Join("repository", dir), 0o755)
	}
	put := func(name, content string, mode os.FileMode) {
		bed.WriteFileFor(account, filepath.Join(repository, name), content, mode)
	}
	copied := func(name, from string, mode os.FileMode) {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		put(name, string(content), mode)
	}
	copied("bin/belfry_exporter", bed.Build("./exporter/belfry_exporter"), 0o755)
	copied("bin/belfry_preview", bed.Build("./dashboards/belfry_preview"), 0o755)
	boards, err := filepath.Glob("../dashboards/json/*.json")
	if err != nil || len(boards) == 0 {
		t.Fatalf("dashboards: %v, %v", boards, err)
	}
	for _, path := range boards {
		copied("dashboards/json/"+filepath.Base(path), path, 0o644)
	}
	for name, rules := range shipped(t) {
		put("prometheus/rules/"+name, rules, 0o644)
	}
	config, err := os.ReadFile(alertmanagerFile)
	if err != nil {
		t.Fatal(err)
	}
	put("prometheus/"+alertmanagerFile, hasten(string(config)), 0o644)

	// One shell for all, because it holds what the tutorial starts.
	var commands strings.Builder
	for _, b := range tutorial.Blocks(string(text), "sh") {
		commands.WriteString(b.Text + "\n")
	}
	script := commands.String()
	for _, port := range []string{"19742", "9090", "9093"} {
		if !strings.Contains(script, ":"+port) {
			t.Errorf("the tutorial does not name port %s", port)
		}
		script = strings.ReplaceAll(script, ":"+port, fmt.Sprintf(":%d", bed.Port()))
	}
	script = regexp.MustCompile(`interval: \d+s`).ReplaceAllString(script, "interval: 1s")
	script = strings.ReplaceAll(script, "timeout: 5s", "timeout: 1s")
	script = strings.ReplaceAll(script, "pattern: sleep 86399\n", "pattern: sleep 86399\n      oom-window: 1s\n")
	script = strings.ReplaceAll(script, "sleep 86399", fmt.Sprintf("sleep %d", 100_000+bed.Port())) // no worker of anybody else's
	script = strings.ReplaceAll(script, "go run ./dashboards/belfry_preview", "bin/belfry_preview")
	done := filepath.Join(repository, "done")
	path := bed.WriteFileFor(account, filepath.Join(repository, "tutorial.sh"), "set -euxo pipefail\ncd "+repository+"\n"+script+"\necho ended >done\n", 0o644)
	shell := bed.Program(account, "tutorial", []string{"/bin/bash", path}, nil)
	testbed.WaitFor(t, 4*time.Minute, "the end of the tutorial", func() error {
		if _, err := os.Stat(done); err == nil {
			return nil
		}
		if !shell.Running() {
			if _, err := os.Stat(done); err == nil {
				return nil
			}
			t.Fatalf("a command of the tutorial fails:\n%s", shell.LogTail())
		}
		return errors.New(shell.LogTail())
	})
	if _, err := os.Stat(filepath.Join(repository, "try")); err == nil {
		t.Error("the tutorial leaves its directory behind")
	}
	t.Log(shell.LogTail())

	// What it has installed is what the testbed installs.
	install, err := os.ReadFile("../testbed/install.sh")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, b := range tutorial.Blocks(string(text), "shell") {
		for _, line := range strings.Split(b.Text, "\n") {
			packages, ok := strings.CutPrefix(line, "sudo apt-get install -y ")
			for _, p := range strings.Fields(packages) {
				if !ok {
					continue
				}
				compared++
				if !strings.Contains(string(install), p) {
					t.Errorf("the tutorial installs %s, which the testbed does not", p)
				}
			}
		}
	}
	if compared == 0 {
		t.Error("the tutorial installs nothing")
	}
}
