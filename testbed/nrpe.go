package testbed

import (
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// NRPEOptions say what Bed.NRPE starts.
type NRPEOptions struct {
	Commands map[string]string // files of the include directory, by name
	Config   map[string]string // further or other directives of nrpe.cfg
}

// NRPE is a running NRPE daemon, with TLS as Debian has it.
type NRPE struct {
	*Server
	Port int
}

// NRPE starts NRPE in the foreground as the user nagios on a private port of the loopback interface, configured as Debian's
// nrpe.cfg is, and waits until it takes connections.
func (b *Bed) NRPE(options NRPEOptions) *NRPE {
	b.t.Helper()
	user, err := osUser(nagiosAccount)
	if err != nil {
		b.fail("%v", err)
	}
	n := &NRPE{Server: b.serverOf(nagiosAccount, "nrpe"), Port: b.Port()}
	include := b.MkdirFor(nagiosAccount, "nrpe/nrpe.d", 0o755)
	for _, name := range slices.Sorted(maps.Keys(options.Commands)) {
		b.WriteFileFor(nagiosAccount, filepath.Join(include, name), options.Commands[name], 0o644)
	}
	config := map[string]string{
		"log_facility": "daemon", "log_file": filepath.Join(n.Dir, "nrpe.log"), "debug": "0", "pid_file": filepath.Join(n.Dir, "nrpe.pid"),
		"server_port": strconv.Itoa(n.Port), "server_address": "127.0.0.1", "nrpe_user": user, "allowed_hosts": "127.0.0.1",
		"dont_blame_nrpe": "0", "allow_bash_command_substitution": "0", "command_timeout": "60", "connection_timeout": "300", "disable_syslog": "1",
	}
	maps.Copy(config, options.Config)
	var lines strings.Builder
	for _, key := range slices.Sorted(maps.Keys(config)) {
		fmt.Fprintf(&lines, "%s=%s\n", key, config[key])
	}
	// Last, as in Debian's: what the included files set counts.
	fmt.Fprintf(&lines, "include_dir=%s\n", include)
	n.argv = []string{"/usr/sbin/nrpe", "-c", b.WriteFileFor(nagiosAccount, filepath.Join(n.Dir, "nrpe.cfg"), lines.String(), 0o644), "-f"}
	n.env = b.environ(n.Dir)
	n.ready = func() error { return dialable(n.Port) }
	n.Start()
	return n
}

// dialable reports whether the port of the loopback interface takes connections.
func dialable(port int) error {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), 5*time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}
