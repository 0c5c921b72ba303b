package procs

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// userHZ is the unit of times in /proc/PID/stat: always 100 a second for
// programs, whatever the kernel's own clock (proc(5), "starttime").
const userHZ = 100

// pfForkNoExec is the flag of a process that was forked and has not executed
// a program (include/linux/sched.h, PF_FORKNOEXEC).
const pfForkNoExec = 0x40

type stat struct {
	state      byte
	parent     int
	forkedOnly bool
	started    time.Duration // since boot
}

// parseStat reads /proc/PID/stat. The command in parentheses may itself hold
// blanks, parentheses and line ends, so the fields begin behind the last one.
func parseStat(data []byte) (stat, error) {
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return stat{}, errors.New("no command in parentheses")
	}
	fields := bytes.Fields(data[end+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, errors.New("too few fields")
	}
	parent, err1 := strconv.Atoi(string(fields[1]))
	flags, err2 := strconv.ParseUint(string(fields[6]), 10, 64)
	ticks, err3 := strconv.ParseUint(string(fields[19]), 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil || parent < 0 || ticks > uint64(math.MaxInt64/(time.Second/userHZ)) {
		return stat{}, errors.New("parent, flags or start time is no number")
	}
	return stat{
		state: fields[0][0], parent: parent, forkedOnly: flags&pfForkNoExec != 0,
		started: time.Duration(ticks) * (time.Second / userHZ),
	}, nil
}

type status struct {
	state     byte
	uid       int  // effective
	memory    bool // it has some: no kernel thread, not ended
	rss, swap uint64
}

// parseStatus reads /proc/PID/status.
func parseStatus(data []byte) (status, error) {
	var s status
	s.uid = -1
	for len(data) > 0 {
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, data = data[:i], data[i+1:]
		} else {
			data = nil
		}
		key, value, _ := bytes.Cut(line, []byte(":"))
		var err error
		switch string(key) {
		case "State":
			if value = bytes.TrimSpace(value); len(value) > 0 {
				s.state = value[0]
			}
		case "Uid":
			fields := bytes.Fields(value)
			if len(fields) < 2 {
				return status{}, errors.New("line Uid has no effective user")
			}
			s.uid, err = strconv.Atoi(string(fields[1]))
		case "VmRSS":
			s.memory = true
			s.rss, err = parseKiB(value)
		case "VmSwap":
			s.swap, err = parseKiB(value)
		}
		if err != nil {
			return status{}, fmt.Errorf("line %s: %w", key, err)
		}
	}
	if s.state == 0 || s.uid < 0 {
		return status{}, errors.New("no line State or Uid")
	}
	return s, nil
}

// parseKiB reads "  1764 kB" as bytes.
func parseKiB(value []byte) (uint64, error) {
	number, unit, _ := strings.Cut(strings.TrimSpace(string(value)), " ")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || n > math.MaxUint64>>10 || strings.TrimSpace(unit) != "kB" {
		return 0, fmt.Errorf("%.40q is no number of kB", value)
	}
	return n << 10, nil
}

// lineKiB finds "Key:   1764 kB" in a file of such lines.
func lineKiB(data []byte, key string) (bytes uint64, found bool, err error) {
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(line, ":")
		if ok && name == key {
			bytes, err = parseKiB([]byte(value))
			if err != nil {
				err = fmt.Errorf("line %s: %w", key, err)
			}
			return bytes, true, err
		}
	}
	return 0, false, nil
}

// parsePSS reads /proc/PID/smaps_rollup.
func parsePSS(data []byte) (uint64, error) {
	pss, found, err := lineKiB(data, "Pss")
	if err == nil && !found {
		err = errors.New("no line Pss")
	}
	return pss, err
}

// parseMemory reads /proc/meminfo. MemAvailable is missing before Linux 3.14.
func parseMemory(data []byte) (Memory, error) {
	var m Memory
	total, found, err := lineKiB(data, "MemTotal")
	if err == nil && (!found || total == 0) {
		err = errors.New("no line MemTotal, or it is zero")
	}
	m.Total = total
	for key, into := range map[string]*uint64{"MemAvailable": &m.Available, "SwapTotal": &m.SwapTotal, "SwapFree": &m.SwapFree} {
		if err == nil {
			*into, _, err = lineKiB(data, key)
		}
	}
	if err != nil {
		return Memory{}, err
	}
	return m, nil
}

// parseUptime reads /proc/uptime: seconds since boot, then idle seconds.
func parseUptime(data []byte) (time.Duration, error) {
	fields := strings.Fields(string(data))
	if len(fields) == 0 {
		return 0, errors.New("it is empty")
	}
	seconds, err := strconv.ParseFloat(fields[0], 64)
	if err != nil || !(seconds > 0 && seconds < 1e10) {
		return 0, fmt.Errorf("%.40q is no number of seconds", fields[0])
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// parseOOMKills reads the counter oom_kill of /proc/vmstat, which is there
// since Linux 4.13.
func parseOOMKills(data []byte) (count uint64, found bool, err error) {
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "oom_kill "); ok {
			count, err = strconv.ParseUint(strings.TrimSpace(value), 10, 64)
			if err != nil {
				return 0, true, fmt.Errorf("line oom_kill: %.40q is no count", value)
			}
			return count, true, nil
		}
	}
	if len(strings.TrimSpace(string(data))) == 0 {
		return 0, false, errors.New("it is empty")
	}
	return 0, false, nil
}

// parseHidepid reads /proc/PID/mountinfo and returns the options hidepid and
// gid of the proc file system that is mounted at the path; a later mount
// covers an earlier one. Fields: proc(5), "/proc/pid/mountinfo".
func parseHidepid(data []byte, at string) (hidepid, gid string) {
	for line := range strings.Lines(string(data)) {
		left, right, ok := strings.Cut(line, " - ")
		fields, options := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(options) < 3 || unescape(fields[4]) != at {
			continue
		}
		hidepid, gid = "", ""
		if options[0] != "proc" {
			continue
		}
		for option := range strings.SplitSeq(options[2], ",") {
			if value, ok := strings.CutPrefix(option, "hidepid="); ok {
				hidepid = value
			}
			if value, ok := strings.CutPrefix(option, "gid="); ok {
				gid = value
			}
		}
	}
	if hidepid == "off" || hidepid == "0" {
		hidepid = ""
	}
	return hidepid, gid
}

// unescape reads the octal escapes of blanks, tabs, line ends and backslashes
// in paths of mountinfo.
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}
