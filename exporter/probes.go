package exporter

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/memory"
	"github.com/belfry-monitoring/belfry/exporter/config"
	"github.com/belfry-monitoring/belfry/exporter/page"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

// What becomes of a request to /probe: label values of
// belfry_exporter_probes_total.
const (
	probeLooked        = "looked"         // a look was taken for it
	probeShared        = "shared"         // it got the look of another
	probeOverdue       = "overdue"        // a look of another was not over in its time, or hangs
	probeBusy          = "busy"           // too many looks run
	probeMalformed     = "malformed"      // no request of this kind
	probeUnknownModule = "unknown_module" // no such module
	probeUnknownTarget = "unknown_target" // not configured, and not allowed by a pattern
)

// probes are the looks that somebody asks for. Those at free-form targets
// have places of their own, so that whoever can ask for any number of them
// takes none from the configured ones.
type probes struct {
	log                  *slog.Logger
	configured, freeForm *schedule.Prober
	modules              atomic.Pointer[map[string]*module] // never changed in place
	outcomes             *prometheus.CounterVec
}

// module is a configured module with what its targets remember.
type module struct {
	*config.Module
	memories map[string]check.Memory // of configured targets, by their names
}

func newProbes(log *slog.Logger) *probes {
	p := &probes{
		log: log, configured: schedule.NewProber(schedule.ProberOptions{}), freeForm: schedule.NewProber(schedule.ProberOptions{}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_exporter_probes_total",
			Help: "Requests to /probe by what became of them.",
		}, []string{"outcome"}),
	}
	p.modules.Store(&map[string]*module{})
	for _, outcome := range []string{probeLooked, probeShared, probeOverdue, probeBusy, probeMalformed, probeUnknownModule, probeUnknownTarget} {
		p.outcomes.WithLabelValues(outcome)
	}
	return p
}

// set takes over the modules of a configuration. Looks that run are of the
// one before, and end as they began. A target that looks at the same thing in
// the same way as before goes on with its memory.
func (p *probes) set(c *config.Config, keeper *memory.Keeper) {
	before := make(map[string]check.Memory) // by what it is of
	for _, m := range *p.modules.Load() {
		for _, t := range m.Targets {
			before[t.MemoryKey()] = m.memories[t.Target]
		}
	}
	next := make(map[string]*module, len(c.Modules))
	for _, m := range c.Modules {
		one := &module{Module: m, memories: make(map[string]check.Memory, len(m.Targets))}
		for _, t := range m.Targets {
			if t.PrepareErr != nil {
				p.log.Warn("a target of a module is not ready to be looked at", "module", m.Name, "target", t.Target, "line", t.Line, "err", t.PrepareErr)
			}
			key := t.MemoryKey()
			switch {
			case before[key] != nil:
				one.memories[t.Target] = before[key]
			case keeper != nil:
				one.memories[t.Target] = keeper.Memory(t.Definition.Name, key[:memory.KeySize])
			default:
				one.memories[t.Target] = schedule.NewMemory()
			}
		}
		next[m.Name] = one
		p.log.Info("module in use", "module", m.Name, "check", m.Definition.Name, "targets", len(m.Targets), "others", m.TakesOthers())
	}
	p.configured.Resize(schedule.ProberOptions{Places: c.Probes})
	// Twice: as many may wait as run, or hang.
	p.freeForm.Resize(schedule.ProberOptions{Places: c.FreeFormProbes, Flights: 2 * c.FreeFormProbes})
	p.modules.Store(&next)
}

// probed is what a request asks to look at.
type probed struct {
	module *module
	check  *config.Check
	memory check.Memory // nil for a free-form target: anybody can make up any number of them
	debug  bool         // a person looks, and what the next scrape looks back on stays as it is
}

// recalled is a memory that nothing is added to.
type recalled struct{ check.Memory }

func (recalled) Store([]byte, time.Time) error { return nil }

