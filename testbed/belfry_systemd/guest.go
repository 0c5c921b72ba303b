package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/belfry-monitoring/belfry/testbed/certs"
)

//go:embed boot.sh
var bootScript string

// limit is how long one step may take.
const limit = time.Minute

// guest is the systemd that was booted.
type guest struct {
	dir    string // temporary, on the machine; dir/shared is /shared inside
	cgroup string
	init   *exec.Cmd // unshare, whose child is systemd
	pid    int       // of systemd, as the machine sees it
}

func boot(ctx context.Context) (g *guest, err error) {
	g = &guest{}
	if g.dir, err = os.MkdirTemp("", "belfry-systemd-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.end())
		}
	}()
	if err := g.lay(); err != nil {
		return nil, err
	}
	if err := g.ownCgroup(); err != nil {
		return nil, err
	}
	// A shell moves itself into the group before the namespace makes that its root.
	g.init = exec.Command("/bin/sh", "-c", `echo $$ >"$1/cgroup.procs" && exec unshare --pid --fork --mount --uts --ipc --net --cgroup --kill-child sh "$2/boot.sh" "$2"`, "sh", g.cgroup, g.dir)
	g.init.Stdout, g.init.Stderr = os.Stdout, os.Stderr
	g.init.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := g.init.Start(); err != nil {
		return nil, err
	}
	return g, g.await(ctx, "systemd to run", func() error {
		if err := g.find(); err != nil {
			return err
		}
		out, _ := g.sh(ctx, "systemctl is-system-running")
		if state := strings.TrimSpace(out); state != "running" && state != "degraded" {
			return fmt.Errorf("it is %q", state)
		}
		return nil
	})
}

// lay puts what the guest needs into the shared directory: binaries, units, a
// certificate.
func (g *guest) lay() error {
	shared := filepath.Join(g.dir, "shared")
	if err := os.MkdirAll(shared, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(g.dir, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("make", "-s", "install", "DESTDIR="+shared+"/install").CombinedOutput(); err != nil {
		return fmt.Errorf("make install: %w\n%s", err, out)
	}
	authority, err := certs.NewAuthority("exporter")
	if err != nil {
		return err
	}
	certificate, err := authority.Issue(certs.Leaf{Names: []string{"127.0.0.1"}})
	if err != nil {
		return err
	}
	if _, _, err := certificate.Write(shared, "tls"); err != nil {
		return err
	}
	web, err := os.ReadFile("systemd/web.yml")
	if err != nil {
		return fmt.Errorf("%w: run it from the root of the repository", err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(shared, "web.yml"), web, 0o644),
		os.WriteFile(filepath.Join(g.dir, "boot.sh"), []byte(bootScript), 0o755),
	)
}

// ownCgroup makes a group of version 2, wherever that hierarchy is.
func (g *guest) ownCgroup() error {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			g.cgroup = filepath.Join(f[1], "belfry-systemd-"+strconv.Itoa(os.Getpid()))
			return os.Mkdir(g.cgroup, 0o755)
		}
	}
	return errors.New("this machine has no hierarchy of control groups of version 2")
}

// find looks for systemd, the only child of unshare.
func (g *guest) find() error {
	path := fmt.Sprintf("/proc/%d/task/%d/children", g.init.Process.Pid, g.init.Process.Pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	g.pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return err
}

// sh runs a script inside.
func (g *guest) sh(ctx context.Context, script string) (output string, exit int) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", "--target="+strconv.Itoa(g.pid), "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--root", "--wd", "sh", "-c", script)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0"}
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		exit = ended.ExitCode()
	case err != nil:
		return string(out) + err.Error(), -1
	}
	return string(out), exit
}

func (g *guest) await(ctx context.Context, what string, try func() error) error {
	for deadline := time.Now().Add(limit); ; {
		err := try()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			console, _ := os.ReadFile(filepath.Join(g.dir, "shared", "console"))
			return fmt.Errorf("waited %s for %s: %w\n%s", limit, what, err, console)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// end kills the namespaces with all that runs in them, and removes what is left.
func (g *guest) end() error {
	if g.init != nil && g.init.Process != nil {
		_ = g.init.Process.Kill() // its child dies with it, and with that all others
		_ = g.init.Wait()
	}
	var err error
	if g.cgroup != "" {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			if err = removeGroups(g.cgroup); err == nil || time.Now().After(deadline) {
				break
			}
		}
	}
	return errors.Join(err, os.RemoveAll(g.dir))
}

// removeGroups removes a control group with those in it, which rmdir alone can.
func removeGroups(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroups(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}
