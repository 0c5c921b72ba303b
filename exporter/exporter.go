// Package exporter is the face of the checks that Prometheus sees: it runs
// every configured check at its own interval and serves the newest results.
// A scrape reads what is there and never waits for a peer.
package exporter

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/memory"
	"github.com/belfry-monitoring/belfry/common/plugin"
	"github.com/belfry-monitoring/belfry/exporter/config"
	"github.com/belfry-monitoring/belfry/exporter/discover"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
	"github.com/belfry-monitoring/belfry/exporter/systemd"
)

// Options of an exporter.
type Options struct {
	ConfigFile string
	Catalog    []*check.Definition // the checks that a configuration may name
	Logger     *slog.Logger
	Seed       string // tells replicas with the same configuration apart

	// Memories keeps what checks remember over a restart; nil: not at all.
	Memories *memory.Keeper

	// Manager is told of reloads; nil: nobody is.
	Manager *systemd.Manager

	// Discover finds out what to look at as long as there is no ConfigFile;
	// nil: the file must be there. DiscoverCommand keeps what it finds.
	Discover        Discoverer
	DiscoverCommand string
}

// Exporter runs configured checks and serves their results.
type Exporter struct {
	options   Options
	log       *slog.Logger
	scheduler *schedule.Scheduler
	registry  *prometheus.Registry // of what is the exporter's own
	families  families
	perCheck  perCheck
	probes    *probes

	distributions atomic.Pointer[map[pair]*distributions] // never changed in place
	checks        atomic.Pointer[map[pair]*config.Check]  // as configured, never changed in place
	reloadErr     atomic.Pointer[error]                   // of the newest reload, nil for none

	reloading    sync.Mutex
	fromFile     bool // a configuration file was in use; guarded by reloading
	reloadGood   prometheus.Gauge
	reloadGoodAt prometheus.Gauge
	delay        prometheus.Histogram
	ready        atomic.Bool // once ready, always ready
	refused      atomic.Bool // the configuration, when it was read last

	discovery atomic.Pointer[discover.Discovery] // nil: there is a configuration
}

// New makes an exporter without checks; Reload reads its configuration.
func New(o Options) (*Exporter, error) {
	e := &Exporter{
		options: o, log: o.Logger, registry: prometheus.NewRegistry(), perCheck: perCheckFamilies(), probes: newProbes(o.Logger),
		reloadGood: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_exporter_config_last_reload_successful",
			Help: "Whether the configuration was right when it was read last; if not, the one before is in use.",
		}),
		reloadGoodAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_exporter_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in use was read.",
		}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "belfry_exporter_look_delay_seconds",
			Help:    "How long after their moment looks have begun: more than a second means that the exporter does not keep up.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60},
		}),
	}
	e.distributions.Store(&map[pair]*distributions{})
	e.checks.Store(&map[pair]*config.Check{})
	e.scheduler = schedule.New(schedule.Options{
		Seed: o.Seed, Finished: e.finished, Text: plugin.FirstLine,
		Delayed: func(d time.Duration) { e.delay.Observe(d.Seconds()) },
	})
	if err := e.register(); err != nil {
		return nil, fmt.Errorf("register the exporter's metrics: %w", err)
	}
	return e, nil
}

// Reload reads the configuration. When it is wrong, the checks go on as they
// are; the error joins everything that is wrong.
func (e *Exporter) Reload() error {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	e.told(e.options.Manager.Reloading())
	defer func() { e.told(e.options.Manager.Reloaded()) }()
	err := e.load()
	e.refused.Store(err != nil)
	if err != nil {
		e.reloadGood.Set(0)
		e.reloadErr.Store(&err)
		return err
	}
	e.reloadErr.Store(nil)
	e.reloadGood.Set(1)
	e.reloadGoodAt.SetToCurrentTime()
	return nil
}

// told logs what the service manager could not be told, which is no reason to
// do anything else.
func (e *Exporter) told(err error) {
	if err != nil {
		e.log.Warn("the service manager cannot be told how the exporter is doing", "err", err)
	}
}

func (e *Exporter) load() error {
	if e.discovers() {
		return e.discover(nil)
	}
	c, err := config.Load(e.options.ConfigFile, e.options.Catalog)
	if err == nil {
		err = e.apply(c, e.options.ConfigFile)
	}
	if err == nil {
		e.discovery.Store(nil)
		e.fromFile = true
	}
	return err
}

