// Package systemd is how the exporter talks with the service manager that
// started it: sd_notify(3), the watchdog, and sockets that are handed over.
package systemd

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// sendLimit is how long one message may take: a manager that does not read
// must not hold up what the process does.
const sendLimit = 2 * time.Second

// Manager is the service manager. A nil Manager is nobody: nothing is sent.
type Manager struct {
	socket   string        // $NOTIFY_SOCKET; empty: nothing is sent
	watchdog time.Duration // between two pings at most; 0: none are expected

	mu     sync.Mutex
	ready  bool
	status string // last sent
}

// New returns the manager that listens at the socket (a path, or a name that
// begins with @) and ends the process when no ping comes for the time watchdog.
func New(socket string, watchdog time.Duration) *Manager {
	return &Manager{socket: socket, watchdog: watchdog}
}

// FromEnvironment returns the manager that started this process, by
// NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; nil where there is none.
func FromEnvironment() (*Manager, error) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil, nil
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("read WATCHDOG_USEC and WATCHDOG_PID of the environment: %w", err)
	}
	return New(socket, watchdog), nil
}

// Watchdog is the time after which the manager ends a process that does not
// ping; 0 where it does not.
func (m *Manager) Watchdog() time.Duration {
	if m == nil {
		return 0
	}
	return m.watchdog
}

// Ready says that the process serves, or that it has read its configuration
// anew.
func (m *Manager) Ready() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ready = true
	return m.send("READY=1")
}

// Reloading says that the process reads its configuration anew, to be followed
// by Ready. Before the process was ready it says nothing.
func (m *Manager) Reloading() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.ready {
		return nil
	}
	return m.send("RELOADING=1\n" + daemon.SdNotifyMonotonicUsec())
}

// Reloaded ends what Reloading has begun.
func (m *Manager) Reloaded() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.ready {
		return nil
	}
	return m.send("READY=1")
}

// Stopping says that the process is about to end.
func (m *Manager) Stopping() error {
	if m == nil {
		return nil
	}
	return m.send("STOPPING=1")
}

// Status is the line that systemctl status shows. What was sent last is not
// sent again.
func (m *Manager) Status(text string) error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	text = strings.Join(strings.Fields(text), " ") // a line feed would begin another assignment
	if text == m.status {
		return nil
	}
	err := m.send("STATUS=" + text)
	if err == nil {
		m.status = text
	}
	return err
}

// Ping says that the process is alive.
func (m *Manager) Ping() error {
	if m == nil {
		return nil
	}
	return m.send("WATCHDOG=1")
}

// send writes one datagram. daemon.SdNotify would wait for ever where the
// manager's queue is full.
func (m *Manager) send(state string) error {
	if m.socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err == nil {
		defer conn.Close()
		if err = conn.SetWriteDeadline(time.Now().Add(sendLimit)); err == nil {
			_, err = conn.Write([]byte(state))
		}
	}
	if err != nil {
		name, _, _ := strings.Cut(state, "=")
		return fmt.Errorf("tell the service manager %s at %s: %w", name, m.socket, err)
	}
	return nil
}

// Listeners returns the sockets that a socket unit hands over, in its order;
// none where LISTEN_PID and LISTEN_FDS do not name this process. It can be
// asked once.
func Listeners() ([]net.Listener, error) {
	all, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take over the sockets of the service manager: %w", err)
	}
	var listeners []net.Listener
	for i, l := range all {
		if l == nil {
			return nil, fmt.Errorf("take over the sockets of the service manager: number %d is no socket of streams that listens: use ListenStream= only", i+1)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}
