package dump

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"
)

const tarBlock = 512

// isTar tells by the checksum of the first header, which old archives without
// "ustar" have too.
func isTar(head []byte) bool {
	if len(head) < tarBlock {
		return false
	}
	head = head[:tarBlock]
	text := strings.Trim(string(head[148:156]), " \x00")
	want, err := strconv.ParseInt(text, 8, 64)
	if err != nil {
		return false
	}
	var sum int64
	for i, c := range head {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int64(c)
	}
	return sum == want
}

// tarEnds tells whether an archive of that size ends with two blocks of zeros
// (POSIX ustar), which is the last thing that tar and pg_dump write.
func tarEnds(size int64, tail []byte) bool {
	end := tail[max(0, len(tail)-2*tarBlock):]
	return size%tarBlock == 0 && len(end) == 2*tarBlock && len(bytes.Trim(end, "\x00")) == 0
}

func (r *reader) tar() (Result, error) {
	tail, err := r.part(r.size-tailSize, tailSize)
	if err != nil {
		return Result{}, err
	}
	if !tarEnds(r.size, tail) {
		return early("tar"), nil
	}
	held := &zulip{}
	if err := r.walkHeads(held.member); err != nil {
		return r.stop("tar", err)
	}
	if !r.whole && held.members > maxMembers {
		held.is = false // there may be more
	}
	if r.whole {
		// The members hold no checksums: this is to see whether the disk
		// gives them.
		r.pos = 0
		if err := r.readAll(); err != nil {
			return Result{}, err
		}
	}
	return held.judge(r.ctx, Result{Format: "tar", Proven: true})
}

const (
	// maxMembers bounds how many heads of a larger archive are looked at.
	maxMembers = 100_000
	// maxPadding bounds the zeros behind an archive, in bytes: tar fills up
	// to its record, 10 KiB unless told otherwise.
	maxPadding = 1 << 20
	// tarScript is the member that pg_dump writes last
	// (pg_backup_tar.c, _CloseArchive).
	tarScript = "restore.sql"
)

// walkHeads goes from head to head to the archive's end, which must be the
// file's: a file whose end was lost in a crash is zeros from there on, and
// zeros are how an archive ends.
func (r *reader) walkHeads(member func(*tar.Header, io.Reader) error) error {
	archive := tar.NewReader(r)
	first, last := "", ""
	for n := 0; ; n++ {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if n == 0 {
			first = head.Name
		}
		last = head.Name
		if err := member(head, archive); err != nil {
			return err
		}
		if n == maxMembers && !r.whole {
			return nil
		}
	}
	if first == tocName && last != tarScript {
		return errCut
	}
	if r.size-r.pos > maxPadding {
		return errCut
	}
	rest, err := r.part(r.pos, r.size-r.pos)
	if err == nil && len(bytes.Trim(rest, "\x00")) > 0 {
		err = errors.New("data behind its end")
	}
	return err
}

// walkTar reads an archive to its end.
func walkTar(r io.Reader, member func(*tar.Header, io.Reader) error) error {
	archive := tar.NewReader(r)
	for {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = member(head, archive)
		}
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, archive); err != nil {
			return err
		}
	}
}

// maxDirectory bounds the directory of a ZIP archive that is read whole, in
// bytes.
const maxDirectory = 64 << 20

func (r *reader) zip() (Result, error) {
	const maxComment = 1 << 16
	tail, err := r.part(r.size-endRecord-maxComment, endRecord+maxComment)
	if err != nil {
		return Result{}, err
	}
	directory, ok := zipEnds(tail, r.size)
	if !ok {
		return early("zip"), nil
	}
	if directory > maxDirectory || !r.whole {
		return Result{Format: "zip", Proven: true}, nil
	}
	if err := walkZip(r); err != nil {
		if r.err != nil {
			return Result{}, r.err
		}
		return damaged("zip", err), nil
	}
	return Result{Format: "zip", Proven: true}, nil
}

// endRecord is the size of a ZIP archive's "end of central directory" in
// bytes (APPNOTE 4.3.16).
const endRecord = 22

// zipEnds finds the end record in the tail of a file of that size and returns
// the size of the directory that it points to.
func zipEnds(tail []byte, size int64) (directory int64, ok bool) {
	for i := len(tail) - endRecord; i >= 0; i-- {
		record := tail[i:]
		if !bytes.HasPrefix(record, []byte("PK\x05\x06")) ||
			int(binary.LittleEndian.Uint16(record[20:])) != len(record)-endRecord {
			continue
		}
		directory = int64(binary.LittleEndian.Uint32(record[12:]))
		offset := int64(binary.LittleEndian.Uint32(record[16:]))
		if offset == 1<<32-1 || directory == 1<<32-1 {
			// ZIP64: the locator stands right before.
			return directory, i >= 20 && bytes.HasPrefix(tail[i-20:], []byte("PK\x06\x07"))
		}
		return directory, offset+directory <= size-int64(len(record))
	}
	return 0, false
}

// walkZip reads every entry, which checks its CRC.
func walkZip(r *reader) error {
	archive, err := zip.NewReader(r, r.size)
	if err != nil {
		return err
	}
	for _, entry := range archive.File {
		if err := readEntry(r, entry); err != nil {
			return err
		}
	}
	return nil
}

func readEntry(r *reader, entry *zip.File) error {
	content, err := entry.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	buffer := make([]byte, 64<<10)
	for {
		// The decompressor of a bomb need not read to go on.
		if err := r.ctx.Err(); err != nil {
			r.err = err
			return err
		}
		if _, err := content.Read(buffer); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
