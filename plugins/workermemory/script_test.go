package workermemory

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belfry-monitoring/belfry/common/procs/proctest"
	"github.com/belfry-monitoring/belfry/testbed/script"
)

func TestMain(m *testing.M) { script.Main(m, Definition) }

// TestScripts runs command lines against recorded trees: "tree multiprocess"
// lays one out as proc.
func TestScripts(t *testing.T) {
	script.Run(t, func(e *testscript.Env) error {
		e.Setenv("BELFRY_STATE_DIR", e.WorkDir+"/state")
		return nil
	}, script.Commands{
		"tree": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Check(proctest.Lay(ts.MkAbs("proc"), args[0]))
		},
	})
}
