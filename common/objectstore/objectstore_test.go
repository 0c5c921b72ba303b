package objectstore

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
)

const secretKey = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"

// flagsOf are options as a command line sets them.
func flagsOf(t testing.TB, args ...string) *Options {
	t.Helper()
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	o := Flags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o
}

func credentialsFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// clientOf talks to a server that says what it says.
func clientOf(t testing.TB, endpoint string, more ...string) *Client {
	t.Helper()
	file := credentialsFile(t, "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = "+secretKey+"\n")
	s, err := flagsOf(t, append([]string{"--s3-endpoint", endpoint, "--s3-credentials-file", file}, more...)...).Store("backups")
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func list(contents string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>backups</Name>` + contents + `</ListBucketResult>`
}

const whole = `<IsTruncated>false</IsTruncated>`

func object(key string) string {
	return `<Contents><Key>` + key + `</Key><LastModified>2026-11-21T00:29:39.000Z</LastModified><Size>5</Size></Contents>`
}

func errorXML(code, more string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>` + code + `</Code><Message>What the server says.</Message>` + more + `<RequestId>4442587FB7D0A2F9</RequestId></Error>`
}

// TestAnswers goes through what servers answer to a listing instead of one.
// The documents are as Amazon's reference and versitygw have them.
func TestAnswers(t *testing.T) {
	t.Parallel()
	header := func(status int, header, body string) faultproxy.Mode {
		return faultproxy.Respond(fmt.Appendf(nil, "HTTP/1.1 %d X\r\n%s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, header, len(body), body))
	}
	xml := func(status int, body string) faultproxy.Mode { return faultproxy.HTTP(status, "application/xml", body) }
	for _, tt := range []struct {
		name   string
		mode   faultproxy.Mode
		reason check.Reason // "" for success
		text   string
	}{
		{"fine", xml(200, list(object("db/x.sql")+whole)), "", ""},
		{"empty", xml(200, list(whole)), "", ""},
		{"wrong secret", xml(403, errorXML("SignatureDoesNotMatch", "<AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId>")), check.Auth, "HTTP 403 SignatureDoesNotMatch: the secret access key is not the one of this access key ID"},
		{"unknown key", xml(403, errorXML("InvalidAccessKeyId", "")), check.Auth, "HTTP 403 InvalidAccessKeyId: the server does not know the access key ID"},
		{"old session", xml(400, errorXML("ExpiredToken", "")), check.Auth, "the session token is not valid"},
		{"denied", xml(403, errorXML("AccessDenied", "")), check.Permission, "HTTP 403 AccessDenied: the key has not the right s3:ListBucket"},
		{"denied without words", xml(403, ""), check.Permission, "HTTP 403 Forbidden: the key has not the right s3:ListBucket"},
		{"skewed", header(403, "Date: Sat, 21 Nov 2026 00:00:00 GMT", errorXML("RequestTimeTooSkewed", "")), check.Config, "the server's: set the clock"},
		{"no bucket", xml(404, errorXML("NoSuchBucket", "")), check.Config, "HTTP 404 NoSuchBucket: there is no bucket backups"},
		{"another region", header(301, "x-amz-bucket-region: eu-central-1", errorXML("PermanentRedirect", "<Endpoint>backups.s3.eu-central-1.amazonaws.com</Endpoint>")), check.Config, "the region is eu-central-1 and not us-east-1: give --s3-region eu-central-1"},
		{"another region, 400", xml(400, errorXML("AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>")), check.Config, "give --s3-region eu-west-3"},
		{"another address", xml(301, errorXML("PermanentRedirect", "<Endpoint>s3-eu.example.org</Endpoint>")), check.Config, "the bucket is reached at s3-eu.example.org"},
		{"to https", header(302, "Location: https://s3.example.org/", ""), check.Config, `sends on to "https://s3.example.org/": give that address`},
		{"console", faultproxy.HTMLPage(200), check.Unavailable, "an HTML page instead of XML (HTTP 200): is --s3-endpoint the server's own console"},
		{"HTML 403", faultproxy.HTMLPage(403), check.Unavailable, "an HTML page instead of XML (HTTP 403)"},
		{"bad gateway", faultproxy.HTMLPage(502), check.Unavailable, "HTTP 502 Bad Gateway"},
		{"slow down", xml(503, errorXML("SlowDown", "")), check.Unavailable, "HTTP 503 SlowDown: What the server says."},
		{"error after its 200", xml(200, errorXML("InternalError", "")), check.Unavailable, "InternalError"},
		{"no S3", faultproxy.HTTP(404, "text/plain", "404 page not found"), check.Data, "is there a server of S3 at --s3-endpoint?"},
		{"buckets", xml(200, `<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>`), check.Config, "give --s3-addressing path"},
		{"JSON", faultproxy.HTTP(200, "application/json", `{"status":"ok"}`), check.Data, `not the XML that was expected: there is none in it (it begins "{\"status\":\"ok\"}")`},
		{"nothing", xml(200, ""), check.Data, "an empty answer where a list of objects is due"},
		{"cut off", xml(200, list(object("db/x.sql"))[:180]), check.Data, "it ends early"},
		{"no more is known", xml(200, list(object("db/x.sql"))), check.Data, "does not say whether it is whole"},
		{"version 1", xml(200, list(object("db/x.sql")+"<IsTruncated>true</IsTruncated><NextMarker>x</NextMarker>")), check.Data, "how to go on is not said"},
		{"without end", xml(200, list(object("db/x.sql")+"<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>")), check.Data, "gives the same page again"},
		{"another bucket", xml(200, strings.Replace(list(whole), "backups", "others", 1)), check.Data, `the list is of the bucket "others"`},
		{"not asked for", xml(200, list(object("other/x.sql")+whole)), check.Data, `key "other/x.sql" was not asked for`},
		{"no time", xml(200, list(`<Contents><Key>db/x</Key><Size>1</Size></Contents>`+whole)), check.Data, "no LastModified that is a time"},
		{"no size", xml(200, list(`<Contents><Key>db/x</Key><LastModified>2026-11-21T00:29:39Z</LastModified></Contents>`+whole)), check.Data, "has no Size"},
		{"too much", faultproxy.HTTPFlood(), check.Data, "answer is larger than 4 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := clientOf(t, "http://"+faultproxy.Start(t, "", tt.mode).Addr()).List(t.Context(), "db/", "/", 0)
			switch {
			case tt.reason == "":
				if err != nil {
					t.Errorf("List() = %v; want nil", err)
				}
			case err == nil || check.ReasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), secretKey):
				t.Errorf("List() = %v (%s); want %s with %q", err, check.ReasonOf(err), tt.reason, tt.text)
			}
		})
	}
}

