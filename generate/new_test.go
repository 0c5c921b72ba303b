package generate

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What "make new" lays out builds and vets inside the module.
func TestNewBuilds(t *testing.T) {
	dir := t.TempDir()
	folder, err := New(dir, "layout_probe")
	if err != nil {
		t.Fatal(err)
	}
	if folder != "plugins/layoutprobe" {
		t.Errorf("New() = %q; want plugins/layoutprobe", folder)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			replace[filepath.Join(root, rel)] = path
		}
		return err
	})
	if err != nil || len(replace) != 4 {
		t.Fatalf("%d files, %v; want 4", len(replace), err)
	}
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	// go vet and go test would change into the folder, which is not there.
	for _, args := range [][]string{
		{"build", "-overlay", overlay, "-o", os.DevNull, "./plugins/layoutprobe/check_layout_probe"},
		{"test", "-c", "-vet=off", "-overlay", overlay, "-o", os.DevNull, "./plugins/layoutprobe"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go %s of the layout: %v\n%s", args[0], err, out)
		}
	}
	for path := range replace {
		if out, err := exec.Command("gofmt", "-l", replace[path]).Output(); strings.HasSuffix(path, ".go") && (err != nil || len(out) > 0) {
			t.Errorf("gofmt would change %s", path)
		}
	}
	if _, err := New(dir, "layout_probe"); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("New() again = %v; want it refused", err)
	}
	if _, err := New(dir, "Bad-Name"); err == nil {
		t.Error("New() took a bad name")
	}
}
