package cronfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/safefile"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
	"github.com/belfry-monitoring/belfry/testbed/parity"
)

func TestParity(t *testing.T) {
	bed := testbed.New(t)
	dir := bed.MkdirFor("nobody", "state", 0o755)
	write := func(name string, age time.Duration, rest string) func() {
		return func() {
			line := fmt.Sprintf("%d|%s\n", time.Now().Add(-age).Unix(), rest)
			if err := safefile.Replace(filepath.Join(dir, name), []byte(line), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	fine := func() { write("one", 0, "0|ok|fine")(); write("two", 0, "0|OK|fine|still")() }
	parity.Run(t, parity.Case{
		Definition: Definition,
		Options:    map[string][]string{"file": {dir}, "expect": {"one", "two"}, "forget": {"0s"}},
		// The machine that decides may be slow; only what is an hour old is too old.
		Critical: []string{"1h"},
		Timeout:  2 * time.Second,
		Steps: []parity.Step{
			{Name: "fine", Do: fine, Want: check.OK, Loose: true},
			{Name: "one warns", Do: write("one", 0, "1|warning|slow"), Want: check.Warning, Loose: true},
			{Name: "and the other is critical", Do: write("two", 0, "2|CRITICAL|down"), Want: check.Critical, Loose: true},
			{Name: "fine again", Do: fine, Want: check.OK, Loose: true},
			{Name: "one is stale", Do: write("one", 3*time.Hour, "0|OK|fine"), Want: check.Critical, Loose: true},
			{Name: "one is half written", Do: func() { fine(); put(t, dir, "one", "17640720") }, Want: check.Unknown, Reason: check.Data, Loose: true},
			{Name: "one is gone", Do: func() { fine(); remove(t, filepath.Join(dir, "one")) }, Want: check.Unknown, Loose: true},
			{Name: "mended", Do: fine, Want: check.OK, Loose: true},
		},
	})
}

// A file that the pattern had is spoken of when it is gone, until it is
// forgotten; without a place to remember nothing is said of it.
func TestGone(t *testing.T) {
	d, memory := place(t), t.TempDir()
	now := time.Now()
	look := func(after time.Duration, args ...string) lookat.Document {
		t.Helper()
		return lookat.At(t, func() time.Time { return now.Add(after) }, Definition, append([]string{"--file", filepath.Join(d, "*"), "-c", "48h", "--state-dir", memory}, args...)...)
	}
	said(t, d, "one", 0, "0|OK|fine")
	two := said(t, d, "two", 0, "0|OK|fine")
	if got := look(0); got.Exit != 0 {
		t.Fatalf("both there: %s %s; want OK", got.State, got.Text)
	}
	remove(t, two)
	for _, tt := range []struct {
		after time.Duration
		exit  check.State
	}{{time.Minute, check.Warning}, {2 * time.Minute, check.Warning}, {23 * time.Hour, check.Warning}, {25 * time.Hour, check.OK}, {26 * time.Hour, check.OK}} {
		if got := look(tt.after); got.Exit != int(tt.exit) || got.Found("gone") != (tt.exit == check.Warning) {
			t.Errorf("%s after it was removed: %s %s; want %s", tt.after, got.State, got.Text, tt.exit)
		}
	}
	said(t, d, "two", 0, "0|OK|fine")
	if got := look(27 * time.Hour); got.Exit != 0 || !strings.Contains(got.Text, "2 files say OK") {
		t.Errorf("there again: %s %s; want OK", got.State, got.Text)
	}
}

// A job that writes by > and not by mv is not UNKNOWN for it.
func TestWrittenMeanwhile(t *testing.T) {
	d := place(t)
	path := put(t, d, "slow", "")
	done := make(chan error, 1)
	go func() {
		line := fmt.Sprintf("%d|0|OK|fine\n", time.Now().Unix())
		time.Sleep(pause / 2)
		done <- os.WriteFile(path, []byte(line), 0o644)
	}()
	got := lookat.Args(t, Definition, "--file", path)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// On a machine that is busy the file may have come after the last try.
	if got.Exit != 0 && !strings.Contains(got.Text, "it is empty") {
		t.Errorf("%s %s; want OK", got.State, got.Text)
	}
}

// A verdict that cannot be believed does not hide the others, and none is
// worse than the worst.
func TestWorst(t *testing.T) {
	d := place(t)
	said(t, d, "a", 0, "0|OK|fine")
	put(t, d, "b", "garbage\n")
	said(t, d, "c", 0, "1|WARNING|large")
	got := lookat.Args(t, Definition, "--file", d)
	if got.Exit != 3 || !strings.Contains(got.Text, "read the verdict in "+filepath.Join(d, "b")) {
		t.Errorf("%s %s; want UNKNOWN and the file that cannot be read", got.State, got.Text)
	}
	said(t, d, "c", 0, "2|CRITICAL|down")
	if got = lookat.Args(t, Definition, "--file", d); got.Exit != 2 || !strings.Contains(got.Text, "c: down") {
		t.Errorf("%s %s; want CRITICAL and the job's text", got.State, got.Text)
	}
	if v, ok := got.Value("state", "c"); !ok || v != 2 {
		t.Errorf("state of c = %v, %v; want 2", v, ok)
	}
	if v, ok := got.Value("files"); !ok || v != 2 {
		t.Errorf("files = %v, %v; want 2", v, ok)
	}
	if got = lookat.Args(t, Definition, "--file", d, "--severity", "recorded_critical=warning"); got.Exit != 3 {
		t.Errorf("with recorded_critical=warning: exit %d; want 3 of the file that cannot be read", got.Exit)
	}
}
