package promquery

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/dashboards/board"
)

// answering serves one answer and notes what was asked.
func answering(t *testing.T, status int, body string) (Client, *[]string) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm() //nolint:errcheck // what cannot be read is not there
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Form.Encode())
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return Client{URL: s.URL + "/"}, &asked
}

func TestAnswers(t *testing.T) {
	at := time.Unix(100, 0)
	tests := []struct {
		body, want string
	}{
		{`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[100.5,"1.5"]}]}}`, "[{map[__name__:up] [{100.5 1.5}]}]"},
		{`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[3,"NaN"]]}]}}`, "[{map[] [{1 2} {3 NaN}]}]"},
		{`{"status":"success","data":{"resultType":"scalar","result":[1,"+Inf"]}}`, "[{map[] [{1 +Inf}]}]"},
		{`{"status":"success","data":{"resultType":"vector","result":[]}}`, "[]"},
	}
	for _, tc := range tests {
		c, asked := answering(t, 200, tc.body)
		got, err := c.Instant(t.Context(), "up", at)
		if fmt.Sprint(got) != tc.want || err != nil {
			t.Errorf("Instant = %v, %v; want %s", got, err, tc.want)
		}
		if want := "POST /api/v1/query query=up&time=100.000"; (*asked)[0] != want {
			t.Errorf("asked %s; want %s", (*asked)[0], want)
		}
	}
	for status, body := range map[int]string{
		400: `{"status":"error","errorType":"bad_data","error":"parse error"}`,
		200: `{"status":"success","data":{"resultType":"string","result":[1,"x"]}}`,
		502: `<html>`,
		201: `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":["x","1"]}]}}`,
		202: `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}`,
	} {
		c, _ := answering(t, status, body)
		if got, err := c.Range(t.Context(), "up{}", at, at, time.Second); err == nil || !strings.Contains(err.Error(), "up{}") {
			t.Errorf("Range of %s = %v, %v; want an error that names the query", body, got, err)
		}
	}
}

func TestPanel(t *testing.T) {
	c, asked := answering(t, 200, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	p := board.Panel{Targets: []board.Target{{RefID: "A", Expr: `up{job=~"$job"}`, Instant: true}, {RefID: "B", Expr: "x[$__range]"}}}
	b := &board.Board{}
	b.Templating.List = []board.Variable{{Name: "job", Type: "query", AllValue: ".+"}}
	w := Window{From: time.Unix(0, 0), To: time.Unix(60, 0), Step: 10 * time.Second}
	if _, err := c.Panel(t.Context(), p, Scope(b, w, 15*time.Second), w); err != nil {
		t.Fatal(err)
	}
	want := []string{"POST /api/v1/query query=up%7Bjob%3D~%22.%2B%22%7D&time=60.000", "POST /api/v1/query_range end=60.000&query=x%5B60s%5D&start=0.000&step=10"}
	if strings.Join(*asked, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked %q; want %q", *asked, want)
	}
}

func TestVariableValues(t *testing.T) {
	c, asked := answering(t, 200, `{"status":"success","data":["a","b"]}`)
	v := board.Variable{Name: "target", Query: []byte(`"label_values(up{job=~\"$job\"}, target)"`)}
	got, err := c.VariableValues(t.Context(), v, board.Scope{Values: map[string][]string{"job": {"x"}}})
	if fmt.Sprint(got) != "[a b]" || err != nil {
		t.Errorf("VariableValues = %v, %v; want [a b]", got, err)
	}
	if want := "GET /api/v1/label/target/values match%5B%5D=up%7Bjob%3D~%22x%22%7D"; (*asked)[0] != want {
		t.Errorf("asked %s; want %s", (*asked)[0], want)
	}
	v.Query = []byte(`"query_result(up)"`)
	if _, err := c.VariableValues(t.Context(), v, board.Scope{}); err == nil {
		t.Error("a query that is no label_values: no error; want one")
	}
}

// FuzzParse: an answer of whatever listens at the URL is an error or series.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`[{"metric":{"a":"b"},"value":[1,"2"]}]`, `[{"metric":{},"values":[[1,"2"],[3,"NaN"]]}]`, `[1,"2"]`, `[{"value":null}]`, `[[]]`, `{`} {
		for _, kind := range []string{"vector", "matrix", "scalar"} {
			f.Add(kind, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		series, err := parse(kind, data)
		if err != nil {
			return
		}
		for _, s := range series {
			s.Last()
		}
	})
}
