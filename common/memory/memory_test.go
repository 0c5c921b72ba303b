package memory

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

const key = "0123456789abcdef"

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// file is a memory in dir whose clock stands at noon.
func file(dir string) *File {
	f := NewFile(dir, "", "fake", key)
	f.now = func() time.Time { return noon }
	return f
}

func mustStore(t *testing.T, f check.Memory, data string, at time.Time) {
	t.Helper()
	if err := f.Store([]byte(data), at); err != nil {
		t.Fatalf("Store(%s, %s) = %v; want nil", data, at, err)
	}
}

func wantLoad(t *testing.T, what string, f check.Memory, data string, at time.Time) {
	t.Helper()
	got, gotAt, err := f.Load()
	if string(got) != data || !gotAt.Equal(at) || err != nil {
		t.Errorf("%s: Load() = %s, %s, %v; want %s, %s", what, got, gotAt, err, data, at)
	}
}

// leftovers are the names in a directory that are no memory and no marker.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !ours(e.Name()) && e.Name() != tidyMarker {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestStoreAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	f := file(dir)
	wantLoad(t, "without a directory", f, "", time.Time{})
	mustStore(t, f, `{"n":1}`, noon)
	wantLoad(t, "after the first look", f, `{"n":1}`, noon)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v; want mode 0700", info.Mode(), err)
	}
	if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	wantLoad(t, "when the directory was removed", f, "", time.Time{})
	mustStore(t, f, "2", noon.Add(time.Minute))
	wantLoad(t, "after the directory was made anew", f, "2", noon.Add(time.Minute))
	wantLoad(t, "the exporter's", NewFile(dir, "exporter", "fake", key), "", time.Time{})
}

// The look that began later stays, in whatever order they are stored; a time
// that is yet to come is no reason to forget all looks until then.
func TestNewestStays(t *testing.T) {
	for _, tt := range []struct {
		name        string
		first, then time.Time
		want        string
	}{
		{"in their order", noon.Add(-time.Minute), noon, "then"},
		{"of the same moment", noon, noon, "then"},
		{"the slow one after the fast one", noon.Add(-time.Second), noon.Add(-time.Minute), "first"},
		{"the clock was set back a second", noon.Add(time.Second), noon, "then"},
		{"the clock was set back a year", noon.Add(365 * 24 * time.Hour), noon, "then"},
	} {
		f := file(t.TempDir())
		mustStore(t, f, `"first"`, tt.first)
		mustStore(t, f, `"then"`, tt.then)
		if got, _, err := f.Load(); string(got) != `"`+tt.want+`"` || err != nil {
			t.Errorf("%s: Load() = %s, %v; want %q", tt.name, got, err, tt.want)
		}
		if left := leftovers(t, f.dir); len(left) > 0 {
			t.Errorf("%s: left behind %q", tt.name, left)
		}
	}
}

