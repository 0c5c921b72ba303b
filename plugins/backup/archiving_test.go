package backup

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/faultproxy"
	"github.com/belfry-monitoring/belfry/testbed/faults"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
	"github.com/belfry-monitoring/belfry/testbed/parity"
)

// archiver is a real PostgreSQL that archives into a directory.
type archiver struct {
	*testing.T
	bed     *testbed.Bed
	pg      *testbed.Postgres
	archive string
	state   string
}

func newArchiver(t *testing.T, config map[string]string) *archiver {
	bed := testbed.New(t)
	a := &archiver{T: t, bed: bed, archive: bed.MkdirFor("postgres", "archive", 0o755), state: bed.MkdirFor("", "state", 0o700)}
	lines := map[string]string{"archive_mode": "on", "archive_command": a.copies()}
	for name, value := range config {
		lines[name] = value
	}
	a.pg = bed.Postgres(testbed.PostgresOptions{Config: lines})
	return a
}

func (a *archiver) copies() string { return "cp %p " + a.archive + "/%f" }

// args are the options of a look at the archive alone, as a role.
func (a *archiver) args(role string, more ...string) []string {
	secret := a.bed.WriteFileFor("", role+".pw", a.pg.Password(role)+"\n", 0o644)
	return append([]string{"--only", "archiving", "-H", "127.0.0.1:" + strconv.Itoa(a.pg.Port), "-U", role,
		"--password-file", secret, "--insecure-permissions", "--state-dir", a.state}, more...)
}

// wants takes a look as a role and compares it.
func (a *archiver) wants(role string, state check.State, text string, more ...string) lookat.Document {
	a.Helper()
	got := lookat.Args(a.T, Definition, a.args(role, more...)...)
	a.Logf("%s %s: %s %s", role, strings.Join(more, " "), got.State, got.Text)
	if check.State(got.Exit) != state || !strings.Contains(got.Text, text) {
		a.Errorf("archiving as %s %s: %s: %s\nwant %s with %q", role, strings.Join(more, " "), got.State, got.Text, state, text)
	}
	return got
}

// fill ends the segment that is being written.
func (a *archiver) fill() {
	a.Helper()
	a.pg.Exec("SELECT txid_current()")
	a.pg.Exec("SELECT pg_switch_wal()")
}

// until waits for a condition that the server tells of itself.
func (a *archiver) until(condition string) {
	a.Helper()
	testbed.WaitFor(a, 30*time.Second, condition, func() (err error) {
		var is bool
		if a.pg.QueryRow("SELECT coalesce("+condition+", false) FROM pg_stat_archiver", &is); !is {
			err = fmt.Errorf("not yet: %s", condition)
		}
		return err
	})
}

const (
	granted = testbed.RoleMonitor // with the grant of the test below
	plain   = testbed.RolePlain
	mayList = "GRANT EXECUTE ON FUNCTION pg_ls_archive_statusdir() TO monitor"
)

