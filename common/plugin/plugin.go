// Package plugin is the face of a check that Nagios, Icinga, NRPE, cron and a
// person at a shell see: one binary that looks once, prints one verdict and
// exits with it (Monitoring Plugins guidelines). It is the one place that
// prints and the only caller of os.Exit.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
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
}

// Main runs the definition as this process and exits with the verdict.
func Main(d *check.Definition) {
	p := &Plugin{Definition: d, Name: filepath.Base(os.Args[0]), Args: os.Args[1:], Env: os.LookupEnv, Stdout: os.Stdout}
	if p.versionOnly() {
		p.printVersion()
		os.Exit(int(check.Unknown))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
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
	code = int(check.Unknown)
	defer func() {
		if cause := recover(); cause != nil {
			p.print([]byte(p.Definition.Title + " UNKNOWN: panic: " + check.Clean(fmt.Sprint(cause)) + " (a defect of the plugin, please report it)\n"))
			code = int(check.Unknown)
		}
	}()
	f := newFlags(p.Definition)
	if output, ok := p.parse(f); !ok {
		p.print(output)
		return int(check.Unknown)
	}
	look, err := p.look(f)
	if err != nil {
		p.print(p.usageError(f, err))
		return int(check.Unknown)
	}
	defer look.Check.Close()
	result := look.Run(ctx)
	return int(p.deliver(f, result))
}

// parse fills the flags from all sources. It returns what to print instead of
// a look: a help text, the version, an error.
func (p *Plugin) parse(f *flags) (output []byte, ok bool) {
	err := options.FromArgs(f.set, p.Args)
	switch {
	case errors.Is(err, pflag.ErrHelp) || err == nil && f.help:
		return p.help(f), false
	case err == nil && f.version:
		return []byte(p.name() + " " + version() + "\n"), false
	case err == nil && f.extraOpts.given:
		err = p.extraOptions(f)
	}
	if err == nil && p.Env != nil {
		err = options.FromEnv(f.set, p.Env)
	}
	if err != nil {
		return p.usageError(f, err), false
	}
	return nil, true
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
	for severity, values := range map[check.State][]string{check.Warning: f.warning, check.Critical: f.critical} {
		limits, err := check.ParseLimits(p.Definition, severity, values)
		keep(err)
		l.Limits = append(l.Limits, limits...)
	}
	var err error
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
	l.Memory = p.memory(f)
	return l, nil
}

// deliver writes the state file and the output. A state file that cannot be
// written must not leave an old verdict standing unnoticed.
func (p *Plugin) deliver(f *flags, r *check.Result) check.State {
	if f.stateFile != "" {
		if err := writeStateFile(f.stateFile, r, p.now()); err != nil {
			r.Rows = append([]check.Row{{
				State: check.Unknown, Kind: check.RowFault, Reason: check.ReasonOf(err), Text: check.Clean(err.Error()),
			}}, r.Rows...)
			r.State = check.Worst(r.State, check.Unknown)
		}
	}
	p.print(renderers()[f.output](r, f.verbose))
	return r.State
}

func (p *Plugin) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

// print writes everything at once: a reader that is slow to drain the pipe
// gets all of up to 4,096 bytes (nagioscore#625).
func (p *Plugin) print(output []byte) {
	if p.Stdout != nil {
		p.Stdout.Write(output) //nolint:errcheck // nowhere to report it
	}
}

func (p *Plugin) name() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Definition.Plugin()
}

// usageError is what a wrong option gets: the error on line 1, then the short
// usage.
func (p *Plugin) usageError(f *flags, err error) []byte {
	first := strings.Join(strings.Split(err.Error(), "\n"), "; ")
	return []byte(p.Definition.Title + " UNKNOWN: " + check.CleanMax(first, 2*check.MaxText) + "\n" + p.shortUsage(f))
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
