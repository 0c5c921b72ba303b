package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/exporter/config"
	"github.com/belfry-monitoring/belfry/exporter/systemd"
)

// defaultAddress lies outside of 9100 to 9999, which the registry of
// Prometheus exporters has given away.
const defaultAddress = ":19742"

// stopLimit is how long requests and looks may take to end.
const stopLimit = 10 * time.Second

// Program is the exporter as a process.
type Program struct {
	Catalog []*check.Definition
	Args    []string  // without the name
	Output  io.Writer // what is said: log, help, errors
	Stdout  io.Writer // what --discover prints
	// Reloads asks for a reload; nil for never.
	Reloads <-chan os.Signal
	// Manager is the service manager that has started the process; nil: none.
	Manager *systemd.Manager
}

// Main runs the exporter as this process and returns its exit code.
func Main(catalog []*check.Definition) int {
	forgetEnvironment(os.Environ(), os.Unsetenv)
	if info, ok := debug.ReadBuildInfo(); ok && version.Version == "" {
		version.Version = info.Main.Version // of a build without -ldflags
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	reloads := make(chan os.Signal, 1)
	signal.Notify(reloads, syscall.SIGHUP)
	defer signal.Stop(reloads)
	manager, err := systemd.FromEnvironment()
	if err != nil {
		fmt.Fprintf(os.Stderr, "belfry_exporter: %v\n", err)
		return 1
	}
	return (&Program{Catalog: catalog, Args: os.Args[1:], Output: os.Stderr, Stdout: os.Stdout, Reloads: reloads, Manager: manager}).Run(ctx)
}

// flags are the options of the process.
type flags struct {
	configFile  string
	configGiven bool
	configCheck bool
	discovery   discoveryFlags
	stateDir    string
	stateEvery  time.Duration
	web         *web.FlagConfig
	log         promslog.Config
}

// parse reads the command line. ok is false when there is nothing more to do
// than to exit with code: after --help, --version or an error.
func (p *Program) parse() (f *flags, code int, ok bool) {
	f = &flags{log: promslog.Config{Writer: p.Output}}
	app := kingpin.New("belfry_exporter", "Runs Belfry's checks at their intervals and serves the results to Prometheus.")
	exit := -1
	app.Terminate(func(code int) {
		if exit < 0 {
			exit = code
		}
	}).UsageWriter(p.Output).ErrorWriter(p.Output)
	app.HelpFlag.Short('h')
	app.Version(version.Print("belfry_exporter"))
	app.Flag("config.file", "YAML file that names the checks. Without this option, and where the default file is missing, what runs on this machine is discovered and monitored.").
		Default("/etc/belfry/exporter.yml").IsSetByUser(&f.configGiven).StringVar(&f.configFile)
	app.Flag("config.check", "Read the configuration, say what is wrong with it, and exit: 0 when it is right and every check is ready to look.").BoolVar(&f.configCheck)
	app.Flag("state-dir", "Keep what checks remember in this directory, so that a restart does not forget it; it must belong to the running user alone. Without one, nothing outlives the process.").StringVar(&f.stateDir)
	app.Flag("state-interval", "How often what a check remembers is written at most; it is written at the end, too.").Default("5m").DurationVar(&f.stateEvery)
	f.discovery.declare(app)
	f.web = kingpinflag.AddFlags(app, defaultAddress)
	promslogflag.AddFlags(app, &f.log)
	_, err := app.Parse(p.Args)
	switch {
	case exit >= 0:
		return nil, exit, false
	case err != nil:
		app.Errorf("%s, try --help", err)
		return nil, 2, false
	}
	return f, 0, true
}

// Run serves until ctx ends, and returns the exit code.
func (p *Program) Run(ctx context.Context) int {
	f, code, ok := p.parse()
	if !ok {
		return code
	}
	log := promslog.New(&f.log)
	if f.discovery.print {
		return p.printDiscovery(ctx, f, log)
	}
	if f.configCheck {
		return p.checkConfig(f, log)
	}
	memories, err := f.memories()
	if err != nil {
		log.Error(err.Error())
		return 1
	}
	hostname, _ := os.Hostname() // without one, replicas may look at the same moments
	e, err := New(Options{
		ConfigFile: f.configFile, Catalog: p.Catalog, Logger: log, Memories: memories, Manager: p.Manager,
		Discover: p.discoverer(ctx, f), DiscoverCommand: p.finder(f).Command(f.configFile),
		Seed: hostname + " " + strings.Join(*f.web.WebListenAddresses, " "),
	})
	if err == nil {
		err = e.Reload()
	}
	if err != nil {
		logErrors(log, err)
		return 1
	}
	log.Info("starting belfry_exporter", "version", version.Info())
	return p.serve(ctx, e, f, log)
}

// checkConfig is --config.check.
func (p *Program) checkConfig(f *flags, log *slog.Logger) int {
	code := 0
	discovers := !f.configGiven && absent(f.configFile)
	c, err := config.Empty(), error(nil)
	if !discovers {
		c, err = config.Load(f.configFile, p.Catalog)
	}
	if err != nil {
		logErrors(log, err)
		code = 1
	} else {
		for _, one := range c.All() {
			if one.PrepareErr != nil {
				logErrors(log, &config.Error{File: f.configFile, Line: one.Line, Err: one.PrepareErr})
				code = 1
			}
		}
	}
	if err := web.Validate(*f.web.WebConfigFile); err != nil {
		log.Error("the web configuration is wrong", "file", *f.web.WebConfigFile, "err", err)
		code = 1
	}
	switch {
	case code != 0:
	case discovers:
		log.Info("there is no configuration: what runs on this machine is discovered (--discover shows it)", "file", f.configFile)
	default:
		log.Info("the configuration is right", "file", f.configFile, "checks", len(c.Checks), "modules", len(c.Modules))
	}
	return code
}

// serve runs the HTTP server beside the checks until one of them ends.
func (p *Program) serve(ctx context.Context, e *Exporter, f *flags, log *slog.Logger) int {
	server := newServer(e.Handler(), log)
	writing, stopWriting := context.WithCancel(ctx)
	defer stopWriting()
	go e.writeMemories(writing)
	go e.rediscover(writing, f.discovery.interval)
	listeners, err := listen(f.web)
	ended := make(chan error, 1)
	if err != nil {
		ended <- err
	} else {
		go func() { ended <- web.ServeMultiple(listeners, server, f.web, log) }()
		beating, stopBeating := context.WithCancel(context.Background()) // until the end: stopping takes its time, too
		defer stopBeating()
		e.told(p.Manager.Ready())
		go (&pulse{manager: p.Manager, exporter: e, listeners: listeners, log: log}).run(beating)
	}
	code := 0
	for running := true; running; {
		select {
		case <-p.Reloads:
			if err := e.Reload(); err != nil {
				e.logReload(err)
			}
		case err := <-ended:
			log.Error("serve HTTP", "err", err)
			code, running = 1, false
		case <-ctx.Done():
			log.Info("stopping")
			running = false
		}
	}
	e.told(p.Manager.Stopping())
	stop, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	// Side by side: a client that is slow must not use up the looks' time.
	err = check.Go(stop, server.Shutdown, e.Stop)
	if err != nil {
		log.Warn("not everything ended in time", "err", err)
	}
	if code == 0 {
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			log.Error("serve HTTP", "err", err)
			code = 1
		}
	}
	return code
}