// TestArchivingForReal goes through what an archiver can do wrong, with the
// right to list what waits and without it.
func TestArchivingForReal(t *testing.T) {
	t.Parallel()
	a := newArchiver(t, nil)
	a.pg.Exec(mayList)

	// Never yet: neither is OK.
	a.wants(granted, check.Warning, "nothing was ever archived and nothing waits to be: prove it by SELECT pg_switch_wal()")
	a.wants(plain, check.Unknown, "it cannot be seen whether anything waits to be archived: GRANT EXECUTE ON FUNCTION pg_ls_archive_statusdir() TO plain")

	// Idle after that: fine for ever.
	a.fill()
	a.until("archived_count >= 1")
	for _, role := range []string{granted, plain} {
		a.wants(role, check.OK, "archiving: last segment ")
	}

	// It fails.
	a.pg.Configure(map[string]string{"archive_command": "/bin/false %p"})
	a.fill()
	a.until("last_failed_time > last_archived_time")
	for _, role := range []string{granted, plain} {
		a.wants(role, check.Critical, ": archiving fails: 0000000100000000000000")
		a.wants(role, check.Critical, " ago, 1 waiting, the last success was ")
	}

	// It works again; the count of failures stays.
	a.pg.Configure(map[string]string{"archive_command": a.copies()})
	a.until("last_failed_time < last_archived_time")
	got := a.wants(granted, check.OK, "archiving: last segment ")
	if v, ok := got.Value("archive_failures", "127.0.0.1:"+strconv.Itoa(a.pg.Port)); !ok || v < 1 {
		t.Errorf("archive_failures = %v, %v; want 1 at least", v, ok)
	}

	// It hangs: nothing fails, and something waits longer and longer.
	a.pg.Configure(map[string]string{"archive_command": "sleep 600; : %p"})
	a.fill()
	testbed.WaitFor(t, 30*time.Second, "an archive_command that hangs", func() error {
		dir := filepath.Join(a.pg.DataDir, "pg_wal/archive_status")
		ready, err := filepath.Glob(dir + "/*.ready")
		if err == nil && len(ready) == 0 {
			err = os.ErrNotExist
		}
		return err
	})
	a.wants(granted, check.OK, ", 1 waiting")
	a.wants(plain, check.OK, ", 1 waiting") // the first look that sees it
	time.Sleep(1100 * time.Millisecond)
	for _, role := range []string{granted, plain} {
		a.wants(role, check.Critical, "oldest segment waits for ", "-c", "archive_waiting_since=1s")
	}
	a.wants(granted, check.Warning, "segments waiting to be archived 1 (above 0)", "-w", "archive_waiting=0")

	// The statistics are reset while it hangs: then only the list tells.
	a.pg.Exec("SELECT pg_stat_reset_shared('archiver')")
	a.wants(granted, check.Critical, "oldest segment waits for ", "-c", "archive_waiting_since=1s")
	a.wants(plain, check.Unknown, "GRANT EXECUTE ON FUNCTION pg_ls_archive_statusdir() TO plain")
	a.endSleep()

	// What archives nothing looks fresh in the statistics.
	for _, command := range []string{"/bin/true", ":", "/bin/true # cp %p /mnt/%f"} {
		a.pg.Configure(map[string]string{"archive_command": command})
		a.fill()
		a.until("archived_count >= 1")
		for _, role := range []string{granted, plain} {
			a.wants(role, check.Critical, "nothing is archived: archive_command names no segment")
		}
	}
	a.pg.Configure(map[string]string{"archive_command": ""})
	a.wants(plain, check.Critical, "no archive_command and no archive_library is set")

	// Off.
	a.pg.Configure(map[string]string{"archive_mode": "off"})
	a.pg.Stop()
	a.pg.Start()
	for _, role := range []string{granted, plain} {
		a.wants(role, check.Critical, ": archive_mode is off: no log is archived")
	}
	a.wants(plain, check.Warning, "archive_mode is off", "--severity", "archive_off=warning")
}

// endSleep ends the command that hangs, which the archiver waits for.
func (a *archiver) endSleep() {
	a.Helper()
	pid := a.pg.Backend("archiver")
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		a.Fatal(err)
	}
	for _, child := range strings.Fields(string(children)) {
		number, err := strconv.Atoi(child)
		if err == nil {
			err = syscall.Kill(number, syscall.SIGTERM)
		}
		if err != nil {
			a.Fatal(err)
		}
	}
}

// TestArchiveOfAStandby: with archive_mode on it archives nothing and need
// not; with always it is looked at like a primary.
func TestArchiveOfAStandby(t *testing.T) {
	t.Parallel()
	a := newArchiver(t, nil)
	primary := a.pg
	a.fill()
	a.until("archived_count >= 1")
	a.pg = a.bed.Standby(primary, testbed.StandbyOptions{})
	a.wants(plain, check.OK, "archiving: nothing, a standby")
	a.pg.Configure(map[string]string{"archive_mode": "always"})
	a.pg.Stop()
	a.pg.Start()
	a.wants(plain, check.Unknown, "GRANT EXECUTE ON FUNCTION pg_ls_archive_statusdir() TO plain")
	a.pg = primary
	a.pg.Exec(mayList)
	a.fill()
}

