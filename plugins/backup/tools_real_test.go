package backup

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"

	"github.com/belfry-monitoring/belfry/common/check"
)

// keeper is the user whose repositories they are.
const keeper = "backup"

// archives is a directory with repositories of a tool, and the plugin.
type archives struct {
	*stage
	dir, data, password string
	env                 []string
}

func newArchives(t *testing.T, tool string) *archives {
	t.Helper()
	bed := testbed.New(t)
	a := &archives{stage: &stage{T: t, bed: bed, plugin: bed.Build("./plugins/backup/check_backup")}}
	a.dir = bed.MkdirFor(keeper, tool, 0o755)
	a.data = bed.MkdirFor(keeper, tool+"/data", 0o755)
	bed.WriteFileFor(keeper, tool+"/data/file", strings.Repeat("x", 10000), 0o644)
	a.password = bed.WriteFileFor(keeper, tool+"/password", "correct horse\n", 0o600)
	a.env = []string{
		"PATH=/usr/bin:/bin", "HOME=" + a.dir, "LC_ALL=C", "TZ=Asia/Tokyo", // of the writer, and no matter
		"RESTIC_PASSWORD_FILE=" + a.password, "BORG_PASSCOMMAND=cat " + a.password, "BORG_BASE_DIR=" + a.dir,
	}
	return a
}

// run runs the tool as the keeper, which must succeed.
func (a *archives) run(argv ...string) string {
	a.Helper()
	got := testbed.RunAs(a, keeper, argv, a.env)
	if got.Exit != 0 {
		a.Fatalf("%s: exit code %d\n%s%s", strings.Join(argv, " "), got.Exit, got.Stdout, got.Stderr)
	}
	return got.Stdout
}

// killed starts a tool that reads what never ends, waits until it is as far
// as asked and kills it hard.
func (a *archives) killed(far func() bool, meanwhile func(), argv ...string) {
	a.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	line := append([]string{"/usr/bin/setpriv", "--reuid", keeper, "--regid", keeper, "--clear-groups"}, argv...)
	if os.Geteuid() != 0 {
		line = argv
	}
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env, cmd.Dir = a.env, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		a.Fatal(err)
	}
	if _, err := stdin.Write([]byte(strings.Repeat("y", 4096))); err != nil {
		a.Error(err)
	}
	for !far() && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
	}
	meanwhile()
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		a.Error(err)
	}
	stdin.Close()
	if err := cmd.Wait(); err == nil || ctx.Err() != nil {
		a.Errorf("%s ended by itself or never began (%v)", strings.Join(argv, " "), err)
	}
}

