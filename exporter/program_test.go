package exporter

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCommandLine(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	good := file("good.yml", "checks: [{check: fake, target: a}]")
	bad := file("bad.yml", "checks:\n- {check: fake, warning: 20:10}\n- {check: fake, target: b, interval: 1}\n")
	missing := file("missing.yml", "checks:\n- {check: fake, target: a, options: {mode: \"file:/nonexistent/file\"}}")
	missingTarget := file("target.yml", "modules:\n  m:\n    check: fake\n    targets:\n      a: {options: {mode: ok}}\n      b: {options: {mode: \"file:/nonexistent/file\"}}\n")
	badWeb := file("web.yml", "tls_server_config: {nonsense: 1}\n")
	for _, c := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"--help"}, 0, []string{"--config.file", "/etc/belfry/exporter.yml", "config.check", "--web.listen-address=:19742", "--web.config.file", "web.systemd-socket", "--log.level"}},
		{[]string{"--version"}, 0, []string{"belfry_exporter, version"}},
		{[]string{"--nonsense"}, 2, []string{"unknown long flag '--nonsense', try --help"}},
		{[]string{"stray"}, 2, []string{"unexpected stray, try --help"}},
		{[]string{"--config.check", "--config.file", good}, 0, []string{"the configuration is right", "checks=1"}},
		{[]string{"--config.check", "--config.file", bad}, 1, []string{
			`bad.yml:2: warning: range \"20:10\": start is above end`,
			`bad.yml:3: interval \"1\": write a number with its unit`,
		}},
		{[]string{"--config.check", "--config.file", missing}, 1, []string{"missing.yml:2: stat /nonexistent/file: no such file or directory"}},
		{[]string{"--config.check", "--config.file", missingTarget}, 1, []string{"target.yml:6: stat /nonexistent/file: no such file or directory"}},
		{[]string{"--config.check", "--config.file", good, "--web.config.file", badWeb}, 1, []string{"the web configuration is wrong"}},
		{[]string{"--config.file", bad}, 1, []string{"bad.yml:3"}},
		{[]string{"--config.file", dir + "/none.yml"}, 1, []string{"configuration: read " + dir + "/none.yml: no such file or directory"}},
		{[]string{"--config.file", good, "--web.listen-address", "127.0.0.1:99999"}, 1, []string{"invalid port"}},
	} {
		var output strings.Builder
		code := (&Program{Catalog: w.catalog, Args: c.args, Output: &output}).Run(t.Context())
		if code != c.code {
			t.Errorf("belfry_exporter %s = exit %d; want %d\n%s", strings.Join(c.args, " "), code, c.code, output.String())
		}
		for _, want := range c.want {
			if !strings.Contains(output.String(), want) {
				t.Errorf("belfry_exporter %s prints\n%s\nwant %s in it", strings.Join(c.args, " "), output.String(), want)
			}
		}
	}
}

// process is a Program that runs, with a client of its own.
type process struct {
	t       *testing.T
	url     string
	stop    context.CancelFunc
	reloads chan os.Signal
	code    chan int
	client  *http.Client

	mu  sync.Mutex
	log strings.Builder
}

func run(t *testing.T, w *world, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{t: t, stop: cancel, reloads: make(chan os.Signal), code: make(chan int, 1), client: &http.Client{Timeout: 30 * time.Second}}
	reader, writer := io.Pipe()
	go func() {
		p.code <- (&Program{Catalog: w.catalog, Args: append(args, "--web.listen-address=127.0.0.1:0"), Output: writer, Reloads: p.reloads}).Run(ctx)
		writer.Close()
	}()
	listening := make(chan string, 1)
	go func() {
		address := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			p.mu.Lock()
			fmt.Fprintln(&p.log, lines.Text())
			p.mu.Unlock()
			if m := address.FindStringSubmatch(lines.Text()); m != nil {
				listening <- "http://" + m[1]
			}
		}
	}()
	select {
	case p.url = <-listening:
	case code := <-p.code:
		t.Fatalf("the exporter ended with %d:\n%s", code, p.logged())
	case <-time.After(time.Minute):
		t.Fatalf("the exporter does not listen:\n%s", p.logged())
	}
	return p
}

