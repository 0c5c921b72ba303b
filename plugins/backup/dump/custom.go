package dump

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// magicCustom begins dumps of the custom format and the toc.dat of the
// directory and tar formats (PostgreSQL, pg_backup_archiver.c, WriteHead).
const magicCustom = "PGDMP"

// formatCustom is the custom format's number in the head.
const formatCustom = 1

// States of an entry's data in the custom format (pg_backup_archiver.h).
const (
	offsetNotSet = 1 // written into a pipe, or not finished
	offsetSet    = 2
	offsetNone   = 3 // an entry without data
)

// Bounds of a table of contents that is read.
const (
	maxEntries = 1 << 20
	maxTOC     = 256 << 20 // bytes
)

// Versions of the format at which a field came, as major<<8|minor.
const (
	version1_9  = 1<<8 | 9  // PostgreSQL 8.2
	version1_10 = 1<<8 | 10 // 8.3
	version1_11 = 1<<8 | 11 // 8.4
	version1_14 = 1<<8 | 14 // 12
	version1_15 = 1<<8 | 15 // 16
	version1_16 = 1<<8 | 16 // 17, 18: the newest known
)

// toc is a table of contents.
type toc struct {
	format  byte
	data    map[int64]int64 // dump ids that have data, with its offset, 0 where not known
	files   []string        // data files of the directory format
	end     int64           // bytes that the table takes, the head included
	integer int             // size of an integer in bytes
}

// errBeyond is a table of contents that cannot be read here and need not be
// wrong for that: of a format that came after this program, or very large.
var errBeyond = errors.New("not to be read here")

// readTOC reads the table of contents at the beginning of a stream. The error
// is io.ErrUnexpectedEOF when the stream ends in it.
func readTOC(r io.Reader) (*toc, error) {
	p := &tocParser{r: bufio.NewReaderSize(io.LimitReader(r, maxTOC), 64<<10)}
	t, err := p.toc()
	if errors.Is(err, io.EOF) {
		if err = io.ErrUnexpectedEOF; p.at >= maxTOC {
			err = errBeyond
		}
	}
	return t, err
}

// tocParser reads the primitives of the format; the first error sticks.
type tocParser struct {
	r       *bufio.Reader
	at      int64
	integer int
	err     error
}

func (p *tocParser) byte() byte {
	if p.err != nil {
		return 0
	}
	var b byte
	if b, p.err = p.r.ReadByte(); p.err == nil {
		p.at++
	}
	return b
}

// int reads a sign and the bytes of the integer, lowest first.
func (p *tocParser) int() int64 {
	negative := p.byte() != 0
	v := p.fixed(p.integer)
	if negative {
		return -v
	}
	return v
}

// fixed reads n bytes as an integer, lowest first.
func (p *tocParser) fixed(n int) int64 {
	var v uint64
	for i := range n {
		b := p.byte()
		if i >= 8 && b != 0 || i == 7 && b > 0x7f {
			p.fail(errors.New("an integer is too large"))
		}
		if i < 8 {
			v |= uint64(b) << (8 * i)
		}
	}
	return int64(v)
}

