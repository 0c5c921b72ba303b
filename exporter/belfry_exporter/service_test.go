package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-monitoring/belfry/testbed"
)

// serviceLimit is how long anything that a test waits for may take.
const serviceLimit = time.Minute

// manager is a service manager, as far as sd_notify goes: a socket, and what
// came by it.
type manager struct {
	path     string
	messages chan string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{path: filepath.Join(t.TempDir(), "notify"), messages: make(chan string, 10000)}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		for buffer := make([]byte, 4096); ; {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			m.messages <- string(buffer[:n])
		}
	}()
	return m
}

// await returns the first message that begins like this, and those before it.
func (m *manager) await(t *testing.T, p *service, prefix string) (message string, before []string) {
	t.Helper()
	limit := time.After(serviceLimit)
	for {
		select {
		case message := <-m.messages:
			if strings.HasPrefix(message, prefix) {
				return message, before
			}
			before = append(before, message)
		case <-limit:
			t.Fatalf("no message %s within %s, but %q\n%s", prefix, serviceLimit, before, p.log())
		}
	}
}

// quiet waits until no ping has come for the time.
func (m *manager) quiet(t *testing.T, during time.Duration) {
	t.Helper()
	limit := time.After(serviceLimit)
	last := time.NewTimer(during)
	for {
		select {
		case message := <-m.messages:
			if message == "WATCHDOG=1" {
				last.Reset(during)
			}
		case <-last.C:
			return
		case <-limit:
			t.Fatalf("pings still come after %s", serviceLimit)
		}
	}
}

// service is the exporter as a service manager starts it.
type service struct {
	cmd  *exec.Cmd
	dead chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

func (s *service) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

func (s *service) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

// startService runs a command with exactly this environment and its output in
// the log, or in output where that is given.
func startService(t *testing.T, argv, env []string, output io.Writer, files ...*os.File) *service {
	t.Helper()
	s := &service{cmd: exec.Command(argv[0], argv[1:]...), dead: make(chan struct{})}
	s.cmd.Env, s.cmd.ExtraFiles = env, files
	s.cmd.Stderr = s
	if output != nil {
		s.cmd.Stderr = output
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.cmd.Wait()
		close(s.dead)
	}()
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		<-s.dead
	})
	return s
}

// end sends the signal and returns the exit code.
func (s *service) end(t *testing.T, sig os.Signal) int {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.dead:
	case <-time.After(serviceLimit):
		t.Fatalf("the exporter does not end:\n%s", s.log())
	}
	return s.cmd.ProcessState.ExitCode()
}

// writeConfig writes the exporter's configuration of one check of dumps.
func writeConfig(t *testing.T, path, dumps string) {
	t.Helper()
	text := fmt.Sprintf("spread: 0s\nchecks: [{check: backup, target: dumps, interval: 1s, timeout: 1s, options: {path: %q}}]\n", dumps)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the exporter is as a service of systemd, with one build of it.
func TestService(t *testing.T) {
	bed := testbed.New(t)
	for name, test := range map[string]func(*testing.T, *testbed.Bed){
		"notify": testNotify, "not ready": testNotReady, "frozen scheduler": testFrozenScheduler, "socket activation": testSocketActivation,
		"credential": testCredential, "TLS and password": testTLSAndPassword,
	} {
		t.Run(name, func(t *testing.T) { test(t, bed) })
	}
}

// The exporter tells the service manager when it serves, reloads and stops,
// how its checks are, and that it is alive.
func testNotify(t *testing.T, bed *testbed.Bed) {
	dir := t.TempDir()
	config, address := filepath.Join(dir, "exporter.yml"), "127.0.0.1:"+strconv.Itoa(bed.Port())
	dump(t, dir, 20000, time.Hour)
	writeConfig(t, config, dir)
	m := newManager(t)
	s := startService(t, []string{bed.Build("./exporter/belfry_exporter"), "--config.file=" + config, "--web.listen-address=" + address},
		[]string{"NOTIFY_SOCKET=" + m.path, "WATCHDOG_USEC=2000000"}, nil)

	if _, before := m.await(t, s, "READY=1"); len(before) > 0 {
		t.Errorf("before READY=1 came %q; want nothing", before)
	}
	if response, err := http.Get("http://" + address + "/-/healthy"); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("GET /-/healthy as soon as it is ready = %v, %v; want 200", response, err)
	} else {
		response.Body.Close()
	}
	m.await(t, s, "WATCHDOG=1")
	m.await(t, s, "STATUS=1 check: 1 OK")
	m.await(t, s, "WATCHDOG=1")

	reload := func() {
		t.Helper()
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		message, _ := m.await(t, s, "RELOADING=1")
		_, usec, _ := strings.Cut(message, "\nMONOTONIC_USEC=")
		if n, err := strconv.ParseInt(strings.TrimSpace(usec), 10, 64); err != nil || n <= 0 {
			t.Errorf("RELOADING=1 comes as %q; want MONOTONIC_USEC=microseconds with it", message)
		}
		m.await(t, s, "READY=1")
	}
	reload()
	if err := os.WriteFile(config, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	reload()
	m.await(t, s, "STATUS=1 check: 1 OK; the configuration was refused at the last reload, the one before is in use")
	m.await(t, s, "WATCHDOG=1")

	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d after SIGTERM; want 0\n%s", code, s.log())
	}
	m.await(t, s, "STOPPING=1")
}

