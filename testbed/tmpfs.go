package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Tmpfs puts the directory on a file system of its own of so many KiB, which can be filled, with what is in it; only root can.
// Nobody may write to it meanwhile. It goes with the bed, however that ends.
func (b *Bed) Tmpfs(dir string, kib int) {
	b.t.Helper()
	err := b.onto(dir, func() error {
		return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%dk", kib))
	})
	if err != nil {
		b.fail("put %s on a file system of %d KiB: %v", dir, kib, err)
	}
}

// Untmpfs takes the directory back from its own file system, with what is in it.
func (b *Bed) Untmpfs(dir string) {
	b.t.Helper()
	if err := copyTree(dir, dir+".saved"); err != nil {
		b.fail("take %s back from its own file system: %v", dir, err)
	}
	err := syscall.Unmount(dir, syscall.MNT_DETACH)
	if err == nil {
		err = os.Remove(dir)
	}
	if err == nil {
		err = os.Rename(dir+".saved", dir)
	}
	if err != nil {
		b.fail("take %s back from its own file system: %v", dir, err)
	}
}

// Remount makes a Tmpfs read-only or writable.
func (b *Bed) Remount(dir string, readOnly bool) {
	b.t.Helper()
	flags := uintptr(syscall.MS_REMOUNT | syscall.MS_NOSUID | syscall.MS_NODEV)
	if readOnly {
		flags |= syscall.MS_RDONLY
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, ""); err != nil {
		b.fail("mount %s anew: %v", dir, err)
	}
}

// onto mounts over the directory and brings its contents and owner along.
func (b *Bed) onto(dir string, mount func() error) error {
	saved := dir + ".saved"
	if err := os.Rename(dir, saved); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := mount(); err != nil {
		return err
	}
	if err := copyTree(saved, dir); err != nil {
		return err
	}
	return os.RemoveAll(saved)
}

// copyTree copies a directory with owners, modes and times onto another, which it makes when it is not there.
func copyTree(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	out, err := exec.Command("/bin/cp", "-a", from+"/.", to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cp: %w: %s", err, out)
	}
	return nil
}
