package page

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

func TestOverviewHTML(t *testing.T) {
	text := overview(t, mixed(t), everything, Notice{Title: "Found & read", Text: "1 < 2", Help: "grant it", Commands: []string{"a > b"}})
	for _, want := range []string{
		"<title>1 CRITICAL, 1 UNKNOWN · Belfry</title>",
		`<h1 class="verdict critical"><span class="sign" aria-hidden="true">✕</span><span>1 of 5 checks is CRITICAL</span></h1>`,
		`<aside class="notice"><h2>Found &amp; read</h2><p>1 &lt; 2</p><p class="help">grant it</p><p><code>a &gt; b</code></p></aside>`,
		`<li><a class="critical" href="?state=critical"><span class="sign" aria-hidden="true">✕</span><b>1</b> CRITICAL</a></li>`,
		`<a href="check/fake/bad"><bdi>bad</bdi> <span class="check">fake</span></a>`,
		`<span class="state critical"><span class="sign" aria-hidden="true">✕</span>CRITICAL</span> <span class="since">for 5 min 12 s</span>`,
		`<span class="mark">stale</span> <span class="mark">a look hangs since 14:20:00 UTC</span>`,
		`aria-label="db2 replay lag 96 MiB: CRITICAL; critical above 64 MiB, warning above 40 MiB"`,
		`<path class="zone ok" d="M0 7h60"/><path class="zone warning" d="M60 7h36"/><path class="zone critical" d="M96 7h24"/><path class="beyond critical" d="M113 1l6 6-6 6z"/>`,
		`aria-label="last 6 looks: 6 CRITICAL; replay lag from 0 B to 5 KiB, last 5 KiB"`,
		`<script src="static/page.js?v=`, `<noscript><meta http-equiv="refresh" content="30"></noscript>`,
		`<a id="toggle" href="?refresh=off">Stop refreshing</a>`,
		`<span class="host">db1.example</span>`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the overview has no %s in\n%s", want, text)
		}
	}
	off := everything
	off.Refresh = Refresh{}
	text = overview(t, mixed(t), off)
	for _, no := range []string{"<script", "http-equiv"} {
		if strings.Contains(text, no) {
			t.Errorf("the overview that is not refreshed has %s", no)
		}
	}
	for _, want := range []string{`<a id="toggle" href="./">Refresh by itself</a>`, `href="check/fake/bad?refresh=off"`, `href="?refresh=off&amp;state=critical"`, `<input type="hidden" name="refresh" value="off">`} {
		if !strings.Contains(text, want) {
			t.Errorf("the overview that is not refreshed has no %s", want)
		}
	}
	if text := overview(t, nil, everything); !strings.Contains(text, "No checks are configured") {
		t.Errorf("the overview of nothing does not say so:\n%s", text)
	}
}

func TestCheckHTML(t *testing.T) {
	list := mixed(t)
	c := configured(t, "{check: fake, target: bad, options: {host: [db2, db3], password: hunter2}, critical: 'lag{standby=db*}=64MiB', severity: {paused: critical}}")
	text := checkPage(t, list[0], c)
	for _, want := range []string{
		"<title>CRITICAL fake bad · Belfry</title>",
		`<link rel="stylesheet" href="../../static/page.css?v=`, `<a href="../.././">Belfry</a>`,
		`<p class="lead">replay is paused on db3, 1 more problem of 3</p>`,
		`<a href="https://github.com/belfry-monitoring/belfry/blob/main/docs/checks/fake.md" rel="noreferrer">`,
		`<dt>in this state</dt><dd>for 5 min 12 s <time datetime="2026-11-25T14:25:00Z">2026-11-25 14:25:00 UTC</time></dd>`,
		"<code>check_fake \\\n  --target=bad \\\n  --host=db2 \\\n  --host=db3 \\\n  --password-file=FILE \\\n  --critical=&#39;lag{standby=db*}=67108864&#39;",
		"--password holds a secret that stands in the exporter&#39;s configuration: use --password-file FILE",
		"Run it on db1.example as user belfry,",
		`<td>replay is paused on db3</td><td class="what">finding paused</td>`,
		`<span class="critical">CRITICAL</span> above 64 MiB <span class="from">configured, <code>67108864</code></span>`,
		`<span class="warning">WARNING</span> above 40 MiB <span class="from">default, <code>41943040</code></span>`,
		`<span class="label"><span class="key">standby</span> db2</span>`,
		`<td>look 5</td><td class="took">12 ms</td>`,
		`<dt><code>password</code></dt><dd><code>***</code> </dd>`, `<dt><code>host</code></dt><dd><code>db2</code> <code>db3</code> </dd>`,
		`<dt>CRITICAL</dt><dd>lag{standby=db*} above 64 MiB <code>lag{standby=db*}=67108864</code></dd>`,
		`<dt>finding <code>paused</code></dt><dd>CRITICAL</dd>`,
		`href="../../check/fake/bad?refresh=off"`, "Found on this machine; belfry_exporter --discover prints it as a configuration.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Error("the page shows the password")
	}
	if text := checkPage(t, list[2], nil); !strings.Contains(text, "not looked yet, due at 14:31:00 UTC") || !strings.Contains(text, "The configuration has just changed") {
		t.Errorf("the page of a check that has not looked does not say so:\n%s", text)
	}
	parted := look(t, faked, "parts", nil, func(r *check.Report) {
		for _, p := range faked.Parts {
			r.Part(t.Context(), p.Name, nothing)
		}
		r.Observe(full, 0.5)
	})
	if text := checkPage(t, snapshot(faked, "parts", parted), nil); !strings.Contains(text, `<th scope="row">slots <span class="from">the slots</span></th><td class="took">2 ms</td><td><svg class="share" viewBox="0 0 120 14" aria-hidden="true"><path d="M0 7h120"/>`) {
		t.Errorf("the page has no times of parts:\n%s", text)
	}
}

