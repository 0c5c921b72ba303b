package plugin

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
)

func counting(_ context.Context, r *check.Report) error {
	n := 0
	r.Recall(&n)
	r.Observe(total, float64(n))
	r.Remember(n + 1)
	return nil
}

func TestUsage(t *testing.T) {
	fine := func(_ context.Context, r *check.Report) error { r.Observe(total, 1); return nil }
	tests := []struct {
		args []string
		want []string
	}{
		{[]string{"-V"}, []string{"check_test "}},
		{[]string{"-h"}, []string{"Examples:\n  check_test -w 5\n", "-w, --warning", "gone (warning)", "depth{queue} in a plain number"}},
		{[]string{"--nonsense"}, []string{"TEST UNKNOWN: unknown flag: --nonsense\n", "Usage: check_test"}},
		{[]string{"-warning", "10"}, []string{"TEST UNKNOWN: unexpected argument \"10\""}},
		{[]string{"-warning"}, []string{`range "arning": "arning" is no number`}},
		{[]string{"-w", "20:10"}, []string{"start is above end"}},
		{[]string{"-t", "abc"}, []string{"write seconds or a duration"}},
		{[]string{"-t", "0"}, []string{"shorter than 100 ms"}},
		{[]string{"--timeout-state", "bad"}, []string{"is no state"}},
		{[]string{"--severity", "x=ok"}, []string{`no finding "x"; there are gone`}},
		{[]string{"--only", "three"}, []string{`no part "three"`}},
		{[]string{"--output", "xml"}, []string{"use text, json or prometheus"}},
		{[]string{"--extra-opts=x@/nonexistent/file"}, []string{"read /nonexistent/file: no such file"}},
	}
	for _, tt := range tests {
		code, out := run(t, fine, tt.args...)
		if code != 3 {
			t.Errorf("%q: exit %d; want 3", tt.args, code)
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%q: %q; want it to hold %q", tt.args, out, want)
			}
		}
		for _, line := range strings.Split(out, "\n") {
			if strings.Contains(tt.args[0], "-h") && len(line) > width {
				t.Errorf("help line of %d columns: %q; want at most %d", len(line), line, width)
			}
		}
	}
}

func TestPanicInNew(t *testing.T) {
	d := definition(nil)
	d.New = func(*pflag.FlagSet) check.Check { panic("broken | new") }
	var out strings.Builder
	code := (&Plugin{Definition: d, Stdout: &out}).Run(context.Background())
	if want := "TEST UNKNOWN: panic: broken ! new (a defect of the plugin, please report it)\n"; code != 3 || out.String() != want {
		t.Errorf("exit %d, %q; want 3, %q", code, out.String(), want)
	}
}

func TestRunIgnoresContext(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	code, out := run(t, func(context.Context, *check.Report) error { <-release; return nil }, "-t", "0.2", "--timeout-state", "2")
	if want := "TEST CRITICAL: no result within 200 ms\n"; code != 2 || out != want {
		t.Errorf("exit %d, %q; want 2, %q", code, out, want)
	}
}

func TestStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "verdict")
	if err := os.Symlink("/etc/hostname", path); err != nil {
		t.Fatal(err)
	}
	bad := func(_ context.Context, r *check.Report) error { r.Find(gone, "gone | away"); return nil }
	if code, out := run(t, bad, "--state-file", path); code != 1 {
		t.Fatalf("exit %d, %s; want 1", code, out)
	}
	got, err := os.ReadFile(path)
	if want := "1795230000|1|WARNING|gone ! away\n"; err != nil || string(got) != want {
		t.Errorf("state file %q, %v; want %q", got, err, want)
	}
	if info, _ := os.Lstat(path); info.Mode().Type() != 0 {
		t.Errorf("state file is a %v; want the symlink replaced by a file", info.Mode())
	}
	code, out := run(t, counting, "--state-file", filepath.Join(t.TempDir(), "no", "such"))
	if code != 3 || !strings.HasPrefix(out, "TEST UNKNOWN: write the state file") {
		t.Errorf("exit %d, %q; want 3 and the reason", code, out)
	}
}

func TestStateDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	value := func(args ...string) (int, float64, string) {
		code, out := run(t, counting, append([]string{"--output", "json", "--state-dir", dir}, args...)...)
		var d Document
		if err := json.Unmarshal([]byte(out), &d); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		return code, *d.Values[0].Value, d.Text
	}
	for want := range 3 {
		if code, got, text := value(); code != 0 || got != float64(want) {
			t.Errorf("look %d: exit %d, value %v, %s; want 0, %d", want, code, got, text, want)
		}
	}
	if _, got, _ := value("--target", "other"); got != 0 {
		t.Errorf("another target recalls %v; want its own baseline", got)
	}
	if _, got, _ := value("-w", "total=100"); got != 3 {
		t.Errorf("with another limit recalls %v; want 3, the same memory", got)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	if len(files) != 2 {
		t.Fatalf("state files %q; want two and no leftovers", files)
	}
	for _, f := range files {
		if err := os.WriteFile(f, []byte(`{"version":1,"at":"2026`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, got, text := value(); code != 0 || got != 0 {
		t.Errorf("corrupt memory: exit %d, value %v, %s; want a new baseline", code, got, text)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if code, _, text := value(); code != 1 || !strings.Contains(text, "lets others write it") {
		t.Errorf("directory open to others: exit %d, %q; want 1 and the mode", code, text)
	}
	os.Chmod(dir, 0o700)
	for _, f := range files {
		os.Remove(f)
		if err := os.Symlink("/etc/passwd", f); err != nil {
			t.Fatal(err)
		}
	}
	if code, got, text := value(); code != 0 || got != 0 {
		t.Errorf("symlink in place of the memory: exit %d, value %v, %s; want it not followed", code, got, text)
	}
}

// A full disk: /dev/full cannot be a directory, so the file system's own
// limit is asked for by a file size limit of the process elsewhere; here a
// directory that cannot be made stands for it.
func TestStateDirCannotBeMade(t *testing.T) {
	code, out := run(t, counting, "--state-dir", "/proc/nothing/here")
	if code != 1 || !strings.Contains(out, "TEST WARNING: this look is not kept for the next one: make /proc/nothing/here") {
		t.Errorf("exit %d, %q; want 1 and what could not be made", code, out)
	}
}

type withSecret struct {
	scripted
	password *options.Secret
	host     *string
	lists    *[]string
}

func TestSources(t *testing.T) {
	dir := t.TempDir()
	ini := filepath.Join(dir, "plugins.ini")
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(ini, "; comment\n[check_test]\nhost=inihost\npassword=ini;p#w%x\nqueue=a,b\nqueue=c\nw=total=7\n[other]\nhost = \"quoted\"\n", 0o600)
	write(filepath.Join(dir, "pw"), "filepw\n", 0o600)
	write(filepath.Join(dir, "open"), "filepw\n", 0o644)
	tests := []struct {
		name string
		args []string
		env  map[string]string
		want string // host password lists, or the error
	}{
		{"env only", nil, map[string]string{"PGHOST": "envhost", "PGPASSWORD": "envpw"}, "envhost envpw []"},
		{"empty env is none", nil, map[string]string{"PGHOST": ""}, "default []"},
		{"ini beats env", []string{"--extra-opts=@" + ini}, map[string]string{"PGHOST": "envhost", "PGPASSWORD": "envpw"}, "inihost ini;p#w%x [a,b c]"},
		{"argv beats ini", []string{"--extra-opts=@" + ini, "-H", "arghost", "--queue", "x"}, nil, "arghost ini;p#w%x [x]"},
		{"file on argv beats password in env", []string{"--password-file", filepath.Join(dir, "pw")}, map[string]string{"PGPASSWORD": "envpw"}, "default filepw []"},
		{"default file by environment", []string{"--extra-opts"}, map[string]string{"MP_CONFIG_FILE": ini}, "inihost ini;p#w%x [a,b c]"},
		{"another section", []string{"--extra-opts=other@" + ini}, nil, "quoted []"},
		{"empty means not given", []string{"-H", "", "--queue=", "--extra-opts=", "-w", "$_SERVICEWARNING$", "-t", ""}, map[string]string{"PGHOST": "envhost"}, "envhost []"},
		{"missing section", []string{"--extra-opts=none@" + ini}, nil, "no section [none]"},
		{"secret on argv", []string{"--password", "hunter2"}, nil, "can be read by every local user"},
		{"file open to others", []string{"--password-file", filepath.Join(dir, "open")}, nil, "mode 0644 lets others read"},
		{"accepted all the same", []string{"--insecure-permissions", "--password-file", filepath.Join(dir, "open")}, nil, "default filepw []"},
	}
	for _, tt := range tests {
		d := definition(nil)
		var c *withSecret
		d.New = func(fs *pflag.FlagSet) check.Check {
			c = &withSecret{password: options.SecretFlags(fs, "password", "password", "PGPASSWORD"), host: fs.StringP("host", "H", "default", "host"), lists: fs.StringArray("queue", nil, "queue")}
			options.Env(fs, "host", "PGHOST")
			c.scripted = func(_ context.Context, r *check.Report) error {
				pw, err := c.password.Read()
				if err != nil {
					return err
				}
				r.Observe(total, 1)
				r.Summarize("%s %s %v", *c.host, pw.Reveal(), *c.lists)
				return nil
			}
			return c
		}
		var out strings.Builder
		p := &Plugin{Definition: d, Name: "check_test", Args: tt.args, Stdout: &out, Env: func(k string) (string, bool) { v, ok := tt.env[k]; return v, ok }}
		p.Run(context.Background())
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: %q; want it to hold %q", tt.name, out.String(), tt.want)
		}
		if strings.Contains(out.String(), "hunter2") {
			t.Errorf("%s: the secret is printed: %q", tt.name, out.String())
		}
	}
}

func TestSignalStopsTheLook(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var out strings.Builder
	p := &Plugin{Definition: definition(func(ctx context.Context, _ *check.Report) error { cancel(); <-ctx.Done(); return ctx.Err() }), Stdout: &out}
	if code := p.Run(ctx); code != 3 || !strings.HasPrefix(out.String(), "TEST UNKNOWN: interrupted") {
		t.Errorf("exit %d, %q; want 3, interrupted", code, out.String())
	}
}
