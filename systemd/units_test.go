// Package systemd_test holds the units against systemd's own tools. What they
// start is tested where it is: exporter/belfry_exporter.
package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// exposure is what "systemd-analyze security" of Debian 12 says of a unit:
// nothing may be taken out of its sandbox by accident.
func exposure() map[string]float64 {
	return map[string]float64{"belfry-exporter.service": 1.6, "belfry-check@.service": 1.7}
}

// install puts the units below a directory as "make install" does, with a
// program in place of the exporter.
func install(t *testing.T) (prefix string) {
	t.Helper()
	prefix = t.TempDir()
	cmd := exec.Command("make", "-s", "install-units", "PREFIX="+prefix)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make install-units: %v\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(prefix, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(prefix, "bin", "belfry_exporter"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	return prefix
}

func TestVerify(t *testing.T) {
	prefix := install(t)
	units := filepath.Join(prefix, "lib", "systemd", "system")
	for _, unit := range []string{"belfry-exporter.service", "belfry-exporter.socket", "belfry-check@backup.service", "belfry-check@backup.timer"} {
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", filepath.Join(units, unit)).CombinedOutput()
		if err != nil || strings.Contains(string(out), "belfry") { // units of the machine may have their own faults
			t.Errorf("systemd-analyze verify %s: %v\n%s", unit, err, out)
		}
	}
	entries, err := os.ReadDir(units)
	if err != nil || len(entries) != 4 {
		t.Errorf("%d units, %v; want each of them verified above", len(entries), err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(units, e.Name()))
		if err != nil || strings.Contains(string(text), "/usr/local/bin/belfry") || strings.Contains(string(text), "/usr/local/lib/nagios") {
			t.Errorf("%s installed with PREFIX=%s names /usr/local (%v):\n%s", e.Name(), prefix, err, text)
		}
	}
}

func TestSysusers(t *testing.T) {
	out, err := exec.Command("systemd-sysusers", "--root="+t.TempDir(), "--dry-run", filepath.Join(install(t), "lib", "sysusers.d", "belfry.conf")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Creating user 'belfry'") {
		t.Errorf("systemd-sysusers --dry-run: %v\n%s", err, out)
	}
}

func TestExposure(t *testing.T) {
	for unit, most := range exposure() {
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", unit).CombinedOutput()
		m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
		if err != nil || m == nil {
			t.Errorf("systemd-analyze security %s: %v\n%s", unit, err, out)
			continue
		}
		if got, err := strconv.ParseFloat(string(m[1]), 64); err != nil || got > most {
			t.Errorf("exposure of %s = %s; want at most %v\n%s", unit, m[1], most, regexp.MustCompile(`(?m)^✗.*$`).FindAll(out, -1))
		}
	}
	page, err := os.ReadFile("../docs/systemd.md")
	if err != nil {
		t.Fatal(err)
	}
	for unit, most := range exposure() {
		if row := "| `" + unit + "` | " + strconv.FormatFloat(most, 'f', 1, 64) + " |"; !strings.Contains(string(page), row) {
			t.Errorf("docs/systemd.md has no row %s", row)
		}
	}
}
