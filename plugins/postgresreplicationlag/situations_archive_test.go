package postgresreplicationlag

import (
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
)

// TestArchive: a standby that is fed by restore_command alone is not declared
// dead, and not fine when it gets nothing new.
func TestArchive(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	archive := bed.MkdirFor("postgres", "archive", 0o755)
	primary := bed.Postgres(testbed.PostgresOptions{Config: map[string]string{"archive_mode": "on", "archive_command": "cp %p " + archive + "/%f"}})
	standby := bed.Standby(primary, testbed.StandbyOptions{NoSlot: true, Config: map[string]string{"restore_command": "cp " + archive + "/%f %p"}})
	primary.Exec("CREATE TABLE filler (text text)")
	standby.CatchUp(primary)
	with := remembering(bed, "state")
	await(t, "streams", with(), list(standby), check.OK)
	primary.Stop()
	await(t, "lost its primary, has an archive", with(), list(standby), check.Critical, "receives nothing: it is connected to no primary")
	expect(t, "lost its primary, may", with("--archive"), list(standby), check.OK, "restores from its archive, the newest transaction replayed is ")
	primary.Start()
	await(t, "streams again", with("--archive"), list(standby), check.OK, "heard from")

	standby.Configure(map[string]string{"primary_conninfo": ""})
	standby.Stop()
	standby.Start()
	fresh := remembering(bed, "fresh")
	write(primary, 100_000)
	primary.Exec("SELECT pg_switch_wal()")
	await(t, "archive alone", fresh(), list(standby), check.Warning, "restores from its archive, it is connected to no primary: say --archive if that is meant")
	await(t, "archive alone, as meant", fresh("--archive"), list(standby), check.OK, "restores from its archive, the newest transaction replayed is ")
	write(primary, 100_000)
	primary.Exec("SELECT pg_switch_wal()")
	standby.CatchUp(primary)
	expect(t, "archive advances", fresh("--archive"), list(standby), check.OK, "restored since the look ")
	await(t, "archive stands still", fresh("--archive", "-c", "last_replay=2s"), list(standby), check.Critical, "newest commit replayed ", "0 B restored since the look ")
}

// TestDelayed: a standby that replays late on purpose is judged by what is
// beyond its delay.
func TestDelayed(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	with := remembering(p.bed, "state")
	p.standby.Configure(map[string]string{"recovery_min_apply_delay": "1h"})
	write(p.primary, 1000) // only commits wait: what comes behind one piles up
	write(p.primary, 100<<20)
	both := list(p.primary, p.standby)
	await(t, "delayed pair", with(), both, check.OK, " MiB behind")
	expect(t, "delayed, standby alone", nil, list(p.standby), check.OK)
	await(t, "delayed, primary alone", nil, list(p.primary), check.Critical, " standby: replay lag ")
	expect(t, "delayed, said", []string{"--delayed", "stand*=1h"}, list(p.primary), check.OK, " MiB behind")
	for _, v := range lookAt(t, nil, both...).Values {
		if v.Key == "lag" && (v.Warning != "3660" || v.Critical != "3900") {
			t.Errorf("limits of lag of %v = %s and %s; want 3660 and 3900: an hour more than the default", v.Labels, v.Warning, v.Critical)
		}
	}
	// Stuck behind its delay.
	p.standby.Configure(map[string]string{"recovery_min_apply_delay": "0"})
	p.standby.CatchUp(p.primary)
	await(t, "caught up", with(), both, check.OK, "0 B behind")
}
