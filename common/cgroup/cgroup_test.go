package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
)

// lay writes files below a new directory.
func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// Files as the kernel writes them (Documentation/admin-guide/cgroup-v2.rst).
func version2() map[string]string {
	return map[string]string{
		"proc/7/cgroup":           "0::/system.slice/supervisor.service\n",
		"proc/8/cgroup":           "0::/user.slice\n",
		"proc/9/cgroup":           "0::/docker/4f2a\n",
		"proc/10/cgroup":          "0::/../outside\n",
		"cgroup.controllers":      "cpuset cpu io memory pids\n",
		"system.slice/memory.max": "max\n",
		"system.slice/supervisor.service/memory.max":          "1073741824\n",
		"system.slice/supervisor.service/memory.current":      "1000000000\n",
		"system.slice/supervisor.service/memory.stat":         "anon 690000000\nfile 290000000\ninactive_file 200000000\nactive_file 90000000\nslab_reclaimable 10000000\n",
		"system.slice/supervisor.service/memory.events":       "low 0\nhigh 17\nmax 4\noom 3\noom_kill 2\noom_group_kill 0\n",
		"system.slice/supervisor.service/memory.swap.current": "4096\n",
		"user.slice/memory.max":                               "max\n",
	}
}

func TestVersion2(t *testing.T) {
	root := lay(t, version2())
	f := Open(filepath.Join(root, "proc"), root)
	if f.Version() != 2 {
		t.Fatalf("Version() = %d; want 2", f.Version())
	}
	groups, err := f.Of(7)
	want := Group{Path: "/system.slice/supervisor.service", Limit: 1 << 30, Used: 700000000, Swap: 4096, OOMKills: 2, OOMKillsKnown: true, Throttled: 17, ThrottledKnown: true}
	if err != nil || len(groups) != 1 || groups[0] != want {
		t.Errorf("Of(7) = %+v, %v; want %+v", groups, err, want)
	}
	for pid, what := range map[int]string{8: "no limit", 9: "a path that the mount does not show"} {
		if groups, err := f.Of(pid); err != nil || len(groups) != 0 {
			t.Errorf("%s: Of(%d) = %+v, %v; want none", what, pid, groups, err)
		}
	}
	if groups, err := f.Of(10); !errors.Is(err, ErrOutside) || len(groups) != 0 {
		t.Errorf("outside of the namespace: Of(10) = %+v, %v; want ErrOutside", groups, err)
	}
	if _, err := f.Of(11); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a process that has ended: %v; want fs.ErrNotExist", err)
	}
}

// A limit further up bounds too.
func TestLimitAbove(t *testing.T) {
	files := version2()
	files["system.slice/memory.max"] = "2000000000\n"
	files["system.slice/memory.current"] = "1500000000\n"
	files["system.slice/memory.stat"] = "anon 1500000000\n"
	files["system.slice/memory.events"] = "oom_kill 2\n"
	root := lay(t, files)
	groups, err := Open(filepath.Join(root, "proc"), root).Of(7)
	if err != nil || len(groups) != 2 || groups[1].Path != "/system.slice" || groups[1].Share() != 0.75 || groups[1].ThrottledKnown {
		t.Errorf("Of() = %+v, %v; want the service, then the slice at 0.75", groups, err)
	}
}

