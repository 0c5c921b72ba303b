package sendreceivetime

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/script"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// Command lines as people type them. Each script has a server of its own;
// "server" changes how it behaves, "code N" runs a command and wants the exit
// code N.
func TestScripts(t *testing.T) {
	type key struct{}
	setup := func(env *testscript.Env) error {
		s := zulipserver.New(zulipserver.Options{})
		if err := s.Start(); err != nil {
			return err
		}
		env.Defer(func() { s.Close() }) //nolint:errcheck // the test is over
		addBots(s)
		env.Values[key{}] = s
		env.Setenv("SITE", s.URL())
		return script.WriteFiles(env, map[string]string{
			"sender.zuliprc":   s.Zuliprc(zulipserver.User{Email: sendBot, APIKey: sendKey}),
			"receiver.zuliprc": s.Zuliprc(zulipserver.User{Email: receiveBot, APIKey: receiveKey}),
			"sender.key":       sendKey + "\n",
			"receiver.key":     receiveKey + "\n",
		})
	}
	script.Run(t, setup, script.Commands{
		"server": func(ts *testscript.TestScript, _ bool, args []string) {
			s := ts.Value(key{}).(*zulipserver.Server)
			switch args[0] {
			case "drops":
				s.Set(func(k *zulipserver.Knobs) { k.DropDelivery = true })
			case "has-channel":
				if _, err := s.AddStream("tower", receiveBot); err != nil {
					ts.Fatalf("%v", err)
				}
			case "forbids-deletion":
				s.Set(func(k *zulipserver.Knobs) { k.ForbidDelete = true })
			case "is-down":
				s.Fail(zulipserver.Every, zulipserver.Page(502))
			case "is-clean":
				if m, q := len(s.Messages()), len(s.Queues()); m != 0 || q != 0 {
					ts.Fatalf("%d messages and %d queues are left; want none", m, q)
				}
			default:
				ts.Fatalf("server %s: not known", args[0])
			}
		},
	})
}

// The released binary, as a user who owns nothing but the zuliprc files.
func TestUnprivileged(t *testing.T) {
	bed := testbed.New(t)
	binary := bed.Build("./plugins/sendreceivetime/check_send_receive_time")
	s := newStage(t, zulipserver.Options{})
	sender := bed.WriteFileFor("nobody", "sender.zuliprc", s.Zuliprc(s.sender), 0o400)
	receiver := bed.WriteFileFor("nobody", "receiver.zuliprc", s.Zuliprc(s.receiver), 0o400)
	got := testbed.RunAs(t, "nobody", []string{binary, "--sender-zuliprc", sender, "--receiver-zuliprc", receiver}, nil)
	if got.Exit != 0 || !strings.HasPrefix(got.Stdout, "ZULIP SEND RECEIVE TIME OK: delivered in ") || got.Stderr != "" {
		t.Errorf("as nobody: exit %d, %q, stderr %q; want 0, delivered", got.Exit, got.Stdout, got.Stderr)
	}
}

// SIGTERM in the middle of the wait: the little time that is left is enough
// to leave nothing behind. On a machine that is busy with other tests it may
// not be, hence several tries.
func TestTerminated(t *testing.T) {
	binary := testbed.Build(t, "./plugins/sendreceivetime/check_send_receive_time")
	const tries = 5
	for n := 1; ; n++ {
		s := newStage(t, zulipserver.Options{})
		s.Set(func(k *zulipserver.Knobs) { k.DropDelivery = true })
		cmd := exec.Command(binary, s.args()...)
		var out strings.Builder
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s.awaitPoll(t)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		cmd.Wait() //nolint:errcheck // the exit code is looked at
		messages, queues := s.leftOver()
		if cmd.ProcessState.ExitCode() != 3 || !strings.HasPrefix(out.String(), "ZULIP SEND RECEIVE TIME UNKNOWN: interrupted") {
			t.Errorf("after SIGTERM: exit %d, %q; want 3, interrupted", cmd.ProcessState.ExitCode(), out.String())
		}
		if messages == 0 && queues == 0 {
			return
		}
		if n == tries {
			t.Fatalf("%d messages and %d queues are left %s after SIGTERM, %d times; want none", messages, queues, time.Since(started), tries)
		}
	}
}
