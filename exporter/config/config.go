// Package config reads the exporter's configuration: which checks to run, on
// what, how often, with which options and limits. It is strict, and says
// everything that is wrong with a file at once, each with its line.
package config

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/options"
	"github.com/belfry-monitoring/belfry/common/safefile"
)

// Bounds of the file and of what it may ask for.
const (
	maxFile     = 4 << 20 // bytes
	minInterval = time.Second
	maxInterval = 31 * 24 * time.Hour
	minTimeout  = 100 * time.Millisecond // as the plugins' -t
	maxSpread   = time.Hour
	maxPlaces   = 10000
	minPlaces   = 8

	defaultSpread = 10 * time.Second
)

// Config is a file that is right.
type Config struct {
	Checks  []*Check
	Modules []*Module // in the order of the file
	// Places is how many looks may run at the same time.
	Places int
	// PlacesNeeded is how many are enough for no look to wait when every
	// target hangs until its timeout; the default of Places, where that is at
	// least 8.
	PlacesNeeded int
	// Probes and FreeFormProbes are how many looks may run at the same time
	// because somebody asks: at configured targets of modules, and at others.
	Probes, FreeFormProbes int
	// Spread is the time over which the first looks are spread.
	Spread time.Duration
}

// Check is one configured check.
type Check struct {
	Definition   *check.Definition
	Target       string // unique with the definition's name
	Line         int
	Interval     time.Duration // 0: a target of a module, which is looked at when somebody asks
	Timeout      time.Duration // at most the interval
	TimeoutState *check.State  // nil: UNKNOWN
	Limits       []check.Limit
	Severities   map[string]check.State
	Only, Skip   []string
	// PrepareErr is what the check itself said of its options when the file
	// was read: a product's file that is missing, for example. It may mend
	// itself, so the file is right all the same, and the check shows UNKNOWN
	// until then.
	PrepareErr error

	prepared string // target by Prepare
	values   []options.Value
	secret   map[string]bool // names of values that are secrets
}

// Error is one thing that is wrong with a file.
type Error struct {
	File string
	Line int // 0: the file as a whole
	Err  error
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Load reads the file. Its error joins an *Error for everything that is wrong.
func Load(path string, catalog []*check.Definition) (*Config, error) {
	f, info, err := safefile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: read %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("configuration: read %s: more than %d bytes", path, maxFile)
	}
	r := &reader{file: path, catalog: catalog}
	if mode := info.Mode().Perm(); mode&0o026 != 0 {
		r.inlineSecret = fmt.Sprintf("a secret in a file of mode %04o, which others can read or write: chmod o-rw,g-w %s, or give it in a file of its own", mode, path)
	}
	return r.read(data)
}

// Parse reads what could stand in a file of that name, for a configuration
// that was not written by anybody.
func Parse(name string, data []byte, catalog []*check.Definition) (*Config, error) {
	return (&reader{file: name, catalog: catalog}).read(data)
}

// Empty is the configuration of an exporter that looks at nothing yet. No file
// can say so.
func Empty() *Config { return &Config{Places: minPlaces, Spread: defaultSpread} }

// New returns a new instance of the check with its options set.
func (c *Check) New() check.Check {
	fs := pflag.NewFlagSet(c.Definition.Plugin(), pflag.ContinueOnError)
	instance := c.Definition.New(fs)
	// It cannot fail: each value was tried when the file was read.
	_ = options.FromValues(fs, c.values)
	return instance
}

// prepareLimit is how long a check may take to read its own files when the
// configuration is read: a file system that hangs must not stop the others.
const prepareLimit = 5 * time.Second

// prepare asks an instance of its own, which may hang without harm.
func (c *Check) prepare() {
	type answer struct {
		setup check.Setup
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		err := check.Go(context.Background(), func(context.Context) error {
			instance := c.New()
			defer instance.Close()
			a.setup, a.err = instance.Prepare()
			return nil
		})
		if err != nil { // a panic
			a.err = err
		}
		answers <- a
	}()
	limit := time.NewTimer(prepareLimit)
	defer limit.Stop()
	select {
	case a := <-answers:
		c.prepared, c.PrepareErr = a.setup.Target, a.err
	case <-limit.C:
		c.PrepareErr = check.Faultf(check.Timeout, "read the files of check", c.Definition.Name, "no end within %s", check.FormatDuration(prepareLimit))
	}
}

// Identity is equal for checks that are configured alike. It tells nothing of
// what the configuration holds.
func (c *Check) Identity() string {
	limits := make([]string, 0, len(c.Limits))
	for _, l := range c.Limits {
		limits = append(limits, l.Severity.String()+" "+l.String())
	}
	return digest(c.Definition.Name, c.Target, c.Interval, c.Timeout, c.TimeoutState, limits, c.Severities, c.Only, c.Skip, c.sorted(true))
}

// MemoryKey is equal for checks that look at the same thing in the same way,
// however they judge it and with whatever password.
func (c *Check) MemoryKey() string {
	return digest(c.Definition.Name, c.Target, c.Only, c.Skip, c.sorted(false))
}

// sorted returns the options by name; the order within a list means something.
func (c *Check) sorted(secrets bool) []options.Value {
	var values []options.Value
	for _, v := range c.values {
		if secrets || !c.secret[v.Name] {
			values = append(values, v)
		}
	}
	slices.SortFunc(values, func(a, b options.Value) int { return strings.Compare(a.Name, b.Name) })
	return values
}

func digest(parts ...any) string {
	text, err := json.Marshal(parts)
	if err != nil { // nothing above can fail to be encoded
		panic("config: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// placesNeeded is the sum of the shares of time that all looks take when none
// is answered.
func placesNeeded(checks []*Check) int {
	share := 0.0
	for _, c := range checks {
		share += c.Timeout.Seconds() / c.Interval.Seconds()
	}
	return min(int(math.Ceil(share)), maxPlaces)
}
