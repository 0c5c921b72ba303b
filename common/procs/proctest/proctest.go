// Package proctest lays out recorded /proc trees for tests. The recordings
// are of real processes; record/record.sh makes them anew.
package proctest

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

//go:embed trees/*.txtar
var trees embed.FS

// Names returns the names of the recordings.
func Names() []string {
	found, err := fs.Glob(trees, "trees/*.txtar")
	if err != nil {
		return nil // the pattern is constant and right
	}
	names := make([]string, 0, len(found))
	for _, name := range found {
		names = append(names, strings.TrimSuffix(filepath.Base(name), ".txtar"))
	}
	return names
}

// Lay makes the files of the recording below root, which must not exist. What
// its user could not read has mode 0, so that nobody but root can.
func Lay(root, name string) error {
	data, err := trees.ReadFile("trees/" + name + ".txtar")
	if err != nil {
		return fmt.Errorf("lay out the recording %s: there are %s", name, strings.Join(Names(), ", "))
	}
	for _, f := range txtar.Parse(data).Files {
		if err := layFile(root, filepath.Join(root, filepath.FromSlash(f.Name)), string(f.Data)); err != nil {
			return fmt.Errorf("lay out the recording %s: %w", name, err)
		}
	}
	return nil
}

func layFile(root, path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if target, ok := strings.CutPrefix(content, "link "); ok {
		return os.Symlink(strings.TrimSpace(target), path)
	}
	mode := fs.FileMode(0o644)
	if content == "unreadable\n" {
		content, mode = "", 0
	}
	if filepath.Base(path) == "cmdline" {
		content = strings.TrimSuffix(content, "\n")
	}
	content = strings.NewReplacer(`\\`, `\`, `\0`, "\x00", " ROOT ", " "+root+" ").Replace(content)
	return os.WriteFile(path, []byte(content), mode)
}
