package testbed

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestWorker(t *testing.T) {
	t.Parallel()
	bed := New(t)
	w := bed.Worker(WorkerOptions{Name: "missedmessage", Argv: ZulipWorker("missedmessage_emails"), MiB: 50})
	kib, err := residentKiB(w.PID())
	if err != nil || kib < 50<<10 || kib > 60<<10 {
		t.Errorf("resident memory = %d KiB, %v; want 50 to 60 MiB", kib, err)
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.PID()))
	if got, want := string(cmdline), strings.Join(ZulipWorker("missedmessage_emails"), "\x00")+"\x00"; got != want || err != nil {
		t.Errorf("command line = %q, %v; want %q", got, err, want)
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", w.PID()))
	if string(comm) != "python3\n" || err != nil {
		t.Errorf("command = %q, %v; want python3", comm, err)
	}
	w.Stop()
}