// What stands in place of the file is not read and not followed; it is
// replaced where that does no harm.
func TestInPlaceOfTheFile(t *testing.T) {
	for _, tt := range []struct {
		name     string
		make     func(path string) error
		load     string // part of its error
		store    string // part of its error; empty: it works
		needRoot bool
	}{
		{name: "nothing", make: func(string) error { return nil }},
		{name: "half a file", make: func(p string) error { return os.WriteFile(p, []byte(`{"version":1,"at":"2026`), 0o600) }, load: "not a state file of this version"},
		{name: "an empty file", make: func(p string) error { return os.WriteFile(p, nil, 0o600) }, load: "not a state file of this version"},
		{name: "another version", make: func(p string) error {
			return os.WriteFile(p, []byte(`{"version":99,"at":"2026-11-25T11:59:00Z","data":1}`), 0o600)
		}, load: "not a state file of this version"},
		{name: "a huge file", make: func(p string) error {
			return errors.Join(os.WriteFile(p, []byte("{"), 0o600), os.Truncate(p, 1<<40))
		}, load: "not a state file of this version"},
		{name: "a file that others can write", make: func(p string) error {
			return errors.Join(os.WriteFile(p, []byte(`{"version":1,"at":"2026-11-25T11:59:00Z","data":1}`), 0o600), os.Chmod(p, 0o666))
		}, load: "mode 0666 lets others write it"},
		{name: "another user's file", make: func(p string) error {
			return errors.Join(os.WriteFile(p, []byte(`{"version":1,"at":"2026-11-25T11:59:00Z","data":1}`), 0o600), os.Chown(p, 65534, 65534))
		}, load: "belongs to user 65534", needRoot: true},
		{name: "a link", make: func(p string) error { return os.Symlink("/etc/passwd", p) }, load: "too many levels of symbolic links"},
		{name: "a link to nothing", make: func(p string) error { return os.Symlink("/nonexistent", p) }, load: "too many levels of symbolic links"},
		{name: "a FIFO", make: func(p string) error { return syscall.Mkfifo(p, 0o600) }, load: "not a regular file"},
		{name: "a directory", make: func(p string) error { return os.Mkdir(p, 0o700) }, load: "not a regular file", store: "a directory stands in its place: remove it"},
	} {
		if tt.needRoot && os.Getuid() != 0 {
			continue // only root gives files away
		}
		f := file(t.TempDir())
		if err := tt.make(f.path()); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if data, _, err := f.Load(); len(data) != 0 || (err != nil) != (tt.load != "") || err != nil && !strings.Contains(err.Error(), "read "+f.path()+": "+tt.load) {
			t.Errorf("%s: Load() = %s, %v; want nothing and %q", tt.name, data, err, tt.load)
		}
		err := f.Store([]byte("1"), noon)
		if (err != nil) != (tt.store != "") || err != nil && !strings.Contains(err.Error(), "write "+f.path()+": "+tt.store) {
			t.Errorf("%s: Store() = %v; want %q", tt.name, err, tt.store)
		}
		if err == nil {
			wantLoad(t, tt.name+", replaced", f, "1", noon)
		}
		if left := leftovers(t, f.dir); len(left) > 0 {
			t.Errorf("%s: left behind %q", tt.name, left)
		}
	}
	if text, err := os.ReadFile("/etc/passwd"); err != nil || bytes.Contains(text, []byte(`"version"`)) {
		t.Errorf("a link was followed: /etc/passwd is %s, %v", text, err)
	}
}

// A directory that others can write, or that is a link, is not used at all.
func TestUnusableDirectory(t *testing.T) {
	dir := t.TempDir()
	open, link, plain := filepath.Join(dir, "open"), filepath.Join(dir, "link"), filepath.Join(dir, "plain")
	for _, err := range []error{os.Mkdir(open, 0o700), os.Chmod(open, 0o777), os.Symlink(t.TempDir(), link), os.WriteFile(plain, nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		open: "mode 0777 lets others write it", link: "not a directory", link + "/": "not a directory", plain: "not a directory",
		"/proc/nothing/here": "make /proc/nothing/here",
	} {
		if err := file(path).Store([]byte("1"), noon); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Store in %s = %v; want %q", path, err, want)
		}
	}
}

