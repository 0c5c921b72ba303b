package exporter

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

func TestAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, path := w.start(t, `
spread: 0s
checks:
- {check: fake, target: good}
- {check: fake, target: finding, options: {mode: find}}
- {check: fake, target: hung, options: {mode: hang}}
`)
		defer w.stop(t, e)
		h := e.Handler()
		time.Sleep(25 * time.Second)
		synctest.Wait()
		write(t, path, "spread: 1h\nchecks: [{check: fake, target: good}, {check: fake, target: finding, options: {mode: find}}, {check: fake, target: hung, options: {mode: hang}}, {check: fake, target: new}]")
		if status, body := get(h, "POST", "/-/reload"); status != 200 {
			t.Fatalf("POST /-/reload = %d %s; want 200", status, body)
		}
		status, body := get(h, "GET", "/api/v1/checks")
		golden := filepath.Join("testdata", "checks.json")
		if *update {
			write(t, golden, body)
		}
		want, err := os.ReadFile(golden)
		if err != nil || status != 200 || body != string(want) {
			t.Errorf("GET /api/v1/checks = %d\n%s\nwant that of %s (%v)", status, body, golden, err)
		}

		time.Sleep(10 * time.Minute)
		synctest.Wait()
		_, body = get(h, "GET", "/api/v1/checks")
		var l List
		if err := json.Unmarshal([]byte(body), &l); err != nil {
			t.Fatalf("GET /api/v1/checks: %v", err)
		}
		var order []string
		for _, i := range l.Checks {
			order = append(order, i.Target+" "+i.State)
			if i.Target == "hung" && (!i.Stale || i.Hanging == "" || *i.Age < 600 || len(i.Values) > 0 || !strings.Contains(i.Text, "ignores its deadline of 10 s and still runs")) {
				t.Errorf("hung for long: %+v; want it stale, with its start, without values, saying so", i)
			}
			if i.Target == "good" && (len(i.History) < 10 || *i.History[0].Value != 7 || i.Runs["warning"] < 10) {
				t.Errorf("good: %d in history, runs %v; want 10 of value 7", len(i.History), i.Runs)
			}
		}
		if got, want := strings.Join(order, ", "), "finding CRITICAL, hung UNKNOWN, good WARNING, new WARNING"; got != want {
			t.Errorf("order = %s; want %s", got, want)
		}
	})
}

func TestPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, _ := w.start(t, "checks: [{check: fake, target: a, options: {mode: find}}, {check: fake, target: hung, options: {mode: hang}}]")
		defer w.stop(t, e)
		h := e.Handler()
		if status, body := get(h, "GET", "/-/ready"); status != 503 || body != "belfry_exporter is not ready: 2 of 2 checks have not looked yet.\n" {
			t.Errorf("GET /-/ready before the first looks = %d %s; want 503", status, body)
		}
		if status, body := get(h, "GET", "/"); status != 200 || !strings.Contains(body, "not looked yet") {
			t.Errorf("GET / before the first looks = %d %s; want it to say so", status, body)
		}
		time.Sleep(21 * time.Second)
		synctest.Wait()
		for _, c := range []struct {
			method, path string
			status       int
			want         string
		}{
			{"GET", "/-/healthy", 200, "belfry_exporter is healthy.\n"},
			{"GET", "/-/ready", 200, "belfry_exporter is ready.\n"},
			{"HEAD", "/-/healthy", 200, ""},
			{"GET", "/", 200, `<a href="check/fake/a"><bdi>a</bdi> <span class="check">fake</span></a>`},
			{"GET", "/", 200, "queue &lt;b&gt;&#34;x&#34;&lt;/b&gt; has no consumer"},
			{"GET", "/metrics", 200, "belfry_check_state"},
			{"GET", "/api/v1/checks", 200, `"target": "hung"`},
			{"GET", "/metricsx", 404, ""},
			{"GET", "/api/v1/checks/", 404, ""},
			{"GET", "/favicon.ico", 404, ""},
			{"GET", "/-/", 404, ""},
			{"GET", "/probe", 400, ""},
			{"POST", "/metrics", 405, ""},
			{"DELETE", "/", 405, ""},
			{"GET", "/-/reload", 405, ""},
		} {
			status, body := get(h, c.method, c.path)
			if status != c.status || !strings.Contains(body, c.want) {
				t.Errorf("%s %s = %d %s; want %d %s", c.method, c.path, status, body, c.status, c.want)
			}
		}
	})
}
