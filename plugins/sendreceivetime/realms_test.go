package sendreceivetime

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/testbed/zulipserver"
)

// realmArg is the value of --realm for a stage.
func (s *stage) realmArg(name string) string { return name + "=" + s.senderRC + "," + s.receiverRC }

// each returns a row of every realm that is named at its beginning.
func rowOf(d plugin.Document, realm string) (state, text string) {
	for _, r := range d.Rows {
		if rest, ok := strings.CutPrefix(r.Text, realm+": "); ok {
			return r.State, rest
		}
	}
	return "", ""
}

func endToEndOf(d plugin.Document, realm string) bool {
	for _, v := range d.Values {
		if v.Key == "end_to_end" && v.Labels["realm"] == realm {
			return true
		}
	}
	return false
}

// One realm in trouble hides neither the others' values nor their trouble.
func TestRealms(t *testing.T) {
	drop := set(func(k *zulipserver.Knobs) { k.DropDelivery = true })
	down := fail(zulipserver.Every, zulipserver.Page(502))
	hang := fail(zulipserver.Register, zulipserver.Hang())
	key := func(s *stage) { edit(s, s.sender, func(u *zulipserver.User) { u.APIKey = strings.Repeat("0", 32) }) }
	slow := set(func(k *zulipserver.Knobs) { k.DeliveryDelay = 600 * time.Millisecond })
	tests := []struct {
		name    string
		prepare [3]func(*stage) // of the realms a, b and c
		args    []string
		state   string
		reason  string
		rows    [3]string // beginning of the realm's own row: STATE text; empty: none, or the value's
		text    string
	}{
		{name: "healthy", state: "OK", text: "delivered in 3 realms, slowest "},
		{name: "one is down", prepare: [3]func(*stage){nil, down, nil}, state: "CRITICAL", reason: "unavailable",
			rows: [3]string{"", "CRITICAL register an event queue at 127.0.0.1:"}, text: "b: register an event queue at "},
		{name: "one hangs", prepare: [3]func(*stage){hang, nil, nil}, state: "CRITICAL", reason: "timeout", rows: [3]string{"CRITICAL register an event queue at"}},
		{name: "one does not deliver", prepare: [3]func(*stage){nil, nil, drop}, state: "CRITICAL", rows: [3]string{"", "", "CRITICAL accepted in"}, text: "c: accepted in "},
		{name: "all in their own way", prepare: [3]func(*stage){key, down, drop}, state: "CRITICAL", reason: "unavailable",
			rows: [3]string{"UNKNOWN send a message through", "CRITICAL register an event queue", "CRITICAL accepted in"}},
		{name: "limits of one", prepare: [3]func(*stage){slow, slow, nil}, args: []string{"-w", "end_to_end{realm=a}=0.1"}, state: "WARNING",
			rows: [3]string{"WARNING end to end", "OK end to end"}},
		{name: "limit of none", args: []string{"-w", "end_to_end{realm=nobody}=1"}, state: "UNKNOWN", text: "warning limit end_to_end{realm=nobody}=1 matches nothing"},

		{name: "staging down", prepare: [3]func(*stage){nil, nil, down}, args: []string{"--staging", "c"}, state: "WARNING",
			rows: [3]string{"", "", "WARNING register an event queue at"}, text: "c: register an event queue at "},
		{name: "staging down with a limit on it", prepare: [3]func(*stage){nil, nil, down}, args: []string{"--staging", "c", "-w", "end_to_end{realm=c}=20"}, state: "WARNING"},
		{name: "staging refuses the key", prepare: [3]func(*stage){nil, nil, key}, args: []string{"--staging", "c"}, state: "WARNING", rows: [3]string{"", "", "WARNING send a message through"}},
		{name: "staging does not deliver", prepare: [3]func(*stage){nil, nil, drop}, args: []string{"--staging", "c"}, state: "WARNING", rows: [3]string{"", "", "WARNING accepted in"}},
		{name: "staging is slow", prepare: [3]func(*stage){nil, nil, slow}, args: []string{"--staging", "c", "-w", "0.5"}, state: "WARNING", rows: [3]string{"", "", "WARNING end to end"}},
		{name: "staging's own critical limit", prepare: [3]func(*stage){nil, nil, slow}, args: []string{"--staging", "c", "-c", "end_to_end{realm=c}=0.5"}, state: "CRITICAL"},
		{name: "staging as the operator wants it", prepare: [3]func(*stage){nil, nil, down}, args: []string{"--staging", "c", "--severity", "staging_failed=critical"}, state: "CRITICAL"},
		{name: "staging and another down", prepare: [3]func(*stage){down, nil, down}, args: []string{"--staging", "c"}, state: "CRITICAL", reason: "unavailable", text: "a: register"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var args []string
			var stages [3]*stage
			for i, name := range []string{"a", "b", "c"} {
				s := newStage(t, zulipserver.Options{})
				if tt.prepare[i] != nil {
					tt.prepare[i](s)
				}
				stages[i] = s
				args = append(args, "--realm", s.realmArg(name))
			}
			d := look(t, context.Background(), append(append(args, "-t", "3s"), tt.args...)...)
			t.Logf("%s: %s", d.State, d.Text)
			if d.State != tt.state || d.Reason != tt.reason || !strings.HasPrefix(d.Text, tt.text) {
				t.Errorf("%s, reason %q: %s; want %s, %q, %s", d.State, d.Reason, d.Text, tt.state, tt.reason, tt.text)
			}
			if d.Target != "a,b,c" || d.TimedOut {
				t.Errorf("target %q, timed out %v; want a,b,c and not", d.Target, d.TimedOut)
			}
			for i, name := range []string{"a", "b", "c"} {
				state, text := rowOf(d, name)
				if !strings.HasPrefix(state+" "+text, tt.rows[i]) {
					t.Errorf("row of %s: %s %s; want %s", name, state, text, tt.rows[i])
				}
				healthy := tt.prepare[i] == nil
				if healthy && !endToEndOf(d, name) {
					t.Errorf("no end_to_end of the healthy realm %s", name)
				}
				if messages, queues := stages[i].leftOver(); messages != 0 || queues != 0 {
					t.Errorf("%d messages and %d queues are left in %s; want none", messages, queues, name)
				}
			}
		})
	}
}

