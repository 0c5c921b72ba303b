// Scaled is the exporter with one check, which the benchmark runs by the
// thousand: it connects to a TCP target and reads a line, as a TCP probe of
// the blackbox exporter does.
package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/exporter"
)

// stepLimit is how long one target may take, as in the modules of the
// blackbox exporter beside it.
const stepLimit = 5 * time.Second

func main() { os.Exit(exporter.Main([]*check.Definition{definition()})) }

type metrics struct{ connect, answer *check.Metric }

func definition() *check.Definition {
	m := metrics{
		connect: &check.Metric{Family: "bench", Key: "connect", Unit: check.Seconds, Help: "How long connecting took.", Warning: "1s", Critical: "3s"},
		answer:  &check.Metric{Family: "bench", Key: "answer", Unit: check.Seconds, Help: "How long the first line took.", Warning: "1s", Critical: "3s"},
	}
	return &check.Definition{
		Name: "bench_tcp", Title: "BENCH TCP", Summary: "connects and reads a line", Examples: []string{"check_bench_tcp"}, Peer: "none", Privileges: []string{"None."},
		Interval: time.Minute, Timeout: 10 * time.Second, Metrics: []*check.Metric{m.connect, m.answer},
		New: func(fs *pflag.FlagSet) check.Check {
			return &benchTCP{metrics: m, address: fs.String("address", "", "host and port")}
		},
	}
}

type benchTCP struct {
	metrics
	address *string
}

// memory is what one look leaves to the next, so that the memory is measured
// too.
type memory struct {
	Looks int `json:"looks"`
}

func (b *benchTCP) Prepare() (check.Setup, error) { return check.Setup{Target: *b.address}, nil }

func (b *benchTCP) Run(ctx context.Context, r *check.Report) error {
	var m memory
	if _, ok := r.Recall(&m); !ok {
		m = memory{}
	}
	step, cancel := check.Step(ctx, stepLimit)
	defer cancel()
	started := time.Now()
	conn, err := new(net.Dialer).DialContext(step, "tcp", *b.address)
	if err != nil {
		return check.Faultf(check.Dial, "connect to", *b.address, "%w", err)
	}
	defer conn.Close()
	connected := time.Now()
	if deadline, ok := step.Deadline(); ok {
		if err := conn.SetReadDeadline(deadline); err != nil {
			return err
		}
	}
	line, err := bufio.NewReader(io.LimitReader(conn, 4096)).ReadString('\n')
	if err != nil {
		return check.Faultf(check.Timeout, "read a line from", *b.address, "%w", err)
	}
	if !strings.HasPrefix(line, "220 ") {
		return check.Faultf(check.Protocol, "read a line from", *b.address, "no 220 in it")
	}
	r.Observe(b.connect, connected.Sub(started).Seconds())
	r.Observe(b.answer, time.Since(connected).Seconds())
	r.Remember(memory{Looks: m.Looks + 1})
	return nil
}

func (b *benchTCP) Close() error { return nil }
