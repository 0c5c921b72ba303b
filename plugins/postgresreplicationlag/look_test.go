package postgresreplicationlag

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/postgres"
	"github.com/belfry-monitoring/belfry/testbed"
	"github.com/belfry-monitoring/belfry/testbed/lookat"
)

// record makes the tests on real servers refresh the answers in testdata, from
// where the tests of judging read them. Touch a file to add a situation.
var record = flag.Bool("record", false, "refresh the recorded answers in testdata")

// quick are timeouts that let a test see in seconds what takes a minute with
// the defaults. Two thirds of 15 s leave 5 s in which a frozen link is seen
// before the server itself cuts it.
var quick = map[string]string{"wal_sender_timeout": "15s", "wal_receiver_timeout": "15s", "wal_receiver_status_interval": "1s"}

// limit bounds how long a test waits for a verdict.
const limit = 45 * time.Second

// pair is a primary with its standby.
type pair struct {
	bed              *testbed.Bed
	primary, standby *testbed.Postgres
}

func startPair(t *testing.T, config map[string]string) *pair {
	t.Helper()
	bed := testbed.New(t)
	p := &pair{bed: bed, primary: bed.Postgres(testbed.PostgresOptions{Config: config})}
	p.standby = bed.Standby(p.primary, testbed.StandbyOptions{})
	p.primary.Exec("CREATE TABLE filler (text text)")
	p.standby.CatchUp(p.primary)
	return p
}

// write makes about n bytes of log.
func write(server *testbed.Postgres, n int) {
	server.Exec("INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, $1)", n/1000)
}

func address(server *testbed.Postgres) string { return fmt.Sprintf("127.0.0.1:%d", server.Port) }

// verdict is what a look says.
type verdict struct{ lookat.Document }

// lookAs takes a look as the plugin does.
func lookAs(t *testing.T, server *testbed.Postgres, role string, args ...string) verdict {
	t.Helper()
	return verdict{lookat.With(t, t.Context(), Definition, args, map[string]string{
		"PGUSER": role, "PGPASSWORD": server.Password(role), "PGHOST": address(server),
	})}
}

// lookAt looks at one server or more with the role that the check asks for.
func lookAt(t *testing.T, args []string, servers ...*testbed.Postgres) verdict {
	t.Helper()
	var hosts []string
	for _, s := range servers {
		hosts = append(hosts, "-H", address(s))
	}
	return lookAs(t, servers[0], testbed.RoleMonitor, append(hosts, args...)...)
}

// line is the first line, without performance data.
func (v verdict) line() string { return v.State + ": " + v.Text }

// text is the first line and the rows of problems.
func (v verdict) text() string {
	lines := []string{v.line()}
	for _, row := range v.Rows {
		if row.State != check.OK.String() {
			lines = append(lines, row.State+" "+row.Text)
		}
	}
	return strings.Join(lines, "\n")
}

// mismatch compares; texts that start with "!" must not be there.
func (v verdict) mismatch(state check.State, texts ...string) error {
	if check.State(v.Exit) != state {
		return fmt.Errorf("verdict %s; want %s:\n%s", v.State, state, v.text())
	}
	for _, text := range texts {
		unwanted, not := strings.CutPrefix(text, "!")
		if strings.Contains(v.text(), unwanted) == not {
			return fmt.Errorf("verdict %s; want %q in it:\n%s", v.State, text, v.text())
		}
	}
	return nil
}

// await looks until the verdict is this one, and records the answers.
func await(t *testing.T, name string, args []string, servers []*testbed.Postgres, state check.State, texts ...string) {
	t.Helper()
	var last verdict
	testbed.WaitFor(t, limit, name, func() error {
		last = lookAt(t, args, servers...)
		return last.mismatch(state, texts...)
	})
	t.Logf("%s: %s", name, last.line())
	keep(t, name, servers...)
}

// expect is await for what must be so at once.
func expect(t *testing.T, name string, args []string, servers []*testbed.Postgres, state check.State, texts ...string) {
	t.Helper()
	v := lookAt(t, args, servers...)
	if err := v.mismatch(state, texts...); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	t.Logf("%s: %s", name, v.line())
	keep(t, name, servers...)
}

// wantValue looks and compares one value.
func wantValue(t *testing.T, want float64, servers []*testbed.Postgres, key string, labels ...string) {
	t.Helper()
	if got, ok := lookAt(t, nil, servers...).Value(key, labels...); !ok || got != want {
		t.Errorf("%s of %q = %v, %v; want %v", key, labels, got, ok, want)
	}
}

// keep refreshes the recorded answers of the servers that run.
func keep(t *testing.T, name string, servers ...*testbed.Postgres) {
	t.Helper()
	for _, s := range servers {
		keepAs(t, name, s, testbed.RoleMonitor)
	}
}

func keepAs(t *testing.T, name string, server *testbed.Postgres, role string) {
	t.Helper()
	file := recording(name, server.Name)
	if _, err := os.Stat(file); !*record || err != nil {
		return
	}
	answer, err := ask(t, server, role)
	if err != nil {
		return // a server that is down has nothing to record
	}
	if err := os.WriteFile(file, append(answer, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// recording is the file with a server's answer in a situation.
func recording(situation, server string) string {
	return filepath.Join("testdata", strings.ReplaceAll(situation, " ", "-")+"."+server+".json")
}

// ask is what a server answers to the check's query.
func ask(t *testing.T, server *testbed.Postgres, role string) ([]byte, error) {
	t.Helper()
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	options := postgres.Flags(fs)
	err := errors.Join(fs.Set("host", address(server)), fs.Set("user", role), fs.Set("password", server.Password(role)))
	if err != nil {
		t.Fatal(err)
	}
	servers, err := options.Servers()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := servers[0].Connect(ctx, "test")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.QueryValue(ctx, "ask", query)
}

func list(servers ...*testbed.Postgres) []*testbed.Postgres { return servers }
