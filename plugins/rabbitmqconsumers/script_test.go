package rabbitmqconsumers

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belfry-monitoring/belfry/testbed"
)

// testScripts runs command lines as people type them; "code N" runs a command
// and wants the exit code N.
func testScripts(t *testing.T, broker *testbed.RabbitMQ) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PORT", strconv.Itoa(broker.ManagementPort))
			env.Setenv("PW", broker.Password(testbed.UserMonitor))
			ini := "[mq]\nhost=" + broker.Host + "\nport=" + strconv.Itoa(broker.ManagementPort) + "\nuser=monitor\npassword=" +
				broker.Password(testbed.UserMonitor) + "\n"
			for name, text := range map[string]string{"monitor.pw": broker.Password(testbed.UserMonitor) + "\n", "options.ini": ini} {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(text), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": func(ts *testscript.TestScript, _ bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				got := 0
				var exit *exec.ExitError
				if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
					got = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if got != want {
					ts.Fatalf("exit code %d; want %d", got, want)
				}
			},
		},
	})
}

// testUnprivileged runs the released binary as a user who owns nothing but
// the password file.
func testUnprivileged(t *testing.T, bed *testbed.Bed, broker *testbed.RabbitMQ) {
	binary := bed.Build("./plugins/rabbitmqconsumers/check_rabbitmq_consumers")
	secret := bed.WriteFileFor("nobody", "monitor.pw", broker.Password(testbed.UserMonitor)+"\n", 0o400)
	got := testbed.RunAs(t, "nobody", []string{binary, "-H", broker.Host, "-p", strconv.Itoa(broker.ManagementPort), "-u", "monitor", "--password-file", secret}, nil)
	if got.Exit != 0 || !strings.HasPrefix(got.Stdout, "RABBITMQ CONSUMERS OK: 2 queues, 2 consumers | queues=2 total_consumers=2 ") || got.Stderr != "" {
		t.Errorf("as nobody: exit %d, %q, stderr %q; want 0, 2 queues", got.Exit, got.Stdout, got.Stderr)
	}
}