// TestPages: all pages are read, each with the token of the one before, and
// a list of many is given up.
func TestPages(t *testing.T) {
	t.Parallel()
	pages, endless := 3, false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 0
		if token := r.URL.Query().Get("continuation-token"); token != "" {
			if _, err := fmt.Sscanf(token, "to ken+%d", &n); err != nil {
				http.Error(w, token, http.StatusBadRequest)
				return
			}
		}
		end := whole
		if n++; n < pages || endless {
			end = fmt.Sprintf("<IsTruncated>true</IsTruncated><NextContinuationToken>to ken+%d</NextContinuationToken>", n)
		}
		fmt.Fprint(w, list(object(fmt.Sprintf("db/a+b%%2B%d", n))+`<EncodingType>url</EncodingType><CommonPrefixes><Prefix>db/d%20`+fmt.Sprint(n)+`/</Prefix></CommonPrefixes>`+end)) //nolint:errcheck // the test sees it
	}))
	defer server.Close()
	c := clientOf(t, server.URL)
	got, err := c.List(t.Context(), "db/", "/", 0)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(got.Objects[0].Key, " ", len(got.Objects), " ", got.Prefixes); text != "db/a b+1 3 [db/d 1/ db/d 2/ db/d 3/]" {
		t.Errorf("List() = %s; want three objects and their prefixes, decoded", text)
	}
	endless = true
	if _, err := c.List(t.Context(), "db/", "/", 0); err == nil || !strings.Contains(err.Error(), "more than 100000 objects or 200 pages: give a longer prefix") {
		t.Errorf("List() = %v; want that there are too many", err)
	}
}