// A realm whose files cannot be read is its own UNKNOWN, and not that of the
// others, whatever the face.
func TestRealmWithoutFiles(t *testing.T) {
	s := newStage(t, zulipserver.Options{})
	d := look(t, context.Background(), "--realm", s.realmArg("a")+" gone=/nonexistent/rc")
	state, text := rowOf(d, "gone")
	if d.State != "UNKNOWN" || state != "UNKNOWN" || !strings.Contains(text, "read /nonexistent/rc: no such file") || !endToEndOf(d, "a") {
		t.Errorf("a realm without files = %s %s, row %s %s, the other looked at %v; want UNKNOWN that names the file, and the other's value", d.State, d.Text, state, text, endToEndOf(d, "a"))
	}
	d = look(t, context.Background(), "--realm", "x=/nonexistent/x", "--realm", "y=/nonexistent/y")
	if len(d.Rows) != 2 || d.State != "UNKNOWN" || !strings.HasPrefix(d.Rows[0].Text, "x: read /nonexistent/x") || !strings.HasPrefix(d.Rows[1].Text, "y: read /nonexistent/y") {
		t.Errorf("no realm with files = %s, rows %+v; want UNKNOWN and one for each", d.State, d.Rows)
	}
}

// Realms are looked at side by side: three that take long take no longer.
func TestRealmsSideBySide(t *testing.T) {
	var args []string
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		s := newStage(t, zulipserver.Options{})
		s.Set(func(k *zulipserver.Knobs) { k.DeliveryDelay = 2500 * time.Millisecond })
		args = append(args, "--realm", s.realmArg(name))
	}
	d := look(t, context.Background(), append(args, "-t", "13s")...) // one after the other they need 15
	if d.State != "OK" || d.TimedOut {
		t.Errorf("six slow realms = %s %s; want OK", d.State, d.Text)
	}
}

func TestRealmOptionsAreRefused(t *testing.T) {
	s := newStage(t, zulipserver.Options{})
	one := s.realmArg("a")
	many := strings.Builder{}
	for i := range maxRealms + 1 {
		many.WriteString(strings.Repeat("x", i+1) + "=f ")
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--realm", "x"}, "write NAME=SENDER-ZULIPRC,RECEIVER-ZULIPRC"},
		{[]string{"--realm", "=f,g"}, "write NAME="},
		{[]string{"--realm", "a b=f"}, "write NAME="},
		{[]string{"--realm", "a*=f"}, "write NAME="},
		{[]string{"--realm", "a=f,g,h"}, "files without commas"},
		{[]string{"--realm", "a=,g"}, "files without commas"},
		{[]string{"--realm", "a=f", "--realm", "a=g"}, "a is named twice"},
		{[]string{"--realm", many.String()}, "51 are more than 50"},
		{append(s.args(), "--realm", one), "--realm excludes"},
		{[]string{"--realm", one, "--site", "https://x"}, "--realm excludes"},
		{[]string{"--realm", one, "--staging", "b"}, `--staging "b": no --realm has this name`},
		{s.args("--staging", "b"), `--staging "b": no --realm has this name`},
		{s.args("--topic", "x"), "--topic needs --stream"},
		{s.args("--stream", strings.Repeat("x", 61)), "longer than 60 characters"},
		{s.args("--stream", "x", "--topic", "\x01"), "holds control characters"},
		{s.args("--force-address", "http://x"), "--force-address: must be an address"},
	} {
		d := look(t, context.Background(), tt.args...)
		if d.State != "UNKNOWN" || d.Reason != "config" || !strings.Contains(d.Text, tt.want) {
			t.Errorf("%q = %s, reason %s: %s; want UNKNOWN, config, %q", tt.args, d.State, d.Reason, d.Text, tt.want)
		}
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests were made with refused options; want none", n)
	}
}

