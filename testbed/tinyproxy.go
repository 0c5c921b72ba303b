package testbed

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// TinyproxyOptions say what Bed.Tinyproxy starts.
type TinyproxyOptions struct {
	Name         string // default "tinyproxy"
	User         string // empty: nobody has to log in
	Password     string
	ConnectPorts []int // ports to which it connects; none: to every port
}

// Tinyproxy is a running HTTP proxy.
type Tinyproxy struct {
	*Server
	Port int
}

// Tinyproxy starts Debian's tinyproxy and waits until it listens.
func (b *Bed) Tinyproxy(options TinyproxyOptions) *Tinyproxy {
	b.t.Helper()
	if options.Name == "" {
		options.Name = "tinyproxy"
	}
	p := &Tinyproxy{Server: b.serverOf("nobody", options.Name), Port: b.Port()}
	var c strings.Builder
	fmt.Fprintf(&c, "Port %d\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nLogLevel Info\n", p.Port)
	if options.User != "" {
		fmt.Fprintf(&c, "BasicAuth %s %s\n", options.User, options.Password)
	}
	for _, port := range options.ConnectPorts {
		fmt.Fprintf(&c, "ConnectPort %d\n", port)
	}
	config := b.WriteFileFor("nobody", filepath.Join(p.Dir, "tinyproxy.conf"), c.String(), 0o600)
	p.argv = []string{"/usr/bin/tinyproxy", "-d", "-c", config}
	p.env = b.environ(p.Dir)
	p.ready = func() error {
		conn, err := net.DialTimeout("tcp", p.Addr(), time.Second)
		if err == nil {
			err = conn.Close()
		}
		return err
	}
	p.Start()
	return p
}

// Addr is where clients connect, as host:port.
func (p *Tinyproxy) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port)) }
