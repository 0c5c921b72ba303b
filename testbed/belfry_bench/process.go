package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what a process holds and has used, from /proc.
type usage struct {
	cpu         time.Duration // user and system, since it started
	resident    int64         // bytes
	descriptors int
	goroutines  int // as the process tells itself; 0: not asked
}

// clockTick is the unit of the times in /proc/PID/stat, which Linux fixes at
// 100 a second for every program.
const clockTick = 10 * time.Millisecond

func usageOf(pid int) (usage, error) {
	var u usage
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return u, err
	}
	// The name may hold anything but ends with the last bracket; after it
	// come the state and, 11 further on, utime and stime.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 22 {
		return u, fmt.Errorf("read %s/stat: %d fields", dir, len(fields))
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	pages, err3 := strconv.ParseInt(fields[21], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return u, fmt.Errorf("read %s/stat: no numbers", dir)
	}
	u.cpu, u.resident = time.Duration(user+system)*clockTick, pages*int64(os.Getpagesize())
	open, err := os.ReadDir(dir + "/fd")
	u.descriptors = len(open)
	return u, err
}
