package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/belfry-monitoring/belfry/testbed"
)

// buildBlackbox builds the blackbox exporter of the module beside this file.
func (b *bench) buildBlackbox() (string, error) {
	path := filepath.Join(b.bed.MkdirFor("nobody", "blackbox-bin", 0o755), "blackbox_exporter")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "github.com/prometheus/blackbox_exporter")
	cmd.Dir = "testbed/belfry_bench/blackbox"
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build blackbox_exporter: %w\n%s", err, out)
	}
	return path, os.Chmod(path, 0o755)
}

// blackbox is a running blackbox exporter.
type blackbox struct {
	server          *testbed.Server
	url             string
	client          *http.Client
	asked, mistaken atomic.Int64
}

func (b *bench) blackbox(binary, name string) *blackbox {
	config := b.bed.WriteFileFor("nobody", name+".yml", "modules:\n  banner:\n    prober: tcp\n    timeout: 5s\n    tcp:\n      query_response:\n        - expect: \"^220 \"\n", 0o644)
	address := "127.0.0.1:" + strconv.Itoa(b.bed.Port())
	x := &blackbox{url: "http://" + address, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}}
	x.server = b.bed.Program("nobody", name, []string{binary, "--config.file=" + config, "--web.listen-address=" + address, "--log.level=error"}, func() error {
		_, err := scrapeOf(x.url + "/metrics")
		return err
	})
	return x
}

// probe asks for one probe and counts it, and also when its answer is wrong.
func (x *blackbox) probe(target string, hangs bool) {
	x.asked.Add(1)
	request, err := http.NewRequest(http.MethodGet, x.url+"/probe?module=banner&target="+url.QueryEscape(target), nil)
	if err != nil {
		x.mistaken.Add(1)
		return
	}
	request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "10")
	response, err := x.client.Do(request)
	if err != nil {
		x.mistaken.Add(1)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	want := "\nprobe_success 1\n"
	if hangs {
		want = "\nprobe_success 0\n"
	}
	if err != nil || !bytes.Contains(body, []byte(want)) {
		x.mistaken.Add(1)
	}
}
