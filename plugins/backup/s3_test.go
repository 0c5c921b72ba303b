package backup

import (
	"encoding/xml"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
)

func TestParseS3(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, want, fixed string }{
		{"s3://backups", "s3://backups/", ""},
		{"s3://backups/db/", "s3://backups/db/", "db/"},
		{"s3://backups/db/zulip-*.sql.gz", "s3://backups/db/zulip-*.sql.gz", "db/zulip-"},
		{"s3://backups/*/", "s3://backups/*/", ""},
		{"s3://backups/walg/basebackups_005/", "s3://backups/walg/", "walg/"},
		{"s3://backups/walg/basebackups_005/*.json", "s3://backups/walg/", "walg/"},
		{"s3://backups/basebackups_005", "s3://backups/", ""},
		{"backups/db", "write s3://bucket/directory/", ""},
		{"https://s3.example.org/backups", "write s3://bucket/directory/", ""},
		{"s3:///db", "write s3://bucket/directory/", ""},
		{"s3://backups/[", "syntax error in pattern", ""},
		{"s3://backups//db", "no key looks like that", ""},
		{"s3://AKIA:secret@backups/db", "write s3://bucket/directory/", ""},
	} {
		p, err := parseS3(tt.url)
		got := p.name()
		if err != nil {
			got = err.Error()
		}
		if err == nil && (got != tt.want || p.fixed() != tt.fixed) || !strings.Contains(got, tt.want) || strings.Contains(got, "secret") {
			t.Errorf("parseS3(%q) = %s with %q; want %s with %q", tt.url, got, p.fixed(), tt.want, tt.fixed)
		}
	}
}

// bucket is a server of S3 that has what it has and verifies nothing: the one
// that does is in the tests for real.
type bucket map[string]string

// written is when all of its objects were.
var written = time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)

