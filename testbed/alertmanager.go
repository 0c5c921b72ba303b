package testbed

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// AlertmanagerOptions say what Bed.Alertmanager starts.
type AlertmanagerOptions struct {
	Name   string // default "alertmanager"
	Config string // alertmanager.yml
}

// Alertmanager is a running server that knows of no others.
type Alertmanager struct {
	*Server
	Port       int
	ConfigFile string
}

// Alertmanager starts a server and waits until it is ready.
func (b *Bed) Alertmanager(options AlertmanagerOptions) *Alertmanager {
	b.t.Helper()
	if options.Name == "" {
		options.Name = "alertmanager"
	}
	a := &Alertmanager{Server: b.serverOf(prometheusAccount, options.Name), Port: b.Port()}
	a.ConfigFile = b.WriteFileFor(prometheusAccount, filepath.Join(a.Dir, "alertmanager.yml"), options.Config, 0o644)
	a.argv = []string{"/usr/bin/prometheus-alertmanager", "--config.file=" + a.ConfigFile, "--storage.path=" + filepath.Join(a.Dir, "data"),
		"--web.listen-address=" + net.JoinHostPort("127.0.0.1", strconv.Itoa(a.Port)), "--cluster.listen-address="}
	a.env = b.environ(a.Dir)
	client := &http.Client{Timeout: 10 * time.Second}
	a.ready = func() error {
		response, err := client.Get(a.URL() + "/-/ready")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET /-/ready: %s", response.Status)
		}
		return nil
	}
	a.Start()
	return a
}

// URL is the address of the server, without a path.
func (a *Alertmanager) URL() string { return "http://127.0.0.1:" + strconv.Itoa(a.Port) }

// Amtool runs amtool, such as with "check-config", file, and returns what it printed. It fails the test when it fails.
func Amtool(t TB, args ...string) string {
	t.Helper()
	out, err := tool("/usr/bin/amtool", nil, args...)
	if err != nil {
		t.Errorf("amtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
