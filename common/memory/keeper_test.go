package memory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func newKeeper(t *testing.T, dir string) *Keeper {
	t.Helper()
	k, err := NewKeeper(dir, "exporter", time.Minute)
	if err != nil {
		t.Fatalf("NewKeeper(%s) = %v; want nil", dir, err)
	}
	return k
}

func wantStats(t *testing.T, what string, k *Keeper, want KeeperStats) {
	t.Helper()
	if got := k.Stats(); got != want {
		t.Errorf("%s: Stats() = %+v; want %+v", what, got, want)
	}
}

// What was written is known after a restart; what was not is that of the
// writing before.
func TestKeeper(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	k := newKeeper(t, dir)
	m := k.Memory("fake", key)
	wantLoad(t, "at first", m, "", time.Time{})
	mustStore(t, m, "1", noon)
	wantLoad(t, "from RAM", m, "1", noon)
	wantLoad(t, "of a process that is killed now", newKeeper(t, dir).Memory("fake", key), "", time.Time{})
	if err := k.Write(noon.Add(59 * time.Second)); err != nil {
		t.Errorf("Write before its time = %v; want nil", err)
	}
	wantStats(t, "before its time", k, KeeperStats{Unsaved: 1})
	mustStore(t, m, "2", noon.Add(50*time.Second)) // waits since the first
	if err := k.Write(noon.Add(time.Minute)); err != nil {
		t.Errorf("Write in its time = %v; want nil", err)
	}
	wantStats(t, "in its time", k, KeeperStats{Writes: 1})
	mustStore(t, m, "3", noon.Add(2*time.Minute))
	wantLoad(t, "of a process that was killed", newKeeper(t, dir).Memory("fake", key), "2", noon.Add(50*time.Second))
	if err := k.Flush(t.Context()); err != nil {
		t.Errorf("Flush() = %v; want nil", err)
	}
	wantStats(t, "at the end", k, KeeperStats{Writes: 2})
	wantLoad(t, "of a process that was stopped", newKeeper(t, dir).Memory("fake", key), "3", noon.Add(2*time.Minute))
	wantLoad(t, "of another key", k.Memory("fake", "fedcba9876543210"), "", time.Time{})
	wantLoad(t, "of a plugin", NewFile(dir, "", "fake", key), "", time.Time{})
}

// A job that a reload removes and another brings back goes on with what it
// remembered, written or not.
func TestKeeperRemovedAndBack(t *testing.T) {
	k := newKeeper(t, t.TempDir())
	mustStore(t, k.Memory("fake", key), "1", noon)
	wantLoad(t, "back before it was written", k.Memory("fake", key), "1", noon)
	if err := k.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantLoad(t, "back after it was written", k.Memory("fake", key), "1", noon)
}

// Ten thousand memories are not written at one moment, and each of them is
// within the sixty calls of one interval.
func TestKeeperSpreadsItsWriting(t *testing.T) {
	const memories = 1000
	dir := t.TempDir()
	k := newKeeper(t, dir)
	for i := range memories {
		mustStore(t, k.Memory("fake", fmt.Sprintf("%016x", i)), "1", noon)
	}
	written := uint64(0)
	for call := range 60 {
		if err := k.Write(noon.Add(time.Minute)); err != nil {
			t.Fatalf("Write = %v; want nil", err)
		}
		now := k.Stats().Writes
		if at := now - written; at > memories/30+1 {
			t.Errorf("call %d writes %d files; want at most %d", call, at, memories/30+1)
		}
		written = now
	}
	wantStats(t, "after an interval", k, KeeperStats{Unsaved: 0, Writes: memories})
}

// A directory that cannot be written costs nothing but what a restart would
// know, and is not tried for each of many files.
func TestKeeperCannotWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	k := newKeeper(t, dir)
	for i := range 100 {
		mustStore(t, k.Memory("fake", fmt.Sprintf("%016x", i)), "1", noon)
	}
	if err := os.Chmod(dir, 0o777); err != nil { // as root may write everywhere, a directory that is refused stands for a full one
		t.Fatal(err)
	}
	if err := k.Flush(t.Context()); err == nil {
		t.Error("Flush = nil; want an error")
	}
	wantStats(t, "on a directory that is refused", k, KeeperStats{Unsaved: 100, Errors: maxFailed})
	wantLoad(t, "meanwhile", k.Memory("fake", fmt.Sprintf("%016x", 5)), "1", noon)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no time left"))
	if err := k.Flush(ended); err == nil || err.Error() != "keep the memories of checks in "+dir+": 100 of 100 not written: no time left" {
		t.Errorf("Flush without time = %v; want that nothing is written", err)
	}
	if err := k.Flush(t.Context()); err != nil {
		t.Errorf("Flush on the mended directory = %v; want nil", err)
	}
	wantStats(t, "mended", k, KeeperStats{Writes: 100, Errors: maxFailed})
}

// What cannot be read is a new baseline, said once.
func TestKeeperCannotRead(t *testing.T) {
	dir := t.TempDir()
	k := newKeeper(t, dir)
	m := k.Memory("fake", key)
	if err := os.WriteFile(m.file.path(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, _, err := m.Load(); len(data) > 0 || err == nil {
		t.Errorf("Load of half a file = %s, %v; want an error", data, err)
	}
	wantLoad(t, "at the next look", m, "", time.Time{})
	mustStore(t, m, "1", noon)
	if err := k.Flush(t.Context()); err != nil {
		t.Errorf("Flush over half a file = %v; want nil", err)
	}
	if _, err := NewKeeper("/proc/nothing/here", "exporter", time.Minute); err == nil {
		t.Error("NewKeeper where none can be = nil; want an error")
	}
}
