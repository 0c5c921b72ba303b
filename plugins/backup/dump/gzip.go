package dump

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
)

// gzip looks into a gzip stream. Its end (length and CRC) can be seen only by
// reading all of it.
func (r *reader) gzip() (Result, error) {
	stream, err := gzip.NewReader(r)
	if err != nil {
		return r.stop("gzip", err)
	}
	head, err := fill(stream, headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return r.stop("gzip", err)
	}
	inner := innerFormat(head)
	format := inner + " gzip"
	switch {
	case len(head) == 0:
		return Result{Format: "gzip", Problem: "there is nothing in its gzip"}, nil
	case inner == "":
		return Result{Problem: "its gzip holds no dump of a known format"}, nil
	case !r.whole:
		if zeros, err := r.zerosAtEnd(); zeros || err != nil {
			return early(format), err
		}
		return Result{Format: format}, nil
	}
	end, held := &ending{}, &zulip{}
	content := io.TeeReader(&inflating{reader: io.MultiReader(bytes.NewReader(head), stream), source: r}, end)
	if err = nil; inner == "tar" {
		err = walkTar(content, held.member)
	}
	if err == nil {
		// Also behind an archive's end: the stream's length and CRC come last.
		_, err = io.Copy(io.Discard, content)
	}
	switch {
	case errors.Is(err, errLarge):
		return Result{Format: format}, nil
	case err != nil:
		return r.stop(format, err)
	}
	return held.judge(r.ctx, innerEnd(format, head, end))
}

// fill reads n bytes, or fewer with the reader's own error: io.EOF for its
// good end, io.ErrUnexpectedEOF for a stream that was cut off.
func fill(r io.Reader, n int) (data []byte, err error) {
	data = make([]byte, n)
	for at := 0; at < n; {
		got, err := r.Read(data[at:])
		at += got
		if err != nil {
			return data[:at], err
		}
	}
	return data, nil
}

// stop sorts an error out: the file could not be read, the stream ends early,
// or it is damaged.
func (r *reader) stop(format string, err error) (Result, error) {
	switch {
	case r.err != nil:
		return Result{}, r.err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, errCut):
		return early(format), nil
	}
	return damaged(format, err), nil
}

// innerFormat recognises what is compressed, empty for no known format.
func innerFormat(head []byte) string {
	switch {
	case sqlKind(head) != "":
		return "plain"
	case isTar(head):
		return "tar"
	case bytes.HasPrefix(head, []byte(magicCustom)):
		return "custom"
	}
	return ""
}

// innerEnd judges the end of what was compressed: the stream may be whole
// while what was piped into it was cut off.
func innerEnd(format string, head []byte, end *ending) Result {
	inner := innerFormat(head)
	switch {
	case inner == "plain":
		return sqlEnd(format, sqlKind(head), end.data)
	case inner == "tar" && !tarEnds(end.size, end.data), inner == "custom" && !customEnds(end.data):
		return early(format)
	}
	return Result{Format: format, Proven: true}
}

// errCut is an archive that ends before its file does.
var errCut = errors.New("it ends early")

// errLarge stops a decompressor that brings out more than is read without the
// wish for the whole.
var errLarge = errors.New("it becomes too large")

// inflating bounds what comes out of a decompressor: by the context, because
// little input may become very much, and in bytes.
type inflating struct {
	reader io.Reader
	source *reader
	out    int64
}

func (b *inflating) Read(p []byte) (int, error) {
	if err := b.source.ctx.Err(); err != nil {
		b.source.err = err
		return 0, err
	}
	if b.source.bounded && b.out > inflated {
		return 0, errLarge
	}
	n, err := b.reader.Read(p)
	b.out += int64(n)
	return n, err
}

// inflate reads a gzip stream to its end, whatever it holds, and says what is
// wrong with it.
func (r *reader) inflate() (problem string, err error) {
	stream, err := gzip.NewReader(r)
	if err == nil {
		_, err = io.Copy(io.Discard, &inflating{reader: stream, source: r})
	}
	if err == nil {
		return "", nil
	}
	result, err := r.stop("gzip", err)
	if err != nil {
		err = r.failure(err)
	}
	return result.Problem, err
}
