package exporter

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/browser"
)

const longName = "a-server-with-a-name-that-is-much-longer-than-any-telephone-is-wide.department.example.com"

// site serves an exporter below a path, as a proxy does, once every check has
// looked. failing makes it answer 503.
func serveSite(t *testing.T, w *world, config string) (address string, failing *atomic.Bool) {
	t.Helper()
	e, _ := w.start(t, config)
	t.Cleanup(func() { w.stop(t, e) })
	failing = &atomic.Bool{}
	inner := http.StripPrefix("/tools/belfry", e.Handler())
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if failing.Load() {
			http.Error(rw, "down", http.StatusServiceUnavailable)
			return
		}
		inner.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	testbed.WaitFor(t, 5*time.Minute, "the first looks", func() error {
		// Not Ready, to which a look that a slow machine has not got to yet is overdue.
		for _, snap := range e.scheduler.Snapshots(time.Now()) {
			if snap.Runs == [4]uint64{} {
				return fmt.Errorf("%s has not looked", snap.Target)
			}
		}
		return nil
	})
	return server.URL + "/tools/belfry/", failing
}

func sound(t *testing.T, p *browser.Page, address string) {
	t.Helper()
	if troubles := p.Troubles(); len(troubles) > 0 {
		t.Errorf("the page complains: %s", strings.Join(troubles, "\n"))
	}
	if elsewhere := p.Elsewhere(address); len(elsewhere) > 0 {
		t.Errorf("the page asks elsewhere: %q", elsewhere)
	}
	if by := p.Overflow(); by > 0 {
		t.Errorf("%s is %d pixels wider than its window", browser.Eval[string](p, "location.href"), by)
	}
}

func TestPageInBrowser(t *testing.T) {
	address, failing := serveSite(t, newWorld(t), `
spread: 0s
defaults: {timeout: 50s}
checks:
- {check: fake, target: good, interval: 1h}
- {check: fake, target: "a/b \"ü\" <b>", options: {mode: find}}
- {check: fake, target: refused, options: {mode: refused}}
- {check: fake, target: many, options: {mode: many}}
- {check: fake, target: `+longName+`, options: {mode: unknown}, critical: "depth{queue=some-queue-of-a-long-name-*}=10"}
`)
	b := browser.Start(t)
	for _, tt := range []struct {
		name   string
		screen browser.Screen
		ground string // of the body in this scheme
	}{
		{"light", browser.Screen{Width: 1280, Height: 800}, "rgb(255, 255, 255)"},
		{"dark", browser.Screen{Width: 1280, Height: 800, Dark: true}, "rgb(20, 23, 27)"},
		{"tablet", browser.Screen{Width: 800, Height: 900}, "rgb(255, 255, 255)"},
		{"phone", browser.Screen{Width: 360, Height: 740, Scale: 2}, "rgb(255, 255, 255)"},
		{"without scripts", browser.Screen{Width: 320, Height: 640, NoScript: true, Dark: true}, "rgb(20, 23, 27)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := b.Page(tt.screen)
			p.Open(address)
			if got := browser.Eval[int](p, "document.querySelectorAll('.checks tbody tr').length"); got != 5 {
				t.Errorf("%d rows; want 5", got)
			}
			if got := browser.Eval[string](p, "getComputedStyle(document.documentElement).backgroundColor"); got != tt.ground {
				t.Errorf("the ground is %s; want %s", got, tt.ground)
			}
			if got := browser.Eval[string](p, "document.querySelector('.checks tbody tr').innerText"); !strings.Contains(got, "CRITICAL") {
				t.Errorf("the first row says %q; want CRITICAL first", got)
			}
			sound(t, p, address)

			// By keyboard to the first row, and to its page.
			reached := false
			for range 30 {
				p.Press(kb.Tab)
				if reached = browser.Eval[bool](p, "Boolean(document.activeElement.closest('.c-name'))"); reached {
					break
				}
				if style := browser.Eval[string](p, "getComputedStyle(document.activeElement).outlineStyle"); style == "none" {
					t.Errorf("the focus cannot be seen on %s", browser.Eval[string](p, "document.activeElement.outerHTML"))
				}
			}
			if !reached {
				t.Fatal("30 times Tab do not reach a row")
			}
			p.Press(kb.Enter)
			p.Await("document.querySelector('.command')")
			sound(t, p, address)
			for _, target := range []string{`a/b "ü" <b>`, "refused", "many", longName, "good"} {
				p.Open(address)
				at := browser.Eval[string](p, fmt.Sprintf("[...document.querySelectorAll('.c-name a')].find((a) => a.querySelector('bdi').textContent === %q).href", target))
				p.Open(at)
				if got := browser.Eval[string](p, "document.querySelector('h1 bdi').textContent"); got != target {
					t.Errorf("%s shows %q; want %q", at, got, target)
				}
				if got := browser.Eval[string](p, "new URL(document.querySelector('.brand a').getAttribute('href'), location).href"); got != address {
					t.Errorf("%s leads back to %s; want %s", at, got, address)
				}
				sound(t, p, address)
			}

			p.Open(address)
			p.Submit("#name", "REFUSED")
			if got := browser.Eval[string](p, "[...document.querySelectorAll('.c-name bdi')].map((b) => b.textContent).join()"); got != "refused" {
				t.Errorf("the filter shows %q; want refused", got)
			}
			p.Click(".counts a.ok")
			if got := browser.Eval[string](p, "document.querySelector('.empty').innerText"); !strings.Contains(got, "None of 5 checks matches") {
				t.Errorf("the filter of a state shows %q", got)
			}
			p.Click(".empty a")
			p.Click("#toggle")
			if got := browser.Eval[string](p, "document.querySelector('.asof').innerText"); !strings.Contains(got, "not refreshed") {
				t.Errorf("after it was stopped, the page says %q", got)
			}
			sound(t, p, address)
		})
	}

	t.Run("refreshes itself in place", func(t *testing.T) {
		p := b.Page(browser.Screen{Width: 1280, Height: 800})
		p.Open(address + "?refresh=2")
		const asOf = "document.querySelector('.asof time').textContent"
		before := browser.Eval[string](p, asOf)
		browser.Eval[bool](p, "window.same = true, document.querySelector('.c-name a').focus(), document.getElementById('name').value = 'typed', true")
		p.Await(fmt.Sprintf("%s !== %q", asOf, before))
		if !browser.Eval[bool](p, "window.same && document.activeElement.matches('.c-name a') && document.getElementById('name').value === 'typed'") {
			t.Error("the page, its focus or what was typed did not stay")
		}
		sound(t, p, address)

		failing.Store(true)
		p.Await("!document.getElementById('trouble').hidden && document.getElementById('trouble').textContent.includes('What you see is old')")
		failing.Store(false)
		p.Await("document.getElementById('trouble').hidden")
	})

	t.Run("refreshes itself without scripts", func(t *testing.T) {
		p := b.Page(browser.Screen{Width: 1280, Height: 800, NoScript: true})
		p.Open(address + "?refresh=2")
		testbed.WaitFor(t, time.Minute, "the page to ask for itself anew", func() error {
			n := 0
			for _, r := range p.Requests() {
				if strings.HasSuffix(r, "?refresh=2") {
					n++
				}
			}
			if n < 2 {
				return fmt.Errorf("%d requests", n)
			}
			return nil
		})
	})
}

