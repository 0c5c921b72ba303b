package testbed

import (
	"reflect"
	"testing"
)

func FuzzParseStat(f *testing.F) {
	f.Add("4711 (postgres: a) b) S 12 4711 4711 0 -1 4194560 1 2 0 0 1 2 0 0 20 0 1 0 987654 1 2\n")
	f.Add(")(")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseStat(text); err != nil && s != (stat{}) {
			t.Errorf("parseStat(%q) = %+v, %v; want nothing with an error", text, s, err)
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1795222603.1,"0"]}]}}`))
	f.Add([]byte(`{"status":"success","data":{"resultType":"scalar","result":[1795222603.1,"1.5"]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if samples, err := parseQuery(body); err != nil && samples != nil {
			t.Errorf("parseQuery(%q) = %v, %v; want nothing with an error", body, samples, err)
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	f.Add("servicestatus {\n\thost_name=a\n\tcurrent_state=0\n\tlast_check=1\n\t}\n")
	f.Add("info {\n\tcreated=1\n\t}\n}\n")
	f.Fuzz(func(t *testing.T, text string) {
		if states, err := parseStatus(text); err != nil && states != nil {
			t.Errorf("parseStatus(%q) = %v, %v; want nothing with an error", text, states, err)
		}
	})
}

// An answer of Icinga 2.13.6, shortened.
const icingaAnswer = `{"results":[{"attrs":{"last_check_result":{"active":true,"check_source":"icinga","command":["/usr/lib/nagios/plugins/check_load","-w","5,4,3"],
"execution_start":1795618870.25,"exit_status":1.0,"output":"WARNING - load \nlong","performance_data":["load1=5.100;5.000;10.000;0;","'a b'=1"],"state":1.0},"next_check":1795618876.9,"state":1.0,"state_type":0.0},
"joins":{},"meta":{},"name":"h!load","type":"Service"},{"attrs":{"last_check_result":{"command":"dummy","execution_start":1.5,"exit_status":0.0,"output":"","performance_data":[]},"next_check":1.5,"state":0.0,"state_type":1.0},"name":"h!dummy"},
{"attrs":{"last_check_result":null,"next_check":2.5,"state":3.0,"state_type":1.0},"name":"h!pending"}]}`

func TestParseIcingaServices(t *testing.T) {
	want := map[string]IcingaState{
		"h!load": {
			State: 1, Checked: true, Exit: 1, Output: "WARNING - load \nlong", PerfData: []string{"load1=5.100;5.000;10.000;0;", "'a b'=1"},
			Command: []string{"/usr/lib/nagios/plugins/check_load", "-w", "5,4,3"}, Began: 1795618870.25,
		},
		"h!dummy":   {Hard: true, Checked: true, PerfData: []string{}, Began: 1.5},
		"h!pending": {State: 3, Hard: true},
	}
	if got, err := parseIcingaServices([]byte(icingaAnswer)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("parseIcingaServices(...) = %+v, %v; want %+v", got, err, want)
	}
}

func FuzzParseIcingaServices(f *testing.F) {
	f.Add([]byte(icingaAnswer))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if states, err := parseIcingaServices(answer); err != nil && states != nil {
			t.Errorf("parseIcingaServices(%q) = %v, %v; want nothing with an error", answer, states, err)
		}
	})
}
