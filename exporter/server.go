package exporter

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of the requests that are served at the same time: those of machines,
// which take a stream of known results, and those of people, which hold a
// whole document of all checks each.
const (
	maxScrapes = 64
	maxPages   = 8
	maxAsks    = 4096 // for a probe; what may run of these is bounded elsewhere
)

// Handler serves everything that the exporter has to say.
func (e *Exporter) Handler() http.Handler {
	metrics := promhttp.HandlerFor(prometheus.GathererFunc(e.Gather), promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(e.log.Handler(), slog.LevelError),
		// One series that cannot be written must not hide all others.
		ErrorHandling: promhttp.ContinueOnError, Registry: e.registry,
	})
	pages := http.NewServeMux()
	pages.HandleFunc("GET /api/v1/checks", e.serveChecks)
	pages.HandleFunc("GET /-/ready", e.serveReady)
	pages.HandleFunc("POST /-/reload", e.serveReload)
	e.handlePages(pages)
	scrapes, probes, assets := http.NewServeMux(), http.NewServeMux(), http.NewServeMux()
	assets.HandleFunc("GET /static/{file}", serveStatic)
	scrapes.Handle("GET /metrics", metrics)
	probes.HandleFunc("GET /-/healthy", e.serveHealthy)
	// Readers that are slow, of whatever else, must not keep Prometheus out,
	// nor fail the probe of liveness, which would end the process.
	mux := http.NewServeMux()
	mux.Handle("/", bounded(pages, maxPages))
	mux.Handle("/static/", bounded(assets, maxScrapes)) // a page comes with three of them
	mux.Handle("/metrics", bounded(scrapes, maxScrapes))
	asks := http.NewServeMux()
	asks.HandleFunc("GET /probe", e.serveProbe)
	asks.HandleFunc("GET /discovery", e.serveDiscovery)
	mux.Handle("/probe", bounded(asks, maxAsks))
	mux.Handle("/discovery", bounded(asks, maxScrapes))
	mux.Handle("/-/healthy", bounded(probes, maxScrapes))
	return mux
}

// newServer bounds what a client may take, in time and size.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// bounded answers 503 to what comes while too many requests are served.
func bounded(next http.Handler, limit int) http.Handler {
	places := make(chan struct{}, limit)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			http.Error(w, "too many requests at the same time", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		next.ServeHTTP(w, r)
	})
}

func (e *Exporter) serveHealthy(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "belfry_exporter is healthy.")
}

func (e *Exporter) serveReady(w http.ResponseWriter, _ *http.Request) {
	ready, pending, jobs := e.Ready()
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "belfry_exporter is not ready: %d of %d checks have not looked yet.\n", pending, jobs)
		return
	}
	fmt.Fprintln(w, "belfry_exporter is ready.")
}

func (e *Exporter) serveReload(w http.ResponseWriter, _ *http.Request) {
	if err := e.Reload(); err != nil {
		e.logReload(err)
		http.Error(w, "The configuration was not loaded, the one before stays in use:\n"+err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "The configuration was loaded.")
}

// logReload logs each thing that is wrong on a line of its own.
func (e *Exporter) logReload(err error) {
	e.log.Error("the configuration was not loaded, the one before stays in use")
	logErrors(e.log, err)
}

func logErrors(log *slog.Logger, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			logErrors(log, one)
		}
		return
	}
	log.Error(err.Error())
}
