package backup

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belfry-monitoring/belfry/common/plugin"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		Definition.Plugin(): func() { plugin.Main(Definition) },
	})
}

// Command lines as people type them, run as an unprivileged user. "code N"
// runs a command and wants the exit code N; "age FILE DURATION" makes a file
// that old; $RECORDED and $DUMPS are recordings.
func TestScripts(t *testing.T) {
	recordings, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	dumps, err := filepath.Abs("dump/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("RECORDED", recordings)
			env.Setenv("DUMPS", dumps)
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
			"age": func(ts *testscript.TestScript, _ bool, args []string) {
				age, err := time.ParseDuration(args[1])
				ts.Check(err)
				ts.Check(os.Chtimes(ts.MkAbs(args[0]), time.Time{}, time.Now().Add(-age)))
			},
			"truncate": func(ts *testscript.TestScript, _ bool, args []string) {
				size, err := strconv.ParseInt(args[1], 10, 64)
				ts.Check(err)
				ts.Check(os.Truncate(ts.MkAbs(args[0]), size))
			},
			"fifo": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o644))
			},
		},
	})
}