// names lists a directory, to see that a look left nothing.
func (a *archives) names(dir string) string {
	a.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		a.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func (a *archives) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

// TestResticForReal goes through the life of a repository of restic.
func TestResticForReal(t *testing.T) {
	t.Parallel()
	a := newArchives(t, "restic")
	repo := filepath.Join(a.dir, "repo")
	tool := func(args ...string) []string { return append([]string{"/usr/bin/restic", "-r", repo}, args...) }
	look := []string{"--restic-repo", repo, "--restic-password-file", a.password}
	with := func(more ...string) []string { return append(append([]string(nil), look...), more...) }

	a.wants(keeper, check.Critical, repo+": there is no repository: moved away or not mounted", look...)
	a.run(tool("init")...)
	a.wants(keeper, check.Critical, repo+": no backup: the repository has no snapshot", look...)
	a.run(tool("backup", "--host", "db1", a.data)...)
	a.run(tool("backup", "--host", "db2", "--time", "2026-01-02 03:04:05", a.data)...)
	a.wants(keeper, check.Critical, "db2:"+a.data+": last good backup's age ", look...)
	a.wants(keeper, check.OK, "db1:"+a.data+": last backup ", with("--ignore", "db2:*")...)
	a.wants(keeper, check.OK, ": last backup ", with("--restic-group-by", "paths")...)
	a.wants(keeper, check.Critical, "uploads: no backup: no set matches \"*:/uploads\"; there are db1:", with("--ignore", "db2:*", "--content", "uploads=*:/uploads")...)
	a.wants(keeper, check.Warning, "this machine can write or delete it: it lies on a file system of this machine", with("--ignore", "db2:*", "--expect-offsite", "*")...)
	look = with("--ignore", "db2:*")

	// Being made, killed, and the lock that it leaves.
	locks := filepath.Join(repo, "locks")
	a.killed(func() bool { return a.names(locks) != "" }, func() {
		a.wants(keeper, check.OK, "db1:"+a.data+": last backup ", look...)
	}, tool("backup", "--host", "db1", "--stdin")...)
	left := a.names(locks)
	a.wants(keeper, check.OK, ", 1 backup", look...)
	if got := a.names(locks); got != left || left == "" {
		t.Errorf("locks after a look: %q; want those of before, %q", got, left)
	}

	// Another user, who may not read, and then may.
	password := a.bed.WriteFileFor("nobody", "password", "correct horse\n", 0o600)
	theirs := []string{"--restic-repo", repo, "--restic-password-file", password, "--ignore", "db2:*"}
	a.wants("nobody", check.Unknown, "permission denied (user nobody; "+repo+" is backup:backup 0700: let the user's group read it, or use --restic-json-file)", theirs...)
	a.wants("nobody", check.Unknown, a.password+": permission denied (user nobody; ", look...)
	list := a.bed.WriteFileFor(keeper, "restic.json", a.run(tool("snapshots", "--json", "--no-lock")...), 0o644)
	a.wants("nobody", check.OK, "db1:"+a.data+": last backup ", "--restic-json-file", list, "--ignore", "db2:*")
	a.run("/bin/chmod", "-R", "go+rX", repo)
	a.wants("nobody", check.OK, "db1:"+a.data+": last backup ", theirs...)
	env := a.bed.WriteFileFor("nobody", "env", "RESTIC_PASSWORD_FILE="+password+"\n", 0o600)
	a.wants("nobody", check.OK, "db1:"+a.data+": last backup ", "--restic-repo", repo, "--restic-env-file", env, "--ignore", "db2:*")

	// Passwords.
	open := a.bed.WriteFileFor("nobody", "open", "correct horse\n", 0o644)
	a.wants("nobody", check.Unknown, "lets others read or write it", "--restic-repo", repo, "--restic-password-file", open)
	wrong := a.bed.WriteFileFor(keeper, "wrong", "wrong horse\n", 0o600)
	a.wants(keeper, check.Unknown, "wrong password", "--restic-repo", repo, "--restic-password-file", wrong)
	a.wants(keeper, check.Unknown, "no password: give --restic-password-file", "--restic-repo", repo)

	// A snapshot that cannot be read: restic leaves it out and ends well.
	a.run(tool("backup", "--host", "db3", a.data)...)
	newest := ""
	var at time.Time
	for name := range strings.SplitSeq(a.names(filepath.Join(repo, "snapshots")), " ") {
		info, err := os.Stat(filepath.Join(repo, "snapshots", name))
		a.must(err)
		if info.ModTime().After(at) {
			newest, at = filepath.Join(repo, "snapshots", name), info.ModTime()
		}
	}
	a.must(os.Chmod(newest, 0o600))
	a.must(os.WriteFile(newest, []byte("garbage"), 0o600))
	a.wants(keeper, check.Critical, repo+": restic says: could not load snapshot ", look...)

	a.must(os.Rename(repo, repo+".away"))
	a.wants(keeper, check.Critical, repo+": there is no repository: moved away or not mounted", look...)
	a.wants(keeper, check.Critical, "connection refused", "--restic-repo", "rest:http://user:secret@127.0.0.1:1/", "--restic-password-file", a.password)
	got := testbed.RunAs(t, keeper, []string{a.plugin, "--restic-repo", "rest:http://user:secret@127.0.0.1:1/", "--restic-password-file", a.password, "-vvv"}, nil)
	if strings.Contains(got.Stdout, "secret") {
		t.Errorf("the password of a repository's address is told: %s", got.Stdout)
	}
}

// TestBorgForReal goes through the life of a repository of Borg.
func TestBorgForReal(t *testing.T) {
	t.Parallel()
	a := newArchives(t, "borg")
	repo := filepath.Join(a.dir, "repo")
	tool := func(args ...string) []string { return append([]string{"/usr/bin/borg"}, args...) }
	look := []string{"--borg-repo", repo, "--borg-passphrase-file", a.password}
	with := func(more ...string) []string { return append(append([]string(nil), look...), more...) }

	a.wants(keeper, check.Critical, repo+": there is no repository: moved away or not mounted", look...)
	a.run(tool("init", "-e", "repokey", repo)...)
	a.wants(keeper, check.Critical, repo+": no backup: the repository has no archive", look...)
	a.run(tool("create", repo+"::db1-{now}", a.data)...)
	host, err := os.Hostname()
	a.must(err)
	a.wants(keeper, check.OK, host+":db1: last backup ", look...)
	a.run(tool("create", "--timestamp", "2026-01-02T03:04:05", repo+"::db2-2026-01-02", a.data)...)
	a.wants(keeper, check.Critical, host+":db2: last good backup's age ", look...)
	look = with("--ignore", "*:db2")
	a.wants(keeper, check.OK, host+":db1: last backup ", look...)

	// Being made: a checkpoint each second. It holds the lock, which the look
	// passes by.
	a.killed(func() bool {
		got := testbed.RunAs(t, keeper, append([]string{a.plugin}, look...), nil)
		return strings.Contains(got.Stdout, "another is being made")
	}, func() {
		a.wants(keeper, check.OK, "another is being made", look...)
	}, "/bin/sh", "-c", `while sleep 0.2; do head -c 500000 /dev/urandom; done | exec borg create -c 1 --chunker-params 10,16,13,4095 "$0" -`, repo+"::db1-2099")
	a.wants(keeper, check.OK, "another is being made", look...)
	left := a.names(repo)
	if !strings.Contains(left, "lock.exclusive") {
		t.Errorf("the repository is not locked: %s", left)
	}
	a.wants(keeper, check.OK, host+":db1: last backup ", look...)
	if got := a.names(repo); got != left {
		t.Errorf("the repository after a look has %s; want %s", got, left)
	}
	a.run(tool("break-lock", repo)...)

	password := a.bed.WriteFileFor("nobody", "password", "correct horse\n", 0o600)
	theirs := []string{"--borg-repo", repo, "--borg-passphrase-file", password, "--ignore", "*:db2"}
	a.run("/bin/chmod", "-R", "go-rwx", repo)
	a.wants("nobody", check.Unknown, "permission denied (user nobody; "+repo+" is backup:backup 0700: let the user's group read it, or use --borg-json-file): exit code 2: PermissionError: ", theirs...)
	for _, command := range []string{"list", "info"} {
		args := []string{command, "--json", repo}
		if command == "info" {
			args = append(args, "--glob-archives", "db1*")
		}
		list := a.bed.WriteFileFor(keeper, command+".json", a.run(tool(args...)...), 0o644)
		a.wants("nobody", check.OK, "db1: last backup ", "--borg-json-file", list, "--borg-timezone", "Asia/Tokyo", "--ignore", "db2")
		a.wants("nobody", check.Unknown, "in the future", "--borg-json-file", list, "--borg-timezone", "UTC", "--ignore", "db2")
	}
	a.run("/bin/chmod", "-R", "go+rX", repo)
	a.wants("nobody", check.OK, host+":db1: last backup ", theirs...)

	wrong := a.bed.WriteFileFor(keeper, "wrong", "wrong horse\n", 0o600)
	a.wants(keeper, check.Unknown, "wrong passphrase", "--borg-repo", repo, "--borg-passphrase-file", wrong)
	a.wants(keeper, check.Unknown, "no passphrase: give --borg-passphrase-file", "--borg-repo", repo)
	plain := filepath.Join(a.dir, "plain")
	a.run(tool("init", "-e", "none", plain)...)
	a.wants(keeper, check.Critical, plain+": no backup: the repository has no archive", "--borg-repo", plain)

	a.must(os.Truncate(filepath.Join(plain, "config"), 0))
	a.wants(keeper, check.Critical, plain+": it is no repository of Borg", "--borg-repo", plain)
	a.must(os.Rename(repo, repo+".away"))
	a.wants(keeper, check.Critical, repo+": there is no repository: moved away or not mounted", look...)
	a.wants(keeper, check.Critical, "list the archives of ssh://nobody@127.0.0.1:1/x with /usr/bin/borg: ", "--borg-repo", "ssh://nobody@127.0.0.1:1/x", "--borg-passphrase-file", a.password)
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "belfry-borg-*")); len(left) > 0 {
		t.Logf("directories of looks at this moment: %q", left)
	}
}

