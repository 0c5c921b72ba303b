package dump

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func compress(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func archive(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, comment string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range map[string]string{"dump.sql": "-- x\n", "filestore/ab/cd": strings.Repeat("content", 100)} {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.SetComment(comment); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func inspect(t testing.TB, data []byte, depth int64) Result {
	t.Helper()
	got, err := Inspect(context.Background(), bytes.NewReader(data), int64(len(data)), depth)
	if err != nil {
		t.Fatalf("Inspect() = %v; want a result", err)
	}
	return got
}

// wholeDumps are finished dumps: of pg_dump and pg_dumpall 15.18, one of
// pg_dump 18.3 with large objects, and archives.
func wholeDumps(t testing.TB) map[string][]byte {
	random := make([]byte, 40_000)
	for i := range random {
		random[i] = byte(rand.Int())
	}
	return map[string][]byte{
		"plain":          read(t, "plain.sql"),
		"plain, cluster": read(t, "cluster.sql"),
		"plain gzip":     read(t, "plain.sql.gz"),
		"custom":         read(t, "custom.dump"),
		"custom, 18":     read(t, "custom18.dump"),
		"custom, piped":  read(t, "piped.dump"),
		"custom, schema": read(t, "schema.dump"),
		"custom gzip":    compress(t, read(t, "custom.dump")),
		"tar":            read(t, "tar.tar"),
		"tar gzip":       compress(t, archive(t, map[string]string{"backup/version": "11.4\n", "backup/x": string(random)})),
		"zip":            zipped(t, ""),
		"zip, comment":   zipped(t, strings.Repeat("a comment ", 1000)),
	}
}

func TestInspectWhole(t *testing.T) {
	t.Parallel()
	for name, data := range wholeDumps(t) {
		want, _, _ := strings.Cut(name, ",")
		for _, depth := range []int64{Small, Whole} {
			if got := inspect(t, data, depth); got.Format != want || got.Problem != "" || !got.Proven {
				t.Errorf("Inspect(%s, depth %d) = %+v; want a proven %s", name, depth, got, want)
			}
		}
	}
}

// TestInspectCut cuts every dump at every place: none but the last bytes of
// plain SQL, which say nothing, may be missing.
func TestInspectCut(t *testing.T) {
	t.Parallel()
	for name, data := range wholeDumps(t) {
		least := len(data)
		if kind := sqlKind(data); kind != "" {
			least = bytes.LastIndex(data, []byte(kind+sqlComplete)) + len(kind+sqlComplete)
		}
		step := 1
		if len(data) > 4000 {
			step = 61
		}
		for n := 0; n < least; n += step {
			if got := inspect(t, data[:n], Small); got.Problem == "" {
				t.Errorf("Inspect(the first %d of %d bytes of %s) = %+v; want a problem", n, len(data), name, got)
			}
		}
		for n := max(0, least-300); n < least; n++ {
			if got := inspect(t, data[:n], Small); got.Problem == "" {
				t.Errorf("Inspect(the first %d of %d bytes of %s) = %+v; want a problem", n, len(data), name, got)
			}
		}
	}
}

// TestInspectPipedCut: pg_dump was killed, gzip behind it finished its work.
func TestInspectPipedCut(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain.sql", "cluster.sql", "custom.dump", "tar.tar"} {
		data := read(t, name)
		for _, n := range []int{len(data) / 3, len(data) / 2, len(data) * 9 / 10} {
			if got := inspect(t, compress(t, data[:n]), Small); got.Problem == "" {
				t.Errorf("Inspect(gzip of the first %d of %d bytes of %s) = %+v; want a problem", n, len(data), name, got)
			}
		}
	}
}

// TestInspectCluster: a dump of a cluster that ends after one of its
// databases ends like a dump of a database.
func TestInspectCluster(t *testing.T) {
	t.Parallel()
	data := read(t, "cluster.sql")
	end := bytes.Index(data, []byte(sqlDatabase+sqlComplete)) + len(sqlDatabase+sqlComplete) + len("\n--\n")
	if got := inspect(t, data[:end], Small); got.Problem == "" {
		t.Errorf("Inspect(a cluster's dump up to the end of its first database) = %+v; want a problem", got)
	}
}

func TestInspectOther(t *testing.T) {
	t.Parallel()
	plain := read(t, "plain.sql")
	gzipped := read(t, "plain.sql.gz")
	broken := bytes.Clone(gzipped)
	broken[len(broken)/2] ^= 0xff
	custom := read(t, "custom.dump")
	newer := bytes.Clone(custom)
	newer[6] = 99
	for _, test := range []struct {
		name            string
		data            []byte
		format, problem string // problem: in it, empty for none
		proven          bool
	}{
		{"empty", nil, "", "it is empty", false},
		{"error text", []byte("pg_dump: error: connection to server failed\n"), "", "no dump of a known format", false},
		{"zeros", make([]byte, 9000), "", "nothing but zero bytes", false},
		{"gzip of nothing", compress(t, nil), "gzip", "nothing in its gzip", false},
		{"gzip of an error", compress(t, []byte("pg_dump: error: no")), "", "no dump of a known format", false},
		{"gzip damaged", broken, "plain gzip", "damaged", false},
		{"gzip and more", append(bytes.Clone(gzipped), "more"...), "plain gzip", "", false},
		{"two gzip members", append(compress(t, plain[:500]), compress(t, plain[500:])...), "plain gzip", "", true},
		{"Windows line ends", bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n")), "plain", "", true},
		{"more behind the trailer", append(bytes.Clone(plain), "ERROR: out of disk\n"...), "plain", "ends early", false},
		{"before August 2025", bytes.ReplaceAll(plain, []byte(`\unrestrict `), []byte("--")), "plain", "ends early", false},
		{"newer custom", newer, "custom", "", false},
		{"newer custom, cut", newer[:len(newer)-1000], "custom", "ends early", false},
		{"table of contents alone", read(t, "directory/toc.dat"), "", "without its data", false},
		{"xz", []byte("\xfd7zXZ\x00\x00\x04xxxxxxxxxxxxYZ"), "xz", "", true},
		{"xz, cut", []byte("\xfd7zXZ\x00\x00\x04xxxxxxxxxxxx"), "xz", "ends early", false},
		{"zstd", []byte("\x28\xb5\x2f\xfdxxxx"), "zstd", "", false},
		{"bzip2", []byte("BZh91AY&SY"), "bzip2", "", false},
		{"lz4", []byte("\x04\x22\x4d\x18xxxx"), "lz4", "", false},
	} {
		got := inspect(t, test.data, Small)
		if test.name == "gzip and more" {
			// Whatever gzip calls it, it is not the file that was written.
			if got.Problem == "" {
				t.Errorf("Inspect(%s) = %+v; want a problem", test.name, got)
			}
			continue
		}
		if got.Format != test.format || got.Proven != test.proven || (test.problem == "") != (got.Problem == "") || !strings.Contains(got.Problem, test.problem) {
			t.Errorf("Inspect(%s) = %+v; want format %q, problem %q, proven %v", test.name, got, test.format, test.problem, test.proven)
		}
	}
}

// virtual is a large file of which only the ends exist.
type virtual struct {
	head, tail []byte
	size, read int64
}

func (v *virtual) ReadAt(p []byte, at int64) (int, error) {
	v.read += int64(len(p))
	for i := range p {
		p[i] = 'x'
	}
	if at < int64(len(v.head)) {
		copy(p, v.head[at:])
	}
	if from := v.size - int64(len(v.tail)); at+int64(len(p)) > from {
		if at >= from {
			copy(p, v.tail[at-from:])
		} else {
			copy(p[from-at:], v.tail)
		}
	}
	return len(p), nil
}

// TestInspectHuge: of a huge file the ends are read, unless the whole is
// asked for, and then the context ends the reading.
func TestInspectHuge(t *testing.T) {
	t.Parallel()
	const size = 1 << 40
	plain, custom, piped := read(t, "plain.sql"), read(t, "custom.dump"), read(t, "piped.dump")
	var tarred bytes.Buffer
	if err := tar.NewWriter(&tarred).WriteHeader(&tar.Header{Name: "x", Size: size - 3*tarBlock, Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	gzipped := compress(t, append(bytes.Clone(plain), randomText()...))
	for _, test := range []struct {
		name       string
		head, tail []byte
		want       Result
	}{
		{"plain", plain, plain[len(plain)-200:], Result{Format: "plain", Proven: true}},
		{"tar", tarred.Bytes(), make([]byte, 1024), Result{Format: "tar", Proven: true}},
		{"custom", custom[:4000], make([]byte, 5), Result{Format: "custom", Proven: true}},
		{"custom, cut", custom[:4000], nil, early("custom")},
		{"custom, piped", piped[:4000], make([]byte, 5), Result{Format: "custom"}},
		{"gzip", gzipped, nil, Result{Format: "plain gzip"}},
	} {
		file := &virtual{head: test.head, tail: test.tail, size: size}
		got, err := Inspect(context.Background(), file, size, Small)
		if err != nil || got != test.want || file.read > 4<<20 {
			t.Errorf("Inspect(1 TiB of %s) = %+v, %v after %d bytes; want %+v after little", test.name, got, err, file.read, test.want)
		}
		ctx, cancel := context.WithCancel(context.Background())
		slow := &cancelling{virtual: file, after: 8, cancel: cancel}
		_, err = Inspect(ctx, slow, size, Whole)
		var unfinished *Unfinished
		if test.name == "plain" && (!errors.As(err, &unfinished) || unfinished.Size != size) {
			t.Errorf("Inspect(1 TiB of %s, whole) = %v; want it unfinished", test.name, err)
		}
	}
}

// TestInspectLostEnd: after a crash a file has its size, and zeros where its
// end was not written. Zeros are also how tar and custom dumps end.
func TestInspectLostEnd(t *testing.T) {
	t.Parallel()
	lose := func(data []byte, from int) []byte {
		return append(bytes.Clone(data[:from]), make([]byte, len(data)-from)...)
	}
	// More of the same: as large as what is not read whole.
	large := func(name string) []byte { return append(read(t, name), make([]byte, 20<<20)...) }
	tarred, custom := read(t, "tar.tar"), read(t, "custom.dump")
	random := string(randomText())
	archived := archive(t, map[string]string{"uploads/1": random})
	stream := append(compress(t, append(read(t, "plain.sql"), random...)), make([]byte, tailSize)...)
	for _, test := range []struct {
		name   string
		data   []byte
		format string
		depth  int64
	}{
		{"tar, half", lose(tarred, len(tarred)/2), "tar", Ends},
		{"tar, half", lose(tarred, len(tarred)/2), "tar", Whole},
		{"tar, script", lose(tarred, len(tarred)-8192), "tar", Ends},
		{"tar, zeros behind it", large("tar.tar"), "tar", Ends},
		{"tar of files", append(archived, make([]byte, 2<<20)...), "tar", Whole},
		{"custom", lose(custom, len(custom)*9/10), "custom", Whole},
		{"custom, zeros behind it", large("custom.dump"), "custom", Small},
		{"custom, a block of zeros", lose(large("custom.dump"), len(custom)-100), "custom", Small},
		{"custom, piped", large("piped.dump"), "custom", Small},
		{"gzip", stream, "plain gzip", Ends},
		{"zstd", append([]byte("\x28\xb5\x2f\xfd"+random), make([]byte, tailSize)...), "zstd", Ends},
	} {
		got := inspect(t, test.data, test.depth)
		if got.Format != test.format || got.Problem == "" || got.Proven {
			t.Errorf("Inspect(%s without its end, depth %d) = %+v; want a %s with a problem", test.name, test.depth, got, test.format)
		}
	}
}

// TestInspectEndsInZeros: a large object of zeros, not compressed, may be
// what a custom dump ends with.
func TestInspectEndsInZeros(t *testing.T) {
	t.Parallel()
	custom := read(t, "custom.dump")
	const kept = 10                                                          // the zeros that end the last large object and the block
	data := append(bytes.Clone(custom[:len(custom)-kept]), 0, 0, 0x40, 0, 0) // a chunk of 16 KiB
	data = append(append(data, make([]byte, 16<<10)...), make([]byte, kept)...)
	for _, depth := range []int64{Ends, Whole} {
		if got := inspect(t, data, depth); got.Problem != "" || !got.Proven {
			t.Errorf("Inspect(custom with zeros in its last block, depth %d) = %+v; want it proven", depth, got)
		}
	}
}

// cancelling cancels a context at some read.
type cancelling struct {
	*virtual
	after  int
	cancel func()
}

func (c *cancelling) ReadAt(p []byte, at int64) (int, error) {
	if c.after--; c.after == 0 {
		c.cancel()
	}
	return c.virtual.ReadAt(p, at)
}

func randomText() []byte {
	random := make([]byte, 64<<10)
	for i := range random {
		random[i] = byte(rand.Int())
	}
	return random
}

// TestInspectLargeGzip: a gzip stream beyond the bound is read on request
// only, and a bomb is not read at all.
func TestInspectLargeGzip(t *testing.T) {
	t.Parallel()
	plain := read(t, "plain.sql")
	end := bytes.LastIndex(plain, []byte("--\n"+sqlDatabase+sqlComplete))
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]byte{plain[:end], bytes.Repeat([]byte("data\n"), Small/5+1), plain[end:]} {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data := b.Bytes()
	for _, test := range []struct {
		name  string
		data  []byte
		depth int64
		want  Result
	}{
		{"large", data, Small, Result{Format: "plain gzip"}},
		{"large", data, Whole, Result{Format: "plain gzip", Proven: true}},
		{"large, cut", data[:len(data)-1], Small, Result{Format: "plain gzip"}},
		{"large, cut", data[:len(data)-1], Whole, early("plain gzip")},
	} {
		if got := inspect(t, test.data, test.depth); got != test.want {
			t.Errorf("Inspect(%s, depth %d) = %+v; want %+v", test.name, test.depth, got, test.want)
		}
	}
}

// TestInspectBomb: little that becomes very much ends with the context.
func TestInspectBomb(t *testing.T) {
	t.Parallel()
	data := compress(t, append(read(t, "plain.sql"), make([]byte, 1<<20)...))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	in := &inflating{reader: bytes.NewReader(make([]byte, 2*inflated/1024)), source: &reader{ctx: ctx, bounded: true}}
	in.out = inflated + 1
	if _, err := in.Read(make([]byte, 1)); !errors.Is(err, errLarge) {
		t.Errorf("reading beyond the bound = %v; want errLarge", err)
	}
	cancel()
	if _, err := in.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("reading after the context's end = %v; want context.Canceled", err)
	}
	if _, err := Inspect(ctx, bytes.NewReader(data), int64(len(data)), Whole); !errors.As(err, new(*Unfinished)) {
		t.Errorf("Inspect() after the context's end = %v; want it unfinished", err)
	}
}

type failing struct{ after int64 }

func (f failing) ReadAt(p []byte, at int64) (int, error) {
	if at >= f.after {
		return 0, io.ErrNoProgress
	}
	n := copy(p, "PGDMP\x01\x0e\x00\x04\x08\x01")
	return n, nil
}

// TestInspectReadError: a disk that fails is no problem of the dump.
func TestInspectReadError(t *testing.T) {
	t.Parallel()
	for _, after := range []int64{0, 1} {
		if _, err := Inspect(context.Background(), failing{after}, 1<<30, Small); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("Inspect() of a failing disk = %v; want its error", err)
		}
	}
}

func FuzzInspect(f *testing.F) {
	for _, data := range wholeDumps(f) {
		f.Add(data, int64(Small))
		f.Add(data[:len(data)*2/3], int64(Ends))
	}
	f.Fuzz(func(t *testing.T, data []byte, depth int64) {
		got, err := Inspect(context.Background(), bytes.NewReader(data), int64(len(data)), depth)
		if err != nil {
			t.Errorf("Inspect() = %v; want a result", err)
		}
		if got.Problem != "" && got.Proven {
			t.Errorf("Inspect() = %+v; want no proven problem", got)
		}
		if got.Problem == "" && got.Format == "" {
			t.Errorf("Inspect() = %+v; want a problem where no format is known", got)
		}
	})
}
