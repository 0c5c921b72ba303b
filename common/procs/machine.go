package procs

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// Bounds of files about the machine in bytes. mountinfo of a host with many
// containers is the longest.
const (
	maxMachineFile = 256 << 10
	maxMountinfo   = 4 << 20
)

// Memory is the machine's memory in bytes (/proc/meminfo). A container sees
// its host's.
type Memory struct {
	Total, Available, SwapTotal, SwapFree uint64
}

// Memory reads the machine's memory.
func (f *FS) Memory() (Memory, error) { return machineFile(f, "meminfo", parseMemory) }

// Uptime is the time since boot.
func (f *FS) Uptime() (time.Duration, error) { return machineFile(f, "uptime", parseUptime) }

// OOMKills returns how many processes the kernel has killed since boot for
// want of memory, on the whole machine, because of a cgroup's limit included.
// Not known before Linux 4.13.
func (f *FS) OOMKills() (count uint64, known bool, err error) {
	count, err = machineFile(f, "vmstat", func(data []byte) (uint64, error) {
		var count uint64
		var err error
		count, known, err = parseOOMKills(data)
		return count, err
	})
	return count, known, err
}

// BootID names the time between two boots, in which counters only grow; ""
// where the kernel does not say.
func (f *FS) BootID() string {
	id, err := machineFile(f, "sys/kernel/random/boot_id", func(data []byte) (string, error) {
		id := strings.TrimSpace(string(data))
		if len(id) > 64 {
			return "", errors.New("no id")
		}
		return id, nil
	})
	if err != nil {
		return ""
	}
	return id
}

// Hidepid returns the mount option that keeps users from seeing each other's
// processes ("1", "2", "invisible", ...; "" where it is off or not known) and
// the group that sees all the same ("" for none).
func (f *FS) Hidepid() (option, gid string) {
	data, err := safefile.Read(filepath.Join(f.root, "self", "mountinfo"), maxMountinfo)
	if err != nil {
		return "", ""
	}
	at, err := filepath.Abs(f.root)
	if err != nil {
		at = f.root
	}
	return parseHidepid(data, at)
}

// machineFile reads and parses a file about the machine.
func machineFile[T any](f *FS, name string, parse func([]byte) (T, error)) (T, error) {
	var none T
	path := filepath.Join(f.root, name)
	data, err := safefile.Read(path, maxMachineFile)
	if err != nil {
		return none, err
	}
	v, err := parse(data)
	if err != nil {
		return none, &check.Fault{Reason: check.Data, Stage: "read", Peer: path, Err: err}
	}
	return v, nil
}