// Who cannot serve is never ready.
func testNotReady(t *testing.T, bed *testbed.Bed) {
	dir := t.TempDir()
	good, bad, web := filepath.Join(dir, "good.yml"), filepath.Join(dir, "bad.yml"), filepath.Join(dir, "web.yml")
	writeConfig(t, good, dir)
	for path, text := range map[string]string{bad: "nonsense", web: "tls_server_config: {cert_file: /nonexistent/crt, key_file: /nonexistent/key}"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := "--web.listen-address=127.0.0.1:" + strconv.Itoa(bed.Port())
	for name, args := range map[string][]string{
		"configuration is wrong":     {"--config.file=" + bad, free},
		"port is taken":              {"--config.file=" + good, "--web.listen-address=" + taken.Addr().String()},
		"web configuration is wrong": {"--config.file=" + good, "--web.config.file=" + web, free},
		"no socket is handed over":   {"--config.file=" + good, "--web.systemd-socket"},
	} {
		m := newManager(t)
		s := startService(t, append([]string{bed.Build("./exporter/belfry_exporter")}, args...), []string{"NOTIFY_SOCKET=" + m.path}, nil)
		select {
		case <-s.dead:
		case <-time.After(serviceLimit):
			t.Fatalf("%s: the exporter does not end:\n%s", name, s.log())
		}
		if code := s.cmd.ProcessState.ExitCode(); code != 1 {
			t.Errorf("%s: exit code %d; want 1\n%s", name, code, s.log())
		}
		for more := true; more; {
			select {
			case message := <-m.messages:
				if strings.HasPrefix(message, "READY=1") {
					t.Errorf("%s: the exporter said %q", name, message)
				}
			default:
				more = false
			}
		}
	}
}

// An exporter whose looks are stuck does not ping, so that the service manager
// starts it anew. Here its log is a pipe that nobody reads, and a look that has
// something to say waits for ever.
func testFrozenScheduler(t *testing.T, bed *testbed.Bed) {
	dir := t.TempDir()
	config := filepath.Join(dir, "exporter.yml")
	dump(t, dir, 20000, time.Hour)
	writeConfig(t, config, dir)
	m := newManager(t)
	log, input, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	defer input.Close()
	s := startService(t, []string{bed.Build("./exporter/belfry_exporter"), "--config.file=" + config, "--web.listen-address=127.0.0.1:" + strconv.Itoa(bed.Port())},
		[]string{"NOTIFY_SOCKET=" + m.path, "WATCHDOG_USEC=2000000"}, input)
	m.await(t, s, "STATUS=1 check: 1 OK")
	m.await(t, s, "WATCHDOG=1")

	fill(t, input)
	if err := os.Remove(filepath.Join(dir, "zulip.sql")); err != nil { // its state changes, which is logged
		t.Fatal(err)
	}
	m.await(t, s, "STATUS=stuck, no ping of the watchdog: check backup of target dumps has not come back from its look")
	m.quiet(t, 5*time.Second)

	// Once somebody reads, it moves and pings again.
	go io.Copy(io.Discard, log)
	m.await(t, s, "WATCHDOG=1")
	m.await(t, s, "STATUS=1 check: 1 CRITICAL")
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d after SIGTERM; want 0", code)
	}
}

// fill writes into a pipe until it takes no more.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	// Opened anew: the exporter's own end must keep blocking.
	fd, err := syscall.Open(fmt.Sprintf("/proc/self/fd/%d", pipe.Fd()), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open the pipe anew: %v", err)
	}
	defer syscall.Close(fd)
	for _, piece := range [][]byte{bytes.Repeat([]byte{'\n'}, 4096), {'\n'}} {
		for err = nil; err == nil; {
			_, err = syscall.Write(fd, piece)
		}
		if !errors.Is(err, syscall.EAGAIN) {
			t.Fatalf("fill the pipe: %v", err)
		}
	}
}

// Sockets that a socket unit hands over are served, with and without
// --web.systemd-socket, in place of --web.listen-address.
func testSocketActivation(t *testing.T, bed *testbed.Bed) {
	dir := t.TempDir()
	config := filepath.Join(dir, "exporter.yml")
	writeConfig(t, config, dir)
	for _, flag := range []string{"--web.systemd-socket", "--no-web.systemd-socket"} {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "socket")
		unix, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		var files []*os.File
		for _, l := range []interface{ File() (*os.File, error) }{tcp.(*net.TCPListener), unix.(*net.UnixListener)} {
			f, err := l.File()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files = append(files, f)
		}
		m := newManager(t)
		// $$ stays the same process after exec, as LISTEN_PID must.
		s := startService(t, []string{"/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=2 exec "$@"`, "sh",
			bed.Build("./exporter/belfry_exporter"), "--config.file=" + config, "--web.listen-address=127.0.0.1:1", flag},
			[]string{"NOTIFY_SOCKET=" + m.path}, nil, files...)
		m.await(t, s, "READY=1")
		overUnix := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}}
		for client, url := range map[*http.Client]string{http.DefaultClient: "http://" + tcp.Addr().String(), overUnix: "http://exporter"} {
			response, err := client.Get(url + "/metrics")
			if err != nil {
				t.Fatalf("%s: GET %s/metrics: %v\n%s", flag, url, err, s.log())
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || !strings.Contains(string(body), `belfry_check_interval_seconds{check="backup",target="dumps"} 1`) {
				t.Errorf("%s: GET %s/metrics = %s, %v, without the check's interval", flag, url, response.Status, err)
			}
		}
		if code := s.end(t, syscall.SIGTERM); code != 0 {
			t.Errorf("%s: exit code %d; want 0\n%s", flag, code, s.log())
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: the socket of the service manager is gone: %v", flag, err)
		}
		tcp.Close()
		unix.Close()
	}
}
