package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// doorState is what a client meets before there is a connection.
type doorState int

const (
	doorOpen    doorState = iota // connections are accepted
	doorRefused                  // nobody listens
	doorBlocked                  // SYNs are dropped
)

// door owns a port. A socket that is bound and never listens keeps the port for
// as long as the door lives; listeners share it by SO_REUSEPORT and come and go.
type door struct {
	port    int
	addr    string
	holder  int
	blocker int // listening socket with a full backlog, or -1
	fillers []net.Conn
}

func newDoor() (*door, error) {
	fd, err := boundSocket(0)
	if err != nil {
		return nil, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("getsockname", err)
	}
	in, ok := name.(*unix.SockaddrInet4)
	if !ok {
		unix.Close(fd)
		return nil, fmt.Errorf("socket name is a %T, not an IPv4 address", name)
	}
	d := &door{port: in.Port, holder: fd, blocker: -1}
	d.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(in.Port))
	return d, nil
}

func (d *door) open() (net.Listener, error) {
	config := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return errors.Join(err, failed)
	}}
	config.SetMultipathTCP(false) // the holder is plain TCP
	return config.Listen(context.Background(), "tcp4", d.addr)
}

// block listens without accepting and fills the queue of established
// connections: Linux then drops every further SYN (tcp_abort_on_overflow does
// not matter, it concerns the last packet of the handshake).
func (d *door) block() error {
	fd, err := boundSocket(d.port)
	if err != nil {
		return err
	}
	if err := unix.Listen(fd, 0); err != nil {
		unix.Close(fd)
		return os.NewSyscallError("listen", err)
	}
	d.blocker = fd
	for range 16 {
		// On a listening socket unacked is the length of the queue and sacked its
		// limit; the queue is full when it is longer than the limit.
		info, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO)
		if err != nil {
			d.unblock()
			return os.NewSyscallError("getsockopt", err)
		}
		if info.Unacked > info.Sacked {
			return nil
		}
		if conn, err := net.DialTimeout("tcp4", d.addr, time.Second); err == nil {
			d.fillers = append(d.fillers, conn)
		}
	}
	d.unblock()
	return errors.New("the backlog never became full")
}

func (d *door) unblock() {
	if d.blocker >= 0 {
		unix.Close(d.blocker)
		d.blocker = -1
	}
	for _, conn := range d.fillers {
		conn.Close()
	}
	d.fillers = nil
}

func (d *door) close() error {
	return os.NewSyscallError("close", unix.Close(d.holder))
}

// boundSocket binds a TCP socket to 127.0.0.1 that does not listen.
func boundSocket(port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}