// A process that holds the lock and does not go on costs this look's memory,
// no more.
func TestLockIsHeld(t *testing.T) {
	f := file(t.TempDir())
	mustStore(t, f, "1", noon.Add(-time.Minute))
	held, err := f.lock(time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	f.lockLimit = 0
	if err := f.Store([]byte("2"), noon); err == nil || !strings.HasSuffix(err.Error(), "another process holds it") {
		t.Errorf("Store under another's lock = %v; want that another process holds it", err)
	}
	wantLoad(t, "under another's lock", f, "1", noon.Add(-time.Minute))
	held.Close()
	mustStore(t, f, "2", noon)
	if left := leftovers(t, f.dir); len(left) > 0 {
		t.Errorf("left behind %q", left)
	}
}

// TestProcess is no test of its own: other tests run this binary as a process
// that stores what the variable says.
func TestProcess(t *testing.T) {
	dir, ok := os.LookupEnv("BELFRY_TEST_STATE_DIR")
	if !ok {
		return
	}
	var first, last int
	if _, err := fmt.Sscan(os.Getenv("BELFRY_TEST_LOOKS"), &first, &last); err != nil {
		t.Fatal(err)
	}
	f := NewFile(dir, "", "fake", key)
	step := 1
	if first > last {
		step = -1
	}
	for n := first; n != last+step; n += step {
		// A value of several pages, so that half a file would be seen.
		data := fmt.Sprintf(`{"n":%d,"pad":%q}`, n, strings.Repeat("x", 20000))
		if err := f.Store([]byte(data), noon.Add(time.Duration(n)*time.Millisecond).AddDate(-1, 0, 0)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.Load(); err != nil {
			t.Fatal(err)
		}
	}
}

// Several processes store looks of different times, forwards and backwards:
// no error, no half file, and the newest of all stays.
func TestManyProcesses(t *testing.T) {
	dir := t.TempDir()
	var all []*exec.Cmd
	for _, looks := range []string{"0 60", "61 1", "2 62", "59 0", "50 10", "0 40"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestProcess$")
		cmd.Env = append(os.Environ(), "BELFRY_TEST_STATE_DIR="+dir, "BELFRY_TEST_LOOKS="+looks)
		cmd.Stdout, cmd.Stderr = &bytes.Buffer{}, &bytes.Buffer{}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Errorf("a process that stores: %v\n%s%s", err, cmd.Stdout, cmd.Stderr)
		}
	}
	data, _, err := NewFile(dir, "", "fake", key).Load()
	if err != nil || !bytes.HasPrefix(data, []byte(`{"n":62,`)) {
		t.Errorf("Load() = %.20s, %v; want n 62, the newest look", data, err)
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left behind %q", left)
	}
}

// TestDisk runs itself in a namespace of its own, where it may mount a real
// file system of 64 KiB.
func TestDisk(t *testing.T) {
	if os.Getenv("BELFRY_TEST_MOUNTS") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestDisk$", "-test.v")
		cmd.Env = append(os.Environ(), "BELFRY_TEST_MOUNTS=1", "TMPDIR="+t.TempDir())
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		if os.Getuid() != 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
			}
		}
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestDisk")) {
			t.Errorf("in a mount namespace of its own: %v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	mount := func(flags uintptr, data string) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, data); err != nil {
			t.Fatalf("mount a tmpfs: %v", err)
		}
	}
	mount(0, "size=64k,mode=0700")
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	f := file(dir)
	mustStore(t, f, `"small"`, noon.Add(-time.Minute))
	big := []byte(`"` + strings.Repeat("x", 100<<10) + `"`)
	if err := f.Store(big, noon); err == nil || err.Error() != "write "+f.path()+": no space left on device" {
		t.Errorf("Store on a full disk = %v; want no space left on device", err)
	}
	wantLoad(t, "on a full disk", f, `"small"`, noon.Add(-time.Minute))
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("on a full disk, left behind %q", left)
	}
	if err := os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 64<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v; want ENOSPC", err)
	}
	if err := f.Store([]byte("2"), noon); err == nil {
		t.Error("Store without a free block = nil; want an error")
	}
	wantLoad(t, "without a free block", f, `"small"`, noon.Add(-time.Minute))
	os.Remove(filepath.Join(dir, "fill"))
	mustStore(t, f, `"mended"`, noon)
	mount(syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	if err := f.Store([]byte("3"), noon); err == nil || err.Error() != "write "+f.path()+": read-only file system" {
		t.Errorf("Store on a read-only file system = %v; want that it is read-only", err)
	}
	wantLoad(t, "on a read-only file system", f, `"mended"`, noon)
}

// What a memory's file holds is foreign once it lies on a disk.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"version":1,"at":"2026-11-25T12:00:00Z","data":{"n":1}}`))
	f.Add([]byte(`{"version":1,"at":"2026`))
	f.Add([]byte(`{"version":1,"at":"9999-12-31T23:59:59Z","data":null}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		m := file(dir)
		if err := os.WriteFile(m.path(), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if data, at, err := m.Load(); err == nil {
			if err := m.Store(data, at); err != nil && len(data) > 0 {
				t.Errorf("Store(%s, %s) of what was loaded = %v", data, at, err)
			}
		}
	})
}
