package testbed

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// MemcachedOptions change what Bed.Memcached starts; the zero value is a server without a password.
type MemcachedOptions struct {
	Name     string   // default "memcached"
	User     string   // with Password: asked for by everybody, in the text protocol (-Y)
	Password string   //
	Args     []string // further arguments, such as -S -B binary for SASL
}

// Memcached is a running memcached.
type Memcached struct {
	*Server
	Host string // 127.0.0.1
	Port int
}

// The package makes the user memcache, without a directory of its own.
const memcachedAccount = "memcache"

// Memcached starts Debian's memcached with 16 MiB and waits until it listens.
func (b *Bed) Memcached(options MemcachedOptions) *Memcached {
	b.t.Helper()
	if options.Name == "" {
		options.Name = "memcached"
	}
	m := &Memcached{Server: b.serverOf(memcachedAccount, options.Name), Host: "127.0.0.1", Port: b.Port()}
	m.argv = []string{"/usr/bin/memcached", "-m", "16", "-p", strconv.Itoa(m.Port), "-U", "0", "-l", m.Host}
	if options.Password != "" {
		m.argv = append(m.argv, "-Y", b.WriteFileFor(memcachedAccount, filepath.Join(m.Dir, "auth"), fmt.Sprintf("%s:%s\n", options.User, options.Password), 0o600))
	}
	m.argv = append(m.argv, options.Args...)
	m.env = b.environ(m.Dir, "SASL_CONF_PATH="+m.Dir)
	m.ready = func() error {
		if strings.Contains(strings.Join(options.Args, " "), "-S") { // it hangs up on text
			conn, err := net.DialTimeout("tcp", m.Addr(), time.Second)
			if err == nil {
				err = conn.Close()
			}
			return err
		}
		_, err := firstLine(m.Addr(), "version\r\n")
		return err
	}
	m.Start()
	return m
}

// Addr is where clients connect, as host:port.
func (m *Memcached) Addr() string { return net.JoinHostPort(m.Host, strconv.Itoa(m.Port)) }