// TestRanOut: a server that answers is not to blame for the end of a look that
// asks too much, one that falls silent is.
func TestRanOut(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for _, tt := range []struct {
		answered     int64
		waited, took time.Duration
		want         bool
	}{
		{0, 0, second, false},
		{1, second / 100, second, true},
		{1, second / 100, 3 * second, false},
		{50, 25 * second, 4 * second, true},
		{50, 25 * second, 5 * second, false},
	} {
		if got := ranOut(tt.answered, tt.waited, tt.took); got != tt.want {
			t.Errorf("ranOut(%d, %s, %s) = %v; want %v", tt.answered, tt.waited, tt.took, got, tt.want)
		}
	}
}

// TestAddresses: where a request goes, and what is refused before.
func TestAddresses(t *testing.T) {
	t.Parallel()
	file := credentialsFile(t, "")
	for _, tt := range []struct{ bucket, args, want string }{
		{"backups", "", "https://backups.s3.us-east-1.amazonaws.com"},
		{"backups", "--s3-region eu-central-1", "https://backups.s3.eu-central-1.amazonaws.com"},
		{"my.backups", "", "https://s3.us-east-1.amazonaws.com/my.backups"},
		{"backups", "--s3-addressing path", "https://s3.us-east-1.amazonaws.com/backups"},
		{"backups", "--s3-endpoint S3.example.org:443", "https://s3.example.org/backups"},
		{"backups", "--s3-endpoint http://s3.example.org:9000/gateway/", "http://s3.example.org:9000/gateway/backups"},
		{"backups", "--s3-endpoint https://s3.example.org:8443 --s3-addressing virtual", "https://backups.s3.example.org:8443"},
		{"backups", "--s3-endpoint http://127.0.0.1:9000 --s3-addressing virtual", "an address has no names below it"},
		{"backups", "--s3-endpoint http://s3.example.org/x --s3-addressing virtual", "without a path"},
		{"backups", "--s3-addressing host", "write path or virtual"},
		{"backups", "--s3-endpoint ftp://x", "neither https nor http"},
		{"backups", "--s3-endpoint https://u:p@x", "no user or password"},
		{"backups", "--s3-endpoint https://x:99999", "no port 99999"},
		{"backups", "--s3-endpoint https://x/?a", "no ? and no #"},
		{"backups", "--s3-region a/b", "is no region"},
		{"a/b", "", "is no name of a bucket"},
		{"..a", "", "is no name of a bucket"},
		{"backups", "--s3-access-key-id X", "are two sources of the same"},
	} {
		s, err := flagsOf(t, append(strings.Fields(tt.args), "--s3-credentials-file", file)...).Store(tt.bucket)
		got := fmt.Sprint(err)
		if err == nil {
			got = s.base.String() + s.prefix
		}
		if err == nil && got != tt.want || !strings.Contains(got, tt.want) {
			t.Errorf("Store(%q) with %s = %s; want %s", tt.bucket, tt.args, got, tt.want)
		}
	}
	if _, err := flagsOf(t).Store("backups"); err == nil || !strings.Contains(err.Error(), "no credentials: give --s3-credentials-file") {
		t.Errorf("Store() = %v; want that there are no credentials", err)
	}
	if _, err := flagsOf(t, "--s3-access-key-id", "X").Store("backups"); err == nil || !strings.Contains(err.Error(), "needs --s3-secret-access-key-file") {
		t.Errorf("Store() = %v; want that the secret is missing", err)
	}
}

// TestCredentials reads files as people have them.
func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ data, profile, want string }{
		{"[default]\naws_access_key_id=A\naws_secret_access_key=s+/=%x\n", "default", "A s+/=%x "},
		{"# mine\n[other]\naws_access_key_id = B\n[default]\nAWS_ACCESS_KEY_ID = A\naws_secret_access_key = s\naws_session_token = t\n", "default", "A s t"},
		{"[default]\naws_access_key_id=A\naws_secret_access_key=s\n", "backup", "no profile [backup] in it: give --s3-profile"},
		{"[default]\nrole_arn = x\n", "default", "must hold aws_access_key_id = and aws_secret_access_key ="},
		{"AKIA:secret\n", "default", "line 1: it stands before the first [section]"},
		{"[default]\naws_access_key_id=A B\naws_secret_access_key=s\n", "default", "characters that none has"},
		{"", "default", "no profile [default]"},
	} {
		c, err := parseCredentials([]byte(tt.data), tt.profile)
		got := c.KeyID + " " + c.Secret.Reveal() + " " + c.Token.Reveal()
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != tt.want || !strings.Contains(got, tt.want) || err != nil && strings.Contains(got, "secret\n") {
			t.Errorf("parseCredentials(%q, %q) = %s; want %s", tt.data, tt.profile, got, tt.want)
		}
	}
	open := credentialsFile(t, "")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readCredentials(open, "default", false); check.ReasonOf(err) != check.Permission {
		t.Errorf("readCredentials() of a file for all = %v; want a fault of permission", err)
	}
}

