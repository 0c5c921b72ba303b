package exporter

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mdlayher/vsock"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/belfry-monitoring/belfry/exporter/systemd"
)

// listen opens the addresses of --web.listen-address. Sockets of a socket unit
// are used in their place wherever there are some, so that the same unit
// serves with and without one. web.ListenAndServe would open the same, but
// tells nobody when it has, nor how its listeners are doing. What is wrong with
// --web.config.file is said before anybody is told that the exporter is ready.
func listen(f *web.FlagConfig) ([]net.Listener, error) {
	if err := web.Validate(*f.WebConfigFile); err != nil {
		return nil, fmt.Errorf("--web.config.file=%s: %w", *f.WebConfigFile, err)
	}
	given, err := systemd.Listeners()
	if err != nil {
		return nil, err
	}
	if len(given) == 0 && *f.WebSystemdSocket {
		return nil, errors.New("--web.systemd-socket: the service manager hands over no socket: start belfry-exporter.socket, or leave the option out")
	}
	var listeners []net.Listener
	for _, l := range given {
		listeners = append(listeners, newListener(l))
	}
	if len(given) > 0 {
		return listeners, nil
	}
	for _, address := range *f.WebListenAddresses {
		l, err := listenAt(address)
		if err != nil {
			for _, open := range listeners {
				open.Close()
			}
			return nil, err
		}
		listeners = append(listeners, newListener(l))
	}
	return listeners, nil
}

func listenAt(address string) (net.Listener, error) {
	place, isVsock := strings.CutPrefix(address, "vsock://")
	if !isVsock {
		return net.Listen("tcp", address)
	}
	_, text, err := net.SplitHostPort(place)
	port, numErr := strconv.ParseUint(text, 10, 32)
	if err := cmp.Or(err, numErr); err != nil {
		return nil, fmt.Errorf("--web.listen-address=%s: write vsock://:PORT: %w", address, err)
	}
	return vsock.Listen(uint32(port), nil)
}

// listener knows how its accepting goes. Its connections come from one
// goroutine, which has to come back for the next.
type listener struct {
	net.Listener

	mu      sync.Mutex
	away    time.Time // since when nobody waits for the next connection; zero: somebody does
	failing time.Time // since when connections cannot be accepted; zero: they can
	err     error     // why
}

func newListener(l net.Listener) *listener { return &listener{Listener: l, away: time.Now()} }

func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	l.away = time.Time{}
	l.mu.Unlock()
	conn, err := l.Listener.Accept()
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away, l.err = now, err
	switch {
	case err == nil:
		l.failing = time.Time{}
	case l.failing.IsZero():
		l.failing = now
	}
	return conn, err
}

// stuck says why no connection is taken for longer than slack: nobody comes
// back for one, or none can be had, as without a free file descriptor.
func (l *listener) stuck(now time.Time, slack time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.failing.IsZero() && now.Sub(l.failing) > slack:
		return fmt.Errorf("no connection can be accepted at %s for %s: %w", l.Addr(), now.Sub(l.failing).Round(time.Second), l.err)
	case !l.away.IsZero() && now.Sub(l.away) > slack:
		return fmt.Errorf("no connection is accepted at %s for %s", l.Addr(), now.Sub(l.away).Round(time.Second))
	}
	return nil
}
