package testbed

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3 wants it
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// What every VersityGW of a bed knows.
const (
	S3Region  = "eu-test-1"
	S3Domain  = "s3.belfry.test" // of virtual addressing: BUCKET.S3Domain
	S3Reader  = "reader"         // a user without rights of its own: bucket policies give them
	s3Root    = "root"
	s3Account = "nobody"
)

// VersityGW is a running server of S3 over a directory, which verifies signatures (SigV4).
type VersityGW struct {
	*Server
	Port int
	Data string // a directory below it is a bucket, a file in that an object with the file's time

	secrets map[string]string
}

// VersityGW builds the server from the module beside this file, which takes some minutes for the first time on a machine and
// seconds later, and starts it.
func (b *Bed) VersityGW() *VersityGW {
	b.t.Helper()
	root, err := moduleRoot()
	if err != nil {
		b.fail("build versitygw: %v", err)
	}
	bin := filepath.Join(b.MkdirFor(s3Account, "versitygw-bin", 0o755), "versitygw")
	build := exec.Command("go", "build", "-C", filepath.Join(root, "testbed/versitygw"), "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", bin,
		"github.com/versity/versitygw/cmd/versitygw")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.fail("build versitygw: %v\n%s", err, out)
	}
	if err := os.Chmod(bin, 0o755); err != nil {
		b.fail("build versitygw: %v", err)
	}
	g := &VersityGW{Server: b.serverOf(s3Account, "versitygw"), Port: b.Port(), secrets: map[string]string{s3Root: rand.Text(), S3Reader: rand.Text()}}
	dir := func(name string) string {
		name = filepath.Join(g.Dir, name)
		g.mkdir(name)
		return name
	}
	g.Data = dir("data")
	users, err := json.Marshal(map[string]any{"accessAccounts": map[string]any{
		S3Reader: map[string]any{"access": S3Reader, "secret": g.secrets[S3Reader], "role": "user"},
	}})
	if err != nil {
		b.fail("write versitygw's users: %v", err)
	}
	iam := dir("iam")
	b.WriteFileFor(s3Account, filepath.Join(iam, "users.json"), string(users), 0o600)
	// What belongs to an object lies beside it: not every file system has extended attributes.
	g.argv = []string{bin, "--port", g.Addr(), "--region", S3Region, "--virtual-domain", net.JoinHostPort(S3Domain, strconv.Itoa(g.Port)), "--iam-dir", iam,
		"posix", "--sidecar", dir("sidecar"), "--versioning-dir", dir("versions"), g.Data}
	g.env = b.environ(g.Dir, "ROOT_ACCESS_KEY_ID="+s3Root, "ROOT_SECRET_ACCESS_KEY="+g.secrets[s3Root])
	g.ready = func() error {
		conn, err := net.DialTimeout("tcp", g.Addr(), time.Second)
		if err == nil {
			err = conn.Close()
		}
		return err
	}
	g.Start()
	return g
}

// Addr is where clients connect, as host:port.
func (g *VersityGW) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(g.Port)) }

// Credentials writes a file of credentials of the root user, or of S3Reader, for the account.
func (g *VersityGW) Credentials(account, user string) string {
	g.bed.t.Helper()
	if user == "" {
		user = s3Root
	}
	return g.bed.WriteFileFor(account, filepath.Join(g.Dir, user+"-of-"+account), fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", user, g.secrets[user]), 0o600)
}

// Object puts a file into a bucket's directory, as an object of that age.
func (g *VersityGW) Object(bucket, key, content string, age time.Duration) {
	g.bed.t.Helper()
	path := filepath.Join(g.Data, bucket, key)
	for parent, made := filepath.Dir(path), []string(nil); ; parent = filepath.Dir(parent) {
		if _, err := os.Stat(parent); err == nil || parent == g.Data {
			for i := len(made) - 1; i >= 0; i-- {
				g.mkdir(made[i])
			}
			break
		}
		made = append(made, parent)
	}
	g.bed.WriteFileFor(s3Account, path, content, 0o644)
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
		g.bed.fail("age an object: %v", err)
	}
}

func (g *VersityGW) mkdir(path string) {
	g.bed.t.Helper()
	if err := g.bed.mkdirFor(s3Account, path, 0o755); err != nil {
		g.bed.fail("make %s for user %s: %v", path, s3Account, err)
	}
}

// Do sends a request as the root user: path is /bucket/key?query, already escaped. A status outside 2xx fails the test.
func (g *VersityGW) Do(method, path, body string, header http.Header) {
	g.bed.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+g.Addr()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		g.bed.fail("ask versitygw: %v", err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	sum, digest := sha256.Sum256([]byte(body)), md5.Sum([]byte(body)) //nolint:gosec // S3 wants it
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(digest[:]))
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(ctx, aws.Credentials{AccessKeyID: s3Root, SecretAccessKey: g.secrets[s3Root]}, r, hex.EncodeToString(sum[:]), "s3", S3Region, time.Now()); err != nil {
		g.bed.fail("sign a request: %v", err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		g.bed.fail("ask versitygw: %v", err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode < 200 || resp.StatusCode > 299 {
		g.bed.fail("%s %s: %s %v\n%s", method, path, resp.Status, err, said)
	}
}
