package postgresreplicationlag

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/testbed"
)

// remembering makes the looks of a test remember.
func remembering(bed *testbed.Bed, name string) func(...string) []string {
	dir := bed.MkdirFor("", name, 0o700)
	return func(args ...string) []string { return append(args, "--state-dir", dir) }
}

// TestGone: a standby without a slot that vanishes is missed for as long as
// --forget says, and not where it was said which there must be.
func TestGone(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	primary := bed.Postgres(testbed.PostgresOptions{})
	first := bed.Standby(primary, testbed.StandbyOptions{Name: "first", NoSlot: true})
	second := bed.Standby(primary, testbed.StandbyOptions{Name: "second", NoSlot: true})
	primary.Exec("CREATE TABLE filler (text text)") // so that both have heard something
	with := remembering(bed, "state")
	await(t, "both there", with(), list(primary), check.OK, " is primary, 2 standbys")
	second.Stop()
	await(t, "second gone", with(), list(primary), check.Warning, address(primary)+": standby second, last seen at ", "not connected any more: say --standbys or --standby")
	expect(t, "expected one", with("--standbys", "1"), list(primary), check.OK)
	expect(t, "nothing remembered", nil, list(primary), check.OK)
	second.Start()
	await(t, "second back", with(), list(primary), check.OK, "2 standbys")

	// Connected elsewhere is not gone.
	second.Configure(map[string]string{"primary_conninfo": fmt.Sprintf("host=%s port=%d user=%s password=%s application_name=second",
		first.Host, first.Port, testbed.RoleReplicator, first.Password(testbed.RoleReplicator))})
	await(t, "moved, asked together", with(), list(primary, first), check.OK, "feeds 1 standby")
	await(t, "moved, asked alone", with(), list(primary), check.Warning, "standby second, last seen at ")
}

// TestForgotten: a planned removal is not spoken of for ever, a standby that
// comes and goes under new addresses never, and one of a name's two is missed.
func TestForgotten(t *testing.T) {
	t.Parallel()
	with := func(names ...string) *facts {
		f := answer(t, "idle/primary")
		one := f.Senders[0]
		f.Senders = nil
		for i, name := range names {
			one.Name, one.PID, one.Address = name, i, ptr(fmt.Sprintf("10.0.0.%d", i))
			f.Senders = append(f.Senders, one)
		}
		label(f.Senders)
		return f
	}
	l := remembered(expectation{standbys: unsaid, forget: 3600e9})
	l.look(t, 0, check.OK, "", with("a", "b", "b"))
	l.look(t, 60, check.Warning, "primary: 1 of 2 standbys b, last seen at 2027-01-15 08:00:00 UTC, not connected any more", with("a", "b"))
	l.look(t, 120, check.Warning, "1 of 2 standbys b, last seen at 2027-01-15 08:00:00 UTC", with("a", "b"))
	l.look(t, 3700, check.OK, "", with("a", "b"))
	l.look(t, 3760, check.Warning, "primary: standby b, last seen at ", with("a"))
	l.look(t, 3820, check.OK, "", with("b", "a"))
	// A subscriber that connects looks like a standby that does.
	s := with("b", "a", "feed")
	s.Senders[2].State, s.Senders[2].Write, s.Senders[2].Flush, s.Senders[2].Replay = ptr("startup"), nil, nil, nil
	l.look(t, 3840, check.Warning, "feed is connected (state startup)", s)
	l.look(t, 3850, check.OK, "", with("b", "a"))
	// One that ends has said how far it is, and has no slot any more.
	s = with("b", "a", "sync")
	s.Senders[2].State, s.Senders[2].Database = ptr("startup"), true
	l.look(t, 3860, check.OK, "", s)
	l.look(t, 3870, check.OK, "", with("b", "a"))
	// Another one failed: it may be connected to that.
	l.look(t, 3880, check.OK, "", with("a"), nil)
	// The primary has become a standby: its standbys are elsewhere.
	s = answer(t, "idle/standby")
	s.name, s.System = "primary", with("a").System
	l.look(t, 3940, check.OK, "", s)
	l.look(t, 4000, check.OK, "", with("a"))
}

// TestCircle: standbys that receive from each other hear each other and have
// replayed everything there is.
func TestCircle(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	other := p.bed.Standby(p.standby, testbed.StandbyOptions{Name: "other", NoSlot: true})
	expect(t, "a chain without its primary", nil, list(p.standby, other), check.OK)
	p.primary.Stop()
	p.standby.Configure(map[string]string{"primary_slot_name": "", "primary_conninfo": fmt.Sprintf("host=%s port=%d user=%s password=%s application_name=standby",
		other.Host, other.Port, testbed.RoleReplicator, other.Password(testbed.RoleReplicator))})
	await(t, "circle", nil, list(p.standby, other), check.Critical,
		"CRITICAL: "+address(p.standby)+" and "+address(other)+" receive from each other in a circle: no primary feeds them")
}

// TestReplaced: an address that leads to another cluster is said, and
// forgotten.
func TestReplaced(t *testing.T) {
	t.Parallel()
	f, other := answer(t, "idle/primary"), answer(t, "different-systems/third")
	other.name = f.name
	l := remembered(expectation{standbys: unsaid, forget: 3600e9})
	l.look(t, 0, check.OK, "", f)
	l.look(t, 60, check.Warning, "primary is another cluster than at the look of ", other)
	l.look(t, 3000, check.Warning, "primary is another cluster than at the look of ", other)
	l.look(t, 4000, check.OK, "", other)
}

