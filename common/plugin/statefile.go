package plugin

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

// writeStateFile writes epoch|code|STATE|text on one line, as Zulip's cron
// checks do, so that a check runs as the user who may look and another reads
// its verdict.
func writeStateFile(path string, r *check.Result, now time.Time) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return check.Faultf(check.Config, "write the state file", path, "not a regular file, and it would be replaced")
	}
	text := cut(strings.TrimPrefix(firstLine(r), r.Definition.Title+" "+r.State.String()+": "), maxLine)
	line := fmt.Sprintf("%d|%d|%s|%s\n", now.Unix(), r.State, r.State, text)
	if err := replaceFile(path, []byte(line), 0o644); err != nil {
		return &check.Fault{Reason: check.Config, Stage: "write the state file", Peer: path, Err: err}
	}
	return nil
}

// replaceFile puts a file in place of another at once: a reader sees the old
// or the new one, whole. A symlink in its place is replaced, not followed.
func replaceFile(path string, data []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return cause(err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return cause(err)
	}
	if err = f.Chmod(mode); err != nil {
		return cause(err)
	}
	if err = f.Close(); err != nil {
		return cause(err)
	}
	return cause(os.Rename(f.Name(), path))
}

// cause drops the path that os errors repeat: for temporary files it would
// only puzzle.
func cause(err error) error {
	switch e := err.(type) {
	case *os.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}