func (p *tocParser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// skip passes over n bytes.
func (p *tocParser) skip(n int64) {
	for n > 0 && p.err == nil {
		var done int
		done, p.err = p.r.Discard(int(min(n, 1<<20)))
		n -= int64(done)
		p.at += int64(done)
	}
}

// string passes over a string and tells whether there is one.
func (p *tocParser) string() bool {
	n := p.int()
	p.skip(n)
	return n >= 0 && p.err == nil
}

// text reads a string that must be short.
func (p *tocParser) text() string {
	n := p.int()
	if n <= 0 || p.err != nil {
		return ""
	}
	if n > 4096 {
		p.fail(errors.New("a file name is too long"))
		return ""
	}
	data := make([]byte, n)
	got, err := io.ReadFull(p.r, data)
	p.at += int64(got)
	p.fail(err)
	return string(data)
}

func (p *tocParser) strings(n int) {
	for range n {
		p.string()
	}
}

func (p *tocParser) toc() (*toc, error) {
	t := &toc{data: make(map[int64]int64)}
	p.skip(int64(len(magicCustom)))
	version := int(p.byte())<<8 | int(p.byte())
	p.byte() // revision
	p.integer = int(p.byte())
	offset := int(p.byte())
	t.format = p.byte()
	t.integer = p.integer
	if p.err != nil {
		return nil, p.err
	}
	if version < version1_9 || version > version1_16 {
		return nil, errBeyond
	}
	if p.integer < 1 || p.integer > 32 || offset < 1 || offset > 32 {
		return nil, errors.New("sizes of its integers make no sense")
	}
	if version >= version1_15 {
		p.byte() // compression
	} else {
		p.int()
	}
	for range 7 { // time of its making
		p.int()
	}
	p.string() // database
	if version >= version1_10 {
		p.strings(2) // versions of server and pg_dump
	}
	count := p.int()
	if count > maxEntries {
		return nil, errBeyond
	}
	for i := int64(0); i < count && p.err == nil; i++ {
		p.entry(t, version, offset)
	}
	t.end = p.at
	return t, p.err
}

func (p *tocParser) entry(t *toc, version, offset int) {
	id := p.int()
	p.int()      // whether it had a dumper
	p.strings(4) // table oid, oid, tag, description
	if version >= version1_11 {
		p.int() // section
	}
	p.strings(4) // definition, drop, copy, namespace
	if version >= version1_10 {
		p.string() // tablespace
	}
	if version >= version1_14 {
		p.string() // table access method
	}
	if version >= version1_16 {
		p.int() // relation kind
	}
	p.strings(2)     // owner, with oids
	for p.string() { // dependencies, ended by none
	}
	switch t.format {
	case formatCustom:
		state := p.byte()
		at := p.fixed(offset)
		switch state {
		case offsetSet:
			t.data[id] = at
		case offsetNotSet:
			t.data[id] = 0
		case offsetNone:
		default:
			p.fail(fmt.Errorf("state %d of an entry's data", state))
		}
	default: // directory and tar
		if name := p.text(); name != "" {
			t.files = append(t.files, name)
		}
	}
}

// custom judges a dump in the custom format. A finished one ends with the end
// of its last data block, and its table of contents names all blocks.
func (r *reader) custom() (Result, error) {
	const format = "custom"
	tail, err := r.part(r.size-tailSize, tailSize)
	if err != nil {
		return Result{}, err
	}
	t, err := readTOC(r)
	switch {
	case r.err != nil:
		return Result{}, r.err
	case errors.Is(err, errBeyond):
		if !customEnds(tail) {
			return early(format), nil
		}
		return Result{Format: format}, nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return early(format), nil
	case err != nil:
		return damaged(format, err), nil
	case t.format != formatCustom:
		return Result{Problem: "it is a table of contents without its data"}, nil
	case len(t.data) == 0 && t.end == r.size:
		return Result{Format: format, Proven: true}, nil // of the schema only
	case !customEnds(tail):
		return early(format), nil
	}
	known := true // where all data is
	for _, at := range t.data {
		if at >= r.size {
			return early(format), nil
		}
		known = known && at > 0
	}
	from := t.end
	if !r.whole {
		// Zeros end a data block, and so does a file that lost its end: then
		// the last block tells.
		zeros, err := r.zerosAtEnd()
		if err != nil || !zeros {
			return Result{Format: format, Proven: known}, err
		}
		if known {
			from = t.last()
		}
	}
	missing, err := r.blocks(t, from)
	switch {
	case r.err != nil:
		return Result{}, r.err
	case errors.Is(err, io.ErrUnexpectedEOF) || err == nil && missing > 0:
		return early(format), nil
	case err != nil:
		return damaged(format, err), nil
	}
	return Result{Format: format, Proven: true}, nil
}

// customEnds tells whether the last thing is the zero that ends a data block:
// a sign and an integer of four bytes.
func customEnds(tail []byte) bool {
	return bytes.HasSuffix(tail, []byte{0, 0, 0, 0, 0})
}

// last keeps only the last data block in the table, and returns its place.
func (t *toc) last() int64 {
	var id, at int64
	for i, a := range t.data {
		if a > at {
			id, at = i, a
		}
	}
	t.data = map[int64]int64{id: at}
	return at
}

// blocks walks over the data blocks from a place on and returns how many of
// the table of contents are missing.
func (r *reader) blocks(t *toc, from int64) (missing int, err error) {
	if _, err := r.Seek(from, io.SeekStart); err != nil {
		return 0, err
	}
	p := &tocParser{r: bufio.NewReaderSize(r, int(min(chunk, r.size))), integer: t.integer}
	const table, large = 1, 3 // kinds of blocks: a table's data, large objects
	for {
		kind := p.byte()
		if errors.Is(p.err, io.EOF) {
			break
		}
		id := p.int()
		switch kind {
		case table:
			p.chunks()
		case large:
			for p.int() != 0 && p.err == nil { // oid
				p.chunks()
			}
		default:
			p.fail(fmt.Errorf("block of kind %d", kind))
		}
		if errors.Is(p.err, io.EOF) {
			return 0, io.ErrUnexpectedEOF
		}
		if p.err != nil {
			return 0, p.err
		}
		delete(t.data, id)
	}
	return len(t.data), nil
}

// chunks passes over a block's data: lengths with their bytes, ended by zero.
func (p *tocParser) chunks() {
	for p.err == nil {
		n := p.int()
		if n < 0 {
			p.fail(errors.New("a chunk of negative length"))
		}
		if n <= 0 {
			return
		}
		p.skip(n)
	}
}
