package testbed

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// PgBackRest is a stanza of pgBackRest on a primary of the bed, with a repository in a directory.
type PgBackRest struct {
	ConfigFile string
	Stanza     string
	Repo       string // directory of the repository, closed to other users
	Account    string // system user it must run as

	primary *Postgres
}

// PgBackRest makes a repository and the stanza "main" for the primary, which it restarts to archive into it. There is no
// backup yet.
func (b *Bed) PgBackRest(primary *Postgres) *PgBackRest {
	b.t.Helper()
	dir := b.MkdirFor(postgresAccount, primary.Name+"-pgbackrest", 0o755)
	r := &PgBackRest{
		ConfigFile: filepath.Join(dir, "pgbackrest.conf"), Stanza: "main", Repo: filepath.Join(dir, "repo"),
		Account: postgresAccount, primary: primary,
	}
	config := []string{
		"[global]",
		"repo1-path=" + b.MkdirFor(postgresAccount, filepath.Base(dir)+"/repo", 0o750),
		"log-path=" + dir, "lock-path=" + filepath.Join(dir, "lock"), "spool-path=" + dir,
		"log-level-file=off",
		// A thousand small files cost a second each way, in the repository and in compression.
		"start-fast=y", "repo1-bundle=y", "compress-type=none",
		"[" + r.Stanza + "]",
		"pg1-user=" + RoleSuperuser, "pg1-path=" + primary.DataDir, "pg1-port=" + strconv.Itoa(primary.Port), "pg1-socket-path=" + primary.SocketDir,
	}
	b.WriteFileFor(postgresAccount, r.ConfigFile, strings.Join(config, "\n")+"\n", 0o644)
	primary.Exec("ALTER SYSTEM SET archive_mode = on")
	// The server that archives, which works in its data directory, may be a standby that was promoted.
	primary.Exec("ALTER SYSTEM SET archive_command = '/usr/bin/pgbackrest --config=" + r.ConfigFile + " --stanza=" + r.Stanza + ` --pg1-path="$PWD" archive-push %p'`)
	primary.Stop()
	primary.Start()
	r.run("stanza-create")
	return r
}

// Backup makes a backup of the type "full", "diff" or "incr".
func (r *PgBackRest) Backup(kind string) {
	r.primary.bed.t.Helper()
	r.run("backup", "--type="+kind)
}

// Info is the output of pgbackrest info in JSON.
func (r *PgBackRest) Info() string {
	r.primary.bed.t.Helper()
	return r.run("info", "--output=json")
}

// Command is pgbackrest with the stanza and the configuration, ready to run as the right user.
func (r *PgBackRest) Command(ctx context.Context, args ...string) *exec.Cmd {
	b := r.primary.bed
	b.t.Helper()
	credential, err := credentialOf(r.Account)
	if err != nil {
		b.fail("%v", err)
	}
	cmd := exec.CommandContext(ctx, "/usr/bin/pgbackrest", append([]string{"--config=" + r.ConfigFile, "--stanza=" + r.Stanza}, args...)...)
	cmd.Env, cmd.Dir = b.environ(r.primary.Dir), r.primary.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential}
	return cmd
}

func (r *PgBackRest) run(args ...string) string {
	r.primary.bed.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	out, err := r.Command(ctx, args...).CombinedOutput()
	if err != nil {
		r.primary.bed.fail("pgbackrest %s: %v\n%s", strings.Join(args, " "), err, tail(string(out), 30))
	}
	return string(out)
}

// Dump writes a dump of the database db to the file, whose parent the server's user must be able to write. The name says
// the format: .sql plain, .sql.gz plain and compressed, .dump custom, .tar tar.
func (p *Postgres) Dump(db, file string) {
	p.bed.t.Helper()
	var format []string
	switch {
	case strings.HasSuffix(file, ".sql"):
		format = []string{"-Fp"}
	case strings.HasSuffix(file, ".sql.gz"):
		format = []string{"-Fp", "-Z6"}
	case strings.HasSuffix(file, ".dump"):
		format = []string{"-Fc"}
	case strings.HasSuffix(file, ".tar"):
		format = []string{"-Ft"}
	default:
		p.bed.fail("dump to %s: its name ends in no format of pg_dump: .sql, .sql.gz, .dump, .tar", file)
	}
	p.tool("pg_dump", append(format, "-f", file, db)...)
}

// DumpAll writes a dump of all databases and roles, as pg_dumpall makes it, to the file.
func (p *Postgres) DumpAll(file string) {
	p.bed.t.Helper()
	p.tool("pg_dumpall", "-f", file)
}
