package icinga2_test

import (
	"crypto/md5"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/tutorial"
)

// The commands of docs/tutorials/icinga.md work, on the configuration that
// Debian ships. Places, the two ports and the waiting times are the test's;
// packages, building and the machine's services are left to it; everything
// else is run as it stands.
func TestTutorial(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/tutorials/icinga.md")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	bed := testbed.New(t)
	server := bed.Postgres(testbed.PostgresOptions{})
	plugins := filepath.Dir(bed.Build("./plugins/postgresreplicationlag/check_postgres_replication_lag"))
	config, data, passwords := bed.MkdirFor("nagios", "etc-icinga2", 0o750), bed.MkdirFor("nagios", "var-lib-icinga2", 0o750), filepath.Join(bed.Dir(), "etc-belfry")
	port := bed.Port()
	copyDebianIcinga(t, bed, config, plugins, port)

	bin := bed.MkdirFor("", "usr-local-bin", 0o755)
	script := func(name, text string) {
		bed.WriteFileFor("", filepath.Join(bin, name), "#!/bin/sh\n"+text+"\n", 0o755)
	}
	var places strings.Builder
	for name, dir := range map[string]string{"ConfigDir": config, "DataDir": data, "CacheDir": "cache", "LogDir": "log", "SpoolDir": "spool", "InitRunDir": "run"} {
		if !filepath.IsAbs(dir) {
			dir = bed.MkdirFor("nagios", "icinga2-"+dir, 0o755)
		}
		fmt.Fprintf(&places, " -D Configuration.%s=%s", name, dir)
	}
	fmt.Fprintf(&places, " -D Configuration.PidPath=%s/icinga2-run/icinga2.pid", bed.Dir())
	script("icinga2", `exec /usr/sbin/icinga2 "$@"`+places.String())
	// The arguments are -u postgres -- psql.
	script("runuser", fmt.Sprintf(`shift 4; exec %s/psql -h %s -p %d -U postgres postgres "$@"`, server.BinDir, server.SocketDir, server.Port))

	var icinga *testbed.Server
	reader := &tutorial.Reader{
		Dir: root, Env: []string{"PATH=" + bin + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + bed.Dir()},
		Replace: []string{
			"/etc/icinga2", config, "/var/lib/icinga2", data, "/etc/belfry", passwords, "/usr/local/bin", bin,
			"localhost:5665", fmt.Sprintf("localhost:%d", port),
			`host = "$address$"`, fmt.Sprintf("host = \"$address$\"\n    port = %d", server.Port),
			"check_interval = 10s", "check_interval = 1s", "retry_interval = 5s", "retry_interval = 1s", "timeout 60 ", "timeout 110 ",
		},
		Do: map[string]func(){
			"apt-get install -y icinga2 monitoring-plugins-basic postgresql curl": nil,
			"make":                     nil,
			"make install PREFIX=/usr": nil,
			"systemctl restart icinga2": func() {
				icinga = bed.Program("nagios", "icinga2", []string{filepath.Join(bin, "icinga2"), "daemon"}, nil)
			},
			"systemctl stop postgresql":  server.Stop,
			"systemctl start postgresql": server.Start,
		},
	}
	printed := reader.Run(t, tutorial.Blocks(string(text), "sh"))
	if !icinga.Running() {
		t.Errorf("Icinga has ended: %s", icinga.LogTail())
	}
	// What the page shows is what came.
	for _, shown := range tutorial.Blocks(string(text), "text") {
		for _, line := range strings.Split(strings.TrimSpace(shown.Text), "\n") {
			if want := strings.ReplaceAll(line, ":5432", fmt.Sprintf(":%d", server.Port)); !strings.Contains(printed, want) {
				t.Errorf("line %d of the tutorial shows %q; printed was\n%s", shown.Line, want, printed)
			}
		}
	}
}

// copyDebianIcinga copies the configuration as the package ships it, with the
// features that it enables. The API listens on the loopback interface, plugins
// of others are the test's, and no mail is sent.
func copyDebianIcinga(t *testing.T, bed *testbed.Bed, into, plugins string, port int) {
	t.Helper()
	const etc = "/etc/icinga2/"
	shipped, err := exec.Command("dpkg-query", "-W", "-f", "${Conffiles}", "icinga2-common", "icinga2-bin").Output()
	if err != nil {
		t.Fatalf("list the configuration that Debian ships: %v", err)
	}
	edits := strings.NewReplacer(
		`const PluginContribDir = "/usr/lib/nagios/plugins"`, fmt.Sprintf("const PluginContribDir = %q", plugins),
		"  ticket_salt = TicketSalt\n", fmt.Sprintf("  ticket_salt = TicketSalt\n  bind_host = \"127.0.0.1\"\n  bind_port = %d\n", port),
	)
	for _, line := range strings.Split(string(shipped), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[0], etc) {
			continue
		}
		text, err := os.ReadFile(fields[0])
		if err != nil {
			t.Fatalf("read the configuration that Debian ships: %v", err)
		}
		if fmt.Sprintf("%x", md5.Sum(text)) != fields[1] {
			t.Fatalf("%s is not as Debian ships it; the tutorial begins with a clean machine", fields[0])
		}
		name, mode := strings.TrimPrefix(fields[0], etc), fs.FileMode(0o640)
		if strings.HasPrefix(name, "scripts/") {
			text, mode = []byte("#!/bin/sh\n"), 0o755
		}
		for at, c := range name {
			if dir := filepath.Join(into, name[:at]); c == '/' {
				if _, err := os.Stat(dir); err != nil {
					bed.MkdirFor("nagios", strings.TrimPrefix(dir, bed.Dir()), 0o750)
				}
			}
		}
		bed.WriteFileFor("nagios", filepath.Join(into, name), edits.Replace(string(text)), mode)
	}
	bed.MkdirFor("nagios", filepath.Base(into)+"/features-enabled", 0o750)
	for _, feature := range []string{"checker", "mainlog", "notification"} {
		if err := os.Symlink("../features-available/"+feature+".conf", filepath.Join(into, "features-enabled", feature+".conf")); err != nil {
			t.Fatal(err)
		}
	}
}
