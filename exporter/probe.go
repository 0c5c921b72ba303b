package exporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/exposition"
	"github.com/belfry-monitoring/belfry/exporter/schedule"
)

// probeRequest is what somebody asks for.
type probeRequest struct {
	module, target string
	debug          bool
	scrape         time.Duration // that Prometheus waits; 0: not said
}

// refusal is why a request gets no look. Its text is for whoever asks, and
// holds nothing of the configuration but names that may be asked for.
type refusal struct {
	status  int
	outcome string // label value of belfry_exporter_probes_total
	text    string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, outcome, format string, args ...any) *refusal {
	return &refusal{status, outcome, fmt.Sprintf(format, args...)}
}

// serveProbe takes one look and answers with its series: a target that fails
// is an answer like any other. HEAD asks whether there would be a look, and
// takes none.
func (e *Exporter) serveProbe(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	request, err := parseProbe(r)
	if err != nil {
		e.refuseProbe(w, err)
		return
	}
	found, err := e.probes.find(request.module, request.target)
	if err != nil {
		e.refuseProbe(w, err)
		return
	}
	if r.Method == http.MethodHead {
		return
	}
	found.debug = request.debug
	timeout := probeTimeout(found.check.Timeout, request.scrape)
	extend(w, timeout)
	answer, err := e.probes.look(r.Context(), found, timeout)
	switch {
	case r.Context().Err() != nil: // nobody listens any more
	case err != nil:
		e.refuseProbe(w, err)
	case request.debug:
		e.writeDebug(w, found, request, timeout, answer)
	default:
		e.writeProbe(w, r, answer)
	}
}

// refuseProbe counts and says why there is no look.
func (e *Exporter) refuseProbe(w http.ResponseWriter, err error) {
	var r *refusal
	if !errors.As(err, &r) { // of the prober
		r = refuse(http.StatusServiceUnavailable, probeBusy, "no look: %v", err)
	}
	e.probes.outcomes.WithLabelValues(r.outcome).Inc()
	http.Error(w, r.text, r.status)
}

// parseProbe reads the request strictly: what is not known might be meant to
// change how credentials are used, and must not be passed over.
func parseProbe(r *http.Request) (probeRequest, error) {
	request := probeRequest{scrape: scrapeTimeout(r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"))}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return request, refuse(http.StatusBadRequest, probeMalformed, "the query cannot be read: write /probe?module=NAME&target=NAME, with %%XX for special characters")
	}
	debug := ""
	known := map[string]*string{"module": &request.module, "target": &request.target, "debug": &debug}
	for name, values := range query {
		into := known[name]
		switch {
		case into == nil:
			return request, refuse(http.StatusBadRequest, probeMalformed, "unknown parameter %q: there are module, target and debug; a look's options come from the configuration only", check.CleanMax(name, 40))
		case len(values) > 1:
			return request, refuse(http.StatusBadRequest, probeMalformed, "parameter %s is given %d times", name, len(values))
		}
		*into = values[0]
	}
	switch {
	case request.module == "" || request.target == "":
		return request, refuse(http.StatusBadRequest, probeMalformed, "write /probe?module=NAME&target=NAME: both are needed, and /discovery lists those that are configured")
	case debug != "" && debug != "true" && debug != "false":
		return request, refuse(http.StatusBadRequest, probeMalformed, "parameter debug is true or false")
	}
	request.debug = debug == "true"
	return request, nil
}

// scrapeTimeout reads the header; 0 where it says nothing sensible.
func scrapeTimeout(header string) time.Duration {
	seconds, err := strconv.ParseFloat(header, 64)
	if err != nil || !(seconds > 0) {
		return 0
	}
	return time.Duration(min(seconds, math.MaxInt32) * float64(time.Second))
}

// timeoutOffset is what of a scrape's timeout is left to the answer's way
// back, or half of the timeout where that is less; leastTimeout is the least
// that makes sense for a look.
const (
	timeoutOffset = 500 * time.Millisecond
	leastTimeout  = 100 * time.Millisecond
)

// probeTimeout is the time of a look: the module's, or less where the scrape
// ends before.
func probeTimeout(module, scrape time.Duration) time.Duration {
	if scrape <= 0 {
		return module
	}
	return max(min(module, scrape-min(timeoutOffset, scrape/2)), leastTimeout)
}

// writeLimit is what a client may take to read an answer.
const writeLimit = 30 * time.Second

// extend gives the connection the time that the look may take: the server's
// own limits are for requests that are answered at once.
func extend(w http.ResponseWriter, timeout time.Duration) {
	control, end := http.NewResponseController(w), time.Now().Add(timeout+writeLimit)
	// Where it cannot be set, there is none.
	_ = control.SetReadDeadline(end)
	_ = control.SetWriteDeadline(end)
}

// look asks for a look and counts what comes of it.
func (p *probes) look(ctx context.Context, f *probed, timeout time.Duration) (schedule.Answer, error) {
	prober := p.configured
	if f.freeForm() {
		prober = p.freeForm
	}
	answer, err := prober.Probe(ctx, p.ask(f, timeout))
	switch {
	case err != nil: // counted where it is refused
	case !answer.Looked:
		p.outcomes.WithLabelValues(probeOverdue).Inc()
	case answer.Shared:
		p.outcomes.WithLabelValues(probeShared).Inc()
	default:
		p.outcomes.WithLabelValues(probeLooked).Inc()
	}
	return answer, err
}

// writeProbe writes the series that a scheduled check has, too, but for what
// only its schedule knows.
func (e *Exporter) writeProbe(w http.ResponseWriter, r *http.Request, answer schedule.Answer) {
	promhttp.HandlerFor(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		return e.families.gather(answer), nil
	}), promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(e.log.Handler(), slog.LevelError), ErrorHandling: promhttp.ContinueOnError,
	}).ServeHTTP(w, r)
}

// gather makes the series of an answer, sorted by family.
func (f *families) gather(answer schedule.Answer) []*dto.MetricFamily {
	name, target := answer.Result.Definition.Name, answer.Result.Target
	samples := exposition.Of(answer.Result, name, target)
	if !answer.Looked {
		samples = stale(samples, true)
	}
	s := &scrape{families: make(map[string]*dto.MetricFamily)}
	for _, of := range f.make(name, target, samples).families {
		s.add(of.family, of.metrics...)
	}
	return s.sorted(nil)
}
