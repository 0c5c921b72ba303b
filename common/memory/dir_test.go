package memory

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

const day = 24 * time.Hour

// litter makes files of the given ages before noon.
func litter(t *testing.T, dir string, ages map[string]time.Duration) {
	t.Helper()
	for name, age := range ages {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, noon.Add(-age), noon.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTidy(t *testing.T) {
	const gone, rare, fresh = "fake-00000000000000aa.json", "exporter-fake-00000000000000bb.json", "fake-00000000000000cc.json"
	ages := map[string]time.Duration{
		gone: 91 * day, rare: 89 * day, fresh: time.Minute,
		".fake-00000000000000dd.json.123456.tmp": 2 * day, ".fake-00000000000000ee.json.123456.tmp": time.Hour,
		"notes.json": 999 * day, "fake.json": 999 * day, "fake-XYZ0000000000000.json": 999 * day, ".other.tmp": 999 * day,
	}
	all := func(except ...string) (names []string) {
		for name := range ages {
			if !slices.Contains(except, name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	for _, tt := range []struct {
		name   string
		marker time.Duration // ago; 0: none
		want   []string
	}{
		{"never tidied before", 0, all()},
		{"tidied today", time.Hour, all()},
		{"tidied yesterday", 25 * time.Hour, all(gone, ".fake-00000000000000dd.json.123456.tmp")},
		{"tidied a month ago", 31 * day, all(gone, ".fake-00000000000000dd.json.123456.tmp")},
		{"the clock was set forward", 365 * day, all()},
		{"the clock was set back", -day, all()},
	} {
		dir := t.TempDir()
		litter(t, dir, ages)
		if tt.marker != 0 {
			litter(t, dir, map[string]time.Duration{tidyMarker: tt.marker})
		}
		tidy(dir, noon)
		var got []string
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if e.Name() != tidyMarker {
				got = append(got, e.Name())
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: there are\n%q; want\n%q", tt.name, got, tt.want)
		}
		if info, err := os.Stat(filepath.Join(dir, tidyMarker)); err != nil || tt.name != "tidied today" && !info.ModTime().Equal(noon) {
			t.Errorf("%s: the marker is of %v, %v; want noon", tt.name, info.ModTime(), err)
		}
	}
}

// A clock that is set forward by a year makes every file look old. A day
// later, those that are in use are fresh, and only then the others go.
func TestTidyAfterTheClockJumped(t *testing.T) {
	dir := t.TempDir()
	used, unused := file(dir), "fake-00000000000000aa.json"
	litter(t, dir, map[string]time.Duration{filepath.Base(used.path()): 365 * day, unused: 365 * day, tidyMarker: 365 * day})
	tidy(dir, noon)
	if got := leftoverCount(t, dir); got != 2 {
		t.Fatalf("%d memories after the jump; want both", got)
	}
	mustStore(t, used, "1", noon)
	if err := os.Chtimes(used.path(), noon, noon); err != nil {
		t.Fatal(err)
	}
	tidy(dir, noon.Add(25*time.Hour))
	if _, err := os.Stat(used.path()); err != nil {
		t.Errorf("the memory that is in use: %v", err)
	}
	if got := leftoverCount(t, dir); got != 1 {
		t.Errorf("%d memories a day later; want the one in use", got)
	}
}

func leftoverCount(t *testing.T, dir string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// What another process is about to store is not removed, however old the file
// is that it replaces.
func TestTidyLeavesWhatIsLocked(t *testing.T) {
	f := file(t.TempDir())
	litter(t, f.dir, map[string]time.Duration{f.name: 91 * day, tidyMarker: 25 * time.Hour})
	held, err := f.lock(time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	tidy(f.dir, noon)
	if _, err := os.Stat(f.path()); err != nil {
		t.Errorf("a memory that is locked: %v; want it left alone", err)
	}
}

// One tidying removes a bounded number of files.
func TestTidyIsBounded(t *testing.T) {
	dir := t.TempDir()
	ages := map[string]time.Duration{tidyMarker: 25 * time.Hour}
	for i := range maxRemoved + 600 {
		ages[fmt.Sprintf("fake-%016x.json", i)] = 91 * day
	}
	litter(t, dir, ages)
	tidy(dir, noon)
	if got := leftoverCount(t, dir); got == 0 {
		t.Errorf("%d of %d files removed at once; want at most %d and a batch", len(ages)-1, len(ages)-1, maxRemoved)
	}
}
