// Package plugin is the face of a check that Nagios, Icinga, NRPE, cron and a
// person at a shell see: one binary that looks once, prints one verdict and
// exits with it (Monitoring Plugins guidelines). It is the one place that
// prints and the only caller of os.Exit.
package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/exposition"
	"github.com/belfry-monitoring/belfry/common/options"
)

// Plugin runs one definition once. The zero fields take the process's own.
type Plugin struct {
	Definition *check.Definition
	Name       string                           // of the binary as called; default section of --extra-opts
	Args       []string                         // without the name
	Env        func(name string) (string, bool) // nil: no environment
	Stdout     io.Writer
	Now        func() time.Time

	said bool // the verdict is out
}

// Main runs the definition as this process and exits with the verdict.
func Main(d *check.Definition) {
	p := &Plugin{Definition: d, Name: filepath.Base(os.Args[0]), Args: os.Args[1:], Env: os.LookupEnv, Stdout: os.Stdout}
	if p.versionOnly() {
		p.printVersion()
		os.Exit(int(check.Unknown))
	}
	// A reader that has gone away must not turn the exit code into a signal's.
	// Ignoring it would be handed on to child processes.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ends := []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup does
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	os.Exit(p.Run(ctx))
}

// versionOnly reports the one call that needs no options: it is what
// inventories ask of every binary, so it costs no more than starting.
func (p *Plugin) versionOnly() bool {
	return len(p.Args) == 1 && (p.Args[0] == "-V" || p.Args[0] == "--version")
}

func (p *Plugin) printVersion() { p.print([]byte(p.name() + " " + version() + "\n")) }

// Run takes one look, writes the output in one write and returns the exit
// code, 0 to 3, whatever happens.
func (p *Plugin) Run(ctx context.Context) (code int) {
	p.said = false
	f := &flags{}
	defer func() {
		if cause := recover(); cause != nil {
			code = p.refuse(f, fmt.Errorf("panic: %v (a defect of the plugin, please report it)", cause), "")
		}
	}()
	f = newFlags(p.Definition)
	output, err := p.parse(f)
	if err == nil && output != nil {
		p.print(output)
		return int(check.Unknown)
	}
	var look *check.Look
	if err == nil {
		look, err = p.look(f)
	}
	if err != nil {
		return p.refuse(f, err, p.shortUsage())
	}
	result := look.Run(ctx)
	code = int(p.deliver(f, result))
	p.close(look.Check, result)
	return code
}

// fileLimit bounds what touches files after the look, which has a deadline of
// its own: a file system that hangs must not hold the verdict back for ever.
const fileLimit = 2 * time.Second

// within runs f for at most limit and recovers its panic.
func within(limit time.Duration, what, on string, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- check.Go(context.Background(), func(context.Context) error { return f() }) }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return check.Faultf(check.Config, what, on, "no end within %s", check.FormatDuration(limit))
	}
}

// close lets the check give back what it holds. A check that still runs is
// left alone; a verdict that is out is not changed by what fails here.
func (p *Plugin) close(c check.Check, r *check.Result) {
	if r.Abandoned == nil {
		_ = within(fileLimit, "close", "", c.Close)
	}
}

// parse fills the flags from all sources. It returns what to print instead of
// a look, if anything: a help text, the version.
func (p *Plugin) parse(f *flags) (output []byte, err error) {
	err = options.FromArgs(f.set, p.Args)
	if err != nil && f.stateFile == "" {
		f.stateFile = stateFileOf(p.Args) // whoever reads it is to be told, too
	}
	switch {
	case errors.Is(err, pflag.ErrHelp) || err == nil && f.help:
		return p.help(f), nil
	case err == nil && f.version:
		return []byte(p.name() + " " + version() + "\n"), nil
	case err == nil && f.extraOpts.given:
		err = within(f.timeout.d, "read options from", "files", func() error { return p.extraOptions(f) })
	}
	if err == nil && p.Env != nil {
		err = options.FromEnv(f.set, p.Env)
	}
	return nil, err
}