func TestManyChecksInBrowser(t *testing.T) {
	var config strings.Builder
	config.WriteString("spread: 0s\nconcurrency: 50\ndefaults: {interval: 1h, timeout: 10m}\nchecks:\n")
	for i := range 10000 {
		mode := "ok"
		if i%1000 == 7 {
			mode = "find"
		}
		fmt.Fprintf(&config, "- {check: fake, target: server-%05d, options: {mode: %s}}\n", i, mode)
	}
	address, _ := serveSite(t, newWorld(t), config.String())
	p := browser.Start(t).Page(browser.Screen{Width: 360, Height: 740})
	p.Open(address)
	if got := browser.Eval[string](p, "document.querySelector('h1').innerText"); !strings.Contains(got, "10 of 10000 checks are CRITICAL") {
		t.Errorf("the page says %q", got)
	}
	if n := browser.Eval[int](p, "document.documentElement.outerHTML.length"); n > 400_000 {
		t.Errorf("the page has %d characters; want 400,000 at most", n)
	}
	if n := browser.Eval[int](p, "document.querySelectorAll('.checks tr.critical').length"); n != 10 {
		t.Errorf("%d rows are critical; want all 10 on the first page", n)
	}
	sound(t, p, address)
	p.Click("#next")
	if got := browser.Eval[string](p, "document.querySelector('.pages').innerText"); !strings.Contains(got, "101 to 200 of 10000") {
		t.Errorf("the second page says %q", got)
	}
	p.Submit("#name", "server-09999")
	if n := browser.Eval[int](p, "document.querySelectorAll('.checks tbody tr').length"); n != 1 {
		t.Errorf("the filter shows %d rows; want 1", n)
	}
}

// A browser that was given user and password in the address keeps them for
// what the script asks for.
func TestPageBehindBasicAuthInBrowser(t *testing.T) {
	w := newWorld(t)
	e, path := w.start(t, "spread: 0s\nchecks: [{check: fake, target: a}]\n")
	defer w.stop(t, e)
	webConfig := filepath.Join(filepath.Dir(path), "web.yml")
	write(t, webConfig, "basic_auth_users:\n  operator: $2a$04$vIRjs2CSzg2DA1tLC0sZyesHlBI4Ezxh6ljN1noUDTgm5Z3rkUxNG\n") // swordfish
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	server := newServer(e.Handler(), log)
	served := make(chan error, 1)
	go func() { served <- web.Serve(l, server, &web.FlagConfig{WebConfigFile: &webConfig}, log) }()
	defer func() {
		server.Close()
		<-served
	}()
	host := l.Addr().String()
	p := browser.Start(t).Page(browser.Screen{Width: 360, Height: 740})
	p.Open("http://operator:swordfish@" + host + "/?refresh=2")
	const asOf = "document.querySelector('.asof time').textContent"
	before := browser.Eval[string](p, asOf)
	p.Await(fmt.Sprintf("%s !== %q", asOf, before))
	if !browser.Eval[bool](p, "document.getElementById('trouble').hidden && document.querySelectorAll('.checks tbody tr').length === 1") {
		t.Errorf("the page shows %q", browser.Eval[string](p, "document.body.innerText"))
	}
	p.Click(".c-name a")
	p.Await("document.querySelector('.command')")
	sound(t, p, "http://"+host)
}
