package workermemory

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/common/procs/proctest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"check_worker_memory": func() { plugin.Main(Definition) }})
}

// TestScripts runs command lines against recorded trees: "tree multiprocess"
// lays one out as $WORK/proc.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("BELFRY_STATE_DIR", e.WorkDir+"/state")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"tree": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(proctest.Lay(ts.MkAbs("proc"), args[0]))
			},
		},
	})
}
