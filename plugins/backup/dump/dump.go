// Package dump tells from a file's own bytes whether it is a whole backup:
// what pg_dump and pg_dumpall write (plain, custom, directory and tar), also
// compressed, tar archives, and the ZIP archives of Odoo and Flectra. A dump
// that was cut off (disk full, killed, copied half) has no end, and every one
// of these formats shows its end in some way.
package dump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Depths of Inspect: how large a file may be, in bytes, to be read whole. Of
// a larger one only the ends are read.
const (
	Ends  = 0
	Small = 16 << 20
	Whole = math.MaxInt64
)

// Bounds of one look, in bytes.
const (
	headSize = 4 << 10 // read at a file's beginning
	tailSize = 4 << 10 // and at its end
	inflated = 1 << 30 // what may come out of a decompressor below the depth Whole
	chunk    = 1 << 20 // one read
)

// Result is what a file's bytes say.
type Result struct {
	Format  string // "plain", "custom", "directory", "tar", "zip", with " gzip" where compressed; empty: none that is known
	Problem string // why it is no whole dump; empty: nothing seen that is wrong
	Proven  bool   // its end was seen and is right; false: only its beginning speaks for it
	// Holds are the parts of a tarball of Zulip's manage.py backup, separated by
	// blanks. Its format begins with [Zulip] where all of it was read.
	Holds string `json:",omitempty"`
}

// Unfinished says that there was no time to read a file to its end.
type Unfinished struct{ Read, Size int64 }

// Error reads "3.2 GiB of 20 GiB read".
func (u *Unfinished) Error() string {
	return check.FormatBytes(float64(u.Read)) + " of " + check.FormatBytes(float64(u.Size)) + " read"
}

// Inspect looks at a file of that size. One larger than depth is not read
// whole, and then the end of what is compressed as a stream stays unproven.
// The error is one of reading, or *[Unfinished] when the context ends; what
// is wrong with the dump is the result's problem.
func Inspect(ctx context.Context, file io.ReaderAt, size, depth int64) (Result, error) {
	if size == 0 {
		return Result{Problem: "it is empty"}, nil
	}
	r := &reader{ctx: ctx, file: file, size: size, whole: size <= depth, bounded: depth < Whole}
	head, err := r.part(0, headSize)
	if err != nil {
		return Result{}, r.failure(err)
	}
	var result Result
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		result, err = r.gzip()
	case bytes.HasPrefix(head, []byte(magicCustom)):
		result, err = r.custom()
	case sqlKind(head) != "":
		result, err = r.sql(head)
	case isTar(head):
		result, err = r.tar()
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		result, err = r.zip()
	default:
		result, err = r.other(head)
	}
	if err != nil {
		return Result{}, r.failure(err)
	}
	return result, nil
}

// other recognises streams whose inside cannot be looked at here, and what is
// no dump.
func (r *reader) other(head []byte) (Result, error) {
	for _, known := range []struct{ magic, format string }{
		{"\xfd7zXZ\x00", "xz"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"\x04\x22\x4d\x18", "lz4"}, {"BZh", "bzip2"},
	} {
		if !bytes.HasPrefix(head, []byte(known.magic)) {
			continue
		}
		result := Result{Format: known.format}
		if known.format == "xz" {
			// xz file format 2.1.2.4: the stream's footer ends in YZ, behind
			// padding of zeros in multiples of four.
			tail, err := r.part(r.size-tailSize, tailSize)
			if err != nil {
				return Result{}, err
			}
			result.Proven = bytes.HasSuffix(bytes.TrimRight(tail, "\x00"), []byte("YZ"))
			if !result.Proven {
				result.Problem = "its xz stream ends early"
			}
		}
		if zeros, err := r.zerosAtEnd(); zeros || err != nil {
			return early(known.format), err
		}
		if r.whole {
			return result, r.readAll()
		}
		return result, nil
	}
	if len(bytes.TrimLeft(head, "\x00")) == 0 {
		return Result{Problem: "it begins with nothing but zero bytes"}, nil
	}
	return Result{Problem: "it is no dump of a known format"}, nil
}

// zerosAtEnd tells a file that ends with nothing but zeros, as one does whose
// space was reserved and never written, or lost in a crash. No compressed
// stream ends like that: it would have compressed them.
func (r *reader) zerosAtEnd() (bool, error) {
	tail, err := r.part(r.size-tailSize, tailSize)
	return len(tail) == tailSize && len(bytes.Trim(tail, "\x00")) == 0, err
}

// reader reads a file in chunks, ends with its context and tells errors of
// reading from those of the formats above it.
type reader struct {
	ctx  context.Context
	file io.ReaderAt
	size int64

	whole   bool // it is read whole
	bounded bool // a decompressor is stopped where it brings out too much

	pos int64
	far int64 // how far it was read
	err error // the first error of reading
}

// part returns up to n bytes at a position, fewer at the ends of the file.
func (r *reader) part(at, n int64) ([]byte, error) {
	if at < 0 {
		n, at = n+at, 0
	}
	n = min(n, r.size-at)
	if n <= 0 {
		return nil, nil
	}
	data := make([]byte, n)
	got, err := r.ReadAt(data, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data[:got], nil
}

// ReadAt reads one chunk or less; the file may have become shorter, which is
// an end like any other.
func (r *reader) ReadAt(p []byte, at int64) (int, error) {
	if err := r.ctx.Err(); err != nil {
		r.err = err
		return 0, err
	}
	if at < 0 || at >= r.size {
		return 0, io.EOF
	}
	n, err := r.file.ReadAt(p[:min(int64(len(p)), r.size-at)], at)
	r.far = max(r.far, at+int64(n))
	if err != nil && !errors.Is(err, io.EOF) && r.err == nil {
		r.err = err
	}
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) > chunk {
		p = p[:chunk]
	}
	n, err := r.ReadAt(p, r.pos)
	r.pos += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Seek lets archive/tar skip what need not be read.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	r.pos = offset
	return offset, nil
}

// readAll reads what follows the position, to see whether the disk gives it.
func (r *reader) readAll() error {
	buffer := make([]byte, chunk)
	for {
		if _, err := r.Read(buffer); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// failure turns the end of the context into *Unfinished.
func (r *reader) failure(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &Unfinished{Read: r.far, Size: r.size}
	}
	return err
}

// ending keeps the last bytes of what is written to it, and counts all.
type ending struct {
	data []byte
	size int64
}

func (e *ending) Write(p []byte) (int, error) {
	e.size += int64(len(p))
	e.data = append(e.data, p[max(0, len(p)-tailSize):]...)
	if over := len(e.data) - tailSize; over > 0 {
		e.data = append(e.data[:0], e.data[over:]...)
	}
	return len(p), nil
}

// early says that a format ends too soon.
func early(format string) Result {
	return Result{Format: format, Problem: "it ends early: " + format + " without its end"}
}

func damaged(format string, err error) Result {
	return Result{Format: format, Problem: fmt.Sprintf("its %s is damaged: %v", format, err)}
}
