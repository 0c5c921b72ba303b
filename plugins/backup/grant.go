package backup

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/belfry-monitoring/belfry/common/check"
)

// deniedText is how pgBackRest shows EACCES.
const deniedText = "[13] Permission denied"

// quotedPath finds the path that an error of pgBackRest is about.
var quotedPath = regexp.MustCompile(`'(/[^']*)'`)

// grantIn says which user lacks what on the path that a message of pgBackRest
// names.
func grantIn(message string) string {
	if m := quotedPath.FindStringSubmatch(message); m != nil {
		return grant(m[1], ", or use --json-file")
	}
	return " (user " + whoami() + ")"
}

// withGrant adds to a fault of permission who lacks what.
func withGrant(err error, path string) error {
	var fault *check.Fault
	if !errors.As(err, &fault) || fault.Reason != check.Permission {
		return err
	}
	more := *fault
	more.Err = fmt.Errorf("%w%s", fault.Err, grant(path, ""))
	return &more
}

// grant says which user lacks what on a path, and how it is given, or what
// else helps: " (user nagios; /var/lib/pgbackrest is postgres:postgres 0750:
// add the user to the group postgres)".
func grant(path, otherwise string) string {
	me := whoami()
	at, info := barrier(path)
	if info == nil {
		return " (user " + me + ")"
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return " (user " + me + ")"
	}
	group, mode, need := groupName(stat.Gid), info.Mode().Perm(), os.FileMode(0o040)
	if info.IsDir() {
		need = 0o050
	}
	how := "let the user's group read it"
	if mode&need == need && stat.Gid != 0 {
		how = "add the user to the group " + group
	}
	return fmt.Sprintf(" (user %s; %s is %s:%s %04o: %s%s)", me, at, userName(stat.Uid), group, mode, how, otherwise)
}

// searchable is a bit of access(2).
const searchable = 1

// barrier finds the first directory of a path that this process may not pass,
// or else the last part of it that can be seen.
func barrier(path string) (string, os.FileInfo) {
	parts := strings.Split(strings.Trim(filepath.Clean(path), "/"), "/")
	at, last := "/", os.FileInfo(nil)
	for _, part := range parts {
		next := filepath.Join(at, part)
		info, err := os.Stat(next)
		if err != nil {
			return at, last
		}
		at, last = next, info
		if info.IsDir() && syscall.Access(next, searchable) != nil {
			return next, info
		}
	}
	return at, last
}

func whoami() string { return userName(uint32(os.Geteuid())) }

func userName(id uint32) string {
	text := strconv.FormatUint(uint64(id), 10)
	if u, err := user.LookupId(text); err == nil {
		return u.Username
	}
	return text
}

func groupName(id uint32) string {
	text := strconv.FormatUint(uint64(id), 10)
	if g, err := user.LookupGroupId(text); err == nil {
		return g.Name
	}
	return text
}
