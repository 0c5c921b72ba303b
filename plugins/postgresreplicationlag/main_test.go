package postgresreplicationlag

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/parity"
	"github.com/belfry-monitoring/belfry/testbed/script"
)

func TestMain(m *testing.M) {
	// Most tests wait for the servers' own timeouts and need no processor.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	script.Main(m, Definition)
}

// TestScripts runs command lines as people type them.
func TestScripts(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	password := p.primary.Password(testbed.RoleMonitor)
	passfile := "127.0.0.1:*:*:monitor:" + password + "\n"
	script.Run(t, func(env *testscript.Env) error {
		env.Setenv("PRIMARY", address(p.primary))
		env.Setenv("PRIMARY_PORT", strconv.Itoa(p.primary.Port))
		env.Setenv("STANDBY", address(p.standby))
		env.Setenv("SOCKET", p.primary.SocketDir+":"+strconv.Itoa(p.primary.Port))
		env.Setenv("PW", password)
		return errors.Join(os.Mkdir(filepath.Join(env.WorkDir, "home"), 0o700), script.WriteFiles(env, map[string]string{
			"monitor.pw": password + "\n", "pgpass": passfile, "home/.pgpass": passfile,
			"uri":         "postgresql://monitor:" + password + "@" + address(p.primary) + "," + address(p.standby) + "/postgres\n",
			"services":    "[prod]\nhost=" + address(p.primary) + "\nuser=monitor\n",
			"options.ini": "[pg]\nhost=" + address(p.primary) + "\nhost=" + address(p.standby) + "\nuser=monitor\npassword=" + password + "\nstandbys=1\n",
		}))
	}, nil)
}

// TestUnprivileged runs the released binary as a user who owns nothing but
// the password file.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	primary := bed.Postgres(testbed.PostgresOptions{})
	binary := bed.Build("./plugins/postgresreplicationlag/check_postgres_replication_lag")
	secret := bed.WriteFileFor("nobody", "monitor.pw", primary.Password(testbed.RoleMonitor)+"\n", 0o400)
	got := testbed.RunAs(t, "nobody", []string{binary, "-H", address(primary), "-U", testbed.RoleMonitor, "--password-file", secret, "--standbys", "0"}, nil)
	if want := "POSTGRES REPLICATION LAG OK: " + address(primary) + " is primary and stands alone, as expected | "; got.Exit != 0 || !strings.HasPrefix(got.Stdout, want) || got.Stderr != "" {
		t.Errorf("as nobody: exit %d, %q, stderr %q; want 0, %q", got.Exit, got.Stdout, got.Stderr, want)
	}
}

// TestParity: both faces say the same of a pair in good and bad health.
func TestParity(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	in := func(sql string) func() { return func() { p.primary.Exec(sql) } }
	parity.Run(t, parity.Case{
		Definition: Definition,
		Options: map[string][]string{
			"host": {address(p.primary), address(p.standby)}, "user": {testbed.RoleMonitor}, "standbys": {"1"}, "standby": {"standby"},
			"password-file": {p.bed.WriteFileFor("nobody", "monitor.pw", p.primary.Password(testbed.RoleMonitor)+"\n", 0o400)},
		},
		Warning: []string{"replay_lag=10MiB"},
		Timeout: 2 * time.Second,
		Steps: []parity.Step{
			{Name: "good", Want: check.OK, Loose: true},
			{Name: "paused", Do: func() { p.standby.Exec("SELECT pg_wal_replay_pause()"); write(p.primary, 100_000) }, Want: check.Warning, Loose: true},
			{Name: "resumed", Do: func() { p.standby.Exec("SELECT pg_wal_replay_resume()") }, Want: check.OK, Loose: true},
			{Name: "grant revoked", Do: func() { p.primary.Exec("REVOKE pg_read_all_stats FROM monitor") }, Want: check.Unknown, Reason: check.Permission, Loose: true},
			{Name: "granted again", Do: func() { p.primary.Exec("GRANT pg_read_all_stats TO monitor") }, Want: check.OK, Loose: true},
			{Name: "subscription disabled", Do: in("CREATE SUBSCRIPTION feed CONNECTION 'host=127.0.0.1 port=1' PUBLICATION feed WITH (connect = false)"), Want: check.Warning, Loose: true},
			{Name: "subscription dropped", Do: in("ALTER SUBSCRIPTION feed SET (slot_name = NONE); DROP SUBSCRIPTION feed"), Want: check.OK, Loose: true},
			{Name: "promoted", Do: p.standby.Promote, Want: check.Critical},
			{Name: "killed", Do: p.primary.Kill, Want: check.Critical, Reason: check.Dial},
		},
	})
}
