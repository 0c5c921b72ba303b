package main

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/certs"
)

// hashOfScraping is bcrypt of "scraping", as htpasswd -B makes it.
const hashOfScraping = "$2b$04$l1L5qF.zNkfqPsHuxWVhsOS.0kVfYYboaMKsH7Gd2Bblktf4uUfme"

// The example of a web configuration, with certificate and password put in,
// serves https to who knows the password, and nothing else.
func testTLSAndPassword(t *testing.T, bed *testbed.Bed) {
	dir := t.TempDir()
	example, err := os.ReadFile("../../systemd/web.yml")
	if err != nil {
		t.Fatal(err)
	}
	config, web := filepath.Join(dir, "exporter.yml"), filepath.Join(dir, "web.yml")
	writeConfig(t, config, dir)
	port := strconv.Itoa(bed.Port())
	argv := []string{bed.Build("./exporter/belfry_exporter"), "--config.file=" + config, "--web.config.file=" + web, "--web.listen-address=127.0.0.1:" + port}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(web, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	// As it is committed it opens nothing to anybody.
	write(string(example))
	s := startService(t, argv, nil, nil)
	<-s.dead
	if code := s.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(s.log(), "--web.config.file="+web) {
		t.Errorf("the example without a certificate and a hash: exit code %d; want 1 and the file named\n%s", code, s.log())
	}

	authority, err := certs.NewAuthority("exporter")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := authority.Issue(certs.Leaf{Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err := certificate.Write(dir, "exporter")
	if err != nil {
		t.Fatal(err)
	}
	text := string(example)
	for from, to := range map[string]string{
		"/run/credentials/belfry-exporter.service/tls.crt": certFile,
		"/run/credentials/belfry-exporter.service/tls.key": keyFile,
		"HASH": hashOfScraping,
	} {
		if !strings.Contains(text, from) {
			t.Fatalf("systemd/web.yml has no %s", from)
		}
		text = strings.ReplaceAll(text, from, to)
	}
	write(text)
	m := newManager(t)
	s = startService(t, argv, []string{"NOTIFY_SOCKET=" + m.path}, nil)
	m.await(t, s, "READY=1")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: authority.Pool()}}}
	for _, tt := range []struct {
		scheme, user, password string
		want                   int
	}{
		{"https", "prometheus", "scraping", http.StatusOK},
		{"https", "prometheus", "wrong", http.StatusUnauthorized},
		{"https", "somebody", "scraping", http.StatusUnauthorized},
		{"https", "", "", http.StatusUnauthorized},
		{"http", "prometheus", "scraping", http.StatusBadRequest},
	} {
		for _, path := range []string{"/metrics", "/", "/api/v1/checks", "/-/healthy"} {
			request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s://127.0.0.1:%s%s", tt.scheme, port, path), nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.user != "" {
				request.SetBasicAuth(tt.user, tt.password)
			}
			response, err := client.Do(request)
			if err != nil {
				t.Errorf("GET %s as %s:%s: %v", request.URL, tt.user, tt.password, err)
				continue
			}
			response.Body.Close()
			if response.StatusCode != tt.want {
				t.Errorf("GET %s as %s:%s = %s; want %d", request.URL, tt.user, tt.password, response.Status, tt.want)
			}
		}
	}
	if code := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d; want 0\n%s", code, s.log())
	}
}
