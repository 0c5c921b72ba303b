package exporter

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/belfry-monitoring/belfry/common/check"
)

// targetGroup is what Prometheus's http_sd_configs reads. A target's address
// is then the exporter's, which the scrape configuration knows.
type targetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// serveDiscovery lists the configured targets of all modules, or of those that
// the parameter module names. Free-form targets are known to whoever asks for
// them only.
func (e *Exporter) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	names := query["module"]
	delete(query, "module")
	switch {
	case err != nil:
		http.Error(w, "the query cannot be read: write /discovery?module=NAME", http.StatusBadRequest)
		return
	case len(query) > 0:
		http.Error(w, "unknown parameters: there is module only", http.StatusBadRequest)
		return
	}
	groups, unknown := targetGroups(*e.probes.modules.Load(), names)
	if unknown != nil {
		http.Error(w, unknown.text, unknown.status)
		return
	}
	body, err := json.Marshal(groups)
	if err != nil { // strings can be encoded
		http.Error(w, "the targets cannot be written as JSON", http.StatusInternalServerError)
		e.log.Error("write the targets as JSON", "err", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(append(body, '\n')) //nolint:errcheck // the client is gone
}

// targetGroups makes a group of each target, so that each has labels of its own.
// The label module stays on its series: up, which Prometheus itself makes,
// must differ between two modules that look at things of the same name.
func targetGroups(modules map[string]*module, names []string) ([]targetGroup, *refusal) {
	if len(names) == 0 {
		names = sortedNames(modules)
	}
	groups := []targetGroup{} // of none, Prometheus must read an empty list
	listed := make(map[string]bool)
	for _, name := range names {
		m := modules[name]
		if m == nil {
			return nil, unknownModule(name, modules)
		}
		if listed[name] {
			continue
		}
		listed[name] = true
		for _, t := range m.Targets {
			groups = append(groups, targetGroup{Targets: []string{t.Target}, Labels: map[string]string{
				"__metrics_path__": "/probe", "__param_module": name, "__param_target": t.Target,
				"instance": t.Target, "module": name,
			}})
		}
	}
	return groups, nil
}

func unknownModule(name string, modules map[string]*module) *refusal {
	return refuse(http.StatusNotFound, probeUnknownModule, "no module %q; there are %s", check.CleanMax(name, 63), orNone(sortedNames(modules)))
}
