package backup

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belfry-monitoring/belfry/testbed/script"
)

func TestMain(m *testing.M) { script.Main(m, Definition) }

// Command lines as people type them. "age FILE DURATION" makes a file that
// old, "truncate FILE SIZE" cuts it off; $RECORDED and $DUMPS are recordings.
func TestScripts(t *testing.T) {
	recordings, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	dumps, err := filepath.Abs("dump/testdata")
	if err != nil {
		t.Fatal(err)
	}
	script.Run(t, func(env *testscript.Env) error {
		env.Setenv("RECORDED", recordings)
		env.Setenv("DUMPS", dumps)
		return nil
	}, script.Commands{
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
	})
}
