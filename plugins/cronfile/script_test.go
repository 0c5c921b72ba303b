package cronfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belfry-monitoring/belfry/testbed/script"
)

func TestMain(m *testing.M) { script.Main(m, Definition) }

// TestScripts runs command lines: "said AGE FILE REST" writes the file
// epoch|REST with the time of AGE seconds ago.
func TestScripts(t *testing.T) {
	script.Run(t, func(e *testscript.Env) error {
		e.Setenv("BELFRY_STATE_DIR", e.WorkDir+"/state")
		return os.Chmod(e.WorkDir, 0o755)
	}, script.Commands{
		"said": func(ts *testscript.TestScript, _ bool, args []string) {
			if len(args) != 3 {
				ts.Fatalf("usage: said AGE FILE REST")
			}
			age, err := strconv.Atoi(args[0])
			ts.Check(err)
			path := ts.MkAbs(args[1])
			ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
			ts.Check(os.WriteFile(path, []byte(fmt.Sprintf("%d|%s\n", time.Now().Unix()-int64(age), args[2])), 0o644))
		},
	})
}
