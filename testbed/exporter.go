package testbed

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"time"
)

// ExporterOptions say what Bed.Exporter starts.
type ExporterOptions struct {
	Name    string   // default "exporter"
	Config  string   // its YAML; empty: it is given none, and discovers what there is
	Account string   // system user it runs as when we are root; default "nobody"
	Binary  string   // default: built from this module
	Args    []string // further options
}

// Exporter is a running Belfry exporter.
type Exporter struct {
	*Server
	Port       int
	ConfigFile string
}

// Exporter starts the exporter and waits until it answers; its first looks may still be under way.
func (b *Bed) Exporter(options ExporterOptions) *Exporter {
	b.t.Helper()
	if options.Name == "" {
		options.Name = "exporter"
	}
	if options.Account == "" {
		options.Account = "nobody"
	}
	if options.Binary == "" {
		options.Binary = b.Build("./exporter/belfry_exporter")
	}
	e := &Exporter{Server: b.serverOf(options.Account, options.Name), Port: b.Port()}
	e.argv = []string{options.Binary, "--web.listen-address=127.0.0.1:" + strconv.Itoa(e.Port)}
	if options.Config != "" {
		e.ConfigFile = b.WriteFileFor(options.Account, filepath.Join(e.Dir, "belfry.yml"), options.Config, 0o600)
		e.argv = append(e.argv, "--config.file="+e.ConfigFile)
	}
	e.argv = append(e.argv, options.Args...)
	e.env = b.environ(e.Dir)
	e.ready = func() error {
		_, err := e.Get("/-/healthy")
		return err
	}
	e.Start()
	return e
}

// URL is the address of the exporter, without a path.
func (e *Exporter) URL() string { return "http://127.0.0.1:" + strconv.Itoa(e.Port) }

// Get reads a path of the exporter, 16 MiB at most; a status other than 200 is an error.
func (e *Exporter) Get(path string) (string, error) { return e.GetWithin(10*time.Second, path) }

// GetWithin is Get with another limit than 10 s, for looks that take their time.
func (e *Exporter) GetWithin(limit time.Duration, path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL()+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s of the exporter: %s", path, resp.Status)
	}
	return string(body), err
}
