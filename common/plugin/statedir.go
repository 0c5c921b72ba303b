package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
)

// memory finds the file in which this check keeps what its next look needs.
// A directory that was asked for must work; without one the usual places are
// tried when something is stored, and nothing usable is a note, no verdict.
func (p *Plugin) memory(f *flags) check.Memory {
	name := p.Definition.Name + "-" + memoryKey(p.Definition, f.set) + ".json"
	if f.stateDir != "" {
		return &fileMemory{dir: filepath.Clean(f.stateDir), name: name} // "link/" would follow the link
	}
	for _, dir := range p.stateDirs() {
		if info, err := os.Lstat(dir.path); err == nil && owned(info) == nil || err != nil && dir.make {
			return &fileMemory{dir: dir.path, name: name}
		}
	}
	return noMemory{}
}

// noMemory stands for a directory where none can be used: only a check that
// asks for its previous look says so.
type noMemory struct{}

func (noMemory) Load() ([]byte, time.Time, error) {
	return nil, time.Time{}, errors.New("nothing is kept: give --state-dir a directory that this user owns")
}
func (noMemory) Store([]byte, time.Time) error { return nil }

type stateDir struct {
	path string
	make bool // may be made
}

func (p *Plugin) stateDirs() []stateDir {
	var dirs []stateDir
	env := func(name string) string {
		if p.Env == nil {
			return ""
		}
		value, _ := p.Env(name)
		return value
	}
	if dir := env("BELFRY_STATE_DIR"); dir != "" {
		dirs = append(dirs, stateDir{dir, true})
	}
	dirs = append(dirs, stateDir{"/var/lib/belfry", false})
	if home := env("HOME"); filepath.IsAbs(home) {
		if info, err := os.Stat(home); err == nil && info.IsDir() && syscall.Access(home, 2) == nil {
			dirs = append(dirs, stateDir{filepath.Join(home, ".local", "state", "belfry"), true})
		}
	}
	return dirs
}

// memoryKey tells apart checks of the same name that look at different
// things: a digest of the target and of all options that are not merely about
// judging or output. Secrets stay out of it.
func memoryKey(d *check.Definition, set *pflag.FlagSet) string {
	common := map[string]bool{
		"warning": true, "critical": true, "severity": true, "timeout": true, "timeout-state": true, "verbose": true,
		"output": true, "state-file": true, "state-dir": true, "extra-opts": true, "version": true, "help": true,
	}
	var parts []string
	set.Visit(func(f *pflag.Flag) {
		if !common[f.Name] && !options.IsSecret(f) {
			parts = append(parts, f.Name+"="+f.Value.String())
		}
	})
	sort.Strings(parts)
	sum := sha256.Sum256([]byte(d.Name + "\x00" + strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// memoryVersion is the version of the file's form; another one starts anew.
const memoryVersion = 1

type memoryFile struct {
	Version int             `json:"version"`
	At      time.Time       `json:"at"`
	Data    json.RawMessage `json:"data"`
}

// fileMemory is a check.Memory in one file of a private directory.
type fileMemory struct{ dir, name string }

func (m *fileMemory) path() string { return filepath.Join(m.dir, m.name) }

// Load returns nothing where nothing was kept; a file that cannot be
// understood is an error, which starts a new baseline.
func (m *fileMemory) Load() ([]byte, time.Time, error) {
	if err := m.check(); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, time.Time{}, nil
		}
		return nil, time.Time{}, err
	}
	f, err := os.OpenFile(m.path(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read %s: %w", m.path(), cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, time.Time{}, fmt.Errorf("read %s: not a regular file", m.path())
	}
	if err := owned(info); err != nil {
		return nil, time.Time{}, fmt.Errorf("read %s: %w", m.path(), err)
	}
	text, err := io.ReadAll(io.LimitReader(f, 2*check.MaxMemory))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read %s: %w", m.path(), cause(err))
	}
	var kept memoryFile
	if err := json.Unmarshal(text, &kept); err != nil || kept.Version != memoryVersion {
		return nil, time.Time{}, fmt.Errorf("read %s: not a state file of this version", m.path())
	}
	return kept.Data, kept.At, nil
}

// Store replaces the file at once.
func (m *fileMemory) Store(data []byte, at time.Time) error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", m.dir, cause(err))
	}
	if err := m.check(); err != nil {
		return err
	}
	text, err := json.Marshal(memoryFile{Version: memoryVersion, At: at, Data: data})
	if err != nil {
		return err
	}
	if err := replaceFile(m.path(), text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", m.path(), err)
	}
	return nil
}

// check refuses a directory that is a symlink, another user's or writable by
// others: who can write there could make a check believe what it likes.
func (m *fileMemory) check() error {
	info, err := os.Lstat(m.dir)
	if err != nil {
		return fmt.Errorf("state directory %s: %w", m.dir, cause(err))
	}
	if !info.IsDir() {
		return fmt.Errorf("state directory %s: not a directory", m.dir)
	}
	if err := owned(info); err != nil {
		return fmt.Errorf("state directory %s: %w", m.dir, err)
	}
	return nil
}

// owned refuses what another user owns or can write.
func owned(info os.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("mode %04o lets others write it: chmod go-w", mode)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("belongs to user %d, not to the running user %d", stat.Uid, os.Getuid())
	}
	return nil
}
