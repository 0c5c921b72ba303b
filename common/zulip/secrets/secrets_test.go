package secrets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
)

func TestRead(t *testing.T) {
	const text = "[secrets]\n# of the installer\nsecret_key = abc\nrabbitmq_password = 50%x:=y\nempty =\n"
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		path, name string
		lax        bool
		want       string
		reason     check.Reason
	}{
		{path: write("good", text, 0o640), name: RabbitMQ, want: "50%x:=y"},
		{path: write("open", text, 0o644), name: RabbitMQ, reason: check.Permission},
		{path: write("lax", text, 0o644), name: RabbitMQ, lax: true, want: "50%x:=y"},
		{path: write("other", text, 0o600), name: "redis_password", reason: check.Config},
		{path: write("empty", text, 0o600), name: "empty", reason: check.Config},
		{path: write("section", "[machine]\nrabbitmq_password = x\n", 0o600), name: RabbitMQ, reason: check.Config},
		{path: write("garbage", "hunter2 without a section\n", 0o600), name: RabbitMQ, reason: check.Config},
		{path: filepath.Join(t.TempDir(), "none"), name: RabbitMQ, reason: check.Config},
	} {
		got, err := Read(tt.path, tt.name, tt.lax)
		if got.Reveal() != tt.want || (err != nil) != (tt.reason != "") || err != nil && check.ReasonOf(err) != tt.reason {
			t.Errorf("Read(%s, %s) = %q, %v; want %q, reason %q", filepath.Base(tt.path), tt.name, got.Reveal(), err, tt.want, tt.reason)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "50%")) {
			t.Errorf("Read(%s) quotes the file: %v", filepath.Base(tt.path), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("[secrets]\nrabbitmq_password = x\n"))
	f.Add([]byte("[secrets\n=\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		secret, err := Parse(data, "f", RabbitMQ)
		if (err == nil) == secret.Empty() {
			t.Errorf("Parse(%q) = empty %t, %v; want a secret or an error", data, secret.Empty(), err)
		}
	})
}
