package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/memory"
	"github.com/belfry-monitoring/belfry/common/options"
)

// memory finds the file in which this check keeps what its next look needs.
// A directory that was asked for must work; without one the usual places are
// tried when something is stored, and nothing usable is a note, no verdict.
func (p *Plugin) memory(f *flags) check.Memory {
	file := func(dir string) check.Memory {
		return memory.NewFile(dir, "", p.Definition.Name, memoryKey(p.Definition, f.set))
	}
	if f.stateDir != "" {
		return file(f.stateDir)
	}
	for _, dir := range p.stateDirs() {
		if err := memory.Usable(dir.path); err == nil || dir.make && errors.Is(err, os.ErrNotExist) {
			return file(dir.path)
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
	return hex.EncodeToString(sum[:])[:memory.KeySize]
}
