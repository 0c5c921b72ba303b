package exporter

import (
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belfry-monitoring/belfry/exporter/page"
)

func TestStatusPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, path := w.start(t, `
spread: 0s
checks:
- {check: fake, target: good, options: {mode: ok}, critical: "depth{queue=a*}=20"}
- {check: fake, target: "a/b \"ü\"", options: {mode: find}}
- {check: fake, target: hung, options: {mode: hang}}
`)
		defer w.stop(t, e)
		h := e.Handler()
		time.Sleep(65 * time.Second)
		synctest.Wait()
		want := func(path string, status int, texts ...string) {
			t.Helper()
			got, body := get(h, "GET", path)
			if got != status {
				t.Errorf("GET %s = %d; want %d", path, got, status)
			}
			for _, text := range texts {
				if !strings.Contains(body, text) {
					t.Errorf("GET %s has no %s in\n%s", path, text, body)
				}
			}
		}
		odd := "/" + page.Link("fake", `a/b "ü"`, page.ParseRefresh(nil))
		want("/", 200, "1 of 3 checks is CRITICAL", `href="`+strings.ReplaceAll(odd[1:], "+", "&#43;"), "queue &lt;b&gt;&#34;x&#34;&lt;/b&gt; has no consumer",
			"a look hangs since", `a: depth 7 (above 5)`)
		want("/?state=ok", 200, "None of 3 checks matches")
		want("/?name=hung", 200, "1 of 3 checks", "ignores its deadline of 10 s and still runs")
		want("/check/fake/good", 200, `check_fake --target=good --mode=ok`, "--critical=&#39;depth{queue=a*}=20&#39;",
			`above 20 <span class="from">configured, <code>20</code>`, `above 5 <span class="from">default, <code>5</code>`,
			`<td>a: depth 7 (above 5)</td><td class="took">`, "/exporter.yml.</p>", "Line 4 of ")
		want(odd, 200, "a/b &#34;ü&#34;", `href="../../static/page.css`)
		want("/check/fake/"+url.PathEscape(`a/b "ü"`), 200, "a/b &#34;ü&#34;", `href="../../static/page.css`)
		want("/check/fake/a/b%20%22%C3%BC%22", 200, "a/b &#34;ü&#34;", `href="../../../static/page.css`)
		want("/check/fake/hung", 200, "given up at the deadline", "a look ignores its deadline")
		want("/check/fake/none", 404, "No such check", "<code>none</code>")
		want("/check/none/good", 404, "No such check")
		want("/check/fake/", 404, "No such check")
		want("/static/page.css", 200, "--critical")
		want("/static/page.js", 200, "use strict")
		want("/static/ok.svg", 200, "<svg")
		for _, path := range []string{"/static/", "/static/none.css", "/static/..%2Foverview.html", "/static/%2e%2e/overview.html"} {
			if got, body := get(h, "GET", path); got == 200 || strings.Contains(body, "{{") {
				t.Errorf("GET %s = %d %s; want it refused", path, got, body)
			}
		}

		write(t, path, "checks: [{check: fake, target: good, interval: soon}]")
		if status, _ := get(h, "POST", "/-/reload"); status != 500 {
			t.Errorf("reload of a wrong file = %d; want 500", status)
		}
		want("/", 200, "The configuration was not loaded, the one before stays in use", "exporter.yml:1: interval &#34;soon&#34;", "--config.check")
		write(t, path, "spread: 1h\nchecks: [{check: fake, target: good, options: {mode: ok}, critical: 'depth=3'}, {check: fake, target: new}]")
		if status, _ := get(h, "POST", "/-/reload"); status != 200 {
			t.Errorf("reload = %d; want 200", status)
		}
		if _, body := get(h, "GET", "/"); strings.Contains(body, "was not loaded") {
			t.Error("the page still says that the configuration was not loaded")
		}
		want("/check/fake/hung", 404)
		want("/check/fake/new", 200, "PENDING", "not looked yet, due at")
		want("/check/fake/good", 200, "PENDING", "--critical=depth=3")
	})
}

func TestPageHeaders(t *testing.T) {
	w := newWorld(t)
	e, _ := w.start(t, "checks: [{check: fake, target: a}]\n")
	defer w.stop(t, e)
	h := e.Handler()
	for _, path := range []string{"/", "/?refresh=off", "/check/fake/a", "/check/fake/none"} {
		r := httptest.NewRecorder()
		h.ServeHTTP(r, httptest.NewRequest("GET", path, nil))
		policy := r.Header().Get("Content-Security-Policy")
		scripts := strings.Contains(r.Body.String(), "<script")
		for name, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		} {
			if got := r.Header().Get(name); got != want {
				t.Errorf("GET %s: %s is %q; want %q", path, name, got, want)
			}
		}
		for _, rule := range []string{"default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, rule) {
				t.Errorf("GET %s: the policy %q has no %s", path, policy, rule)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") != scripts {
			t.Errorf("GET %s: the policy is %q, scripts: %v", path, policy, scripts)
		}
		// Behind a proxy with a path of its own, an absolute path leads nowhere.
		if found := regexp.MustCompile(`(href|src|action)="(/|https?:)[^"]*"`).FindAllString(r.Body.String(), -1); len(found) > 1 || len(found) == 1 && !strings.Contains(found[0], "docs/checks") {
			t.Errorf("GET %s has the absolute addresses %q", path, found)
		}
	}
}