// TestArchivingBesideBackups: the parts fail alone, and the archive alone is not
// taken for a backup.
func TestArchivingBesideBackups(t *testing.T) {
	t.Parallel()
	a := newArchiver(t, nil)
	a.pg.Exec(mayList)
	a.fill()
	a.until("archived_count >= 1")
	dir := a.bed.MkdirFor("", "dumps", 0o755)
	if err := os.WriteFile(filepath.Join(dir, "zulip.sql"), dumpFile(t, "plain.sql"), 0o644); err != nil {
		t.Fatal(err)
	}
	both := func(path string, more ...string) lookat.Document {
		return lookat.Args(t, Definition, append(append(a.args(granted)[2:], "--path", path), more...)...)
	}
	for _, test := range []struct {
		got   lookat.Document
		state check.State
		text  string
	}{
		{both(dir), check.OK, "1 backup; archiving: last segment "},
		{both("/nope"), check.Critical, "/nope: no backup: it does not exist"},
		{both("/nope", "--only", "archiving"), check.OK, "archiving: last segment "},
		{both(dir, "--skip", "archiving"), check.OK, "1 backup"},
		{both(dir, "-H", "127.0.0.1:1"), check.Critical, "archiving: connect to 127.0.0.1:1: connection refused"},
		{lookat.Args(t, Definition, "--path", dir, "-U", "monitor"), check.Unknown, "--user goes with --archiving, --host or --service"},
		{lookat.With(t, t.Context(), Definition, []string{"--path", dir}, map[string]string{"PGHOST": "127.0.0.1:1", "PGUSER": "x"}), check.OK, "1 backup"},
		{lookat.Args(t, Definition, "-H", "127.0.0.1:1", "--pgbackrest-path", "/nonexistent"), check.Critical, "connection refused, 1 more problem"},
	} {
		if check.State(test.got.Exit) != test.state || !strings.Contains(test.got.Text, test.text) {
			t.Errorf("look = %s: %s; want %s with %q", test.got.State, test.got.Text, test.state, test.text)
		}
	}
}

// TestFaultsOfArchiving holds every fault of the way to the server against
// the table.
func TestFaultsOfArchiving(t *testing.T) {
	t.Parallel()
	a := newArchiver(t, nil)
	a.pg.Exec(mayList)
	a.fill()
	a.until("archived_count >= 1")
	to := func(role, secret string) func(string, int, ...string) []string {
		file := a.bed.WriteFileFor("", role+"-"+secret+".pw", secret+"\n", 0o600)
		return func(host string, port int, more ...string) []string {
			return append([]string{"--only", "archiving", "-H", host, "-p", strconv.Itoa(port), "-U", role, "--password-file", file}, more...)
		}
	}
	monitor := to(granted, a.pg.Password(granted))
	faults.Server{
		Definition: Definition,
		Upstream:   "127.0.0.1:" + strconv.Itoa(a.pg.Port),
		Args:       func(host string, port int) []string { return monitor(host, port) },
		Handshake:  faultproxy.Exchanges(4), // no TLS, who are you, SCRAM, SCRAM
		Freeze:     a.pg.Freeze,
		Thaw:       a.pg.Thaw,
		Rows: []faults.Row{
			{Name: "authentication refused", Args: to(granted, "wrong")(a.pg.Host, a.pg.Port),
				Want: faults.Want{State: check.Unknown, Reason: check.Auth, Text: `password authentication failed for user "monitor"`}},
			{Name: "permission missing", Before: func(t *testing.T) { a.pg.Exec("SELECT pg_stat_reset_shared('archiver')") },
				Args: to(plain, a.pg.Password(plain))(a.pg.Host, a.pg.Port),
				Want: faults.Want{State: check.Unknown, Reason: check.Permission, Text: "GRANT EXECUTE ON FUNCTION pg_ls_archive_statusdir() TO plain"}},
			{Name: "empty answer", Args: monitor(a.pg.Host, a.pg.Port, "-d", "nodb"),
				Want: faults.Want{State: check.Unknown, Reason: check.Config, Text: `database "nodb" does not exist`}},
		},
		Timeout: 1500 * time.Millisecond,
	}.Run(t)
}

// TestParityOfArchiving: both faces see the archive fail and recover.
func TestParityOfArchiving(t *testing.T) {
	t.Parallel()
	a := newArchiver(t, nil)
	a.pg.Exec(mayList)
	a.fill()
	a.until("archived_count >= 1")
	secret := a.bed.WriteFileFor("nobody", "parity.pw", a.pg.Password(granted)+"\n", 0o600)
	parity.Run(t, parity.Case{
		Definition: Definition,
		Options: map[string][]string{
			"host": {"127.0.0.1:" + strconv.Itoa(a.pg.Port)}, "user": {granted}, "password-file": {secret},
		},
		Only:    []string{"archiving"},
		Timeout: 3 * time.Second,
		Steps: []parity.Step{
			{Name: "archiving", Want: check.OK, Loose: true},
			{Name: "failing", Want: check.Critical, Loose: true, Do: func() {
				a.pg.Configure(map[string]string{"archive_command": "/bin/false %p"})
				a.fill()
				a.until("last_failed_time > last_archived_time")
			}},
			{Name: "stopped", Want: check.Critical, Reason: check.Dial, Do: a.pg.Stop},
		},
	})
}
