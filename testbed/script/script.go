// Package script runs testscript files against a plugin: a command line as a
// person types it, its exit code and its output. In the scripts "code N
// COMMAND" runs a command and wants the exit code N.
package script

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/plugin"
)

// Main is TestMain for a check's package: the check's binary becomes a command
// of the scripts.
func Main(m *testing.M, d *check.Definition) {
	testscript.Main(m, map[string]func(){d.Plugin(): func() { plugin.Main(d) }})
}

// Commands are further commands of the scripts.
type Commands map[string]func(*testscript.TestScript, bool, []string)

// Run runs the scripts in testdata/script. setup prepares each script's
// environment; both may be nil.
func Run(t *testing.T, setup func(*testscript.Env) error, commands Commands) {
	t.Helper()
	all := Commands{"code": code}
	maps.Copy(all, commands)
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: setup, Cmds: all})
}

func code(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
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
}

// WriteFiles writes files that only their owner may read into a script's
// directory.
func WriteFiles(env *testscript.Env, files map[string]string) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
