package postgresreplicationlag

import (
	"strings"
	"testing"
)

// TestSameServer: a server that is given by two addresses is no split brain
// with itself, and hides none.
func TestSameServer(t *testing.T) {
	first, again, promoted := answer(t, "split-brain/primary"), answer(t, "split-brain/primary"), answer(t, "split-brain/standby")
	again.name = "service"
	first.Started, again.Started, promoted.Started = "1795219943.123456", "1795219943.123456", "1795219944"
	r, got := judged(nothingSaid, nil, first, again)
	if want := "UNKNOWN primary and service are one and the same server: give it once"; !strings.Contains(got, want) || strings.Contains(got, "split brain") {
		t.Errorf("one server by two addresses: %s: %s; want %s", r.State, got, want)
	}
	_, got = judged(nothingSaid, nil, first, again, promoted)
	if want := "split brain: primary (timeline 1) and standby (timeline 2) are both writable"; !strings.Contains(got, want) {
		t.Errorf("split brain with one server given twice: %s; want %s", got, want)
	}
}

// TestReceiverlessTimeline: without a receiver a standby's timeline is that of
// its last restart point, which may lie before a switch that it has followed.
func TestReceiverlessTimeline(t *testing.T) {
	for _, tc := range []struct {
		checkpoint uint32
		strayed    bool
	}{{1, false}, {2, false}, {3, true}} {
		p, s := answer(t, "split-brain/standby"), answer(t, "primary-stopped/standby") // the first is a primary on timeline 2
		s.System, s.CheckpointTimeline = p.System, tc.checkpoint
		if _, got := judged(nothingSaid, nil, p, s); strings.Contains(got, "cannot follow") != tc.strayed {
			t.Errorf("restart point on timeline %d, primary on 2: %s; want strayed %v", tc.checkpoint, got, tc.strayed)
		}
	}
}

// TestCircles: who receives from whom, by what the servers say.
func TestCircles(t *testing.T) {
	node := func(name, own string, port int, host string, hostPort int, feeds ...string) *facts {
		f := answer(t, "idle/standby")
		f.name, f.Address, f.Port, f.Started = name, &own, &port, name
		f.Receiver.Host, f.Receiver.Port, f.Receiver.Age, f.Receiver.Heard = &host, &hostPort, ptr(1.0), ptr(true)
		for _, address := range feeds {
			f.Senders = append(f.Senders, sender{Name: "x" + address, Address: &address, State: ptr("streaming"), Replay: f.Replayed, label: "x" + address})
		}
		return f
	}
	const p = 5432
	for _, tc := range []struct {
		name  string
		nodes []*facts
		want  string // "" for none
	}{
		{"by address", []*facts{node("a:5432", "10.0.0.1", p, "10.0.0.2", p), node("b:5432", "10.0.0.2", p, "10.0.0.1", p)}, "a:5432 and b:5432 receive from each other"},
		{"as given", []*facts{node("a:5432", "172.17.0.1", p, "b", 5433), node("b:5433", "172.17.0.2", p, "a", p)}, "a:5432 and b:5433 receive from each other"},
		{"by another name", []*facts{node("a:5432", "10.0.0.1", p, "b.lan", p, "10.0.0.2"), node("b:5432", "10.0.0.2", p, "a.lan", p, "10.0.0.1")}, "a:5432 and b:5432 receive from each other"},
		{"three, and one that leads there", []*facts{node("d:5432", "10.0.0.4", p, "10.0.0.1", p), node("a:5432", "10.0.0.1", p, "10.0.0.2", p),
			node("b:5432", "10.0.0.2", p, "10.0.0.3", p), node("c:5432", "10.0.0.3", p, "10.0.0.1", p)}, "a:5432 and b:5432 and c:5432 receive from each other"},
		{"itself", []*facts{node("a:5432", "10.0.0.1", p, "10.0.0.1", p)}, "a:5432 receives from itself"},
		{"one chain", []*facts{node("a:5432", "10.0.0.1", p, "10.0.0.9", p, "10.0.0.2"), node("b:5432", "10.0.0.2", p, "10.0.0.1", p)}, ""},
		{"one chain by names", []*facts{node("a:5432", "10.0.0.1", p, "primary.lan", p, "10.0.0.2"), node("b:5432", "10.0.0.2", p, "a.lan", p, "10.0.0.3")}, ""},
		{"side by side", []*facts{node("a:5432", "10.0.0.1", p, "10.0.0.9", p), node("b:5432", "10.0.0.2", p, "10.0.0.9", p)}, ""},
		{"one machine", []*facts{node("127.0.0.1:1", "127.0.0.1", 1, "127.0.0.1", 9, "127.0.0.1"), node("127.0.0.1:2", "127.0.0.1", 2, "127.0.0.1", 1, "127.0.0.1")}, ""},
	} {
		_, got := judged(nothingSaid, nil, tc.nodes...)
		if strings.Contains(got, "no primary feeds") != (tc.want != "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s; want %q", tc.name, got, tc.want)
		}
	}
}

// TestTimelineSwitch: whether a standby on the old timeline can follow, by what
// looks saw of the promotion.
func TestTimelineSwitch(t *testing.T) {
	for _, tc := range []struct {
		name           string
		before         string // replayed by the later primary at the last look before
		redo, position string
		want           string
	}{
		{"past it", "0/3000", "0/3100", "0/3200", " on timeline 2: its log ends at 0/3200, timeline 2 began at 0/3100 or before: pg_rewind or a new copy is needed"},
		{"before it", "0/3000", "0/3100", "0/2F00", " on timeline 2 as it is: its log ends at 0/2F00, timeline 2 began there or later, so that it can follow once it is connected to that primary"},
		{"between", "0/3000", "0/3100", "0/3050", " on timeline 2"},
	} {
		l := remembered(nothingSaid)
		s := answer(t, "followed/cascade") // a standby of that system
		p, other := answer(t, "split-brain/standby"), answer(t, "strayed-standby/third")
		s.name, s.System, other.System = p.name, p.System, p.System
		s.Receiver.Timeline = ptr(uint32(1))
		s.Replayed, s.Received, s.Receiver.End = lsn(t, tc.before), lsn(t, tc.before), lsn(t, tc.before)
		l.run(0, s)
		p.CheckpointTimeline, p.Redo, p.Written = 2, lsn(t, tc.redo), lsn(t, "0/4000")
		other.Replayed, other.Received, other.Receiver.End = lsn(t, tc.position), lsn(t, tc.position), lsn(t, tc.position)
		r := l.run(60, p, other)
		found := false
		for _, row := range r.Rows {
			found = found || row.Key == differentTimelines.Key && strings.HasSuffix(row.Text, tc.want)
		}
		if !found {
			t.Errorf("%s: %v; want a row that ends with %q", tc.name, r.Rows, tc.want)
		}
	}
}
