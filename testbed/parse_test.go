package testbed

import "testing"

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
