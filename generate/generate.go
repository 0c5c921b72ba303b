// Package generate makes the files that follow from the catalog and are
// committed: Nagios and Icinga objects, Prometheus rules, dashboards and
// reference pages.
package generate

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/belfry-monitoring/belfry/dashboards"
	"github.com/belfry-monitoring/belfry/docs"
	"github.com/belfry-monitoring/belfry/nagios"
	"github.com/belfry-monitoring/belfry/nagios/icinga2"
	"github.com/belfry-monitoring/belfry/plugins"
	"github.com/belfry-monitoring/belfry/prometheus"
)

// Files returns the generated files by their path below the module's root,
// which it reads the prose of the pages from.
func Files(root string) (map[string][]byte, error) {
	catalog := plugins.Catalog()
	files := map[string][]byte{"docs/checks/README.md": docs.Index(catalog)}
	maps.Copy(files, nagios.Files(catalog))
	maps.Copy(files, icinga2.Files(catalog))
	maps.Copy(files, prometheus.Files(catalog))
	for _, d := range catalog {
		folder := filepath.Join(root, "plugins", plugins.Folder(d))
		prose, err := os.ReadFile(filepath.Join(folder, "page.md"))
		if err != nil {
			return nil, fmt.Errorf("prose of the page of %s: %w", d.Name, err)
		}
		states, err := docs.ReadStates(folder, d)
		if err != nil {
			return nil, fmt.Errorf("examples on the page of %s: %w", d.Name, err)
		}
		files["docs/checks/"+d.Name+".md"] = docs.Page(d, string(prose), states)
	}
	boards, err := dashboards.Files(catalog)
	if err != nil {
		return nil, err
	}
	maps.Copy(files, boards)
	return files, nil
}

// Write brings the files below root up to date and returns those that it
// changed.
func Write(root string) ([]string, error) {
	files, err := Files(root)
	if err != nil {
		return nil, err
	}
	var changed []string
	for name, content := range files {
		path := filepath.Join(root, name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return nil, err
		}
		changed = append(changed, name)
	}
	return changed, nil
}