func TestMissingHTML(t *testing.T) {
	text := render(t, func(p *Pages, b *strings.Builder) error {
		at := site()
		at.Root = "../../"
		return p.Missing(b, MakeMissing("<b>", "x\u202e\"", at))
	})
	for _, want := range []string{"No such check", "&lt;b&gt;", "x[U&#43;202E]&#34;", `<a href="../.././">All checks</a>`} {
		if !strings.Contains(text, want) {
			t.Errorf("the page of no check has no %s in\n%s", want, text)
		}
	}
}

// hostile are texts that foreign systems can bring onto the page.
func hostile() []string {
	return []string{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, "javascript:alert(1)", "</title><script>alert(1)</script>",
		"</style><script>alert(1)</script>", "<!-- --><b>", "]]>", "&lt;script&gt;", "\u202egnp.exe\u202c", "a\x00b\x1b[2Jc", "bad\xff\xfe", "{{.Title}}", "`${x}`",
		"\u2028\u2029", "<svg onload=alert(1)>", "data:text/html,<script>alert(1)</script>", "../../../etc/passwd", "?state=ok#x", strings.Repeat("<b>", 500),
	}
}

// poisoned renders both pages with the text wherever foreign text can be.
func poisoned(t testing.TB, text string) string {
	r := look(t, faked, text, nil, func(r *check.Report) {
		r.Observe(lag, 96<<20, text)
		r.Find(paused, text)
		r.Fail(check.Faultf(check.Dial, "connect to", text, "%s", text))
		r.Note("%s", text)
	})
	r.Notices = []string{text} // not cleaned by the library, in case a face ever gets it raw
	for i := range r.Rows {
		r.Rows[i].Text = text
	}
	s := snapshot(faked, text, r)
	for i := range s.History {
		s.History[i].Text = text
	}
	c := configured(t, fmt.Sprintf("{check: fake, target: t, options: {host: [%q, b]}}", strings.Map(printable, text)))
	c.Target = text
	at := Site{Now: moment0, Host: text, User: text, Version: text}
	q := everything
	q.Name = text
	list := []schedule.Snapshot{s, s}
	notice := Notice{text, text, text, []string{text}}
	return render(t, func(p *Pages, b *strings.Builder) error {
		if err := p.Overview(b, MakeOverview(list, everything, []Notice{notice}, at)); err != nil {
			return err
		}
		if err := p.Overview(b, MakeOverview(list, q, nil, at)); err != nil {
			return err
		}
		at.Root = "../../"
		if err := p.Check(b, MakeCheck(&s, c, everything.Refresh, at)); err != nil {
			return err
		}
		return p.Missing(b, MakeMissing(text, text, at))
	})
}

// printable keeps what YAML takes in quotes.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

