package zulipserver

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// zulipJS installs npm's official client, in the version of the lock file, into
// a directory of the test, and returns the directory.
func zulipJS(ctx context.Context, t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v; this test needs node and npm: run testbed/install.sh test, or apt-get install nodejs npm", err)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "exchange.js"} {
		content, err := os.ReadFile(filepath.Join("zulipjs", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(ctx, t, dir, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--loglevel=error")
	return dir
}

// run returns what a tool prints.
func run(ctx context.Context, t *testing.T, dir, tool string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir, cmd.WaitDelay = dir, 5*time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v = %v\n%s%s", cmd.Args, err, out, stderr.Bytes())
	}
	return out
}

// The official client works against the stand-in unchanged.
func TestZulipJS(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	dir := zulipJS(ctx, t)
	for _, oldFormats := range []bool{false, true} {
		w := newWorld(t, Options{OldFormats: oldFormats})
		w.Set(func(k *Knobs) {
			k.HeartbeatInterval, k.HeartbeatJitter, k.DeliveryDelay = 100*time.Millisecond, 0, 2*time.Second // node may be slow
		})
		files := map[string]User{"sender": w.sender, "receiver": w.receiver}
		for name, u := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(w.Zuliprc(u)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var got struct {
			Version, Receiver, From, Afterwards string
			Arrived                             bool
			Heartbeats, History                 int
		}
		out := run(ctx, t, dir, "node", "exchange.js", "sender", "receiver")
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("exchange.js = %s: %v", out, err)
		}
		if got.Version != w.opts.Version || got.Receiver != w.receiver.Email || got.From != w.sender.Email || !got.Arrived || got.History != 1 {
			t.Errorf("exchange.js with old formats %v = %s; want the message", oldFormats, out)
		}
		if got.Heartbeats == 0 {
			t.Errorf("exchange.js with old formats %v = %s; want heartbeats before the message", oldFormats, out)
		}
		if want := map[bool]string{false: "BAD_EVENT_QUEUE_ID", true: ""}[oldFormats]; got.Afterwards != want {
			t.Errorf("exchange.js with old formats %v: events after deregistration = %q; want %q", oldFormats, got.Afterwards, want)
		}
		if queues, messages := w.Queues(), w.Messages(); len(queues) != 0 || len(messages) != 0 {
			t.Errorf("left behind with old formats %v: %v, %v; want nothing", oldFormats, queues, messages)
		}
	}
}

// The lock file names no server: npm asks the one it is configured for.
func TestLockFileNamesNoServer(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("zulipjs", "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content, []byte(`"resolved"`)) {
		t.Error(`package-lock.json has "resolved"; want none: npm install --package-lock-only --omit-lockfile-registry-resolved`)
	}
}
