package memory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// Make makes the directory (mode 0700) where it is not there, and refuses one
// that is not usable.
func Make(dir string) error {
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", dir, safefile.Cause(err))
	}
	return Usable(dir)
}

// Usable refuses a directory that is a symlink, another user's or writable by
// others: who can write there could make a check believe what it likes.
func Usable(dir string) error {
	info, err := os.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	if err == nil {
		err = private(info)
	}
	if err != nil {
		return fmt.Errorf("state directory %s: %w", dir, safefile.Cause(err))
	}
	return nil
}

// private refuses what another user owns or can write.
func private(info os.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("mode %04o lets others write it: chmod go-w", mode)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("belongs to user %d, not to the running user %d", stat.Uid, os.Getuid())
	}
	return nil
}

const (
	tidyEvery = 24 * time.Hour
	// tidyTrust is the longest time since the directory was tidied before that
	// can be believed. After a longer one a clock may have been set forward,
	// and every file would look old: nothing is removed then, and what is still
	// in use is fresh again a day later. With the longest interval it is below
	// check.MaxMemoryAge.
	tidyTrust  = 45 * 24 * time.Hour
	tidyMarker = ".tidied"

	// Bounds of one tidying, in names, removed files and time.
	maxScan    = 50000
	maxRemoved = 1000
	tidyLimit  = 200 * time.Millisecond
)

// tidy removes memories of targets that are gone and what killed processes
// left behind, at most once a day and never for long. Files of other names
// are nobody's business here.
func tidy(dir string, now time.Time) {
	marker := filepath.Join(dir, tidyMarker)
	info, err := os.Lstat(marker)
	known := err == nil && info.Mode().IsRegular()
	var since time.Duration
	if known {
		since = now.Sub(info.ModTime())
	}
	if known && since >= 0 && since < tidyEvery {
		return
	}
	if !mark(marker, now) || !known || since < 0 || since > tidyTrust {
		return
	}
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	defer d.Close()
	removed := 0
	for seen, end := 0, time.Now().Add(tidyLimit); seen < maxScan && removed < maxRemoved && time.Now().Before(end); {
		names, _ := d.Readdirnames(500)
		if len(names) == 0 {
			return
		}
		seen += len(names)
		for _, name := range names {
			if remove(dir, name, now) {
				removed++
			}
		}
	}
}

// mark notes that the directory was tidied. A link in its place is not
// followed.
func mark(marker string, now time.Time) bool {
	f, err := os.OpenFile(marker, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return false
	}
	f.Close()
	return os.Chtimes(marker, now, now) == nil
}

// remove removes a file of the given name if it is a memory that is too old,
// or a temporary one.
func remove(dir, name string, now time.Time) bool {
	limit := check.MaxMemoryAge
	final, temporary := strings.CutPrefix(name, ".")
	if temporary {
		rest, ok := strings.CutSuffix(final, ".tmp")
		i := strings.LastIndexByte(rest, '.')
		if !ok || i < 0 {
			return false
		}
		final, limit = rest[:i], tidyEvery
	}
	if !ours(final) {
		return false
	}
	old := func() bool {
		info, err := os.Lstat(filepath.Join(dir, name))
		return err == nil && info.Mode().IsRegular() && now.Sub(info.ModTime()) > limit
	}
	if !old() {
		return false
	}
	if !temporary {
		// Under the lock, and looked at again: another process may be about
		// to replace it.
		held, err := (&File{dir: dir, name: name}).lock(time.Time{})
		if err != nil {
			return false
		}
		defer held.Close()
		if !old() {
			return false
		}
	}
	return os.Remove(filepath.Join(dir, name)) == nil
}

// ours reports whether a name is one that NewFile makes with a key of KeySize
// hexadecimal digits.
func ours(name string) bool {
	rest, ok := strings.CutSuffix(name, ".json")
	if !ok {
		return false
	}
	i := strings.LastIndexByte(rest, '-')
	if i <= 0 || len(rest)-i-1 != KeySize {
		return false
	}
	hex := strings.Trim(rest[i+1:], "0123456789abcdef") == ""
	return hex && strings.Trim(rest[:i], "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// KeySize is the length of a key in hexadecimal digits.
const KeySize = 16
