package exporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/memory"
	"github.com/belfry-monitoring/belfry/exporter/config"
	"github.com/belfry-monitoring/belfry/exporter/discover"
	"github.com/belfry-monitoring/belfry/exporter/page"
)

// Discoverer finds out what runs on this machine. What before holds stays in
// what it returns; nil: it begins anew.
type Discoverer func(before *discover.Discovery) *discover.Discovery

// discoveryFlags are the options of the process for an exporter without
// configuration.
type discoveryFlags struct {
	print        bool
	interval     time.Duration
	root         string
	rabbitUser   string
	rabbitSecret string
}

func (f *discoveryFlags) declare(app *kingpin.Application) {
	app.Flag("discover", "Print what runs on this machine as a configuration file, and exit: 0 when there is something that a check can look at.").BoolVar(&f.print)
	app.Flag("discover.interval", "Without a configuration file: how often what runs here is looked for that was not there before. What was found stays until a reload. 0: only at the start and at a reload.").Default("1m").DurationVar(&f.interval)
	app.Flag("discover.root", "Directory below which this machine's files and /proc are found, such as /host in a container.").Default("/").StringVar(&f.root)
	app.Flag("discover.rabbitmq-user", "User with whom RabbitMQ on this machine is looked at, tagged monitoring.").StringVar(&f.rabbitUser)
	app.Flag("discover.rabbitmq-password-file", "File that holds the password of that user.").StringVar(&f.rabbitSecret)
}

func (p *Program) finder(f *flags) *discover.Finder {
	return &discover.Finder{
		Catalog: p.Catalog, Root: f.discovery.root,
		RabbitMQUser: f.discovery.rabbitUser, RabbitMQPasswordFile: f.discovery.rabbitSecret,
	}
}

// discoverer is nil where a configuration file is given or lies where it
// should: one that is given and missing is an error, and so is one that cannot
// be read.
func (p *Program) discoverer(ctx context.Context, f *flags) Discoverer {
	if f.configGiven || !absent(f.configFile) {
		return nil
	}
	finder := p.finder(f)
	return func(before *discover.Discovery) *discover.Discovery { return finder.Find(ctx, before) }
}

// absent does not follow a symbolic link: one that leads nowhere is the
// configuration of somebody whose target is not mounted yet, or was removed.
func absent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// printDiscovery is --discover.
func (p *Program) printDiscovery(ctx context.Context, f *flags, log *slog.Logger) int {
	found := p.finder(f).Find(ctx, nil)
	text, err := found.YAML()
	if err == nil && len(found.Checks()) > 0 {
		_, err = config.Parse("discovery", text, p.Catalog)
	}
	if err == nil {
		out := p.Stdout
		if out == nil {
			out = p.Output
		}
		_, err = out.Write(text)
	}
	if err != nil {
		log.Error("write what was found as a configuration", "err", err)
		return 1
	}
	if len(found.Checks()) == 0 {
		log.Error("nothing was found that a check can look at", "found", len(found.Things))
		return 1
	}
	return 0
}

// discovers reports whether this exporter has no configuration file. One that
// appears is used from the next reload on; one that was in use and is gone is
// an error of the reload.
func (e *Exporter) discovers() bool {
	return e.options.Discover != nil && !e.fromFile && absent(e.options.ConfigFile)
}

// discover looks for what runs here and monitors it, beside what before holds.
// The lock of reloads is held.
func (e *Exporter) discover(before *discover.Discovery) error {
	last := e.discovery.Load()
	found := e.options.Discover(before)
	switch {
	case last == nil:
		e.recall(found)
	case before == nil:
		found.Retain(last)
	}
	checks := config.Empty()
	if len(found.Checks()) > 0 {
		// What is used is what would be printed.
		text, err := found.YAML()
		if err == nil {
			checks, err = config.Parse("discovery", text, e.options.Catalog)
		}
		if err != nil {
			return fmt.Errorf("use what was found: %w", err)
		}
	}
	if before == nil || !reflect.DeepEqual(found.Checks(), before.Checks()) {
		if err := e.apply(checks, "discovery"); err != nil {
			return err
		}
	}
	e.discovery.Store(found)
	e.logDiscovery(last, found)
	e.remember(found)
	return nil
}

// discoveryMemory is where it is kept what was found; nil without a state
// directory.
func (e *Exporter) discoveryMemory() check.Memory {
	if e.options.Memories == nil {
		return nil
	}
	sum := sha256.Sum256([]byte(e.options.ConfigFile))
	return e.options.Memories.Memory("discovery", hex.EncodeToString(sum[:])[:memory.KeySize])
}