// TestBarmanForReal makes backups of a real PostgreSQL with Barman.
func TestBarmanForReal(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	pg := bed.Postgres(testbed.PostgresOptions{})
	s := &stage{T: t, bed: bed, pg: pg, plugin: bed.Build("./plugins/backup/check_backup")}
	account, port := "postgres", strconv.Itoa(pg.Port)
	home := bed.MkdirFor(account, "barman", 0o755)
	incoming := filepath.Join(home, "main", "incoming")
	config := bed.WriteFileFor(account, "barman.conf", strings.Join([]string{
		"[barman]", "barman_user = " + account, "barman_home = " + home, "log_file = " + home + "/barman.log", "log_level = INFO",
		"[main]", "description = main", "backup_method = postgres", "archiver = on", "immediate_checkpoint = true",
		"path_prefix = " + pg.BinDir,
		"conninfo = host=" + pg.SocketDir + " port=" + port + " user=postgres dbname=postgres",
		"streaming_conninfo = host=" + pg.SocketDir + " port=" + port + " user=postgres dbname=postgres",
		"[other]", "description = never backed up", "backup_method = postgres", "archiver = on",
		"conninfo = host=/nonexistent user=postgres", "streaming_conninfo = host=/nonexistent user=postgres",
	}, "\n")+"\n", 0o644)
	run := func(wants int, args ...string) string {
		t.Helper()
		got := testbed.RunAs(t, account, append([]string{"/usr/bin/barman", "-c", config}, args...), []string{"PATH=/usr/bin:/bin", "HOME=" + home, "LC_ALL=C"})
		if got.Exit != wants {
			t.Fatalf("barman %s: exit code %d\n%s%s", strings.Join(args, " "), got.Exit, got.Stdout, got.Stderr)
		}
		return got.Stdout
	}
	look := []string{"--barman-config", config, "--barman-server", "main"}
	s.wants(account, check.Critical, "main: no backup: Barman lists none", look...)
	run(1, "check", "main") // makes the directories
	pg.Exec("ALTER SYSTEM SET archive_mode = on")
	pg.Exec("ALTER SYSTEM SET archive_command = 'cp %p " + incoming + "/%f'")
	pg.Stop()
	pg.Start()
	pg.Exec("SELECT pg_switch_wal()")
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if entries, _ := os.ReadDir(incoming); len(entries) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no WAL was archived")
		}
	}
	run(0, "archive-wal", "main")
	run(0, "backup", "main")
	// Until the WAL that it needs is archived, and then.
	line := run(0, "-f", "json", "list-backup", "main")
	if strings.Contains(line, "WAITING_FOR_WALS") {
		s.wants(account, check.Critical, "main: no backup: Barman lists none, one is being made", look...)
	}
	pg.Exec("SELECT pg_switch_wal()")
	for end := time.Now().Add(30 * time.Second); strings.Contains(line, "WAITING_FOR_WALS"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the backup still waits: %s", line)
		}
		run(0, "archive-wal", "main")
		line = run(0, "-f", "json", "list-backup", "main")
	}
	s.wants(account, check.OK, "main: last backup ", look...)
	s.wants(account, check.Critical, "other: no backup: Barman lists none", "--barman-config", config, "--barman-server", "all")
	s.wants(account, check.Unknown, "Barman has no such server", "--barman-config", config, "--barman-server", "nope")
	s.wants("nobody", check.Unknown, "(user nobody: use --barman-json-file)", look...)

	list := bed.WriteFileFor(account, "list.json", line, 0o644)
	s.wants("nobody", check.OK, "main: last backup ", "--barman-json-file", list)
	checks := bed.WriteFileFor(account, "check.json", run(0, "-f", "json", "check", "main"), 0o644)
	s.wants("nobody", check.OK, "main: last backup ", "--barman-json-file", list, "--barman-json-file", checks)

	// The server goes away, and the next backup fails.
	pg.Stop()
	run(1, "backup", "main")
	got := testbed.RunAs(t, account, []string{"/usr/bin/barman", "-c", config, "-f", "json", "check", "main"}, []string{"PATH=/usr/bin:/bin", "HOME=" + home})
	bed.WriteFileFor(account, checks, got.Stdout, 0o644)
	s.wants("nobody", check.Critical, "main: barman check says: FAILED: ", "--barman-json-file", list, "--barman-json-file", checks)
	s.wants(account, check.OK, "main: last backup ", look...) // it did not get as far as a backup
}
