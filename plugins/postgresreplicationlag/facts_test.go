package postgresreplicationlag

import (
	"os"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/postgres"
)

func TestLabels(t *testing.T) {
	a, b := ptr("10.0.0.1"), ptr("10.0.0.2")
	senders := []sender{
		{Name: "walreceiver", Address: a}, {Name: "walreceiver", Address: b}, {Name: "walreceiver", Address: b}, {Name: "db2", Address: a},
		{Name: "", Address: a}, {Name: "twin"}, {Name: "twin"}, {Name: "twin"}, {Name: "twin#2"},
	}
	label(senders)
	var got []string
	for _, s := range senders {
		got = append(got, s.label)
	}
	if want := "walreceiver@10.0.0.1 walreceiver@10.0.0.2 walreceiver@10.0.0.2#2 db2 10.0.0.1 twin twin#2 twin#3 twin#2#2"; strings.Join(got, " ") != want {
		t.Errorf("labels = %q; want %s", got, want)
	}
}

func TestKindOf(t *testing.T) {
	at, streaming := ptr(postgres.LSN(1)), ptr("streaming")
	f := &facts{Granted: true, Slots: []slot{{Type: "logical", PID: ptr(7)}, {Type: "physical", PID: ptr(8)}}}
	for _, tc := range []struct {
		name string
		s    sender
		want kind
	}{
		{"standby", sender{PID: 8, State: streaming, Write: at, Flush: at, Replay: at}, standby},
		{"pg_receivewal", sender{State: streaming, Write: at, Flush: at}, client},
		{"Barman, just connected", sender{Name: "barman_receive_wal", State: streaming}, client},
		{"pg_basebackup", sender{State: ptr("backup")}, client},
		{"logical subscriber", sender{PID: 7, State: streaming, Write: at, Flush: at, Replay: at}, client},
		{"logical subscriber that ends", sender{State: ptr("startup"), Write: at, Flush: at, Replay: at, Database: true}, client},
		{"logical subscriber that begins", sender{State: ptr("startup"), Database: true}, client},
		{"just connected", sender{State: ptr("startup")}, starting},
	} {
		if got := f.kindOf(tc.s); got != tc.want {
			t.Errorf("kindOf(%s) = %d; want %d", tc.name, got, tc.want)
		}
	}
	f.Granted = false
	if got := f.kindOf(sender{Name: "db2"}); got != hidden {
		t.Errorf("kindOf without the grant = %d; want %d", got, hidden)
	}
	if got := f.kindOf(sender{Name: "feed", Database: true}); got != client {
		t.Errorf("kindOf a subscriber without the grant = %d; want %d", got, client)
	}
}

func TestParseRefuses(t *testing.T) {
	primary, err := os.ReadFile(recording("idle", "primary"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "null", "{}", "[]", "<html>", string(primary[:200]),
		strings.Replace(string(primary), `"written" : "0/`, `"written" : "`, 1),
		strings.Replace(string(primary), `"file" : "0000`, `"file" : "x`, 1),
		strings.Replace(string(primary), `"recovery" : false`, `"recovery" : true`, 1),
		strings.Replace(string(primary), `"system" : "`, `"sys" : "`, 1),
	} {
		if f, err := parse("a", []byte(text)); err == nil {
			t.Errorf("parse(%q) = %+v; want an error", text, f)
		}
	}
}

// FuzzParse judges whatever can be parsed: never a panic, never nothing.
func FuzzParse(f *testing.F) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if data, err := os.ReadFile("testdata/" + file.Name()); err == nil && !file.IsDir() {
			f.Add(data)
		}
	}
	other := answer(f, "idle/primary")
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parse("fuzz", data)
		if err != nil {
			return
		}
		r, _ := judged(nothingSaid, nil, a, other)
		if len(r.Values) == 0 || len(r.Trace) > 0 {
			t.Errorf("judged %q: %d values, %s", data, len(r.Values), r.Trace)
		}
	})
}

// FuzzErrors reads whatever comes in place of the errors of subscriptions.
func FuzzErrors(f *testing.F) {
	for _, text := range []string{`{"1" : 5}`, "null", "{}", "[]", `{"1" : "5"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a := &facts{Subscriptions: []subscription{{ID: "1"}}}
		if err := a.addErrors(data); err != nil && a.Subscriptions[0].errors != nil {
			t.Errorf("addErrors(%q) = %v beside %v errors", data, err, *a.Subscriptions[0].errors)
		}
	})
}

// FuzzMemory judges beside whatever stands in the memory: never a panic, never
// nothing.
func FuzzMemory(f *testing.F) {
	l := remembered(nothingSaid)
	l.run(0, answer(f, "idle/primary"), answer(f, "idle/standby"))
	f.Add(l.memory.data)
	for _, text := range []string{"", "null", "{}", `{"servers":null,"switches":{"1":null}}`, `{"servers":{"primary":null}}`} {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"servers":{"primary":{"system":"` + answer(f, "idle/primary").System + `","writable":true,"standbys":{"x":null,"y":{"count":-1}},"ends":[{"at":1e300,"end":"0/0"}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := remembered(nothingSaid)
		l.memory.data = data
		if r := l.run(0, answer(t, "idle/primary"), answer(t, "idle/standby")); len(r.Trace) > 0 || len(r.Values) == 0 {
			t.Errorf("with the memory %q: %d values, %s", data, len(r.Values), r.Trace)
		}
	})
}
