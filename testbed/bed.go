// Package testbed starts real servers for tests, benchmarks and the demonstration: PostgreSQL pairs, RabbitMQ, pgBackRest,
// Prometheus, Nagios, worker processes. They live in a private directory on private ports of 127.0.0.1, run as unprivileged
// users when the caller is root, and end with the bed: also after a failed test, a panic, a timeout of go test or kill -9.
//
// Methods of a bed and its servers report failure by ending the test (Fatalf of the [TB]) with the tail of the server's log,
// so call them from the goroutine of the test. A program that is no test uses [Run] and gets an error.
//
// install.sh in this directory installs what is needed from Debian. A missing server is a failed test, never a skipped one.
package testbed

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/belfry-monitoring/belfry/testbed/certs"
)

// TB is the part of testing.TB that a bed needs.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(func())
}

// Bed is a private directory and the servers started in it.
type Bed struct {
	t      TB
	dir    string
	reaper *reaper

	mu      sync.Mutex
	servers []*Server
	ports   map[int]io.Closer
	built   map[string]string
	closed  bool

	icingaCA *certs.Authority // made when the first Icinga is
}

// New makes a bed that ends with the test t. Making one is cheap (a directory and a small shell process).
func New(t TB) *Bed {
	t.Helper()
	bed, err := open(t, "")
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			bed.logTails()
		}
		if err := bed.close(); err != nil {
			t.Errorf("testbed: %v", err)
		}
	})
	return bed
}

func open(t TB, dir string) (*Bed, error) {
	dir, err := makeDir(dir)
	if err != nil {
		return nil, err
	}
	reaper, err := startReaper(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Bed{t: t, dir: dir, reaper: reaper, ports: map[int]io.Closer{}, built: map[string]string{}}, nil
}

// makeDir makes the bed's directory, below the system's temporary directory when dir is empty. The servers' users must be
// able to reach it, and nothing in it may be somebody else's, because it is removed at the end.
func makeDir(dir string) (string, error) {
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "belfry-bed-")
	} else if dir, err = filepath.Abs(dir); err == nil {
		err = os.Mkdir(dir, 0o755)
		if errors.Is(err, fs.ErrExist) {
			err = mustBeEmpty(dir)
		}
	}
	if err != nil {
		return "", fmt.Errorf("make the directory of the bed: %w", err)
	}
	// The reaper finds the processes of the bed by this name, and symlinks would give it two.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", fmt.Errorf("make the directory of the bed: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("open the directory of the bed to the servers' users: %w", err)
	}
	if os.Getuid() != 0 {
		return dir, nil
	}
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return "", fmt.Errorf("look at the parents of the bed: %w", err)
		}
		if info.Mode().Perm()&0o001 == 0 {
			return "", errors.Join(fmt.Errorf("the servers' users cannot reach %s because %s is closed to them (mode %v): use a directory elsewhere, or set TMPDIR",
				dir, parent, info.Mode().Perm()), os.Remove(dir))
		}
		if parent == "/" {
			return dir, nil
		}
	}
}

func mustBeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: it would be removed at the end; remove it yourself if it is left over", dir)
	}
	return nil
}

// Dir is the bed's directory; every user can enter it. It is removed at the end.
func (b *Bed) Dir() string { return b.dir }

// TB is what the bed reports to, for helpers that start more than servers.
func (b *Bed) TB() TB { return b.t }

// fail ends the test; it does not return.
func (b *Bed) fail(format string, args ...any) {
	b.t.Helper()
	b.t.Fatalf("testbed: "+format, args...)
}

// Fail ends the test, as a failure of one of the bed's servers does; it does not return.
func (b *Bed) Fail(err error) {
	b.t.Helper()
	b.fail("%v", err)
}

// close ends every process of the bed, waits until they are dead, and removes the directory.
func (b *Bed) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	err := b.reaper.finish()
	for _, s := range b.servers {
		s.awaitDeath()
	}
	for _, c := range b.ports {
		err = errors.Join(err, c.Close())
	}
	return err
}

func (b *Bed) logTails() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.servers {
		b.t.Logf("testbed: last lines of %s's log:\n%s", s.Name, s.LogTail())
	}
}

// MkdirFor makes the directory name in the bed, owned by the system user account (by the caller itself when it is not
// root), with the mode.
func (b *Bed) MkdirFor(account, name string, mode fs.FileMode) string {
	b.t.Helper()
	dir := filepath.Join(b.dir, name)
	if err := b.mkdirFor(account, dir, mode); err != nil {
		b.fail("make %s for user %s: %v", dir, account, err)
	}
	return dir
}

func (b *Bed) mkdirFor(account, dir string, mode fs.FileMode) error {
	if err := os.Mkdir(dir, mode); err != nil {
		return err
	}
	if err := os.Chmod(dir, mode); err != nil { // Mkdir is subject to the umask
		return err
	}
	return b.giveTo(account, dir)
}

// WriteFileFor writes the file name (absolute, or in the bed), owned by the system user account, with the mode.
func (b *Bed) WriteFileFor(account, name, content string, mode fs.FileMode) string {
	b.t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(b.dir, name)
	}
	err := os.WriteFile(name, []byte(content), mode)
	if err == nil {
		err = os.Chmod(name, mode)
	}
	if err == nil {
		err = b.giveTo(account, name)
	}
	if err != nil {
		b.fail("write %s for user %s: %v", name, account, err)
	}
	return name
}

// copyFor copies a file for a server, readable for it only.
func (b *Bed) copyFor(account, from, to string) string {
	b.t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		b.fail("copy a file for user %s: %v", account, err)
	}
	return b.WriteFileFor(account, to, string(content), 0o600)
}

func (b *Bed) giveTo(account, path string) error {
	credential, err := credentialOf(account)
	if err != nil || credential == nil {
		return err
	}
	return os.Lchown(path, int(credential.Uid), int(credential.Gid))
}

// environ is the clean environment of the bed's processes. TESTBED_DIR marks them and their children for the reaper.
func (b *Bed) environ(home string, more ...string) []string {
	return append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + home,
		"LANG=C.UTF-8",
		marker + "=" + b.dir,
	}, more...)
}

// alive tells whether a process lives: a zombie, which a slow init may leave for a while, is dead.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return false
	}
	stat, err := readStat(pid)
	return err == nil && stat.state != 'Z' && stat.state != 'X'
}

// tail returns the last lines of text, at most n.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
