package exporter

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/testbed"
)

func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	e, path := w.start(t, `
modules:
  fake: {check: fake, targets: {b: 10.0.0.5, "a/1": 10.0.0.6}}
  free: {check: fake, targets_pattern: 'x'}
  other: {check: fake, targets: [c]}
`)
	defer w.stop(t, e)
	h := e.Handler()
	group := func(target, module string) string {
		return fmt.Sprintf(`{"targets":[%q],"labels":{"__metrics_path__":"/probe","__param_module":%q,"__param_target":%q,"instance":%q,"module":%q}}`, target, module, target, target, module)
	}
	all := []string{group("b", "fake"), group("a/1", "fake"), group("c", "other")}
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/discovery", 200, "[" + strings.Join(all, ",") + "]\n"},
		{"GET", "/discovery?module=other", 200, "[" + all[2] + "]\n"},
		{"GET", "/discovery?module=other&module=other", 200, "[" + all[2] + "]\n"},
		{"GET", "/discovery?module=other&module=fake", 200, "[" + all[2] + "," + all[0] + "," + all[1] + "]\n"},
		{"GET", "/discovery?module=free", 200, "[]\n"},
		{"HEAD", "/discovery", 200, ""},
		{"GET", "/discovery?module=nope", 404, "no module \"nope\"; there are fake, free, other\n"},
		{"GET", "/discovery?modul=fake", 400, "unknown parameters: there is module only\n"},
		{"GET", "/discovery?module=%zz", 400, "the query cannot be read: write /discovery?module=NAME\n"},
		{"POST", "/discovery", 405, "Method Not Allowed\n"},
	} {
		response := ask(h, c.method, c.path)
		body, _ := io.ReadAll(response.Body)
		if c.method == "HEAD" {
			body = nil // a recorder keeps what a server drops
		}
		if response.StatusCode != c.status || string(body) != c.want {
			t.Errorf("%s %s = %d %s; want %d %s", c.method, c.path, response.StatusCode, body, c.status, c.want)
		}
		if kind := response.Header.Get("Content-Type"); c.status == 200 && kind != "application/json" {
			t.Errorf("%s %s: content type %q; want application/json", c.method, c.path, kind)
		}
	}
	write(t, path, "checks: [{check: fake}]")
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, body := get(h, "GET", "/discovery"); body != "[]\n" {
		t.Errorf("GET /discovery without modules = %s; want an empty list", body)
	}
}

// What the documentation shows is right.
func TestDocumentedModules(t *testing.T) {
	text, err := os.ReadFile("../docs/probes.md")
	if err != nil {
		t.Fatal(err)
	}
	var found int
	for _, block := range yamlBlocks(string(text)) {
		if !strings.Contains(block, "scrape_configs:") {
			continue
		}
		found++
		path := filepath.Join(t.TempDir(), "prometheus.yml")
		write(t, path, block)
		testbed.Promtool(t, "check", "config", path)
	}
	if found < 2 {
		t.Errorf("docs/probes.md has %d scrape configurations; want 2", found)
	}
}

// yamlBlocks are the fenced blocks of a Markdown page that are marked as YAML.
func yamlBlocks(page string) (blocks []string) {
	for _, part := range strings.Split(page, "```yaml\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, block)
	}
	return blocks
}
