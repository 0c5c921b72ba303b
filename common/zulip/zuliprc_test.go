package zulip

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
)

const downloaded = "[api]\nemail=send-bot@chat.example.org\nkey=yTGUoGIDkbdqRZMsYHUBCF4KFtgkFmqr\nsite=https://chat.example.org\n"

func TestParseRC(t *testing.T) {
	full := RC{Email: "send-bot@chat.example.org", Key: check.NewSecret("yTGUoGIDkbdqRZMsYHUBCF4KFtgkFmqr"), Site: "https://chat.example.org"}
	tests := []struct {
		name, text string
		want       RC
		wantErr    string
	}{
		{"as downloaded", downloaded, full, ""},
		{"CRLF, BOM, blanks, upper case, comments", "\ufeff; mine\r\n[api]\r\n# old\r\nEmail = send-bot@chat.example.org\r\nKEY= yTGUoGIDkbdqRZMsYHUBCF4KFtgkFmqr\r\nsite =https://chat.example.org\r\n", full, ""},
		{"other sections", "[bot]\nkey=no\n" + downloaded + "[later]\nemail=no\n", full, ""},
		{"TLS", downloaded + "insecure=True\ncert_bundle=/etc/ca.pem\nclient_cert=/etc/c.pem\nclient_cert_key=/etc/k.pem\n",
			RC{Email: full.Email, Key: full.Key, Site: full.Site, Insecure: true, CertBundle: "/etc/ca.pem", ClientCert: "/etc/c.pem", ClientCertKey: "/etc/k.pem"}, ""},
		{"without a site", "[api]\nemail=a@b\nkey=k#1;2%(x)s\n", RC{Email: "a@b", Key: check.NewSecret("k#1;2%(x)s")}, ""},
		{"empty", "", RC{}, "no section [api]"},
		{"no section", "email=a@b\nkey=k\n", RC{}, "before the first [section]"},
		{"no key", "[api]\nemail=a@b\n", RC{}, "must hold email= and key="},
		{"no email", "[api]\nkey=SECRETKEY\n", RC{}, "must hold email= and key="},
		{"email with a colon", "[api]\nemail=a:b@c\nkey=SECRETKEY\n", RC{}, "email must look like"},
		{"odd insecure", "[api]\nemail=a@b\nkey=SECRETKEY\ninsecure=yes\n", RC{}, "must be true or false"},
		{"no INI", "[api\nkey=SECRETKEY\n", RC{}, "not an INI file"},
	}
	for _, tt := range tests {
		got, err := ParseRC([]byte(tt.text))
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) || strings.Contains(err.Error(), "SECRETKEY") {
				t.Errorf("%s: ParseRC = %v; want an error with %q and without the key", tt.name, err, tt.wantErr)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: ParseRC: %v", tt.name, err)
			continue
		}
		if got.Key.Reveal() != tt.want.Key.Reveal() {
			t.Errorf("%s: key = %q; want %q", tt.name, got.Key.Reveal(), tt.want.Key.Reveal())
		}
		if got.Key = tt.want.Key; *got != tt.want {
			t.Errorf("%s: ParseRC = %+v; want %+v", tt.name, *got, tt.want)
		}
	}
}

func TestReadRCRefusesOpenFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zuliprc")
	for _, tt := range []struct {
		mode   os.FileMode
		lax    bool
		reason check.Reason // "" for success
	}{{0o600, false, ""}, {0o640, false, ""}, {0o644, false, check.Permission}, {0o660, false, check.Permission}, {0o644, true, ""}} {
		if err := os.WriteFile(path, []byte(downloaded), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadRC(path, tt.lax)
		if (err == nil) != (tt.reason == "") || err != nil && check.ReasonOf(err) != tt.reason {
			t.Errorf("ReadRC with mode %04o, lax %v = %v; want reason %q", tt.mode, tt.lax, err, tt.reason)
		}
	}
	if err := os.WriteFile(path, []byte("[api]\nkey=SECRETKEY\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRC(path, true); err == nil || check.ReasonOf(err) != check.Config || !strings.Contains(err.Error(), path) {
		t.Errorf("ReadRC without email = %v; want a fault with reason config that names %s", err, path)
	}
	var fault *check.Fault
	if _, err := ReadRC(path+"-gone", true); !errors.As(err, &fault) || fault.Reason != check.Config {
		t.Errorf("ReadRC of no file = %v; want a fault with reason config", err)
	}
}

func TestParseSite(t *testing.T) {
	tests := []struct{ text, want, wantErr string }{
		{"https://chat.example.org", "https://chat.example.org", ""},
		{"chat.example.org", "https://chat.example.org", ""},
		{" Chat.Example.org/ ", "https://chat.example.org", ""},
		{"https://chat.example.org:443", "https://chat.example.org", ""},
		{"https://chat.example.org:8443/zulip/", "https://chat.example.org:8443/zulip", ""},
		{"https://api.zulip.com/api", "https://api.zulip.com", ""},
		{"localhost:9991", "https://localhost:9991", ""},
		{"http://localhost:80", "http://localhost", ""},
		{"HTTP://[::1]:9991", "http://[::1]:9991", ""},
		{"ftp://x", "", "neither https nor http"},
		{"https://bot:SECRETKEY@x", "", "no user or password"},
		{"https://bot:SECRETKEY@x:http", "", "not an address"},
		{"https://", "", "names no host"},
		{"", "", "names no host"},
		{"https://chat.example.org:99999", "", "no port 99999"},
		{"https://chat.example.org:0", "", "no port 0"},
		{"https://x/?a=b", "", "no ? and no #"},
		{"https://x/#narrow", "", "no ? and no #"},
	}
	for _, tt := range tests {
		got, err := ParseSite(tt.text)
		switch {
		case tt.wantErr != "":
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) || strings.Contains(err.Error(), "SECRETKEY") {
				t.Errorf("ParseSite(%q) = %v; want an error with %q", tt.text, err, tt.wantErr)
			}
		case err != nil || got.String() != tt.want:
			t.Errorf("ParseSite(%q) = %v, %v; want %s", tt.text, got, err, tt.want)
		}
	}
}

func TestRCTLS(t *testing.T) {
	rc := RC{CertBundle: "/rc/ca", ClientCert: "/rc/cert", Insecure: true}
	if got, want := rc.TLS(dial.TLS{ServerName: "n"}), (dial.TLS{CAFile: "/rc/ca", ServerName: "n", CertFile: "/rc/cert", KeyFile: "/rc/cert", Insecure: true}); got != want {
		t.Errorf("TLS = %+v; want %+v", got, want)
	}
	options := dial.TLS{CAFile: "/o/ca", CertFile: "/o/cert", KeyFile: "/o/key"}
	rc.Insecure = false
	if got := rc.TLS(options); got != options {
		t.Errorf("TLS = %+v; want the options %+v to win", got, options)
	}
}

func FuzzParseRC(f *testing.F) {
	f.Add([]byte(downloaded))
	f.Add([]byte("[api]\nemail=a@b\nkey=\"k\nsite='x'\n[api]\nkey=`\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rc, err := ParseRC(data)
		if err == nil && (rc.Email == "" || rc.Key.Empty()) {
			t.Errorf("ParseRC(%q) gave no email or key and no error", data)
		}
	})
}

func FuzzParseSite(f *testing.F) {
	f.Add("https://chat.example.org:8443/zulip/api")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseSite(text)
		if err != nil {
			return
		}
		again, err := ParseSite(u.String())
		if err != nil || again.String() != u.String() {
			t.Errorf("ParseSite(%q) = %q, which parses as %v, %v", text, u, again, err)
		}
	})
}