// recall adds to the first look of this process what the one before watched.
func (e *Exporter) recall(found *discover.Discovery) {
	kept := e.discoveryMemory()
	if kept == nil {
		return
	}
	data, at, err := kept.Load()
	if err == nil && len(data) > 0 && time.Since(at) < check.MaxMemoryAge {
		err = found.Recall(data, e.options.Catalog)
	}
	if err != nil {
		e.log.Warn("what was watched before the start is not known", "err", err)
	}
}

func (e *Exporter) remember(found *discover.Discovery) {
	kept := e.discoveryMemory()
	if kept == nil {
		return
	}
	data, err := found.Memory()
	if err == nil {
		err = kept.Store(data, time.Now())
	}
	if err != nil {
		e.log.Warn("what was found is not kept for the next start", "err", err)
	}
}

// rediscover looks again and again for what was not there before, as servers
// that are started after the exporter, until ctx ends.
func (e *Exporter) rediscover(ctx context.Context, every time.Duration) {
	if e.options.Discover == nil || every <= 0 {
		return
	}
	ticker := time.NewTicker(max(every, time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := e.discoverMore(); err != nil && ctx.Err() == nil {
				e.log.Error("what runs on this machine cannot be looked for again", "err", err)
			}
		}
	}
}

func (e *Exporter) discoverMore() error {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	before := e.discovery.Load()
	if before == nil {
		return nil // a configuration file is in use meanwhile
	}
	return e.discover(before)
}

// discoveryNotices are what the page says of what was found: what is monitored
// in one notice, and each thing that is not in one of its own.
func (e *Exporter) discoveryNotices() []page.Notice {
	found := e.discovery.Load()
	if found == nil {
		return nil
	}
	var watched []string
	var others []page.Notice
	for _, t := range found.Things {
		if t.Outcome == discover.Watched && len(t.Help) == 0 {
			watched = append(watched, t.Product+" "+t.Name)
			continue
		}
		others = append(others, page.Notice{Title: t.Product + " " + t.Name + ": " + string(t.Outcome), Text: t.Text, Commands: t.Help})
	}
	text := "No configuration was given. Looked for: " + strings.Join(found.LookedFor, ", ") + ". "
	switch {
	case len(watched) > 0:
		text += "Found, and monitored until a reload: " + strings.Join(watched, ", ") + "."
	case len(others) == 0:
		text += "Nothing was found."
	}
	list := []page.Notice{{
		Title: "What runs on this machine", Text: text,
		Help: "To keep it as a configuration:", Commands: []string{e.options.DiscoverCommand},
	}}
	for _, problem := range found.Problems {
		list = append(list, page.Notice{Title: "Not everything can be seen", Text: problem})
	}
	return append(list, others...)
}

// logDiscovery says what is new since the look before, and what is gone.
func (e *Exporter) logDiscovery(before, now *discover.Discovery) {
	type name struct{ product, name string }
	old := make(map[name]discover.Thing)
	if before == nil {
		before = &discover.Discovery{}
		e.log.Info("no configuration file, so what runs on this machine is monitored; to keep it: "+e.options.DiscoverCommand,
			"looked_for", now.LookedFor)
		if len(now.Things) == 0 {
			e.log.Warn("nothing was found on this machine")
		}
	}
	for _, t := range before.Things {
		old[name{t.Product, t.Name}] = t
	}
	if !reflect.DeepEqual(before.Problems, now.Problems) {
		for _, problem := range now.Problems {
			e.log.Warn("not everything can be seen", "why", problem)
		}
	}
	for _, t := range now.Things {
		k := name{t.Product, t.Name}
		was, known := old[k]
		delete(old, k)
		if known && was.Outcome == t.Outcome && was.Text == t.Text {
			continue
		}
		level, checks := slog.LevelWarn, make([]string, 0, len(t.Checks))
		if t.Outcome == discover.Watched {
			level = slog.LevelInfo
		}
		for _, c := range t.Checks {
			checks = append(checks, c.Check)
		}
		e.log.Log(context.Background(), level, "found on this machine", "product", t.Product, "name", t.Name, "outcome", t.Outcome, "text", t.Text, "checks", checks, "help", t.Help)
	}
	for k, t := range old {
		level := slog.LevelInfo
		if t.Outcome == discover.Watched {
			level = slog.LevelWarn
		}
		e.log.Log(context.Background(), level, "not found any more, and not monitored", "product", k.product, "name", k.name)
	}
}
