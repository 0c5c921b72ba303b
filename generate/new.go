package generate

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

//go:embed layout
var layout embed.FS

// New lays out the folder of a new check below root. It builds and its tests
// fail where there is something to write. The line in the catalog is the
// author's.
func New(root, name string) (folder string, err error) {
	if !regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`).MatchString(name) {
		return "", fmt.Errorf("name %q: write words joined by underscores, without check_", name)
	}
	pkg := strings.ReplaceAll(name, "_", "")
	folder = filepath.Join("plugins", pkg)
	if _, err := os.Stat(filepath.Join(root, folder)); !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s is there already", folder)
	}
	data := map[string]string{"Name": name, "Package": pkg, "Title": strings.ToUpper(strings.ReplaceAll(name, "_", " "))}
	for from, to := range map[string]string{
		"layout/definition.go.tmpl":  pkg + ".go",
		"layout/faults_test.go.tmpl": "faults_test.go",
		"layout/page.md.tmpl":        "page.md",
		"layout/main.go.tmpl":        filepath.Join("check_"+name, "main.go"),
	} {
		text, err := template.ParseFS(layout, from)
		if err != nil {
			return "", err
		}
		var b bytes.Buffer
		if err := text.Execute(&b, data); err != nil {
			return "", err
		}
		path := filepath.Join(root, folder, to)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			return "", err
		}
	}
	return folder, nil
}
