package preview

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/dashboards/board"
	"github.com/belfry-monitoring/belfry/dashboards/promquery"
)

func TestFormat(t *testing.T) {
	one := 1
	tests := []struct {
		field board.Field
		value float64
		want  string
	}{
		{board.Field{Unit: "s"}, 0.0123, "12.3 ms"},
		{board.Field{Unit: "s"}, 0, "0 s"},
		{board.Field{Unit: "s"}, 90, "1.5 mins"},
		{board.Field{Unit: "s"}, 3 * 86400, "3 days"},
		{board.Field{Unit: "bytes"}, 96.5 * 1024 * 1024, "96.5 MiB"},
		{board.Field{Unit: "bytes"}, 12, "12 B"},
		{board.Field{Unit: "percentunit"}, 0.9994, "99.9%"},
		{board.Field{Unit: "percentunit", Decimals: &one}, 0.5, "50.0%"},
		{board.Field{Unit: "short"}, 12345, "12.3 K"},
		{board.Field{Unit: "mps"}, 2.5, "2.5 msg/s"},
		{board.Field{Unit: "short", NoValue: "none"}, math.NaN(), "none"},
		{board.Field{Unit: "short"}, math.Inf(1), "+∞"},
		{board.Field{}, 7, "7"},
		{board.Field{Unit: "barn"}, 7, "7 barn"},
	}
	for _, tc := range tests {
		if got := format(tc.field, tc.value); got != tc.want {
			t.Errorf("format(%s, %v) = %q; want %q", tc.field.Unit, tc.value, got, tc.want)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, tc := range []struct {
		unit      string
		low, high float64
		want      string
	}{
		{"short", 0, 9, "[0 2.5 5 7.5 10]"},
		{"bytes", 0, 100 << 20, "[0 3.3554432e+07 6.7108864e+07 1.00663296e+08 1.34217728e+08]"},
		{"s", 0, 300, "[0 120 240 360]"},
	} {
		if got := fmt.Sprint(ticksOf(board.Field{Unit: tc.unit}, tc.low, tc.high, 4)); got != tc.want {
			t.Errorf("ticksOf(%s, %v, %v) = %s; want %s", tc.unit, tc.low, tc.high, got, tc.want)
		}
	}
}

func instant(ref string, series ...promquery.Series) promquery.Result {
	return promquery.Result{Target: board.Target{RefID: ref, Format: "table"}, Series: series}
}

func sample(value float64, pairs ...string) promquery.Series {
	s := promquery.Series{Labels: map[string]string{}, Points: []promquery.Point{{Time: 1, Value: value}}}
	for i := 0; i < len(pairs); i += 2 {
		s.Labels[pairs[i]] = pairs[i+1]
	}
	return s
}

// TestTable: rows of several queries are joined by the labels that all have,
// and sorted; a row that only one query has stays.
func TestTable(t *testing.T) {
	p := board.Panel{
		Options: json.RawMessage(`{"sortBy": [{"displayName": "Verdict", "desc": true}]}`),
		Transformations: []board.Transformation{
			{ID: "merge", Options: json.RawMessage(`{}`)},
			{ID: "organize", Options: json.RawMessage(`{"excludeByName": {"Time": true}, "renameByName": {"Value #A": "Verdict"}, "indexByName": {"Value #A": 0, "target": 1}}`)},
		},
	}
	f, err := tableOf(p, []promquery.Result{
		instant("A", sample(0, "target", "a"), sample(3, "target", "b"), sample(1, "target", "c")),
		instant("B", sample(1, "target", "b", "reason", "dial")),
		instant("C"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(f.columns), "[Verdict target reason Value #B]"; got != want {
		t.Errorf("columns = %s; want %s", got, want)
	}
	var rows []string
	for _, r := range f.rows {
		rows = append(rows, fmt.Sprint(r["target"], r["Verdict"], r["reason"]))
	}
	if got, want := strings.Join(rows, ", "), "b3dial, c1 <nil>, a0 <nil>"; got != want {
		t.Errorf("rows = %s; want %s", got, want)
	}
	p.Transformations[0].ID = "nonsense"
	if _, err := tableOf(p, []promquery.Result{instant("A", sample(1))}); err == nil {
		t.Error("a transformation that is not known: no error; want one")
	}
}

// server answers every query with two series.
func server(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, key, value := "vector", "value", `[30, "2"]`
		if strings.HasSuffix(r.URL.Path, "query_range") {
			kind, key, value = "matrix", "values", `[[10, "1"], [20, "2"], [30, "2"], [50, "NaN"], [55, "+Inf"], [60, "1"]]`
		}
		fmt.Fprintf(w, `{"status": "success", "data": {"resultType": %q, "result": [
			{"metric": {"target": "<b>a</b>", "le": "1"}, %q: %s}, {"metric": {"target": "b", "le": "+Inf"}, %[2]q: %[3]s}]}}`, kind, key, value)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestDraw(t *testing.T) {
	b, err := board.Parse([]byte(`{"uid": "u", "title": "T<i>", "annotations": {"list": [{"name": "Alerts", "enable": true, "expr": "ALERTS", "titleFormat": "{{target}}"}]},
		"panels": [
		{"id": 1, "type": "stat", "title": "one", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 4}, "options": {"colorMode": "background", "textMode": "value_and_name"},
		 "fieldConfig": {"defaults": {"mappings": [{"type": "value", "options": {"2": {"text": "BAD", "color": "red"}}}]}}, "targets": [{"refId": "A", "expr": "x", "instant": true, "legendFormat": "{{target}}"}]},
		{"id": 2, "type": "timeseries", "title": "two", "gridPos": {"x": 12, "y": 0, "w": 12, "h": 6}, "options": {"legend": {"showLegend": true}},
		 "fieldConfig": {"defaults": {"unit": "s", "custom": {"fillOpacity": 10}}, "overrides": [{"matcher": {"id": "byName", "options": "b"}, "properties": [{"id": "custom.lineStyle", "value": {"fill": "dash"}}]}]},
		 "targets": [{"refId": "A", "expr": "x[$__range]", "legendFormat": "{{target}}"}]},
		{"id": 3, "type": "state-timeline", "title": "three", "gridPos": {"x": 0, "y": 6, "w": 8, "h": 4}, "targets": [{"refId": "A", "expr": "x"}]},
		{"id": 4, "type": "bargauge", "title": "four", "gridPos": {"x": 8, "y": 6, "w": 8, "h": 4}, "targets": [{"refId": "A", "expr": "x", "instant": true}]},
		{"id": 5, "type": "heatmap", "title": "five", "gridPos": {"x": 16, "y": 6, "w": 8, "h": 4}, "targets": [{"refId": "A", "expr": "x"}]},
		{"id": 6, "type": "row", "title": "R", "collapsed": true, "gridPos": {"x": 0, "y": 10, "w": 24, "h": 1}, "panels": [
			{"id": 7, "type": "table", "title": "six", "gridPos": {"x": 0, "y": 11, "w": 24, "h": 4}, "targets": [{"refId": "A", "expr": "x", "instant": true, "format": "table"}]}]}
	]}`))
	if err != nil {
		t.Fatal(err)
	}
	client := promquery.Client{URL: server(t).URL}
	o := Options{Window: promquery.Window{From: time.Unix(0, 0), To: time.Unix(60, 0), Step: 10 * time.Second}, Scrape: 10 * time.Second}
	var folded, unfolded bytes.Buffer
	short, err := Draw(t.Context(), &folded, b, client, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Unfold = true
	tall, err := Draw(t.Context(), &unfolded, b, client, o)
	if err != nil {
		t.Fatal(err)
	}
	if tall <= short || strings.Contains(folded.String(), ">six<") || !strings.Contains(unfolded.String(), ">six<") {
		t.Errorf("%d pixels folded and %d not; want the table of the row only in the second", short, tall)
	}
	text := unfolded.String()
	for _, want := range []string{"BAD", "stroke-dasharray=\"8 6\"", "&lt;b&gt;a&lt;/b&gt;", "T&lt;i&gt;", "+Inf"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(text, "<b>a</b>") || strings.Contains(text, "NaN") {
		t.Error("the page has a label that is not escaped, or NaN in a drawing")
	}
}

func TestDrawRefusesWhatItDoesNotKnow(t *testing.T) {
	client := promquery.Client{URL: server(t).URL}
	o := Options{Window: promquery.Window{From: time.Unix(0, 0), To: time.Unix(60, 0), Step: 10 * time.Second}, Scrape: 10 * time.Second}
	for _, panel := range []string{
		`{"id": 1, "type": "piechart", "title": "p", "targets": [{"refId": "A", "expr": "x", "instant": true}]}`,
		`{"id": 1, "type": "stat", "title": "p", "targets": [{"refId": "A", "expr": "$nobody", "instant": true}]}`,
	} {
		b, err := board.Parse([]byte(`{"uid": "u", "panels": [` + panel + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Draw(t.Context(), &bytes.Buffer{}, b, client, o); err == nil || !strings.Contains(err.Error(), `panel "p"`) {
			t.Errorf("Draw(%s) = %v; want an error that names the panel", panel, err)
		}
	}
}

func TestQuantizeKeepsFewColours(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i := range 64 * 64 {
		img.Set(i%64, i/64, color.RGBA{uint8(i), uint8(i / 16), 7, 255})
	}
	got := quantize(img)
	if len(got.Palette) != 256 {
		t.Errorf("%d colours; want 256", len(got.Palette))
	}
	r, g, _, _ := got.At(0, 0).RGBA()
	if r>>8 > 16 || g>>8 > 16 {
		t.Errorf("a dark pixel became %d, %d", r>>8, g>>8)
	}
}