// One look at an instance leaves nothing for the next: a name that is refused
// is refused again, and no direct message is sent in its place.
func TestRefusedAgain(t *testing.T) {
	s := newStage(t, zulipserver.Options{})
	fs := newFlagSet()
	p := newProbe(fs)
	if err := fs.Parse(s.args("--stream", strings.Repeat("x", 61))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := p.Prepare(); err == nil {
			t.Error("Prepare() with a name that is too long = nil; want an error each time")
		}
	}
}

// What a distribution counts: values, and as missed what the server is to blame
// for.
func TestMisses(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(*stage)
		value   bool
		missed  bool
	}{
		{"delivered", nil, true, false},
		{"not delivered", set(func(k *zulipserver.Knobs) { k.DropDelivery = true }), false, true},
		{"down", fail(zulipserver.Every, zulipserver.Page(502)), false, true},
		{"sending hangs", fail(zulipserver.SendMessage, zulipserver.Hang()), false, true},
		{"rate limit", fail(zulipserver.SendMessage, zulipserver.RateLimited(time.Minute)), false, false},
		{"wrong key", func(s *stage) { edit(s, s.sender, func(u *zulipserver.User) { u.APIKey = "x" }) }, false, false},
		{"left behind", fail(zulipserver.DeleteMessage, zulipserver.Page(502)), true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, zulipserver.Options{})
			if tt.prepare != nil {
				tt.prepare(s)
			}
			fs := newFlagSet()
			p := newProbe(fs)
			if err := fs.Parse([]string{"--realm", s.realmArg("a")}); err != nil {
				t.Fatal(err)
			}
			r := (&check.Look{Definition: Definition, Check: p, Timeout: 2 * time.Second}).Run(context.Background())
			value := false
			for _, v := range r.Values {
				value = value || v.Metric.Key == "end_to_end" && v.Labels[0] == "a"
			}
			missed := len(r.Missed) == 1 && r.Missed[0].Labels[0] == "a"
			if value != tt.value || missed != tt.missed {
				t.Errorf("%s: a value %v, missed %v; want %v, %v (%+v)", tt.name, value, missed, tt.value, tt.missed, r.Rows)
			}
		})
	}
}

// Nagios hands over one macro, and an empty one for what is not set.
func TestRealmsInOneMacro(t *testing.T) {
	a, b := newStage(t, zulipserver.Options{}), newStage(t, zulipserver.Options{})
	var out bytes.Buffer
	p := &plugin.Plugin{Definition: Definition, Stdout: &out, Args: []string{
		"--sender-zuliprc=", "--site=", "--realm=" + a.realmArg("a") + " " + b.realmArg("b"), "--staging=$_SERVICESTAGING$", "--proxy=", "--force-address=",
	}}
	if code := p.Run(context.Background()); code != 0 || !strings.HasPrefix(out.String(), "ZULIP SEND RECEIVE TIME OK: delivered in 2 realms, slowest ") ||
		!strings.Contains(out.String(), "'end_to_end a'=") || !strings.Contains(out.String(), "'rate_limit_remaining receiver b'=") {
		t.Errorf("exit %d, %s; want 0 and the values of both", code, out.String())
	}
}

func FuzzRealms(f *testing.F) {
	f.Add("a=/x,/y b=/z", "b")
	f.Add("=,", "")
	f.Fuzz(func(t *testing.T, text, staging string) {
		realms, err := parseRealms([]string{text})
		if err != nil {
			return
		}
		for _, r := range realms {
			if r.name == "" || r.sender == "" || r.receiver == "" || check.Clean(r.name) != r.name {
				t.Errorf("parseRealms(%q) = %+v; want names and files", text, r)
			}
		}
		known, err := parseStaging([]string{staging}, realms)
		if err == nil && len(known) > len(realms) {
			t.Errorf("parseStaging(%q) = %v of %v", staging, known, realms)
		}
	})
}
