package rabbitmqqueues

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/testbed"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		Definition.Plugin(): func() { plugin.Main(Definition) },
	})
}

// passwordFile writes the password of a broker's user.
func passwordFile(t *testing.T, broker *testbed.RabbitMQ, user string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), user)
	if err := os.WriteFile(file, []byte(broker.Password(user)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// as is the command line of a look as one of the broker's users.
func as(t *testing.T, broker *testbed.RabbitMQ, user string) []string {
	t.Helper()
	return []string{"-H", broker.Host, "-p", strconv.Itoa(broker.ManagementPort), "-u", user, "--password-file", passwordFile(t, broker, user)}
}

// run takes one look in this process.
func run(t *testing.T, args ...string) plugin.Document {
	t.Helper()
	var out strings.Builder
	p := &plugin.Plugin{Definition: Definition, Args: append(args, "--output", "json"), Stdout: &out}
	p.Run(context.Background())
	var d plugin.Document
	if err := json.Unmarshal([]byte(out.String()), &d); err != nil {
		t.Fatalf("%q: %v in %s", args, err, out.String())
	}
	return d
}

// value finds a value by its key and queue.
func value(d plugin.Document, key, queue string) (float64, bool) {
	for _, v := range d.Values {
		if v.Key == key && v.Labels["queue"] == queue && v.Value != nil {
			return *v.Value, true
		}
	}
	return 0, false
}

func found(d plugin.Document, key string) bool {
	for _, r := range d.Rows {
		if r.Kind == "finding" && r.Key == key {
			return true
		}
	}
	return false
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// fastStatistics makes the broker collect its statistics every second instead
// of every five, for fast tests.
func fastStatistics() []string {
	return []string{
		"collect_statistics_interval = 1000",
		"management.sample_retention_policies.global.minute = 1",
		"management.sample_retention_policies.basic.minute = 1",
		"management.sample_retention_policies.detailed.minute = 1",
	}
}
