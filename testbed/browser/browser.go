// Package browser drives a real Chromium, for the tests of pages that people
// look at and for the pictures in the documentation.
package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/belfry-monitoring/belfry/testbed"
)

// limit bounds each step. It says nothing of how fast a page must be.
const limit = 60 * time.Second

// Browser is a running Chromium; it ends with the test.
type Browser struct {
	t   testbed.TB
	ctx context.Context
}

// Start starts Chromium. A machine without it fails the test.
func Start(t testbed.TB) *Browser {
	t.Helper()
	path := binary()
	if path == "" {
		t.Fatalf("browser: no chromium on this machine: run testbed/install.sh test")
	}
	profile, err := os.MkdirTemp("", "belfry-browser-")
	if err != nil {
		t.Fatalf("browser: %v", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(profile),
		chromedp.WSURLReadTimeout(limit), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("no-first-run", true),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("font-render-hinting", "none"))
	if os.Getuid() == 0 { // Chromium's sandbox refuses to run as root
		options = append(options, chromedp.NoSandbox)
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		cancel()
		end()
		if err := os.RemoveAll(profile); err != nil {
			t.Logf("browser: %v", err)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("browser: start %s: %v", path, err)
	}
	return &Browser{t, ctx}
}

func binary() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Screen is how a page is looked at.
type Screen struct {
	Width, Height int64
	Scale         float64 // device pixels of a pixel; 0: 1
	Dark          bool
	NoScript      bool // as with JavaScript switched off
}

// Page is a tab.
type Page struct {
	t   testbed.TB
	ctx context.Context

	mu       sync.Mutex
	requests []string
	troubles []string
}

// Page opens a tab.
func (b *Browser) Page(s Screen) *Page {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	p := &Page{t: b.t, ctx: ctx}
	// Without a limit: the tab lives as long as the context that opens it.
	if err := chromedp.Listen(ctx, p.event); err != nil {
		b.t.Fatalf("browser: open a tab: %v", err)
	}
	scheme := "light"
	if s.Dark {
		scheme = "dark"
	}
	p.do("prepare a tab", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		return errors.Join(
			call(ctx, t, network.Enable, network.EnableParams{}),
			call(ctx, t, cdplog.Enable, cdp.Empty{}),
			call(ctx, t, runtime.Enable, cdp.Empty{}),
			call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
				Width: s.Width, Height: s.Height, DeviceScaleFactor: max(s.Scale, 1), Mobile: s.Width < 600,
			}),
			call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			}),
			call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: s.NoScript}),
		)
	}))
	return p
}

// call is a command of which only the error matters.
func call[P, R any](ctx context.Context, t *chromedp.Target, command cdp.Command[P, R], params P) error {
	_, err := cdp.Call(ctx, t, command, params)
	return err
}

func (p *Page) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("browser: %s: %v", what, err)
	}
}

// event collects what the page asks for and complains of.
func (p *Page) event(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	case *cdplog.EventEntryAdded: // violations of the policy, failed loads
		p.troubles = append(p.troubles, fmt.Sprintf("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text))
	case *runtime.EventConsoleAPICalled:
		p.troubles = append(p.troubles, "console: "+string(e.Type))
	case *runtime.EventExceptionThrown:
		p.troubles = append(p.troubles, "exception: "+e.ExceptionDetails.Text)
	}
}

// Open loads an address. A page that answers 404 is opened, too.
func (p *Page) Open(address string) {
	p.t.Helper()
	p.do("open "+address, chromedp.Navigate(address))
}

// Eval returns what an expression is.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("browser: evaluate %s: %v", expression, err)
	}
	return value
}

// Press presses a key, as chromedp's package kb names it.
func (p *Page) Press(key string) {
	p.t.Helper()
	p.do("press a key", chromedp.KeyEvent(key))
}

// Submit types text into what the selector finds, presses Enter and waits for
// the next page.
func (p *Page) Submit(selector, text string) {
	p.t.Helper()
	p.follow("type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text+"\n"))
}

// Click follows a link, and waits for the page behind it.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.follow("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

func (p *Page) follow(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, actions...); err != nil {
		p.t.Fatalf("browser: %s: %v", what, err)
	}
}

// Await polls until the expression is true.
func (p *Page) Await(expression string) {
	p.t.Helper()
	testbed.WaitFor(p.t, limit, expression, func() error {
		if !Eval[bool](p, "Boolean("+expression+")") {
			return fmt.Errorf("it is not so; the page shows %.300s", Eval[string](p, "document.body ? document.body.innerText : ''"))
		}
		return nil
	})
}

// Picture is the page as a PNG: what the screen shows, or all of it.
func (p *Page) Picture(whole bool) []byte {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	picture, err := chromedp.Call(ctx, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{CaptureBeyondViewport: &whole})
	if err != nil {
		p.t.Fatalf("browser: take a picture: %v", err)
	}
	return picture.Data
}

// Overflow is by how many pixels the page is wider than its window.
func (p *Page) Overflow() int {
	p.t.Helper()
	return Eval[int](p, "document.scrollingElement.scrollWidth - innerWidth")
}

// Troubles returns what the page has complained of: violations of its policy,
// exceptions, whatever it writes to the console.
func (p *Page) Troubles() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.troubles...)
}

// Elsewhere returns the requests to other hosts than that of the address.
func (p *Page) Elsewhere(address string) []string {
	p.t.Helper()
	home, err := url.Parse(address)
	if err != nil {
		p.t.Fatalf("browser: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for _, r := range p.requests {
		if at, err := url.Parse(r); err != nil || at.Scheme != home.Scheme || at.Host != home.Host {
			list = append(list, r)
		}
	}
	return list
}

// Requests returns all requests so far.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}
