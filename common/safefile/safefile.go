// Package safefile reads files that others may have put there: bounded in
// bytes, never blocking on a FIFO, and for secrets only where nobody else can
// read or write them.
package safefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/belfry-monitoring/belfry/common/check"
)

// MaxSecret bounds a secrets file in bytes.
const MaxSecret = 64 << 10

// Open opens a regular file for reading without waiting: a FIFO or device in
// its place is refused. The caller bounds what is read.
func Open(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fault(path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("not a regular file (%s)", kind(info.Mode()))
	}
	if err != nil {
		f.Close()
		return nil, nil, fault(path, err)
	}
	return f, info, nil
}

// Read returns the whole of a regular file of at most max bytes.
func Read(path string, max int64) ([]byte, error) {
	f, _, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path, max)
}

// ReadSecret is Read for a file that holds a secret: it is refused where its
// group may write or others may read or write, unless lax. Group read is
// fine, that is how products share theirs (zulip-secrets.conf is 0640).
func ReadSecret(path string, lax bool) ([]byte, error) {
	f, info, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if mode := info.Mode().Perm(); mode&0o026 != 0 && !lax {
		return nil, check.Faultf(check.Permission, "read secret from", path,
			"mode %04o lets others read or write it: chmod o-rw,g-w, or pass --insecure-permissions", mode)
	}
	return readAll(f, path, MaxSecret)
}

func readAll(f *os.File, path string, max int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, fault(path, err)
	}
	if int64(len(data)) > max {
		return nil, check.Faultf(check.Data, "read", path, "more than %d bytes", max)
	}
	return data, nil
}

// fault says whether a file cannot be read for want of permission or of the
// file, without repeating the path that os errors carry.
func fault(path string, err error) error {
	var pathErr *fs.PathError
	cause := err
	if errors.As(err, &pathErr) {
		cause = pathErr.Err
	}
	reason := check.Config
	if errors.Is(err, fs.ErrPermission) {
		reason = check.Permission
	}
	return &check.Fault{Reason: reason, Stage: "read", Peer: path, Err: cause}
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeNamedPipe != 0:
		return "FIFO"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return m.Type().String()
}