func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *process) get(path string) (int, string) {
	p.t.Helper()
	response, err := p.client.Get(p.url + path)
	if err != nil {
		p.t.Fatalf("GET %s: %v\n%s", path, err, p.logged())
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatalf("GET %s: %v", path, err)
	}
	return response.StatusCode, string(body)
}

// wait polls until the path's answer holds the text.
func (p *process) wait(path, text string) {
	p.t.Helper()
	var body string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, body = p.get(path); strings.Contains(body, text) {
			return
		}
	}
	p.t.Fatalf("GET %s has no %s:\n%s\n%s", path, text, body, p.logged())
}

// end stops the process and returns its exit code.
func (p *process) end() int {
	p.t.Helper()
	p.stop()
	defer p.client.CloseIdleConnections()
	select {
	case code := <-p.code:
		return code
	case <-time.After(time.Minute):
		p.t.Fatalf("the exporter does not end:\n%s", p.logged())
		return -1
	}
}

func TestProgram(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "exporter.yml")
	write(t, path, "spread: 0s\nchecks:\n- {check: fake, target: good}\n- {check: fake, target: hung, timeout: 1s, interval: 1s, options: {mode: hang}}\n- {check: fake, target: broken, options: {mode: panic}}\n")
	p := run(t, w, "--config.file", path)
	p.wait("/-/ready", "is ready")
	p.wait("/metrics", `belfry_check_state{check="fake",target="good"} 1`)
	p.wait("/metrics", `belfry_check_abandoned_runs_total{check="fake",target="hung"} 1`)
	p.wait("/metrics", `belfry_exporter_build_info{`)

	write(t, path, "spread: 0s\nchecks: [{check: fake, target: other}]")
	p.reloads <- syscall.SIGHUP
	p.wait("/metrics", `belfry_check_state{check="fake",target="other"} 1`)
	write(t, path, "nonsense")
	p.reloads <- syscall.SIGHUP
	p.wait("/metrics", `belfry_exporter_config_last_reload_successful 0`)
	p.wait("/metrics", `belfry_check_state{check="fake",target="other"} 1`)
	p.wait("/metrics", `belfry_exporter_hanging_looks 1`) // of the check that was removed

	close(w.release) // what hangs must be gone for the leak test
	p.wait("/metrics", `belfry_exporter_hanging_looks 0`)
	if code := p.end(); code != 0 {
		t.Errorf("exit code %d; want 0\n%s", code, p.logged())
	}
	for _, want := range []string{
		`level=WARN source=exporter.go:`, `msg="state changed" check=fake target=good from="not looked yet" to=WARNING text="a: depth 7 (above 5)`,
		`msg="a look ignores its deadline`, `msg="a check panicked" check=fake target=broken stack="goroutine`,
		`exporter.yml:1: the file must be a mapping`, `msg=stopping`,
	} {
		if !strings.Contains(p.logged(), want) {
			t.Errorf("the log has no %s:\n%s", want, p.logged())
		}
	}
}

// The port of another process is an error, not a wait.
func TestPortTaken(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "exporter.yml")
	write(t, path, "checks: [{check: fake, target: a}]")
	p := run(t, w, "--config.file", path)
	var output strings.Builder
	code := (&Program{Catalog: w.catalog, Args: []string{"--config.file", path, "--web.listen-address", strings.TrimPrefix(p.url, "http://")}, Output: &output}).Run(t.Context())
	if code != 1 || !strings.Contains(output.String(), "address already in use") {
		t.Errorf("exit code %d; want 1 and that the address is in use\n%s", code, output.String())
	}
	if code := p.end(); code != 0 {
		t.Errorf("exit code %d; want 0", code)
	}
}
