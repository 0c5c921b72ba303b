package safefile

import (
	"os"
	"path/filepath"
)

// Replace puts a file in place of another at once: a reader sees the old or
// the new one, whole. A symlink in its place is replaced, not followed.
func Replace(path string, data []byte, mode os.FileMode) error {
	next, err := Temp(path, data, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		os.Remove(next)
		return Cause(err)
	}
	return nil
}

// Temp writes a file beside the one that it is to replace, and returns its
// path: hidden, named after the other, ending in .tmp. Nothing is left where
// that fails.
func Temp(path string, data []byte, mode os.FileMode) (next string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return "", Cause(err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(f.Name())
		return "", Cause(err)
	}
	return f.Name(), nil
}

// Cause drops the path that os errors repeat: for temporary files it would
// only puzzle.
func Cause(err error) error {
	switch e := err.(type) {
	case *os.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}