func (p *Plugin) extraOptions(f *flags) error {
	file := ""
	if p.Env != nil {
		file, _ = p.Env("MP_CONFIG_FILE")
	}
	lax := f.set.Lookup("insecure-permissions")
	e := options.ExtraOpts{Values: f.extraOpts.values, Section: p.name(), File: file, Lax: lax != nil && lax.Value.String() == "true"}
	return e.From(f.set)
}

// look turns the common options into a look.
func (p *Plugin) look(f *flags) (*check.Look, error) {
	l := &check.Look{Definition: p.Definition, Check: f.check, Target: f.target, Timeout: f.timeout.d, TimeoutState: f.timeoutState.state, Now: p.Now}
	var errs []error
	keep := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	critical, err := check.ParseLimits(p.Definition, check.Critical, f.critical)
	keep(err)
	warning, err := check.ParseLimits(p.Definition, check.Warning, f.warning)
	keep(err)
	l.Limits = append(critical, warning...)
	l.Severities, err = check.ParseSeverities(p.Definition, f.severity)
	keep(err)
	l.Only, err = check.ParseParts(p.Definition, f.only)
	keep(err)
	l.Skip, err = check.ParseParts(p.Definition, f.skip)
	keep(err)
	if _, known := renderers()[f.output]; !known {
		keep(fmt.Errorf("--output %q: use text, json or prometheus", f.output))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	err = within(f.timeout.d, "find", "the state directory", func() error { l.Memory = p.memory(f); return nil })
	return l, err
}

// deliver writes the state file and the output. A state file that cannot be
// written must not leave an old verdict standing unnoticed, nor hide a worse
// one on line 1.
func (p *Plugin) deliver(f *flags, r *check.Result) check.State {
	if err := p.stateFile(f, r); err != nil {
		row := check.Row{State: check.Unknown, Kind: check.RowFault, Reason: check.ReasonOf(err), Text: check.Clean(err.Error())}
		at := slices.IndexFunc(r.Rows, func(other check.Row) bool { return !other.State.WorseThan(row.State) })
		if at < 0 {
			at = len(r.Rows)
		}
		r.Rows = slices.Insert(slices.Clip(r.Rows), at, row)
		r.State = check.Worst(r.State, row.State)
		r.Reason = cmp.Or(r.Reason, row.Reason)
	}
	p.print(renderers()[f.output](r, f.verbose))
	return r.State
}

func (p *Plugin) stateFile(f *flags, r *check.Result) error {
	if f.stateFile == "" {
		return nil
	}
	now := p.now()
	return within(fileLimit, "write the state file", f.stateFile, func() error { return writeStateFile(f.stateFile, r, now) })
}

// refuse says why there was no look, in the state file too: its readers must
// not go on with the verdict before.
func (p *Plugin) refuse(f *flags, err error, usage string) int {
	text := check.CleanMax(strings.Join(strings.Split(err.Error(), "\n"), "; "), 2*check.MaxText)
	r := &check.Result{Definition: p.Definition, State: check.Unknown, Rows: []check.Row{{State: check.Unknown, Kind: check.RowFault, Text: text}}}
	if err := p.stateFile(f, r); err != nil {
		text += "; " + check.Clean(err.Error())
	}
	p.print([]byte(p.Definition.Title + " UNKNOWN: " + text + "\n" + usage))
	return int(check.Unknown)
}

func (p *Plugin) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

// print writes everything at once: a reader that is slow to drain the pipe
// gets all of up to 4,096 bytes (nagioscore#625). What comes after a verdict is
// not printed.
func (p *Plugin) print(output []byte) {
	if p.Stdout != nil && !p.said {
		p.said = true
		p.Stdout.Write(output) //nolint:errcheck // nowhere to report it
	}
}

func (p *Plugin) name() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Definition.Plugin()
}

type renderer func(r *check.Result, verbose int) []byte

func renderers() map[string]renderer {
	return map[string]renderer{
		"text": Text,
		"json": JSON,
		"prometheus": func(r *check.Result, _ int) []byte {
			return exposition.Text(exposition.Of(r, r.Definition.Name, r.Target))
		},
	}
}
