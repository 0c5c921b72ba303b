package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Keeper keeps memories in RAM and in files of a directory, for a process
// that runs for long: each is read once, and written every so often, not at
// every look. A process that is killed leaves the files of the last writing.
// Its methods may be called from any goroutine.
type Keeper struct {
	dir, face string
	every     time.Duration

	mu      sync.Mutex
	changed map[string]*Kept // by file name, those that are not saved
	backlog int              // the most that were due since none was
	stats   KeeperStats
}

// KeeperStats says how a keeper is doing.
type KeeperStats struct {
	Unsaved int    // memories that have changed since they were written
	Writes  uint64 // files written
	Errors  uint64 // files that could not be written
}

// NewKeeper makes a keeper of files in dir, which is made if need be. The face
// is that of NewFile. No memory is written more often than every so often.
func NewKeeper(dir, face string, every time.Duration) (*Keeper, error) {
	if err := Make(dir); err != nil {
		return nil, err
	}
	return &Keeper{dir: dir, face: face, every: every, changed: make(map[string]*Kept)}, nil
}

// Kept is a check.Memory of a Keeper.
type Kept struct {
	keeper *Keeper
	file   *File

	mu     sync.Mutex
	loaded bool
	data   []byte
	at     time.Time
	since  time.Time // the first change that is not saved; zero: none
}

// Memory returns the memory of what name and key stand for.
func (k *Keeper) Memory(name, key string) *Kept {
	file := NewFile(k.dir, k.face, name, key)
	k.mu.Lock()
	defer k.mu.Unlock()
	if unsaved := k.changed[file.name]; unsaved != nil {
		return unsaved // of a job that was removed and comes back
	}
	return &Kept{keeper: k, file: file}
}

// Load returns what was stored last, by an earlier process perhaps. A file
// that cannot be read is an error once; then there is no previous look.
func (m *Kept) Load() ([]byte, time.Time, error) {
	m.mu.Lock()
	loaded, data, at := m.loaded, m.data, m.at
	m.mu.Unlock()
	if loaded {
		return data, at, nil
	}
	data, at, err := m.file.Load() // without the lock: a file system may hang
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.loaded {
		m.loaded, m.data, m.at = true, data, at
	}
	return m.data, m.at, err
}

// Store keeps the data, which nobody changes afterwards, in RAM. It never
// waits for a disk.
func (m *Kept) Store(data []byte, at time.Time) error {
	m.mu.Lock()
	m.loaded, m.data, m.at = true, data, at
	if m.since.IsZero() {
		m.since = at
	}
	m.mu.Unlock()
	m.keeper.mu.Lock()
	defer m.keeper.mu.Unlock()
	m.keeper.changed[m.file.name] = m
	return nil
}

// save writes the memory.
func (m *Kept) save() error {
	m.mu.Lock()
	data, at := m.data, m.at
	m.mu.Unlock()
	if err := m.file.Store(data, at); err != nil {
		return err
	}
	m.keeper.mu.Lock()
	defer m.keeper.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at.Equal(at) {
		m.since = time.Time{}
		if m.keeper.changed[m.file.name] == m {
			delete(m.keeper.changed, m.file.name)
		}
	} else {
		m.since = m.at // a look came in between
	}
	return nil
}

func (m *Kept) unsavedSince() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.since
}

// minBatch is how many files one writing may write at least.
const minBatch = 32

// Write writes memories that have waited for long enough, those that have
// waited longest first, and a part only when there are many: called sixty
// times in the time that a memory may wait, it spreads the writing over half
// of it.
func (k *Keeper) Write(now time.Time) error {
	due := k.unsaved()
	due = slices.DeleteFunc(due, func(m *Kept) bool { return now.Sub(m.unsavedSince()) < k.every })
	k.mu.Lock()
	if len(due) == 0 {
		k.backlog = 0
	}
	k.backlog = max(k.backlog, len(due))
	batch := max(minBatch, k.backlog/30+1)
	k.mu.Unlock()
	return k.write(context.Background(), due[:min(len(due), batch)])
}

// Pause is how long to wait between two calls of Write.
func (k *Keeper) Pause() time.Duration { return max(k.every/60, 10*time.Millisecond) }

// Flush writes every memory that has changed, until ctx ends.
func (k *Keeper) Flush(ctx context.Context) error { return k.write(ctx, k.unsaved()) }

// unsaved are the memories that have changed, the longest waiting first.
func (k *Keeper) unsaved() []*Kept {
	k.mu.Lock()
	all := make([]*Kept, 0, len(k.changed))
	for _, m := range k.changed {
		all = append(all, m)
	}
	k.mu.Unlock()
	since := make(map[*Kept]time.Time, len(all))
	for _, m := range all {
		since[m] = m.unsavedSince()
	}
	slices.SortFunc(all, func(a, b *Kept) int { return since[a].Compare(since[b]) })
	return all
}

// maxFailed is how many files in a row may fail before the rest is left for
// the next time: on a full disk all would.
const maxFailed = 3

func (k *Keeper) write(ctx context.Context, all []*Kept) error {
	var errs []error
	failed := 0
	for i, m := range all {
		if ctx.Err() != nil {
			errs = append(errs, fmt.Errorf("keep the memories of checks in %s: %d of %d not written: %w", k.dir, len(all)-i, len(all), context.Cause(ctx)))
			break
		}
		err := m.save()
		k.count(err)
		if err == nil {
			failed = 0
			continue
		}
		errs = append(errs, err)
		if failed++; failed == maxFailed {
			break
		}
	}
	return errors.Join(errs...)
}

func (k *Keeper) count(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.stats.Errors++
	} else {
		k.stats.Writes++
	}
}

// Stats returns the numbers of this moment.
func (k *Keeper) Stats() KeeperStats {
	k.mu.Lock()
	defer k.mu.Unlock()
	stats := k.stats
	stats.Unsaved = len(k.changed)
	return stats
}

var _ check.Memory = (*Kept)(nil)
