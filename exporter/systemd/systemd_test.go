package systemd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNobody(t *testing.T) {
	var m *Manager
	for _, err := range []error{m.Ready(), m.Reloading(), m.Reloaded(), m.Stopping(), m.Status("x"), m.Ping()} {
		if err != nil {
			t.Errorf("without a manager: %v; want nil", err)
		}
	}
	if w := m.Watchdog(); w != 0 {
		t.Errorf("Watchdog() = %s; want 0", w)
	}
}

func TestFromEnvironment(t *testing.T) {
	for _, tt := range []struct {
		socket, usec, pid string
		watchdog          time.Duration
		err               string
	}{
		{"", "30000000", "", 0, ""},
		{"/run/notify", "", "", 0, ""},
		{"/run/notify", "30000000", "", 30 * time.Second, ""},
		{"/run/notify", "30000000", fmt.Sprint(os.Getpid()), 30 * time.Second, ""},
		{"/run/notify", "30000000", "1", 0, ""},
		{"/run/notify", "soon", "", 0, "WATCHDOG_USEC"},
		{"/run/notify", "-1", "", 0, "WATCHDOG_USEC"},
	} {
		t.Setenv("NOTIFY_SOCKET", tt.socket)
		t.Setenv("WATCHDOG_USEC", tt.usec)
		t.Setenv("WATCHDOG_PID", tt.pid)
		m, err := FromEnvironment()
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) || m.Watchdog() != tt.watchdog || err == nil && (m == nil) != (tt.socket == "") {
			t.Errorf("FromEnvironment() of %+v = %+v, %v", tt, m, err)
		}
	}
}

// listen returns the socket of a manager.
func listen(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Reloads are told only between Ready and the end; a status only when it is
// another, on one line; also to an abstract socket.
func TestMessages(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), fmt.Sprintf("@belfry-%d", os.Getpid())} {
		conn, m := listen(t, name), New(name, time.Minute)
		for _, err := range []error{m.Reloading(), m.Reloaded(), m.Ready(), m.Status("2 checks\nREADY=0"), m.Status("2 checks READY=0"), m.Reloading(), m.Reloaded(), m.Ping(), m.Stopping()} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"READY=1", "STATUS=2 checks READY=0", "RELOADING=1\nMONOTONIC_USEC=", "READY=1", "WATCHDOG=1", "STOPPING=1"} {
			buffer := make([]byte, 4096)
			n, err := conn.Read(buffer)
			got := string(buffer[:n])
			if err != nil || got != want && !(strings.HasSuffix(want, "=") && strings.HasPrefix(got, want)) {
				t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
			}
		}
	}
}

// A manager that does not read, or is gone, is an error and no wait for ever.
func TestManagerThatDoesNotRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	conn, m := listen(t, name), New(name, 0)
	var err error
	for sent := 0; err == nil && sent < 1_000_000; sent++ {
		err = m.Ping()
	}
	if err == nil || !strings.Contains(err.Error(), "tell the service manager WATCHDOG at "+name) || !os.IsTimeout(err) && !strings.Contains(err.Error(), "timeout") {
		t.Errorf("Ping() of a full queue = %v; want a timeout", err)
	}
	conn.Close()
	if err := m.Status("x"); err == nil {
		t.Error("Status() of a manager that is gone = nil; want an error")
	}
}
