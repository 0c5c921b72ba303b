package discover

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"slices"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/dial"
	"github.com/belfry-monitoring/belfry/common/httpclient"
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/exporter/config"
)

// Bounds of one question.
const (
	sayLimit  = 2 * time.Second
	maxReply  = 512 // bytes
	maxBody   = 64 << 10
	lookLimit = 5 * time.Second // of a trial look
)

// asker asks candidates what they are.
type asker struct {
	finder  *Finder
	machine *Machine
}

// say connects, sends a text and reads the first line of the reply, or as much
// of it as a reply may have.
func (a *asker) say(ctx context.Context, network, address, text string) ([]byte, error) {
	const stage = "ask"
	started := time.Now()
	ctx, cancel := check.Step(ctx, sayLimit)
	defer cancel()
	conn, err := dial.Context(ctx, network, address)
	if err != nil {
		return nil, dial.Fault("connect to", address, started, err)
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(end)
	}
	if err == nil {
		_, err = io.WriteString(conn, text)
	}
	reply := make([]byte, 0, maxReply)
	for err == nil && len(reply) < maxReply && !bytes.ContainsRune(reply, '\n') {
		var n int
		n, err = conn.Read(reply[len(reply):maxReply])
		reply = reply[:len(reply)+n]
	}
	if len(reply) > 0 && (err == nil || errors.Is(err, io.EOF)) {
		return reply, nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return reply, dial.Fault(stage, address, started, err)
}

// get asks a web server without a login.
func (a *asker) get(ctx context.Context, address, path string) (*httpclient.Answer, error) {
	client, err := httpclient.New(httpclient.Config{Base: &url.URL{Scheme: "http", Host: address}, Limit: sayLimit})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return client.Do(ctx, httpclient.Request{Stage: "ask", Path: path, Max: maxBody})
}

// trial is what a look said that was taken to see whether one is possible.
type trial struct {
	state  check.State
	reason check.Reason // of the worst fault; empty for none
	text   string       // line 1
	result *check.Result
}

// blind reports that such a look cannot see: it would be UNKNOWN for ever, or
// says CRITICAL of something that may not be what it was taken for. One that
// has seen something CRITICAL is not, whatever else it could not see.
func (t trial) blind() bool {
	if t.result != nil {
		for _, row := range t.result.Rows {
			if row.State == check.Critical && (row.Kind == check.RowFinding || row.Kind == check.RowValue) {
				return false
			}
		}
	}
	switch t.reason {
	case check.Auth, check.Permission, check.Config, check.Data, check.Internal, check.Protocol, check.TLS, check.Proxy, check.DNS, check.Dial:
		return true
	}
	return false
}

// dead reports that what is looked at does not serve, so that nobody can know
// yet whether a look can see.
func (t trial) dead() bool { return isDead(t.reason) }

// isDead is so of what takes a connection and does not serve. What takes none
// was seen to listen a moment ago: it has just ended, or is one of another
// container or of a /tmp of its own, whose socket has a name that leads
// nowhere from here.
func isDead(reason check.Reason) bool {
	return reason == check.Timeout || reason == check.Unavailable
}

// mayPass reports that the same question may find another answer soon.
func mayPass(reason check.Reason) bool { return isDead(reason) || reason == check.Dial }

// value is the worst value of a metric, whatever its labels; ok is false for
// none.
func (t trial) value(key string) (v float64, ok bool) {
	if t.result == nil {
		return 0, false
	}
	for _, one := range t.result.Values {
		if one.Metric.Key == key {
			return one.Number, true
		}
	}
	return 0, false
}

// found reports whether the look has a finding.
func (t trial) found(key string) bool {
	return t.result != nil && slices.ContainsFunc(t.result.Rows, func(r check.Row) bool { return r.Kind == check.RowFinding && r.Key == key })
}

// look takes one look with a check as it would be configured.
func (a *asker) look(ctx context.Context, c Check) trial {
	text, err := encode([]Check{c})
	if err != nil {
		return trial{state: check.Unknown, reason: check.Config, text: err.Error()}
	}
	conf, err := config.Parse("discovery", text, a.finder.Catalog)
	if err != nil {
		return trial{state: check.Unknown, reason: check.Config, text: err.Error()}
	}
	one := conf.Checks[0]
	instance := one.New()
	look := &check.Look{
		Definition: one.Definition, Check: instance, Target: one.Target, Limits: one.Limits, Severities: one.Severities,
		Only: one.Only, Skip: one.Skip, Timeout: min(one.Timeout, lookLimit),
	}
	result := look.Run(ctx)
	if result.Abandoned == nil {
		_ = instance.Close() // nothing that was kept open is needed again
	}
	t := trial{state: result.State, reason: result.Reason, text: plugin.Describe(result).Text, result: result}
	if t.reason == "" && result.TimedOut {
		t.reason = check.Timeout
	}
	return t
}
