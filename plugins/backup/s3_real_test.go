package backup

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
	"github.com/belfry-monitoring/belfry/testbed/faults"
	"github.com/belfry-monitoring/belfry/testbed/parity"
)

// s3Stage is a server of S3 that verifies signatures, and the plugin.
type s3Stage struct {
	stage
	gateway *testbed.VersityGW
}

// at points the plugin at the server, as one of its users.
func (s *s3Stage) at(user string, more ...string) []string {
	return append([]string{"--s3-endpoint", "http://" + s.gateway.Addr(), "--s3-region", testbed.S3Region, "--s3-credentials-file", s.gateway.Credentials("nobody", user)}, more...)
}

// virtual does so by a name, which the server knows buckets below.
func (s *s3Stage) virtual(user string, more ...string) []string {
	return append([]string{
		"--s3-endpoint", endpoint("http", testbed.S3Domain, s.gateway.Port), "--s3-addressing", "virtual", "--force-address", "127.0.0.1",
		"--s3-region", testbed.S3Region, "--s3-credentials-file", s.gateway.Credentials("nobody", user),
	}, more...)
}

// TestS3ForReal shares one server, which takes a while to build.
func TestS3ForReal(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	s := &s3Stage{stage: stage{T: t, bed: bed, plugin: bed.Build("./plugins/backup/check_backup")}, gateway: bed.VersityGW()}
	on := func(t *testing.T) *s3Stage {
		c := *s
		c.T = t
		return &c
	}
	t.Run("life", func(t *testing.T) { on(t).life() })
	t.Run("wal-g", func(t *testing.T) { on(t).storageOfWALG() })
	t.Run("off-site", func(t *testing.T) { on(t).offsite() })
	t.Run("parity", func(t *testing.T) { on(t).parity() })
	t.Run("faults", func(t *testing.T) { on(t).faults() })
}

// life goes through what a bucket of dumps can be.
func (s *s3Stage) life() {
	dumps := []string{"--s3-url", "s3://dumps/db/"}
	s.wants("nobody", check.Critical, "s3://dumps/db/: no backup: there is no bucket dumps at 127.0.0.1", s.at("", dumps...)...)
	s.gateway.Object("dumps", "other/x.sql", "x", time.Hour)
	s.wants("nobody", check.Critical, "s3://dumps/db/: no backup: no object is there", s.at("", dumps...)...)
	s.gateway.Object("dumps", "db/zulip-20.sql.gz", strings.Repeat("x", 900), 27*time.Hour)
	s.wants("nobody", check.Warning, "(above 25 h), zulip-20.sql.gz ended ", s.at("", dumps...)...)
	s.gateway.Object("dumps", "db/zulip-21 ü+&=%.sql.gz", strings.Repeat("x", 1000), 3*time.Hour)
	for _, args := range [][]string{dumps, {"--s3-url", "s3://dumps/db"}, {"--s3-url", "s3://dumps/db/zulip-*.sql.gz"}, {"--s3-url", "s3://dumps/*/zulip-*"}} {
		s.wants("nobody", check.OK, "(gz, 1000 B, end not read), 2 backups", s.at("", args...)...)
		s.wants("nobody", check.OK, "(gz, 1000 B, end not read), 2 backups", s.virtual("", args...)...)
	}
	s.wants("nobody", check.OK, "(gz, 1000 B, end not read), 1 backup", s.at("", "--s3-url", "s3://dumps/db/zulip-21 ü+&=%.sql.gz")...)
	s.wants("nobody", check.Critical, "zulip-21 ü+&=%.sql.gz ended ", s.at("", append(dumps, "-c", "1h")...)...)
	s.wants("nobody", check.OK, "(directory, 1 B, end not read), 2 backups", s.at("", "--s3-url", "s3://dumps/*/")...)
	s.gateway.Object("dumps", "db/zulip-22.sql.gz", "", time.Hour)
	s.wants("nobody", check.Critical, "it is empty; the last good one is zulip-21", s.at("", dumps...)...)

	// More than a page.
	for i := range 1100 {
		s.gateway.Object("many", fmt.Sprintf("wal-%04d", i), "x", time.Duration(i+1)*time.Hour)
	}
	s.wants("nobody", check.OK, "(file, 1 B, end not read), 1100 backups", s.at("", "--s3-url", "s3://many/")...)

	// Who asks, and how.
	s.wants("nobody", check.Unknown, "HTTP 403 AccessDenied: the key has not the right s3:ListBucket", s.at(testbed.S3Reader, dumps...)...)
	wrong := func(name, content string) string { return s.bed.WriteFileFor("nobody", name, content, 0o600) }
	s.wants("nobody", check.Unknown, "HTTP 403 SignatureDoesNotMatch: the secret access key is not the one", s.at("", append(dumps, "--s3-credentials-file", wrong("secret", "[default]\naws_access_key_id=root\naws_secret_access_key=x\n"))...)...)
	s.wants("nobody", check.Unknown, "HTTP 403 InvalidAccessKeyId: the server does not know the access key ID", s.at("", append(dumps, "--s3-credentials-file", wrong("key", "[default]\naws_access_key_id=x\naws_secret_access_key=x\n"))...)...)
	s.wants("nobody", check.Unknown, "the region is "+testbed.S3Region+" and not us-east-1: give --s3-region "+testbed.S3Region, s.at("", append(dumps, "--s3-region", "us-east-1")...)...)
	s.wants("nobody", check.Unknown, "lets others read or write it", s.at("", append(dumps, "--s3-credentials-file", s.bed.WriteFileFor("nobody", "open", "[default]\n", 0o644))...)...)
	path := strings.Replace(strings.Join(s.virtual("", dumps...), " "), testbed.S3Domain, "other.belfry.test", 1) // no domain of the server's
	s.wants("nobody", check.Unknown, "s3://dumps/db/", strings.Fields(path)...)
}

