package testbed

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
)

// Ports come from below 32768, where the kernel begins to take the ports of outgoing connections, which could snatch one
// between two starts of a server.
const (
	firstPort = 20100
	lastPort  = 31999
)

// Port reserves a TCP port of the loopback interface for this bed until it ends. It is free now, and no other bed of this
// machine gets it, also none of another process or user.
func (b *Bed) Port() int {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for range 2000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		// Default ports of RabbitMQ's distribution and of Redis Sentinel.
		if port == 25672 || port == 26379 || b.ports[port] != nil {
			continue
		}
		// An abstract socket is a lock by name that ends with its holder, leaves no file, and lives in the same network
		// namespace as the port.
		lock, err := net.Listen("unix", fmt.Sprintf("@belfry-testbed-port-%d", port))
		if err != nil {
			continue
		}
		if !free(port) {
			_ = lock.Close()
			continue
		}
		b.ports[port] = lock
		return port
	}
	b.fail("no free port between %d and %d", firstPort, lastPort)
	return 0
}

func free(port int) bool {
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
		if err == nil {
			err = l.Close()
		}
		// A machine without IPv6 has nobody on its ports.
		if err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.Is(err, syscall.EAFNOSUPPORT) {
			return false
		}
	}
	return true
}
