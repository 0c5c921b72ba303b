// Package memory is the room in which checks' memories lie between looks: one
// file each in a private directory that many processes use at once. A file is
// always whole, the newest look's is kept, and what cannot be trusted is a new
// baseline, never a wrong one.
package memory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// version is that of the files' form; another one starts anew.
const version = 1

// content is what a file holds.
type content struct {
	Version int             `json:"version"`
	At      time.Time       `json:"at"`
	Data    json.RawMessage `json:"data"`
}

// File is a check.Memory in one file of a directory. Any number of processes
// may use it at the same time.
type File struct {
	dir, name string
	now       func() time.Time
	lockLimit time.Duration
}

// lockLimit is how long Store waits for another process that stores the same
// memory, which takes it well below a millisecond.
const lockLimit = time.Second

// NewFile names the memory of what key stands for, in a directory that Store
// makes if need be. The face's word keeps apart what different programs keep
// in the same directory. All of them may hold a-z, 0-9 and _ only.
func NewFile(dir, face, name, key string) *File {
	if face != "" {
		face += "-"
	}
	return &File{
		dir:  filepath.Clean(dir), // "link/" would follow the link
		name: face + name + "-" + key + ".json", now: time.Now, lockLimit: lockLimit,
	}
}

func (f *File) path() string { return filepath.Join(f.dir, f.name) }

// Load returns nothing where nothing was kept; a file that cannot be
// understood is an error, which starts a new baseline.
func (f *File) Load() ([]byte, time.Time, error) {
	if err := Usable(f.dir); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, time.Time{}, nil
		}
		return nil, time.Time{}, err
	}
	file, err := f.open()
	if errors.Is(err, os.ErrNotExist) {
		return nil, time.Time{}, nil
	}
	var kept content
	if err == nil {
		defer file.Close()
		kept, err = read(file)
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read %s: %w", f.path(), safefile.Cause(err))
	}
	return kept.Data, kept.At, nil
}

// open opens the file itself, never what a link points to, and waits for
// nobody.
func (f *File) open() (*os.File, error) {
	file, err := os.OpenFile(f.path(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func read(file *os.File) (content, error) {
	info, err := file.Stat()
	if err != nil {
		return content{}, err
	}
	if err := private(info); err != nil {
		return content{}, err
	}
	text, err := io.ReadAll(io.LimitReader(file, 2*check.MaxMemory))
	if err != nil {
		return content{}, err
	}
	var kept content
	if err := json.Unmarshal(text, &kept); err != nil || kept.Version != version {
		return content{}, errors.New("not a state file of this version")
	}
	return kept, nil
}

// Store replaces the file at once. Where another process has stored a look
// that began later, that one's stays. On a full disk the old file stays, too.
func (f *File) Store(data []byte, at time.Time) (err error) {
	if err := Make(f.dir); err != nil {
		return err
	}
	text, err := json.Marshal(content{Version: version, At: at, Data: data})
	if err != nil {
		return err
	}
	next, err := safefile.Temp(f.path(), text, 0o600)
	if err == nil {
		err = f.replace(next, at)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path(), safefile.Cause(err))
	}
	tidy(f.dir, f.now())
	return nil
}

// replace puts the file next in place of the present one, unless that is of a
// later look; next is gone afterwards. Whoever replaces or removes a file of
// memory holds its lock; whoever makes a new one does it in one step that
// fails where another was first.
func (f *File) replace(next string, at time.Time) error {
	defer os.Remove(next) // after a rename there is nothing to remove
	for end := time.Now().Add(f.lockLimit); ; {
		held, err := f.lock(end)
		switch {
		case err == nil:
			defer held.Close() // and unlock
			if kept, err := read(held); err == nil && f.later(kept.At, at) {
				return nil
			}
			return f.rename(next)
		case errors.Is(err, errLocked):
			return err
		case !errors.Is(err, os.ErrNotExist): // a link, a FIFO, an unreadable file: no memory of ours
			return f.rename(next)
		}
		switch err := os.Link(next, f.path()); {
		case err == nil:
			return nil
		case !errors.Is(err, os.ErrExist): // a file system without hard links
			return f.rename(next)
		case time.Now().After(end):
			return errLocked
		}
	}
}

func (f *File) rename(next string) error {
	err := os.Rename(next, f.path())
	if info, statErr := os.Lstat(f.path()); err != nil && statErr == nil && info.IsDir() {
		return errors.New("a directory stands in its place: remove it")
	}
	return err
}

// later reports whether the kept memory is of a look after the one at. One of
// the future is of a clock that has been set back since: were it to stay,
// nothing would be remembered until that time comes.
func (f *File) later(kept, at time.Time) bool {
	return kept.After(at.Round(0)) && !kept.After(f.now().Round(0))
}

var errLocked = errors.New("another process holds it")

// lock opens the present file with its lock, which goes with the returned
// file. A file that was replaced meanwhile is not the present one.
func (f *File) lock(end time.Time) (*os.File, error) {
	for {
		file, err := f.open()
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		busy := errors.Is(err, syscall.EWOULDBLOCK)
		if !busy && f.present(file) {
			return file, nil // without a lock where the file system knows none: better than no memory
		}
		file.Close()
		if time.Now().After(end) {
			return nil, errLocked
		}
		if busy {
			time.Sleep(2 * time.Millisecond)
		}
	}
}

func (f *File) present(file *os.File) bool {
	a, err := file.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(f.path())
	return err == nil && os.SameFile(a, b)
}