func (b bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/backups/")
	q := r.URL.Query()
	if q.Get("list-type") == "" {
		if body, ok := b[key]; ok && r.Method == http.MethodGet {
			fmt.Fprint(w, body) //nolint:errcheck // the test sees it
			return
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error><Code>NoSuchKey</Code></Error>`) //nolint:errcheck // likewise
		return
	}
	type object struct {
		Key, LastModified string
		Size              int
	}
	var answer struct {
		XMLName        xml.Name `xml:"ListBucketResult"`
		IsTruncated    bool
		Contents       []object
		CommonPrefixes []struct{ Prefix string }
	}
	seen := make(map[string]bool)
	for key, body := range b {
		rest, ok := strings.CutPrefix(key, q.Get("prefix"))
		if !ok {
			continue
		}
		if dir, _, deep := strings.Cut(rest, "/"); deep && q.Get("delimiter") != "" {
			if p := q.Get("prefix") + dir + "/"; !seen[p] {
				seen[p] = true
				answer.CommonPrefixes = append(answer.CommonPrefixes, struct{ Prefix string }{p})
			}
			continue
		}
		at := written
		if number, err := strconv.Atoi(filepath.Base(key)[strings.IndexByte(filepath.Base(key), '-')+1:]); err == nil { // x-3 is three hours older, x--3 newer
			at = at.Add(-time.Duration(number) * time.Hour)
		}
		answer.Contents = append(answer.Contents, object{key, at.Format(time.RFC3339), len(body)})
	}
	if err := xml.NewEncoder(w).Encode(answer); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// looked looks at a bucket six hours after its objects were written.
func (b bucket) looked(t *testing.T, args ...string) lookat.Document {
	t.Helper()
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id=A\naws_secret_access_key=s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return lookat.At(t, func() time.Time { return written.Add(6 * time.Hour) }, Definition, append([]string{"--s3-endpoint", server.URL, "--s3-credentials-file", file}, args...)...)
}

// TestS3 judges what buckets hold.
func TestS3(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		has   bucket
		url   string
		state check.State
		want  string
	}{
		{"directory", bucket{"db/zulip-1": "x", "db/zulip-25": "y", "db/deeper/zulip-0": "z", "db/": ""}, "s3://backups/db/", check.OK, "last backup 7 h ago (file, 1 B, end not read), 2 backups"},
		{"directory without slash", bucket{"db/zulip-1": "x"}, "s3://backups/db", check.OK, "last backup 7 h ago"},
		{"one object", bucket{"db/zulip.sql": "x", "db/zulip.sql2": "x"}, "s3://backups/db/zulip.sql", check.OK, "last backup 6 h ago (sql, 1 B, end not read), 1 backup"},
		{"begins with another's name", bucket{"db2/x": "x"}, "s3://backups/db", check.Critical, "no backup: no object is there"},
		{"empty bucket", bucket{}, "s3://backups", check.Critical, "no backup: no object is there"},
		{"empty prefix", bucket{"x": "x"}, "s3://backups/db/", check.Critical, "no backup: no object is there"},
		{"only directories", bucket{"db/a/x": "x"}, "s3://backups/db/", check.Critical, "its directories are not looked into: give a pattern, such as 's3://backups/db/*/'"},
		{"old", bucket{"db/zulip-30": "x"}, "s3://backups/db/", check.Warning, "last good backup's age 36 h (above 25 h), zulip-30 ended "},
		{"empty object", bucket{"db/zulip-1": "", "db/zulip-25": "y"}, "s3://backups/db/", check.Critical, "zulip-1 ended 2026-11-25 02:00 UTC: it is empty; the last good one is zulip-25"},
		{"only an empty object", bucket{"db/zulip-1": ""}, "s3://backups/db/", check.Critical, "no good backup: zulip-1"},
		{"unfinished name", bucket{"db/zulip-1.tmp": "x"}, "s3://backups/db/", check.Critical, "no backup: no object is there"},
		{"checksum and log beside it", bucket{"db/zulip-30": "x", "db/zulip-0.sql.sha256": "x", "db/backup.log": "x", "db/SHA256SUMS": "x"}, "s3://backups/db/*", check.Warning, "zulip-30 ended "},
		{"only a log", bucket{"db/backup.log": "x"}, "s3://backups/db/", check.Critical, "no backup: no object counts, such as backup.log"},
		{"asked for by its name", bucket{"db/backup.txt": "x"}, "s3://backups/db/backup.txt", check.OK, "1 backup"},
		{"hidden", bucket{"db/.zulip-1": "x"}, "s3://backups/db/*", check.Critical, "no backup: no object matches"},
		{"pattern", bucket{"db/zulip-1": "x", "db/wire-0": "x", "db/zulip/x": "x"}, "s3://backups/db/zulip*", check.OK, "last backup 7 h ago (file, 1 B, end not read), 1 backup"},
		{"pattern without a match", bucket{"db/wire-0": "x"}, "s3://backups/db/zulip*", check.Critical, "no backup: no object matches"},
		{"pattern in the middle", bucket{"a/zulip-1": "x", "b/zulip-2": "x", "b/c/zulip-0": "x"}, "s3://backups/*/zulip-*", check.OK, "last backup 7 h ago (file, 1 B, end not read), 2 backups"},
		{"directories", bucket{"c/day-a/x-9": "xx", "c/day-a/y/x-1": "x", "c/day-b/x-12": "x", "c/loose": "x"}, "s3://backups/c/*/", check.OK, "last backup 7 h ago (directory, 3 B, end not read), 2 backups"},
		{"empty directory", bucket{"c/day-a/x": ""}, "s3://backups/c/*/", check.Critical, "no good backup: day-a"},
		{"half the size", bucket{"db/zulip-1": "x", "db/zulip-25": "yyy"}, "s3://backups/db/", check.Warning, "size against the one before 33.3 % (below 50 %)"},
		{"storage of wal-g by a pattern", bucket{"w/basebackups_005/base_1_backup_stop_sentinel.json": "{}"}, "s3://backups/*/", check.Unknown, "is of a storage of wal-g, whose objects' times say nothing: give it as s3://backups/w/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.has.looked(t, "--s3-url", tt.url)
			if check.State(got.Exit) != tt.state || !strings.Contains(got.Text, tt.want) {
				t.Errorf("%s: %s; want %s with %q", got.State, got.Text, tt.state, tt.want)
			}
		})
	}
}

// TestS3Marker: a directory without the object that is written last is no
// backup yet, and none any more when nothing is written to it.
func TestS3Marker(t *testing.T) {
	t.Parallel()
	const done = "BACKUP_DONE_SUCCESSFULLY"
	for _, tt := range []struct {
		name  string
		has   bucket
		state check.State
		want  string
	}{
		{"finished", bucket{"c/day-a/x-9": "xx", "c/day-a/" + done: ""}, check.OK, "last backup 6 h ago (directory, 2 B), 1 backup"},
		{"being made", bucket{"c/day-a/x-30": "xx", "c/day-a/BACKUP_DONE_SUCCESSFULLY": "", "c/day-b/x--5": "x"}, check.OK, "(directory, 2 B), 1 backup, another is being made"},
		{"only one being made", bucket{"c/day-b/x--5": "x"}, check.Critical, "no backup: no object matches, one is being made"},
		{"broken off", bucket{"c/day-a/x-30": "xx", "c/day-a/" + done: "", "c/day-b/x--0": "x", "c/day-b/y-1": "x"}, check.Critical, "day-b ended 2026-11-25 03:00 UTC: it has no BACKUP_DONE_SUCCESSFULLY, and nothing was written to it for 6 h: it was broken off; the last good one is day-a"},
		{"nothing else in it", bucket{"c/day-a/" + done: ""}, check.Critical, "it is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.has.looked(t, "--s3-url", "s3://backups/c/*/", "--s3-marker", done)
			if check.State(got.Exit) != tt.state || !strings.Contains(got.Text, tt.want) {
				t.Errorf("%s: %s; want %s with %q", got.State, got.Text, tt.state, tt.want)
			}
		})
	}
}

// TestS3Many: of many objects the newest count.
func TestS3Many(t *testing.T) {
	t.Parallel()
	has := make(bucket)
	for i := range maxTaken + 500 {
		has[fmt.Sprintf("db/%c%c-%d", 'a'+i%26, 'a'+i/26%26, i)] = "x"
	}
	got := has.looked(t, "--s3-url", "s3://backups/db/")
	if !strings.Contains(got.Text, fmt.Sprintf("last backup 6 h ago (file, 1 B, end not read), %d backups", maxTaken)) {
		t.Errorf("%s; want that %d are counted", got.Text, maxTaken)
	}
}

// TestS3WALG: the end of a backup is what its sentinel says, however new the
// objects are.
func TestS3WALG(t *testing.T) {
	t.Parallel()
	const folder = "walg/basebackups_005/"
	const name = "base_000000010000000000000023"
	sentinel, metadata := recorded(t, "walg-sentinel.json"), recorded(t, "walg-metadata.json")
	const delta = "base_000000010000000000000027_D_000000010000000000000023"
	fresh := strings.NewReplacer("2026-11-21T00:29", "2026-11-25T00:29").Replace(sentinel)
	for _, tt := range []struct {
		name  string
		has   bucket
		state check.State
		want  string
	}{
		{"copied", bucket{folder + name + walgSentinel: sentinel, folder + name + "/tar_partitions/part_001.tar.lz4": "x"}, check.Critical, "last good backup's age 4 d 8 h (above 2 d 1 h), " + name + " ended 2026-11-21 00:29 UTC"},
		{"fresh", bucket{folder + name + walgSentinel: fresh, folder + name + "/x": "x"}, check.OK, "s3://backups/walg: last backup 8 h 30 min ago (full, 154 MiB), 1 backup"},
		{"delta", bucket{folder + name + walgSentinel: sentinel, folder + name + "/x": "x", folder + delta + walgSentinel: fresh, folder + delta + "/x": "x"}, check.OK, "(delta, 154 MiB), 2 backups"},
		{"delta without its base", bucket{folder + delta + walgSentinel: fresh, folder + delta + "/x": "x"}, check.Critical, "it builds on base_000000010000000000000023, which the storage does not have"},
		{"files gone", bucket{folder + name + walgSentinel: fresh}, check.Critical, "only its sentinel is there: its files are gone"},
		{"time in the metadata", bucket{folder + name + walgSentinel: `{"LSN":1}`, folder + name + "/metadata.json": strings.ReplaceAll(metadata, "11-21T", "11-25T")}, check.OK, "(full permanent, 154 MiB)"},
		{"no time", bucket{folder + name + walgSentinel: `{"wal_segment_backup_stop":"x"}`, folder + name + "/x": "x"}, check.Unknown, "it does not say when the backup ended (FinishTime)"},
		{"not finished", bucket{folder + name + "/x": "x"}, check.Critical, "no backup: the storage of wal-g has none that is finished"},
		{"sentinel empty", bucket{folder + name + walgSentinel: "", folder + name + "/x": "x"}, check.Unknown, "not the JSON of wal-g"},
		{"sentinel cut off", bucket{folder + name + walgSentinel: fresh[:100], folder + name + "/x": "x"}, check.Unknown, "not the JSON of wal-g"},
		{"sentinel is HTML", bucket{folder + name + walgSentinel: "<html>", folder + name + "/x": "x"}, check.Unknown, "not the JSON of wal-g"},
		{"upgraded", bucket{
			folder + name + walgSentinel: strings.ReplaceAll(fresh, "7710409671724037116", "1"), folder + name + "/x": "x",
			folder + "base_000000020000000000000090" + walgSentinel: sentinel, folder + "base_000000020000000000000090/x": "x",
		}, check.OK, "(full, 154 MiB), 1 backup"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.has.looked(t, "--s3-url", "s3://backups/walg")
			if check.State(got.Exit) != tt.state || !strings.Contains(got.Text, tt.want) {
				t.Errorf("%s: %s; want %s with %q", got.State, got.Text, tt.state, tt.want)
			}
		})
	}
}

// TestS3Options: mistakes say what to do, and the environment of the AWS
// tools alone asks for no look.
func TestS3Options(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--s3-region", "eu-central-1"}, "--s3-region goes with --s3-url"},
		{[]string{"--s3-url", "s3://backups/x"}, "no credentials: give --s3-credentials-file"},
		{[]string{"--s3-url", "s3://backups/x", "--s3-url", "s3://backups/x", "--s3-credentials-file", "/x"}, "--s3-url s3://backups/x is given twice"},
		{[]string{"--s3-url", "s3://backups/x/", "--s3-marker", "x", "--s3-credentials-file", "/x"}, "--s3-marker goes with an --s3-url whose directories are backups"},
		{[]string{"--s3-url", "s3://backups/*/", "--s3-marker", "a/b", "--s3-credentials-file", "/x"}, "write the name of an object"},
		{[]string{"--path", "/x", "--force-address", "127.0.0.1"}, "--force-address goes with --s3-url"},
		{[]string{"--s3-url", "s3://backups/x", "--s3-credentials-file", "/nonexistent"}, "read /nonexistent: no such file"},
	} {
		got := lookat.Args(t, Definition, tt.args...)
		if check.State(got.Exit) != check.Unknown || !strings.Contains(got.Text, tt.want) {
			t.Errorf("%q: %s: %s; want UNKNOWN with %q", tt.args, got.State, got.Text, tt.want)
		}
	}
	env := map[string]string{"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-central-1", "HTTPS_PROXY": "http://proxy:3128"}
	got := lookat.With(t, t.Context(), Definition, []string{"--path", dir}, env)
	if check.State(got.Exit) != check.Critical || !strings.Contains(got.Text, dir+": no backup: no file is there") {
		t.Errorf("with the environment of AWS: %s: %s; want only the dumps", got.State, got.Text)
	}
}

// TestS3Environment: what is given by an option beats the environment, and the
// keys of the two do not mix.
func TestS3Environment(t *testing.T) {
	t.Parallel()
	var token, who string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, who = r.Header.Get("X-Amz-Security-Token"), r.Header.Get("Authorization")
		bucket{"x": "x"}.ServeHTTP(w, r)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id=OFFILE\naws_secret_access_key=s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"AWS_ACCESS_KEY_ID": "OFENV", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "token", "AWS_ENDPOINT_URL_S3": server.URL}
	for _, tt := range []struct {
		args       []string
		who, token string
	}{
		{nil, "Credential=OFENV/", "token"},
		{[]string{"--s3-credentials-file", file}, "Credential=OFFILE/", ""},
	} {
		lookat.With(t, t.Context(), Definition, append([]string{"--s3-url", "s3://backups"}, tt.args...), env)
		if !strings.Contains(who, tt.who) || token != tt.token {
			t.Errorf("%q: asked as %q with the token %q; want %s with %q", tt.args, who, token, tt.who, tt.token)
		}
	}
}

func FuzzSentinel(f *testing.F) {
	f.Add([]byte(recorded(f, "walg-sentinel.json")))
	f.Add([]byte(recorded(f, "walg-metadata.json")))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b walgBackup
		if err := b.fill(data); err == nil && b.Size != nil && *b.Size <= 0 {
			t.Errorf("fill(%q) has the size %d; want one above zero", data, *b.Size)
		}
	})
}

// endpoint is the --s3-endpoint of a host and port.
func endpoint(scheme, host string, port int) string {
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
}