// TestFailover: roles are switched, and back, while every look remembers. What
// is in order afterwards is OK at once.
func TestFailover(t *testing.T) {
	t.Parallel()
	bed := testbed.New(t)
	a := bed.Postgres(testbed.PostgresOptions{Name: "a", Config: map[string]string{"wal_retrieve_retry_interval": "200ms"}})
	a.Exec("CREATE TABLE filler (text text)")
	b := bed.Standby(a, testbed.StandbyOptions{Name: "b", NoSlot: true})
	c := bed.Standby(a, testbed.StandbyOptions{Name: "c", NoSlot: true})
	with := remembering(bed, "state")
	all := list(a, b, c)
	write(a, 100_000)
	await(t, "a is primary", with(), all, check.OK, address(a)+" is primary, 2 standbys")
	follow := func(server, primary *testbed.Postgres) {
		server.Configure(map[string]string{"primary_conninfo": fmt.Sprintf("host=%s port=%d user=%s password=%s application_name=%s",
			primary.Host, primary.Port, testbed.RoleReplicator, primary.Password(testbed.RoleReplicator), server.Name)})
	}
	old, promoted := a, b
	for range 2 {
		follow(old, promoted)
		follow(c, promoted)
		old.Stop()
		await(t, "old primary down", with(), all, check.Critical, "connect to "+address(old)+": connection refused", "!not connected any more")
		promoted.Promote()
		write(promoted, 1000)
		bed.WriteFileFor("postgres", filepath.Join(old.DataDir, "standby.signal"), "", 0o600)
		old.Start()
		await(t, "switched", with(), all, check.OK, address(promoted)+" is primary, 2 standbys", "!lag")
		old, promoted = promoted, old
	}
}

// TestParted: a standby on the old timeline after a promotion, by what looks
// have seen of where the new one began.
func TestParted(t *testing.T) {
	t.Parallel()
	p := startPair(t, nil)
	ahead := p.bed.Standby(p.primary, testbed.StandbyOptions{Name: "ahead"})
	behind := p.bed.Standby(p.primary, testbed.StandbyOptions{Name: "behind"})
	with := remembering(p.bed, "state")
	write(p.primary, 1000)
	await(t, "all follow", with(), list(p.primary, p.standby, ahead, behind), check.OK)
	behind.Exec("SELECT pg_wal_replay_pause()")
	p.standby.Promote()
	write(p.primary, 2_000_000)
	ahead.CatchUp(p.primary)
	await(t, "ahead of the switch", with("--severity", "two_primaries=ok"), list(p.standby, ahead), check.Critical,
		address(ahead)+" is on timeline 1 and cannot follow "+address(p.standby)+" on timeline 2: its log ends at ", "pg_rewind or a new copy is needed")
}

// TestReturnedBeforeItWasMissed: a standby that lost its power and is back has
// two connections until the primary ends the old one, and is no two standbys.
func TestReturnedBeforeItWasMissed(t *testing.T) {
	t.Parallel()
	with := func(ages ...float64) *facts {
		f := answer(t, "idle/primary")
		f.SenderTimeout, f.StatusInterval = 60, 10
		one := f.Senders[0]
		f.Senders = nil
		for i, age := range ages {
			one.PID, one.Age = i, ptr(age)
			f.Senders = append(f.Senders, one)
		}
		label(f.Senders)
		return f
	}
	l := remembered(expectation{standbys: unsaid, forget: 3600e9})
	l.look(t, 0, check.OK, "", with(1))
	l.look(t, 60, check.OK, "", with(31, 1))
	l.look(t, 120, check.OK, "", with(1))
	// Two of a name on one machine, both alive, are two.
	l.look(t, 180, check.OK, "", with(9, 1))
	l.look(t, 240, check.Warning, "1 of 2 standbys standby", with(1))
}

// TestForgetNothing: --forget 0 says nothing of what is gone or was replaced.
func TestForgetNothing(t *testing.T) {
	t.Parallel()
	f, other, alone := answer(t, "idle/primary"), answer(t, "different-systems/third"), answer(t, "idle/primary")
	other.name, alone.Senders, alone.Slots = f.name, alone.Senders[:0], nil
	l := remembered(expectation{standbys: unsaid})
	l.look(t, 0, check.OK, "", f)
	l.look(t, 60, check.Unknown, "say --standbys", alone)
	l.look(t, 120, check.OK, "", other)
}

// TestServiceAddress: behind one address there is another server each time.
// What the one has counted says nothing of the other.
func TestServiceAddress(t *testing.T) {
	t.Parallel()
	l := remembered(nothingSaid)
	for i, cancelled := range []float64{3, 5000, 3, 5000} {
		f := answer(t, "idle/standby")
		f.Receiver.Age, f.Receiver.Heard = ptr(1.0), ptr(true)
		f.Started = []string{"1795612047.717336", "1795612001.000001"}[i%2]
		f.Conflicts = map[string]float64{"lock": cancelled}
		l.look(t, 60*float64(i), check.OK, "", f)
	}
	l = remembered(expectation{standbys: 0})
	for i, errors := range []float64{3, 5000, 3, 5000} {
		f := answer(t, "alone-and-nothing-said/primary")
		f.Started = []string{"1795612047.717336", "1795612001.000001"}[i%2]
		f.Subscriptions = []subscription{{ID: "1", Name: "feed", label: "feed", PID: ptr(7), errors: &errors}}
		l.look(t, 60*float64(i), check.OK, "", f)
	}
}
