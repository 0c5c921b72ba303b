package board

import (
	"strings"
	"testing"
	"time"
)

func TestSubstitute(t *testing.T) {
	scope := Scope{
		Values: map[string][]string{
			"job": {"belfry"}, "target": {"db1.example", `a"b\c`}, "check": {All}, "instance": {All}, "datasource": {"main"},
		},
		AllValues: map[string]string{"instance": ".+"},
		Range:     6 * time.Hour, Step: 30 * time.Second, Scrape: 15 * time.Second,
	}
	tests := []struct{ text, want string }{
		{`up{job=~"$job"}`, `up{job=~"belfry"}`},
		{`up{job=~"${job}"}`, `up{job=~"belfry"}`},
		{`x{target=~"$target"}`, `x{target=~"(db1\\.example|a\"b\\\\c)"}`},
		{`x{check=~"$check",instance=~"$instance"}`, `x{check=~".*",instance=~".+"}`},
		{`rate(x[$__rate_interval])`, `rate(x[60s])`},
		{`x[$__range] offset $__interval`, `x[21600s] offset 30s`},
		{`$__range_s`, `21600`},
		{`x{le=~"3(\\.0)?$"}`, `x{le=~"3(\\.0)?$"}`}, // the end of a regular expression
		{`/d/x?${job:queryparam}&${check:queryparam}`, `/d/x?var-job=belfry&var-check=%24__all`},
		{`no variables`, `no variables`},
	}
	for _, tc := range tests {
		if got, err := Substitute(tc.text, scope); got != tc.want || err != nil {
			t.Errorf("Substitute(%s) = %s, %v; want %s", tc.text, got, err, tc.want)
		}
	}
	for _, text := range []string{"$nobody", "${job:csv}", "up[$__nonsense]"} {
		if got, err := Substitute(text, scope); err == nil || !strings.Contains(err.Error(), text[:4]) {
			t.Errorf("Substitute(%s) = %s, %v; want an error that names the variable", text, got, err)
		}
	}
}

func TestRateIntervalHasTwoPointsAtEveryStep(t *testing.T) {
	for _, tc := range []struct {
		step, scrape time.Duration
		want         string
	}{{5 * time.Second, 15 * time.Second, "60s"}, {5 * time.Minute, 15 * time.Second, "315s"}, {time.Second, time.Second, "4s"}} {
		if got, err := Substitute("$__rate_interval", Scope{Step: tc.step, Scrape: tc.scrape}); got != tc.want || err != nil {
			t.Errorf("$__rate_interval with step %v and scrapes each %v = %s, %v; want %s", tc.step, tc.scrape, got, err, tc.want)
		}
	}
}

func TestLegend(t *testing.T) {
	labels := map[string]string{"__name__": "up", "job": "belfry", "instance": "a:1"}
	tests := []struct{ format, want string }{
		{"{{job}} on {{ instance }}", "belfry on a:1"},
		{"{{job}} {{nothing}}", "belfry"},
		{"lag", "lag"},
		{"", `up{instance="a:1", job="belfry"}`},
	}
	for _, tc := range tests {
		if got := Legend(tc.format, labels); got != tc.want {
			t.Errorf("Legend(%q) = %q; want %q", tc.format, got, tc.want)
		}
	}
}

func TestParse(t *testing.T) {
	b, err := Parse([]byte(`{"uid": "u", "title": "T", "panels": [
		{"id": 1, "type": "stat", "title": "a", "gridPos": {"x": 0, "y": 0, "w": 4, "h": 3}, "targets": [{"refId": "A", "expr": "up", "instant": true}]},
		{"id": 2, "type": "row", "title": "R", "collapsed": true, "panels": [{"id": 3, "type": "table", "title": "b"}]},
		{"id": 4, "type": "row", "title": "S", "collapsed": false, "panels": []},
		{"id": 5, "type": "table", "title": "c"}],
		"templating": {"list": [{"name": "job", "type": "query", "query": {"query": "label_values(up, job)", "refId": "x"}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range b.Panels {
		got = append(got, p.Title+"/"+p.Row)
	}
	if want := "a/ b/R c/S"; strings.Join(got, " ") != want {
		t.Errorf("panels = %q; want %s", got, want)
	}
	if !b.Panels[1].Folded || b.Panels[2].Folded || len(b.Rows) != 2 {
		t.Errorf("folded %v, %v, %d rows; want true, false, 2", b.Panels[1].Folded, b.Panels[2].Folded, len(b.Rows))
	}
	if got := b.Templating.List[0].Expr(); got != "label_values(up, job)" {
		t.Errorf("Expr() = %q; want label_values(up, job)", got)
	}
	for _, text := range []string{"", "[]", "{}", `{"uid": "u", "panels": []}`, `{"uid": 3}`} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("Parse(%s): no error; want one", text)
		}
	}
}

// FuzzSubstitute: whatever stands in a query, what is not a variable stays.
func FuzzSubstitute(f *testing.F) {
	for _, seed := range []string{`up{job=~"$job"}`, "${job:queryparam}", "$", "$$job", "${", "$__range", `\\$job`} {
		f.Add(seed, "a.b")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		got, err := Substitute(text, Scope{Values: map[string][]string{"job": {value}}, Range: time.Hour})
		if err == nil && !strings.Contains(text, "$") && got != text {
			t.Errorf("Substitute(%q) = %q; want the same", text, got)
		}
	})
}

// FuzzParse: a file is a board or an error.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"uid": "u", "panels": [{"type": "row", "panels": [{"id": 1, "fieldConfig": {"overrides": [{"matcher": {"id": "byName", "options": 3}}]}}]}]}`))
	f.Add([]byte(`{"uid": "u", "panels": [{"fieldConfig": {"defaults": {"mappings": [{"type": "value", "options": []}]}}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Parse(data)
		if err != nil {
			return
		}
		for _, p := range b.Panels {
			if field, err := p.FieldConfig.Of("a", "A"); err == nil {
				field.Text(1)
				field.ThresholdColor(1)
			}
		}
	})
}
