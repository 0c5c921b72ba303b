package safefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
)

func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file("target", 0o600), link); err != nil {
		t.Fatal(err)
	}
	huge := file("huge", 0o600)
	if err := os.Truncate(huge, MaxSecret+1); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path   string
		lax    bool
		reason check.Reason // "" for success
		text   string
	}{
		{file("own", 0o600), false, "", ""},
		{file("group reads", 0o640), false, "", ""},
		{file("others read", 0o644), false, check.Permission, "mode 0644 lets others read or write it"},
		{file("group writes", 0o660), false, check.Permission, "mode 0660"},
		{file("others write", 0o602), false, check.Permission, "mode 0602"},
		{file("lax", 0o666), true, "", ""},
		{link, false, "", ""},
		{fifo, false, check.Config, "not a regular file (FIFO)"},
		{dir, false, check.Config, "not a regular file (directory)"},
		{"/dev/zero", true, check.Config, "not a regular file"},
		{filepath.Join(dir, "missing"), false, check.Config, "no such file"},
		{huge, false, check.Data, "more than"},
	}
	for _, tt := range tests {
		data, err := ReadSecret(tt.path, tt.lax)
		if tt.reason == "" {
			if err != nil || string(data) != "secret\n" {
				t.Errorf("ReadSecret(%s) = %q, %v; want the secret", tt.path, data, err)
			}
			continue
		}
		if err == nil || check.ReasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.text) || strings.Count(err.Error(), tt.path) != 1 {
			t.Errorf("ReadSecret(%s) = %v (%s); want %s, %q, the path once", tt.path, err, check.ReasonOf(err), tt.reason, tt.text)
		}
	}
	if _, err := Read(filepath.Join(dir, "missing"), 10); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Read(missing) = %v; want it to be os.ErrNotExist", err)
	}
}
