package plugin

import (
	"errors"
	"math"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
)

// flags are the options that every plugin has, on one flag set with the
// check's own.
type flags struct {
	set   *pflag.FlagSet
	check check.Check

	warning, critical, severity []string
	only, skip                  []string
	timeout                     durationFlag
	timeoutState                stateFlag
	target                      string
	verbose                     int
	version, help               bool
	output                      string
	stateFile, stateDir         string
	extraOpts                   optionalList
}

func newFlags(d *check.Definition) *flags {
	f := &flags{set: pflag.NewFlagSet(d.Plugin(), pflag.ContinueOnError), timeout: durationFlag{d: d.Timeout}}
	f.set.Usage = func() {}
	f.set.SortFlags = false
	f.check = d.New(f.set)
	s := f.set
	s.StringArrayVarP(&f.warning, "warning", "w", nil, "warning range, or key=range, key{label=glob}=range; several: repeat or separate by commas")
	s.StringArrayVarP(&f.critical, "critical", "c", nil, "critical range, likewise")
	s.StringArrayVar(&f.severity, "severity", nil, "finding=state: give a finding another state")
	if len(d.Parts) > 0 {
		s.StringArrayVar(&f.only, "only", nil, "look at these parts only")
		s.StringArrayVar(&f.skip, "skip", nil, "leave these parts out")
	}
	s.VarP(&f.timeout, "timeout", "t", "end the look after this time: 10, 10s, 1m")
	s.Var(&f.timeoutState, "timeout-state", "state when the look is ended by its timeout (default unknown)")
	s.StringVar(&f.target, "target", "", "name of the thing looked at, in JSON and series")
	s.CountVarP(&f.verbose, "verbose", "v", "say more: -v also what is fine, -vvv everything")
	s.StringVar(&f.output, "output", "text", "text, json or prometheus")
	s.StringVar(&f.stateFile, "state-file", "", "also write the verdict to this file, as epoch|code|STATE|text on one line")
	s.StringVar(&f.stateDir, "state-dir", "", "keep what the next look needs in this directory (default $BELFRY_STATE_DIR, /var/lib/belfry or ~/.local/state/belfry)")
	s.Var(&f.extraOpts, "extra-opts", "[section][@file]: read options from an INI file")
	s.Lookup("extra-opts").NoOptDefVal = noValue
	s.BoolVarP(&f.version, "version", "V", false, "print the version and exit with 3")
	s.BoolVarP(&f.help, "help", "h", false, "print this help and exit with 3")
	return f
}

// version is the module's version as the Go toolchain recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}

// durationFlag accepts whole or decimal seconds and Go durations: 10, 2.5,
// 10s, 1m30s.
type durationFlag struct{ d time.Duration }

func (f *durationFlag) String() string { return f.d.String() }
func (f *durationFlag) Type() string   { return "duration" }
func (f *durationFlag) Set(text string) error {
	d, err := time.ParseDuration(text)
	if seconds, numErr := strconv.ParseFloat(text, 64); numErr == nil && !math.IsNaN(seconds) && math.Abs(seconds) < 1e9 {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil {
		return errors.New("write seconds or a duration: 10, 10s, 1m")
	}
	if d < 100*time.Millisecond {
		return errors.New("shorter than 100 ms")
	}
	f.d = d
	return nil
}

type stateFlag struct{ state *check.State }

func (f *stateFlag) Type() string { return "state" }
func (f *stateFlag) String() string {
	if f.state == nil {
		return ""
	}
	return f.state.String()
}
func (f *stateFlag) Set(text string) error {
	s, err := check.ParseState(text)
	if err == nil {
		f.state = &s
	}
	return err
}

// noValue stands for an --extra-opts without a value.
const noValue = "\x00"

// optionalList is a list whose items may be missing.
type optionalList struct {
	values []string
	given  bool
}

func (l *optionalList) String() string { return "" }
func (l *optionalList) Type() string   { return "[section][@file]" }
func (l *optionalList) Set(text string) error {
	l.given = true
	if text == noValue {
		text = ""
	}
	l.values = append(l.values, text)
	return nil
}

// Flags returns all options of a definition's plugin, from which commands,
// pages and configuration are generated.
func Flags(d *check.Definition) *pflag.FlagSet { return newFlags(d).set }