// TestSkew says how far the clocks are apart.
func TestSkew(t *testing.T) {
	t.Parallel()
	c := clientOf(t, "http://"+faultproxy.Start(t, "", faultproxy.HTTP(403, "application/xml",
		errorXML("RequestTimeTooSkewed", "<ServerTime>"+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+"</ServerTime>"))).Addr())
	_, err := c.List(context.Background(), "", "", 0)
	if err == nil || !strings.Contains(err.Error(), "this machine's clock is ") || !strings.Contains(err.Error(), "behind the server's: set the clock") {
		t.Errorf("List() = %v; want how far the clock is behind", err)
	}
}

// TestMayWrite: what a server that knows no such thing answers is no proof.
func TestMayWrite(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode faultproxy.Mode
		want string
	}{
		{faultproxy.HTTP(404, "application/xml", errorXML("NoSuchUpload", "")), "true <nil>"},
		{faultproxy.HTTP(403, "application/xml", errorXML("AccessDenied", "")), "false <nil>"},
		{faultproxy.HTTP(405, "application/xml", errorXML("MethodNotAllowed", "")), "HTTP 405 MethodNotAllowed"},
		{faultproxy.HTTP(404, "application/xml", errorXML("NoSuchKey", "")), "HTTP 404 NoSuchKey"},
		{faultproxy.HTTP(200, "application/xml", ""), "completes an upload that was never begun"},
		{faultproxy.HTMLPage(403), "an HTML page"},
	} {
		may, err := clientOf(t, "http://"+faultproxy.Start(t, "", tt.mode).Addr()).MayWrite(t.Context(), "db/")
		if got := fmt.Sprint(may, " ", err); !strings.Contains(got, tt.want) || err != nil && may {
			t.Errorf("MayWrite() at %v = %s; want %s", tt.mode, got, tt.want)
		}
	}
}

func TestEscape(t *testing.T) {
	t.Parallel()
	if got, want := escape("a b/ü+&=$@:~(1).sql"), "a%20b/%C3%BC%2B%26%3D%24%40%3A~%281%29.sql"; got != want {
		t.Errorf("escape() = %s; want %s", got, want)
	}
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(list(object("db/x.sql") + whole)))
	f.Add([]byte(list(object("db/x%2B") + `<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>`)))
	f.Add([]byte(errorXML("SlowDown", "")))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parsePage(body, "backups", "db/")
		if (p == nil) == (err == nil) {
			t.Fatalf("parsePage(%q) = %v, %v; want one of them", body, p, err)
		}
		if err != nil {
			return
		}
		for _, o := range p.Objects {
			if !strings.HasPrefix(o.Key, "db/") || o.Size < 0 || o.Modified.IsZero() {
				t.Errorf("parsePage(%q) has %+v; want a key below the prefix, a size and a time", body, o)
			}
		}
	})
}

func FuzzError(f *testing.F) {
	f.Add([]byte(errorXML("NoSuchBucket", "<Region>x</Region>")))
	f.Fuzz(func(t *testing.T, body []byte) {
		d := parseError(body)
		for _, text := range []string{d.Code, d.Message, d.Region, d.Endpoint} {
			if check.Clean(text) != text {
				t.Errorf("parseError(%q) has %q; want it cleaned", body, text)
			}
		}
	})
}

func FuzzCredentials(f *testing.F) {
	f.Add([]byte("[default]\naws_access_key_id=A\naws_secret_access_key=s\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCredentials(data, "default")
		if err == nil && (c.KeyID == "" || c.Secret.Empty()) {
			t.Errorf("parseCredentials(%q) = %q without an error; want both", data, c.KeyID)
		}
	})
}