func (f *probed) freeForm() bool { return f.memory == nil }

// find resolves the names of a request. Its error is a refusal.
func (p *probes) find(name, target string) (*probed, error) {
	modules := *p.modules.Load()
	m := modules[name]
	if m == nil {
		return nil, unknownModule(name, modules)
	}
	if c := m.Target(target); c != nil {
		return &probed{module: m, check: c, memory: m.memories[c.Target]}, nil
	}
	c, err := m.FreeForm(target)
	if err != nil {
		return nil, refuse(http.StatusNotFound, probeUnknownTarget, "%v; /discovery?module=%s lists the configured ones", err, m.Name)
	}
	return &probed{module: m, check: c}, nil
}

func sortedNames(modules map[string]*module) []string { return slices.Sorted(maps.Keys(modules)) }

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// ask makes it something that a prober can look at.
func (p *probes) ask(f *probed, timeout time.Duration) schedule.Ask {
	overdue := check.Unknown
	if f.check.TimeoutState != nil {
		overdue = *f.check.TimeoutState
	}
	return schedule.Ask{
		Module: f.module.Name, Target: f.check.Target, Identity: f.check.Identity(), Timeout: timeout, Overdue: overdue,
		Job: func(timeout time.Duration) schedule.Job { return p.job(f, timeout) },
	}
}

// job makes the check anew for one look.
func (p *probes) job(f *probed, timeout time.Duration) schedule.Job {
	closing := func() error { return nil }
	memory := f.memory
	if f.debug && memory != nil {
		memory = recalled{memory}
	}
	return schedule.Job{
		Definition: f.check.Definition, Target: f.check.Target, Timeout: timeout, Memory: memory,
		Look: func(ctx context.Context, memory check.Memory) *check.Result {
			instance := f.check.New()
			closing = instance.Close
			look := lookOf(f.check, instance)
			look.Timeout, look.Memory = timeout, memory
			result := look.Run(ctx)
			// The configuration's name stays also when Prepare finds another.
			result.Target = f.check.Target
			p.note(result)
			return result
		},
		Close: func() error { return closing() },
	}
}

// note logs what an operator wants to find later.
func (p *probes) note(r *check.Result) {
	log := p.log.With("check", r.Definition.Name, "target", r.Target)
	for _, stack := range r.Trace {
		log.Error("a check panicked", "stack", stack)
	}
	if r.Abandoned != nil {
		log.Warn("a look ignores its deadline and was abandoned; no other is started until it returns", "started", r.Started.UTC().Format(time.RFC3339))
	}
}

// notices say on a page without checks why there are none.
func (p *probes) notices() []page.Notice {
	modules := *p.modules.Load()
	if len(modules) == 0 {
		return nil
	}
	notice := page.Notice{Title: "This exporter looks when it is asked", Text: "Whoever asks gets the verdict, which this page does not keep. Modules: " + orNone(sortedNames(modules)) + "."}
	for _, name := range sortedNames(modules) {
		if m := modules[name]; len(m.Targets) > 0 {
			query := url.Values{"module": {name}, "target": {m.Targets[0].Target}, "debug": {"true"}}
			notice.Help = "What one sees of a target, /discovery lists them:"
			notice.Commands = []string{"/probe?" + query.Encode()}
			break
		}
	}
	return []page.Notice{notice}
}

// stats are the numbers of this moment, of both kinds of targets.
func (p *probes) stats() schedule.Stats {
	a, b := p.configured.Stats(), p.freeForm.Stats()
	return schedule.Stats{Places: a.Places + b.Places, Running: a.Running + b.Running, Waiting: a.Waiting + b.Waiting, Hanging: a.Hanging + b.Hanging}
}

// stop ends all looks and waits for them until ctx is over.
func (p *probes) stop(ctx context.Context) error {
	return errors.Join(p.configured.Stop(ctx), p.freeForm.Stop(ctx))
}
