package testbed

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// marker is the environment variable by which the processes of a bed are known; its value is the bed's directory.
const marker = "TESTBED_DIR"

//go:embed reaper.sh
var reaperScript string

// reaper is a shell that waits on a pipe for the end of this process, however it ends, and then kills what belongs to the
// bed and removes its directory. It is no Go program: a test binary cannot be started again as something else.
type reaper struct {
	pipe io.Closer
	cmd  *exec.Cmd
	said *strings.Builder
}

func startReaper(dir string) (*reaper, error) {
	// Not sh -c: its text in the process list would match what tests look for there.
	script := filepath.Join(dir, ".reaper.sh")
	if err := os.WriteFile(script, []byte(reaperScript), 0o600); err != nil {
		return nil, fmt.Errorf("start the bed's reaper: %w", err)
	}
	cmd := exec.Command("/bin/sh", script, dir)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Dir = "/"
	// Out of the terminal's reach: Ctrl-C must not end it before the bed has ended.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// Reports wait in a pipe of this process; when it is dead nobody reads them, and SIGPIPE is ignored.
	said := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = said, said
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the bed's reaper: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the bed's reaper: %w", err)
	}
	return &reaper{pipe: pipe, cmd: cmd, said: said}, nil
}

// finish has the reaper do its work and waits for it.
func (r *reaper) finish() error {
	const limit = 30 * time.Second
	if err := r.pipe.Close(); err != nil {
		return fmt.Errorf("tell the bed's reaper to finish: %w", err)
	}
	timer := time.AfterFunc(limit, func() { _ = r.cmd.Process.Kill() })
	defer timer.Stop()
	if err := r.cmd.Wait(); err != nil {
		return fmt.Errorf("clean up the bed (within %v): %w: %s", limit, err, r.said)
	}
	if r.said.Len() > 0 {
		return errors.New("clean up the bed: " + strings.TrimSpace(r.said.String()))
	}
	return nil
}
