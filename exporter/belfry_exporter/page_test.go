package main

import (
	"encoding/json"
	"fmt"
	"html"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/browser"
)

var commandPattern = regexp.MustCompile(`(?s)<pre class="command"[^>]*><code>(.*?)</code>`)

// The page says what becomes of a server, and the command line that it prints
// gives the same verdict by the real plugin, in good health and in bad.
func TestPageOfRealServers(t *testing.T) {
	bed := testbed.New(t)
	good := bed.Postgres(testbed.PostgresOptions{Name: "good"})
	doomed := bed.Postgres(testbed.PostgresOptions{Name: "doomed"})
	plugins := filepath.Dir(bed.Build("./plugins/postgresreplicationlag/check_postgres_replication_lag"))
	dir := bed.MkdirFor("nobody", "an exporter's secrets", 0o700)
	var config strings.Builder
	config.WriteString("spread: 0s\ndefaults: {interval: 10s, timeout: 9s}\nchecks:\n")
	for _, p := range []*testbed.Postgres{good, doomed} {
		secret := bed.WriteFileFor("nobody", filepath.Join(dir, p.Name+" password"), p.Password(testbed.RoleMonitor)+"\n", 0o600)
		fmt.Fprintf(&config, "- check: postgres_replication_lag\n  target: 'the %s/server''s'\n  warning: 'standbys{server=*}=0:3'\n  severity: {no_standby: ok}\n  options: {host: %q, user: %s, dbname: postgres, password-file: %q}\n",
			p.Name, net.JoinHostPort(p.Host, strconv.Itoa(p.Port)), testbed.RoleMonitor, secret)
	}
	exporter := bed.Exporter(testbed.ExporterOptions{Config: config.String(), Account: "nobody"})
	b := browser.Start(t)
	p := b.Page(browser.Screen{Width: 360, Height: 740})

	row := func(name string) string {
		p.Open(exporter.URL() + "/?refresh=off")
		return browser.Eval[string](p, fmt.Sprintf("[...document.querySelectorAll('.checks tbody tr')].find((row) => row.innerText.includes(%q)).innerText", "the "+name+"/"))
	}
	await := func(name, state, text string) {
		t.Helper()
		testbed.WaitFor(t, 2*time.Minute, name+" to be "+state+" on the page", func() error {
			if got := row(name); !strings.Contains(got, state) || !strings.Contains(got, text) {
				return fmt.Errorf("its row says %q", got)
			}
			return nil
		})
	}
	// same compares the page of a check with what its command line says.
	same := func(name, state string) {
		t.Helper()
		p.Open(exporter.URL() + "/?refresh=off")
		p.Open(browser.Eval[string](p, fmt.Sprintf("[...document.querySelectorAll('.c-name a')].find((a) => a.innerText.includes(%q)).href", "the "+name+"/")))
		text := browser.Eval[string](p, "document.querySelector('pre.command').outerHTML")
		found := commandPattern.FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("no command line in %s", text)
		}
		command := html.UnescapeString(found[1])
		looked := testbed.RunAs(t, "nobody", []string{"/bin/sh", "-c", command + " --output=json"}, []string{"PATH=" + plugins + ":/usr/bin:/bin", "HOME=/nonexistent"})
		var document plugin.Document
		if err := json.Unmarshal([]byte(looked.Stdout), &document); err != nil {
			t.Fatalf("%s\nprints %s%s: %v", command, looked.Stdout, looked.Stderr, err)
		}
		said := browser.Eval[string](p, "document.querySelector('.lead').innerText")
		if document.State != state || document.Text != said {
			t.Errorf("%s\nis %s: %s\nthe page says %s: %s", command, document.State, document.Text, state, said)
		}
		t.Logf("%s: %s\n%s", state, said, command)
	}

	await("good", "OK", "")
	await("doomed", "OK", "")
	same("good", "OK")
	doomed.Stop()
	await("doomed", "CRITICAL", "connection refused")
	await("good", "OK", "")
	same("doomed", "CRITICAL")
	p.Open(exporter.URL() + "/")
	if got := browser.Eval[string](p, "document.title + '; ' + document.querySelector('h1').innerText"); !strings.Contains(got, "1 CRITICAL, 1 OK · Belfry; ") || !strings.Contains(got, "1 of 2 checks is CRITICAL") {
		t.Errorf("the page's title and verdict are %q", got)
	}
	if got := browser.Eval[string](p, "document.querySelector('.checks tbody tr').innerText"); !strings.Contains(got, "doomed") {
		t.Errorf("the first row is %q; want the server that is down", got)
	}
	doomed.Start()
	await("doomed", "OK", "")
	same("doomed", "OK")
	if troubles, by := p.Troubles(), p.Overflow(); len(troubles) > 0 || by > 0 {
		t.Errorf("the page complains %q and is %d pixels too wide", troubles, by)
	}
}
