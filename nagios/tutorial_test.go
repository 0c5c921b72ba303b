package nagios_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/testbed"
)

// block is a fenced block of a page.
type block struct{ kind, text string }

// blocksOf reads the fenced blocks of a Markdown page.
func blocksOf(t *testing.T, path string) []block {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	for i, part := range strings.Split(string(text), "```") {
		if kind, body, ok := strings.Cut(part, "\n"); i%2 == 1 && ok {
			blocks = append(blocks, block{kind, body})
		}
	}
	return blocks
}

// The tutorial, as its last section says.
func TestTutorial(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	etc, state, local := bed.MkdirFor("nagios", "etc", 0o755), filepath.Join(bed.Dir(), "state"), bed.MkdirFor("nagios", "local", 0o755)
	usr := filepath.Dir(bed.Build("./plugins/cronfile/check_cron_file"))
	conf := bed.MkdirFor("nagios", "etc/conf.d", 0o755)
	options := testbed.NagiosOptions{Objects: debian(t), Macros: map[string]string{"USER1": usr}, Config: map[string]string{
		"cfg_dir": conf, "enable_notifications": "1", "interval_length": "60",
	}}
	// Debian's own services look at the machine, which is somebody else's: the host alone.
	host, _, _ := strings.Cut(options.Objects["etc-nagios4-objects-localhost.cfg"], "# SERVICE DEFINITIONS")
	options.Objects["etc-nagios4-objects-localhost.cfg"] = host
	there := func(text string, live *testbed.Nagios) string {
		words := []string{"sudo ", "", "/etc/nagios4", etc, "/usr/lib/nagios/plugins", usr, "/usr/local/bin", local, "/var/lib/nagios_state", state}
		if live != nil {
			words = append(words, "/var/lib/nagios4/status.dat", live.StatusFile, "/var/lib/nagios4/rw/nagios.cmd", live.Dir+"/command", "/var/log/nagios4/nagios.log", live.Dir+"/nagios.log")
		}
		return strings.NewReplacer(words...).Replace(text)
	}
	var live *testbed.Nagios
	run := func(script string) (string, error) {
		switch strings.TrimSpace(script) {
		case "sudo nagios4 -v /etc/nagios4/nagios.cfg":
			return "Things look okay - No serious problems were detected during the pre-flight check", bed.VerifyNagios(options)
		case "sudo systemctl restart nagios4":
			live = bed.Nagios(options)
			return "", nil
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", "umask 022\n"+there(script, live))
		cmd.Dir = ".."
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	blocks := blocksOf(t, "../docs/tutorials/nagios.md")
	ran := 0
	for i, b := range blocks {
		if b.kind != "sh" {
			continue
		}
		ran++
		var want []string
		if i+1 < len(blocks) && blocks[i+1].kind == "text" {
			want = strings.Split(strings.TrimSpace(blocks[i+1].text), "\n")
		}
		// Only what waits for Nagios is run again; the rest would do its work twice.
		try := func() error {
			out, err := run(b.text)
			for _, line := range want {
				if !strings.Contains(out, there(line, live)) {
					return fmt.Errorf("it printed %q; want %q", out, line)
				}
			}
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		}
		if live != nil && len(want) > 0 {
			testbed.WaitFor(t, patience, b.text, try)
		} else if err := try(); err != nil {
			t.Fatalf("%s\n%v", b.text, err)
		}
	}
	if ran < 10 {
		t.Errorf("ran %d blocks; is the page marked otherwise now?", ran)
	}
}
