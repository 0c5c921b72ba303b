package testbed

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// stat is what a bed needs of /proc/PID/stat (proc(5)).
type stat struct {
	pid, parent int
	state       byte
	started     uint64 // clock ticks since boot: with the pid it names one process for ever
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(text))
}

// parseStat reads one line of /proc/PID/stat. The command in parentheses may itself hold spaces and parentheses.
func parseStat(text string) (stat, error) {
	open, shut := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || shut < open {
		return stat{}, fmt.Errorf("no command in stat line %q", text)
	}
	fields := strings.Fields(text[shut+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, fmt.Errorf("too few fields in stat line %q", text)
	}
	pid, err1 := strconv.Atoi(strings.TrimSpace(text[:open]))
	parent, err2 := strconv.Atoi(fields[1])
	started, err3 := strconv.ParseUint(fields[19], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return stat{}, fmt.Errorf("no numbers in stat line %q", text)
	}
	return stat{pid: pid, parent: parent, state: fields[0][0], started: started}, nil
}

// tree returns the process and its descendants, parents first. Processes that end meanwhile are left out.
func tree(root int) []stat {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]stat{}
	var found []stat
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		s, err := readStat(pid)
		if err != nil || s.state == 'Z' {
			continue
		}
		if pid == root {
			found = append(found, s)
		}
		children[s.parent] = append(children[s.parent], s)
	}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i].pid]...)
	}
	return found
}

// sameAlive tells whether the process still lives and is not another one with a recycled pid.
func (s stat) sameAlive() bool {
	now, err := readStat(s.pid)
	return err == nil && now.started == s.started && now.state != 'Z' && now.state != 'X'
}
