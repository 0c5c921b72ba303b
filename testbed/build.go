package testbed

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Build builds a command of this module as it is released (static, stripped) and returns the binary's path; every user of
// the machine can run it. pkg is a package path relative to the module, such as "./plugins/backup/check_backup". The binary
// goes with the test.
func Build(t TB, pkg string) string {
	t.Helper()
	return New(t).Build(pkg)
}

// Build builds like the function Build, once per package, into the bed.
func (b *Bed) Build(pkg string) string {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if path := b.built[pkg]; path != "" {
		return path
	}
	root, err := moduleRoot()
	if err != nil {
		b.fail("build %s: %v", pkg, err)
	}
	bin := filepath.Join(b.dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		b.fail("build %s: %v", pkg, err)
	}
	path := filepath.Join(bin, filepath.Base(pkg))
	// Without the revision: git refuses to tell it to others than the owner of the checkout.
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.fail("build %s: %v\n%s", pkg, err, out)
	}
	// A umask of 077 would keep the other users out.
	for _, made := range []string{bin, path} {
		if err := os.Chmod(made, 0o755); err != nil {
			b.fail("build %s: %v", pkg, err)
		}
	}
	b.built[pkg] = path
	return path
}

// moduleRoot finds the directory of go.mod above the working directory, which in a test is its package's.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod in the working directory and above it")
		}
		dir = parent
	}
}

// Result is what a program did that RunAs ran.
type Result struct {
	Exit           int // exit code; 128 plus the signal's number when a signal ended it
	Stdout, Stderr string
	Took           time.Duration
}

// RunAs runs a program as the system user (as ourselves when we are not root) with exactly the environment env, stdin
// empty and / as working directory, and returns what it did. A program that runs for more than a minute fails the test.
func RunAs(t TB, account string, argv, env []string) Result {
	t.Helper()
	credential, err := credentialOf(account)
	if err != nil {
		t.Fatalf("run %s: %v", argv[0], err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = env, "/"
	if env == nil {
		cmd.Env = []string{} // nil would mean our own
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	start := time.Now()
	err = cmd.Run()
	result := Result{Stdout: stdout.String(), Stderr: stderr.String(), Took: time.Since(start)}
	if ctx.Err() != nil {
		t.Fatalf("%s did not end within a minute\nstdout: %s\nstderr: %s", strings.Join(argv, " "), result.Stdout, result.Stderr)
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		result.Exit = exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			result.Exit = 128 + int(status.Signal())
		}
	case err != nil:
		t.Fatalf("run %s: %v", argv[0], err)
	}
	return result
}
