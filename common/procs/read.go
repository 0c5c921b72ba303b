package procs

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"syscall"

	"github.com/belfry-monitoring/belfry/common/check"
)

// maxFile bounds what is read of one file of a process, in bytes. A longer
// command line is cut, the other files are never that long.
const maxFile = 64 << 10

var errTooLong = fmt.Errorf("longer than %d bytes", maxFile)

// Path returns the directory of a process.
func (f *FS) Path(pid int) string { return f.path(pid, "") }

func (f *FS) path(pid int, name string) string {
	p := f.root + "/" + strconv.Itoa(pid)
	if name != "" {
		p += "/" + name
	}
	return p
}

func (f *FS) command(pid int) (CommandLine, error) {
	data, err := f.read(pid, "cmdline")
	if errors.Is(err, errTooLong) {
		err = nil
	}
	return CommandLine(data), err
}

func fileError(name string, err error) error {
	if gone(err) {
		return errGone
	}
	return fault("read", name, err)
}

// errGone: the process has ended.
var errGone = errors.New("the process has ended")

func gone(err error) bool {
	return errors.Is(err, errGone) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ESRCH) ||
		errors.Is(err, syscall.ENOTDIR)
}

func refused(err error) bool { return errors.Is(err, fs.ErrPermission) }

// fault gives an error of the file system its reason, without repeating the
// path that os errors carry.
func fault(stage, name string, err error) error {
	var f *check.Fault
	if errors.As(err, &f) {
		return err
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	reason := check.Data
	switch {
	case refused(err):
		reason = check.Permission
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		reason = check.Config
	}
	return &check.Fault{Reason: reason, Stage: stage, Peer: name, Err: fmt.Errorf("%w", err)}
}

// read returns the bytes of one of a process's files, valid until the next
// read. It uses bare system calls: with os.ReadFile the same costs twice as
// much, which is most of a look. Without O_NONBLOCK a FIFO in the place of
// the file would wait for a writer.
func (f *FS) read(pid int, name string) ([]byte, error) {
	if f.buf == nil {
		f.buf = make([]byte, maxFile)
	}
	f.reading.Store(int64(pid))
	fd, err := retry(func() (int, error) {
		return syscall.Open(f.path(pid, name), syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	})
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	n, err := retry(func() (int, error) { return syscall.Read(fd, f.buf) })
	switch {
	case err != nil:
		return nil, err
	case n == len(f.buf):
		return f.buf, errTooLong
	}
	// The kernel makes each of these files in one go, so a read that leaves
	// room has come to the end; a second one to see it would cost a third more.
	return f.buf[:n], nil
}

// retry repeats a system call that a signal has interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
