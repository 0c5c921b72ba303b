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

// Recall adds what an earlier process watched and this look has not found, or
// cannot see now: a login that is refused since is for the check to say. What
// runs with less than before stays held to what there was. It is asked again
// as soon as it is there. What this version cannot watch any more is left out.
func (d *Discovery) Recall(memory []byte, catalog []*check.Definition) error {
	var list []kept
	if err := json.Unmarshal(memory, &list); err != nil {
		return fmt.Errorf("recall what was found: %w", err)
	}
	f := &Finder{Catalog: catalog}
	for _, k := range list {
		if !slices.Contains(Products(), k.Product) {
			continue
		}
		var conf struct{ Checks []Check }
		if err := yaml.Unmarshal([]byte(k.Checks), &conf); err != nil {
			return fmt.Errorf("recall what was found: %w", err)
		}
		for _, c := range conf.Checks {
			for name, value := range c.Options {
				if _, isList := value.([]any); isList {
					c.Options[name] = texts(value)
				}
			}
		}
		before := f.writable(Thing{
			Product: k.Product, key: k.Key, Name: k.Name, Outcome: Watched, Checks: conf.Checks, again: true, recalled: true,
			Text: "It was watched before the exporter was started anew, and was not found this time; a reload forgets it.",
		})
		if len(before.Checks) == 0 {
			continue
		}
		i := slices.IndexFunc(d.Things, func(t Thing) bool {
			return t.Product == k.Product && t.key == k.Key && (k.Key != "" || t.Name == k.Name)
		})
		switch {
		case i < 0:
			d.Things = append(d.Things, before.cleaned())
		case d.Things[i].Outcome == Watched:
			d.Things[i] = f.writable(d.Things[i].after(before)).cleaned()
		default:
			before.Text = d.Things[i].Text + " It was watched before the exporter was started anew, and stays so; a reload forgets it."
			before.Help = d.Things[i].Help
			d.Things[i] = before.cleaned()
		}
	}
	d.sort()
	return nil
}

// Retain keeps of what was watched last what this look, which begins anew,
// could not look for: that it has failed says nothing of what is there.
func (d *Discovery) Retain(last *Discovery) {
	for _, t := range last.Things {
		if t.Outcome != Watched {
			continue
		}
		failed := func(other Thing) bool {
			return other.Outcome == Failed && other.Product == t.Product && (other.key == t.key || other.key == "")
		}
		if !d.blind && !slices.ContainsFunc(d.Things, failed) {
			continue
		}
		d.Things = slices.DeleteFunc(d.Things, func(other Thing) bool { return failed(other) && other.key == t.key })
		d.Things = append(d.Things, t)
	}
	d.sort()
}
