package scene

import (
	"slices"
	"testing"
	"time"
)

func TestBothFaces(t *testing.T) {
	s := Setting{
		Check: "backup", Target: "dumps", Options: map[string][]string{"path": {"/a", "/b"}, "settle": {"5s"}},
		Critical: []string{"2d"}, Interval: 4 * time.Second, Timeout: 3 * time.Second,
	}
	want := []string{"--path=/a", "--path=/b", "--settle=5s", "--critical=2d", "--timeout=3s"}
	if got := s.Args(); !slices.Equal(got, want) {
		t.Errorf("Args() = %q; want %q", got, want)
	}
	const yaml = `spread: 1s
checks:
  - check: backup
    target: dumps
    interval: 4s
    timeout: 3s
    critical: ["2d"]
    options:
      path: ["/a", "/b"]
      settle: ["5s"]
`
	if got := Config("spread: 1s\n", []Setting{s}); got != yaml {
		t.Errorf("Config() = %s; want %s", got, yaml)
	}
}

func TestWord(t *testing.T) {
	for state, want := range map[int]string{-1: "-", 0: "OK", 1: "WARNING", 2: "CRITICAL", 3: "UNKNOWN", 4: "-"} {
		if got := Word(state); got != want {
			t.Errorf("Word(%d) = %q; want %q", state, got, want)
		}
	}
}