// memory.high bounds where it is lower than memory.max, or alone.
func TestHigh(t *testing.T) {
	tests := []struct {
		max, high string
		limit     uint64
		isHigh    bool
	}{
		{"1073741824\n", "max\n", 1 << 30, false},
		{"1073741824\n", "900000000\n", 900000000, true},
		{"1073741824\n", "2000000000\n", 1 << 30, false},
		{"max\n", "900000000\n", 900000000, true},
		{"0\n", "max\n", 0, false},
	}
	for _, tt := range tests {
		files := version2()
		files["system.slice/supervisor.service/memory.max"] = tt.max
		files["system.slice/supervisor.service/memory.high"] = tt.high
		root := lay(t, files)
		groups, err := Open(filepath.Join(root, "proc"), root).Of(7)
		if err != nil || len(groups) != 1 || groups[0].Limit != tt.limit || groups[0].High != tt.isHigh {
			t.Errorf("max %q, high %q: %+v, %v; want limit %d, high %t", tt.max, tt.high, groups, err, tt.limit, tt.isHigh)
			continue
		}
		if share := groups[0].Share(); !(share > 0.6) {
			t.Errorf("max %q, high %q: Share() = %v; want more than 0.6", tt.max, tt.high, share)
		}
	}
}

func TestGarbage(t *testing.T) {
	for name, text := range map[string]string{"memory.max": "many\n", "memory.high": "few\n", "memory.current": "-1\n", "memory.swap.current": "x"} {
		files := version2()
		files["system.slice/supervisor.service/"+name] = text
		root := lay(t, files)
		if _, err := Open(filepath.Join(root, "proc"), root).Of(7); check.ReasonOf(err) != check.Data || !strings.Contains(err.Error(), name) {
			t.Errorf("%s %q: %v; want reason data and the file's name", name, text, err)
		}
	}
}

// Version 1 as Debian 10 and a container on such a host have it.
func TestVersion1(t *testing.T) {
	root := lay(t, map[string]string{
		"proc/7/cgroup":                                  "12:cpu,cpuacct:/docker/4f2a\n9:memory:/docker/4f2a\n0::/docker/4f2a\n",
		"proc/8/cgroup":                                  "9:memory:/\n",
		"memory/memory.stat":                             "total_inactive_file 1000\n",
		"memory/memory.limit_in_bytes":                   "9223372036854771712\n",
		"memory/memory.usage_in_bytes":                   "123\n",
		"memory/docker/4f2a/memory.stat":                 "inactive_file 5\ntotal_inactive_file 600\ntotal_active_file 400\n",
		"memory/docker/4f2a/memory.limit_in_bytes":       "2000\n",
		"memory/docker/4f2a/memory.usage_in_bytes":       "1500\n",
		"memory/docker/4f2a/memory.memsw.usage_in_bytes": "1700\n",
		"memory/docker/4f2a/memory.oom_control":          "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
	})
	f := Open(filepath.Join(root, "proc"), root)
	groups, err := f.Of(7)
	want := Group{Path: "/docker/4f2a", Limit: 2000, Used: 500, Swap: 200, OOMKills: 1, OOMKillsKnown: true}
	if err != nil || len(groups) != 1 || groups[0] != want {
		t.Errorf("Of(7) = %+v, %v; want %+v", groups, err, want)
	}
	if groups, err := f.Of(8); err != nil || len(groups) != 0 {
		t.Errorf("Of(8) = %+v, %v; want none: no limit", groups, err)
	}
}

func TestNoController(t *testing.T) {
	root := lay(t, map[string]string{"proc/7/cgroup": "0::/\n"})
	f := Open(filepath.Join(root, "proc"), root)
	if groups, err := f.Of(7); f.Version() != 0 || err != nil || len(groups) != 0 {
		t.Errorf("without a controller: version %d, %v, %v; want 0 and none", f.Version(), groups, err)
	}
}

func FuzzFiles(f *testing.F) {
	f.Add([]byte("9:memory:/a\n0::/b (deleted)\n"), []byte("max\n"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for version := range 3 {
			if at, ok := memoryPath(a, version); ok && !strings.HasPrefix(at, "/..") && (!strings.HasPrefix(at, "/") || strings.Contains(at+"/", "/../")) {
				t.Errorf("memoryPath(%q, %d) = %q; want a path below the root, or one that begins outside", a, version, at)
			}
		}
		parseKeyed(b)
		parseNumber(b) //nolint:errcheck // it must not panic
	})
}
