package discover

import (
	"encoding/json"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/belfry-monitoring/belfry/common/check"
)

// kept is what outlives the process of a thing that is watched.
type kept struct {
	Product string `json:"product"`
	Key     string `json:"key"`
	Name    string `json:"name"`
	Checks  string `json:"checks"` // as a configuration, which holds no secrets
}

// Memory is what a later process has to know: a server that does not run when
// the exporter is started anew must not vanish from monitoring.
func (d *Discovery) Memory() ([]byte, error) {
	list := []kept{}
	for _, t := range d.Things {
		if t.Outcome != Watched {
			continue
		}
		text, err := encode(t.Checks)
		if err != nil {
			return nil, err
		}
		list = append(list, kept{t.Product, t.key, t.Name, string(text)})
	}
	data, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("keep what was found: %w", err)
	}
	return data, nil
}

// Recall adds what an earlier process watched and this look has not found. It
// is asked again as soon as it is there. What this version cannot watch any
// more is left out.
func (d *Discovery) Recall(memory []byte, catalog []*check.Definition) error {
	var list []kept
	if err := json.Unmarshal(memory, &list); err != nil {
		return fmt.Errorf("recall what was found: %w", err)
	}
	f := &Finder{Catalog: catalog}
	for _, k := range list {
		here := slices.ContainsFunc(d.Things, func(t Thing) bool {
			return t.Product == k.Product && t.key == k.Key && (k.Key != "" || t.Name == k.Name)
		})
		if here || !slices.Contains(Products(), k.Product) {
			continue
		}
		var conf struct{ Checks []Check }
		if err := yaml.Unmarshal([]byte(k.Checks), &conf); err != nil {
			return fmt.Errorf("recall what was found: %w", err)
		}
		t := Thing{
			Product: k.Product, key: k.Key, Name: k.Name, Outcome: Watched, Checks: conf.Checks, again: true,
			Text: "It was watched before the exporter was started anew, and was not found this time; a reload forgets it.",
		}
		if t = f.writable(t); len(t.Checks) > 0 {
			d.Things = append(d.Things, t.cleaned())
		}
	}
	d.sort()
	return nil
}
