package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/scene"
)

// backingUp is what happens to backups.
func backingUp() []situation {
	return []situation{
		{
			name: "dump missed", what: "the newest dump is two days and two hours old", compressed: "the times of the files are set back",
			do: func(d *day) { d.ageDumps(50 * time.Hour) }, undo: func(d *day) { d.ageDumps(0) },
			want: []want{critical(dumps, "last good backup's age 2 d 2 h")}, fast: true,
		},
		{
			name: "backup missed", what: "pgbackrest has made no backup for longer than allowed; then it makes one",
			compressed: "-c completed=1s instead of 49h, told to both faces by a reload, and 49h again after the backup",
			do: func(d *day) {
				d.configure(func(settings []scene.Setting) []scene.Setting {
					for i := range settings {
						if settings[i].Target == pgbackrest || settings[i].Target == list {
							settings[i].Critical = append(settings[i].Critical, "completed=1s")
						}
					}
					return settings
				})
			},
			undo: func(d *day) { d.backrest.Backup("incr"); d.configure(nil) },
			want: []want{critical(pgbackrest, "main: last good backup's age"), critical(list, "main: last good backup's age")},
		},
		{
			name: "dump cut off", what: "pg_dump is killed half-way; then a good one is made",
			compressed: "--settle 5s instead of 10 min",
			do:         cutOff, undo: func(d *day) { d.dump("zulip-2026-11-25.dump", 0) },
			want: []want{critical(dumps, `zulip-2026-11-25.dump ended .*: it ends early.*the last good one is zulip-2026-11-24`)},
		},
		{
			name: "backup cut off", what: "pgbackrest is killed half-way: the backup before it is still the last",
			do: func(d *day) {
				ctx, cancel := context.WithTimeout(context.Background(), 700*time.Millisecond)
				defer cancel()
				_ = d.backrest.Command(ctx, "backup", "--type=full").Run() // it is killed
			},
		},
		{
			name: "list stale", what: "cron does not write the list of backups any more", compressed: "-w listed=10s -c listed=20s instead of 2 h and 26 h",
			do: func(d *day) { d.jobs.noCron.Store(true) }, undo: func(d *day) { d.jobs.noCron.Store(false) },
			want: []want{critical(list, "age of the list of backups")}, passing: []want{warning(list, "age of the list of backups")},
		},
		{
			name: "clock skew", what: "the list and the newest dump are dated two hours ahead, as by a host whose clock is wrong",
			do: func(d *day) {
				d.jobs.noCron.Store(true)
				time.Sleep(time.Second) // a run of cron may be under way
				d.age(d.listFile, -2*time.Hour)
				d.age(filepath.Join(d.dumpDir, "zulip-2026-11-25.dump"), -2*time.Hour)
			},
			undo: func(d *day) {
				d.jobs.noCron.Store(false)
				d.age(filepath.Join(d.dumpDir, "zulip-2026-11-25.dump"), 0)
			},
			want: []want{unknown(list, "future"), unknown(dumps, "future")},
		},
		{
			name: "dump unreadable", what: "the newest dump is readable for its owner only (umask 077)",
			do:   func(d *day) { d.must(os.Chmod(filepath.Join(d.dumpDir, "zulip-2026-11-25.dump"), 0o600)) },
			undo: func(d *day) { d.must(os.Chmod(filepath.Join(d.dumpDir, "zulip-2026-11-25.dump"), 0o644)) },
			// The exporter runs as the owner.
			want: []want{unknown(dumps, "zulip-2026-11-25.dump: permission denied").only(plugin)},
		},
		{
			name: "disk of the dumps full", what: "the file system of the dumps gets full while pg_dump writes; room is made, a dump is made",
			compressed: "--settle 5s instead of 10 min",
			do: func(d *day) {
				d.fill(d.dumpDir)
				d.tryDump("zulip-2026-11-26.dump", time.Minute)
			},
			undo: func(d *day) {
				d.must(os.Remove(filepath.Join(d.dumpDir, ballast)))
				d.dump("zulip-2026-11-26.dump", 0)
			},
			want: []want{critical(dumps, "zulip-2026-11-26.dump ended .*(it ends early|empty).*the last good one is zulip-2026-11-25")},
		},
		{
			name: "disk of the repository full", what: "the repository's file system is full; backup and archiving fail; room is made",
			compressed: archiveWatched,
			do: func(d *day) {
				d.watchArchive()
				d.fill(d.backrest.Repo)
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				d.primary.Exec("SELECT pg_switch_wal()")
				if d.backrest.Command(ctx, "backup", "--type=incr", "--archive-timeout=2").Run() == nil {
					d.fail(os.ErrExist)
				}
			},
			undo: func(d *day) { d.must(os.Remove(filepath.Join(d.backrest.Repo, ballast))); d.configure(nil) },
			want: []want{critical(pgbackrest, "archiving fails: ")},
		},
		{
			name: "archiving fails", what: "archive_command fails, and segments pile up on the primary",
			compressed: archiveWatched,
			do: func(d *day) {
				d.watchArchive()
				d.atEnd(func() { d.configure(nil) })
				var command string
				d.primary.QueryRow("SHOW archive_command", &command)
				d.atEnd(func() { d.primary.Configure(map[string]string{"archive_command": command}) })
				d.primary.Configure(map[string]string{"archive_command": "/bin/false"})
				d.primary.Exec("INSERT INTO messages (content) VALUES ('x')")
				d.primary.Exec("SELECT pg_switch_wal()")
				d.await("archiving to fail", func() (fails bool) {
					d.primary.QueryRow("SELECT last_failed_time > last_archived_time FROM pg_stat_archiver", &fails)
					return fails
				})
			},
			undo: (*day).undoAll,
			want: []want{critical(pgbackrest, "archiving fails: ")},
		},
	}
}

// archiveWatched says what the situations of the archive add.
const archiveWatched = "--host of the primary for check_backup, told to both faces by a reload: the archive is judged in the situations of the archive"

// watchArchive has check_backup look at the archive of the log too, as the
// role of the replication check, until configure(nil).
func (d *day) watchArchive() {
	host := address(d.primary)
	d.configure(func(settings []scene.Setting) []scene.Setting {
		i := slices.IndexFunc(settings, func(s scene.Setting) bool { return s.Target == pgbackrest })
		settings[i].Options["host"], settings[i].Options["user"] = []string{host}, []string{testbed.RoleMonitor}
		settings[i].Options["password-file"] = []string{d.files[exporterAccount]["postgres"]} // both faces run as it
		return settings
	})
}

// ageDumps makes all dumps as old as if the newest had ended that long ago.
func (d *day) ageDumps(newest time.Duration) {
	files, err := filepath.Glob(filepath.Join(d.dumpDir, "*.dump"))
	d.must(err)
	for i, file := range files { // their names are in order
		d.age(file, newest+time.Duration(len(files)-1-i)*24*time.Hour)
	}
}

// tryDump has pg_dump write a dump, which may fail.
func (d *day) tryDump(name string, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_ = d.primary.Command(ctx, "pg_dump", "-Fc", "-f", filepath.Join(d.dumpDir, name), "postgres").Run() // that is the situation
}

// cutOff leaves of the newest dump what a kill of pg_dump leaves: its
// beginning.
func cutOff(d *day) {
	file := filepath.Join(d.dumpDir, "zulip-2026-11-25.dump")
	whole, err := os.ReadFile(file)
	d.must(err)
	d.must(os.WriteFile(file, whole[:len(whole)*2/3], 0o644))
}