// storageOfWALG: copied objects are new, and their backups are not.
func (s *s3Stage) storageOfWALG() {
	ended := time.Now().Add(-30 * time.Hour).UTC()
	sentinel := strings.NewReplacer("2026-11-21T00:29:39.668682Z", ended.Format(time.RFC3339Nano), "2026-11-21T00:29:38.003429Z", ended.Add(-time.Minute).Format(time.RFC3339Nano)).
		Replace(recorded(s, "walg-sentinel.json"))
	const folder = "pg/basebackups_005/"
	s.gateway.Object("walg", folder+"base_000000010000000000000023"+walgSentinel, sentinel, time.Minute)
	s.gateway.Object("walg", folder+"base_000000010000000000000023/tar_partitions/part_001.tar.lz4", "x", time.Minute)
	s.gateway.Object("walg", folder+"base_000000010000000000000029/tar_partitions/part_001.tar.lz4", "x", time.Minute)
	s.gateway.Object("walg", "pg/wal_005/000000010000000000000023.lz4", "x", time.Minute)
	for _, url := range []string{"s3://walg/pg", "s3://walg/pg/", "s3://walg/pg/basebackups_005/*"} {
		s.wants("nobody", check.Warning, "(above 25 h), base_000000010000000000000023 ended ", s.at("", "--s3-url", url)...)
	}
	s.wants("nobody", check.Unknown, "is of a storage of wal-g", s.at("", "--s3-url", "s3://walg/*/")...)
}