// apply puts a configuration into use; source says where it is from.
func (e *Exporter) apply(c *config.Config, source string) error {
	plan := schedule.Plan{Places: c.Places, Spread: c.Spread}
	kept := keptDistributions(*e.distributions.Load(), c.Checks)
	for _, one := range c.Checks {
		j := job(one, kept[pair{one.Definition.Name, one.Target}])
		if e.options.Memories != nil {
			j.Memory = e.options.Memories.Memory(one.Definition.Name, j.MemoryKey[:memory.KeySize])
		}
		plan.Jobs = append(plan.Jobs, j)
	}
	if err := e.scheduler.Set(plan); err != nil {
		return err
	}
	e.distributions.Store(&kept)
	configured := make(map[pair]*config.Check, len(c.Checks))
	for _, one := range c.Checks {
		configured[pair{one.Definition.Name, one.Target}] = one
	}
	e.checks.Store(&configured)
	for _, one := range c.Checks {
		if one.PrepareErr != nil {
			e.log.Warn("a check is not ready to look", "check", one.Definition.Name, "target", one.Target, "line", one.Line, "err", one.PrepareErr)
		}
	}
	e.probes.set(c, e.options.Memories)
	if len(c.Checks) == 0 && len(c.Modules) > 0 {
		e.ready.Store(true) // there is nothing to wait for
	}
	if c.Places < c.PlacesNeeded {
		e.log.Warn("looks may have to wait for each other when many targets hang", "concurrency", c.Places, "needed", c.PlacesNeeded)
	}
	e.log.Info("configuration in use", "file", source, "checks", len(c.Checks), "concurrency", c.Places)
	return nil
}

// configured returns the configuration of a check, nil where there is none.
func (e *Exporter) configured(name, target string) *config.Check {
	return (*e.checks.Load())[pair{name, target}]
}

// job makes a configured check something that can be scheduled. Its looks are
// counted in the distributions.
func job(c *config.Check, d *distributions) schedule.Job {
	instance := c.New()
	look := lookOf(c, instance)
	return schedule.Job{
		Definition: c.Definition, Target: c.Target, Interval: c.Interval, Timeout: c.Timeout,
		Look: func(ctx context.Context, memory check.Memory) *check.Result {
			look.Memory = memory
			result := look.Run(ctx)
			// The configuration's name stays also when Prepare finds another.
			result.Target = c.Target
			if ctx.Err() == nil { // else the job has been removed meanwhile, and its look says nothing
				d.observe(result)
			}
			return result
		},
		Close: instance.Close, Identity: c.Identity(), MemoryKey: c.MemoryKey(),
	}
}

// lookOf is a look as it is configured.
func lookOf(c *config.Check, instance check.Check) *check.Look {
	return &check.Look{
		Definition: c.Definition, Check: instance, Target: c.Target, Limits: c.Limits, Severities: c.Severities,
		Only: c.Only, Skip: c.Skip, Timeout: c.Timeout, TimeoutState: c.TimeoutState,
	}
}

// finished makes the series of a result, once, and logs what an operator
// wants to find later: changes of the state, panics, looks that hang.
func (e *Exporter) finished(before, now *check.Result) any {
	log := e.log.With("check", now.Definition.Name, "target", now.Target)
	for _, stack := range now.Trace {
		log.Error("a check panicked", "stack", stack)
	}
	if now.Abandoned != nil {
		log.Warn("a look ignores its deadline and was abandoned; no other is started until it returns", "started", now.Started.UTC().Format(time.RFC3339))
	}
	if was := stateOf(before); was != now.State.String() {
		level := slog.LevelWarn
		if now.State == check.OK {
			level = slog.LevelInfo
		}
		log.Log(context.Background(), level, "state changed", "from", was, "to", now.State, "text", plugin.FirstLine(now))
	}
	return e.series(now)
}

func stateOf(r *check.Result) string {
	if r == nil {
		return "not looked yet"
	}
	return r.State.String()
}

// Ready reports whether every job's first look has returned or should have,
// and how many have not. It stays ready once it was: a check that a reload
// adds is no reason to be taken out of service.
func (e *Exporter) Ready() (ready bool, pending, jobs int) {
	pending, jobs = e.scheduler.Pending(time.Now()), e.scheduler.Stats().Jobs
	if pending == 0 && (jobs > 0 || e.discovery.Load() != nil) {
		e.ready.Store(true)
	}
	return e.ready.Load(), pending, jobs
}

// worstFirst sorts snapshots for people: by badness, then as they come;
// those that nobody can know yet go last.
func worstFirst(snapshots []schedule.Snapshot) {
	slices.SortStableFunc(snapshots, func(a, b schedule.Snapshot) int {
		switch x, y := a.Result, b.Result; {
		case x == nil || y == nil:
			return truth(x == nil) - truth(y == nil)
		case x.State.WorseThan(y.State):
			return -1
		case y.State.WorseThan(x.State):
			return 1
		}
		return 0
	})
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