// structure is what a text must not change: every element with the names of
// its attributes, and the values of those that make a browser act.
func structure(t testing.TB, text string) []string {
	t.Helper()
	var list []string
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return list
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			item := token.Data
			for _, a := range token.Attr {
				item += " " + a.Key
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("an attribute %s=%q in %s", a.Key, a.Val, token)
				}
				if (a.Key == "href" || a.Key == "src") && !harmless(a.Val) {
					t.Errorf("%s leads to %q", token.Data, a.Val)
				}
				if hides(a.Val) {
					t.Errorf("the attribute %s=%q hides something", a.Key, a.Val)
				}
			}
			list = append(list, item)
		case html.TextToken:
			if hides(strings.ReplaceAll(string(z.Text()), "\n", "")) {
				t.Errorf("the text %q hides something", z.Text())
			}
		}
	}
}

// harmless reports links of this site and the one to the documentation.
func harmless(href string) bool {
	return strings.HasPrefix(href, documentation) || regexp.MustCompile(`^(\./|(\.\./\.\./)?(\./|static/|metrics$|api/|check/)|\?|#main$)`).MatchString(href)
}

func TestForeignTextIsEscaped(t *testing.T) {
	want := structure(t, poisoned(t, "harmless"))
	for _, text := range hostile() {
		page := poisoned(t, text)
		got := structure(t, page)
		if !slices.Equal(got, want) {
			t.Errorf("%q changes the page: %d elements; want %d", text, len(got), len(want))
		}
		if strings.Contains(page, "ZgotmplZ") {
			t.Errorf("%q is refused somewhere by the template", text)
		}
	}
}

func FuzzForeignText(f *testing.F) {
	for _, text := range hostile() {
		f.Add(text)
	}
	want := structure(f, poisoned(f, "harmless"))
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" || len(text) > 2000 {
			return // nothing to compare, or more than a page shows
		}
		page := poisoned(t, text)
		if got := structure(t, page); len(got) != len(want) && strings.TrimSpace(text) != "" && check.Clean(text) != "" {
			t.Errorf("%q changes the page: %d elements; want %d", text, len(got), len(want))
		}
	})
}

// The pages need neither inline scripts nor styles, and the policy allows none.
func TestPolicy(t *testing.T) {
	for scripts, want := range map[bool]string{
		false: "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		true:  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; script-src 'self'; connect-src 'self'",
	} {
		if got := Policy(scripts); got != want {
			t.Errorf("Policy(%v) = %s; want %s", scripts, got, want)
		}
	}
}

// colours reads the custom properties of both schemes.
func colours(t *testing.T) map[string]map[string]string {
	t.Helper()
	css, err := static.ReadFile("static/page.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, ok := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark scheme in page.css")
	}
	dark, _, _ := strings.Cut(rest, "\n\n")
	read := func(text string) map[string]string {
		m := make(map[string]string)
		for _, found := range regexp.MustCompile(`(--[a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(text, -1) {
			m[found[1]] = found[2]
		}
		return m
	}
	return map[string]map[string]string{"light": read(light), "dark": read(dark)}
}

// luminance is that of WCAG 2.1.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func TestContrast(t *testing.T) {
	text := []string{
		"text ground", "text raised", "soft ground", "soft raised", "link ground", "link raised",
		"text critical-ground", "text unknown-ground", "text warning-ground", "link critical-ground",
		"on-critical critical", "on-unknown unknown", "on-warning warning-fill", "critical ground", "warning ground", "ok ground", "unknown ground",
		"unknown unknown-ground", "unknown critical-ground", "unknown warning-ground", "ok ok-ground", "pending pending-ground",
	}
	shapes := []string{"critical ground", "critical critical-ground", "warning warning-ground", "unknown unknown-ground", "text zone"}
	for scheme, of := range colours(t) {
		hold := func(pairs []string, least float64) {
			for _, pair := range pairs {
				a, b, _ := strings.Cut(pair, " ")
				if of["--"+a] == "" || of["--"+b] == "" {
					t.Fatalf("%s: no colour %s or %s", scheme, a, b)
				}
				x, y := luminance(t, of["--"+a]), luminance(t, of["--"+b])
				if ratio := (max(x, y) + 0.05) / (min(x, y) + 0.05); ratio < least {
					t.Errorf("%s: contrast of %s (%s) on %s (%s) = %.2f; want %.1f", scheme, a, of["--"+a], b, of["--"+b], ratio, least)
				}
			}
		}
		hold(text, 4.5)
		hold(shapes, 3)
	}
}