// policy lets the reader do more.
func (s *s3Stage) policy(bucket string, actions ...string) {
	s.gateway.Do(http.MethodPut, "/"+bucket+"?policy=", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":["`+testbed.S3Reader+`"],"Action":["`+
		strings.Join(actions, `","`)+`"],"Resource":["arn:aws:s3:::`+bucket+`","arn:aws:s3:::`+bucket+`/*"]}]}`, nil)
}

// offsite: what the key could do is found out, and nothing is done.
func (s *s3Stage) offsite() {
	look := []string{"--s3-url", "s3://offsite/db/", "--expect-offsite", "*"}
	s.gateway.Object("offsite", "db/zulip-1.sql", "x", time.Hour)
	s.wants("nobody", check.Warning, "this machine can write or delete it: its host is this machine", s.at("", look...)...)
	s.wants("nobody", check.Warning, "this machine can write or delete it: its key may overwrite there (s3:PutObject), and the bucket keeps no versions", s.virtual("", look...)...)
	s.policy("offsite", "s3:ListBucket")
	s.wants("nobody", check.Unknown, "it cannot be seen whether this machine can write or delete it ("+testbed.S3Domain+"/offsite)", s.virtual(testbed.S3Reader, look...)...)
	s.wants("nobody", check.OK, "(sql, 1 B, end not read), 1 backup", s.virtual(testbed.S3Reader, "--s3-url", "s3://offsite/db/")...)
	s.policy("offsite", "s3:ListBucket", "s3:PutObject")
	s.wants("nobody", check.Warning, "this machine can write or delete it: its key may write there (s3:PutObject)", s.virtual(testbed.S3Reader, look...)...)

	// Object lock, which holds against everybody.
	s.gateway.Do(http.MethodPut, "/locked", "", http.Header{"X-Amz-Bucket-Object-Lock-Enabled": {"true"}})
	s.gateway.Do(http.MethodPut, "/locked/db/zulip-1.sql", "x", http.Header{
		"X-Amz-Object-Lock-Mode": {"COMPLIANCE"}, "X-Amz-Object-Lock-Retain-Until-Date": {time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)},
	})
	locked := []string{"--s3-url", "s3://locked/db/", "--expect-offsite", "*"}
	s.wants("nobody", check.OK, "1 backup", s.virtual("", locked...)...)
	s.gateway.Do(http.MethodPut, "/locked/db/zulip-2.sql", "x", nil)
	s.wants("nobody", check.Unknown, "it cannot be seen whether this machine can write or delete it", s.virtual("", locked...)...)

	entries, err := os.ReadDir(s.gateway.Data + "/offsite/db")
	if err != nil || len(entries) != 1 {
		s.Errorf("after the looks the bucket holds %v, %v; want the one object", entries, err)
	}
}

// parity: both faces say the same.
func (s *s3Stage) parity() {
	file := s.gateway.Credentials("nobody", "")
	good, err := os.ReadFile(file)
	if err != nil {
		s.Fatal(err)
	}
	parity.Run(s.T, parity.Case{
		Definition: Definition, Timeout: 3 * time.Second,
		Options: map[string][]string{
			"s3-url": {"s3://parity/db/"}, "s3-endpoint": {"http://" + s.gateway.Addr()}, "s3-region": {testbed.S3Region}, "s3-credentials-file": {file},
		},
		Steps: []parity.Step{
			{Name: "no bucket", Want: check.Critical},
			{Name: "old", Want: check.Warning, Do: func() { s.gateway.Object("parity", "db/zulip-1.sql", "xx", 27*time.Hour) }},
			{Name: "fresh", Want: check.OK, Do: func() { s.gateway.Object("parity", "db/zulip-2.sql", "xx", time.Hour) }},
			{Name: "empty", Want: check.Critical, Do: func() { s.gateway.Object("parity", "db/zulip-3.sql", "", 30*time.Minute) }},
			{Name: "another key", Want: check.Unknown, Reason: check.Auth, Do: func() {
				s.bed.WriteFileFor("nobody", file, "[default]\naws_access_key_id=root\naws_secret_access_key=x\n", 0o600)
			}},
			{Name: "the key again", Want: check.Critical, Do: func() { s.bed.WriteFileFor("nobody", file, string(good), 0o600) }},
			{Name: "server gone", Want: check.Critical, Reason: check.Dial, Do: s.gateway.Stop},
			{Name: "server back", Want: check.Critical, Do: s.gateway.Start},
		},
	})
}

// faults are those of the way to the server, and of the server.
func (s *s3Stage) faults() {
	s.gateway.Object("faults", "db/zulip-1.sql", "x", time.Hour)
	s.policy("faults", "s3:GetObject")
	at := func(scheme string, more ...string) func(host string, port int) []string {
		return func(host string, port int) []string {
			return append([]string{
				"--s3-endpoint", endpoint(scheme, host, port), "--s3-region", testbed.S3Region, "--s3-url", "s3://faults/db/",
				"--s3-credentials-file", s.gateway.Credentials("", ""),
			}, more...)
		}
	}
	answer := func(name string, mode faultproxy.Mode, state check.State, reason check.Reason, text string) faults.Row {
		p := faultproxy.Start(s.T, s.gateway.Addr(), mode)
		return faults.Row{Name: name, Args: at("http")(p.Host(), p.Port()), Want: faults.Want{State: state, Reason: reason, Text: text}}
	}
	wrong := s.bed.WriteFileFor("", "wrong", "[default]\naws_access_key_id=root\naws_secret_access_key=x\n", 0o600)
	reader := s.gateway.Credentials("", testbed.S3Reader)
	flood := faultproxy.HTTPFlood()
	direct := func(name, file string, reason check.Reason, text string) faults.Row {
		return faults.Row{Name: name, Args: at("http", "--s3-credentials-file", file)("127.0.0.1", s.gateway.Port), Want: faults.Want{State: check.Unknown, Reason: reason, Text: text}}
	}
	faults.Server{
		Definition: Definition, Upstream: s.gateway.Addr(), Args: at("http"),
		TLSArgs:   func(host string, port int, ca string) []string { return at("https", "--s3-ca-file", ca)(host, port) },
		Handshake: faultproxy.Bytes(20), // of the first answer
		TooMuch:   &flood, Freeze: s.gateway.Freeze, Thaw: s.gateway.Thaw,
		Rows: []faults.Row{
			direct("authentication refused", wrong, check.Auth, "SignatureDoesNotMatch"),
			direct("permission missing", reader, check.Permission, "the key has not the right s3:ListBucket"),
			answer("empty answer", faultproxy.HTTP(200, "application/xml", ""), check.Unknown, check.Data, "an empty answer where a list of objects is due"),
			answer("HTML page", faultproxy.HTMLPage(200), check.Critical, check.Unavailable, "an HTML page instead of XML"),
			answer("slow down", faultproxy.HTTP(503, "application/xml", "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"), check.Critical, check.Unavailable, "HTTP 503 SlowDown: Please reduce your request rate."),
			answer("truncated XML", faultproxy.HTTP(200, "application/xml", "<ListBucketResult><Contents><Key>db/zulip"), check.Unknown, check.Data, "it ends early"),
			answer("list that goes on", faultproxy.HTTP(200, "application/xml", "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"), check.Unknown, check.Data, "how to go on is not said"),
			answer("list without end", faultproxy.HTTP(200, "application/xml", "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken></ListBucketResult>"), check.Unknown, check.Data, "gives the same page again"),
			answer("header flood", faultproxy.HTTPHeaderFlood(), check.Critical, check.Protocol, ""),
		},
	}.Run(s.T)
	faults.Text(s.T, Definition, append(at("http")("127.0.0.1", s.gateway.Port), "-v", "--expect-offsite", "*"))
}
