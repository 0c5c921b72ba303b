package discover_test

import (
	"fmt"
	"testing"

	"github.com/belfry-monitoring/belfry/exporter/discover"
	"github.com/belfry-monitoring/belfry/plugins"
)

func TestRecall(t *testing.T) {
	before := example("a: #", "it runs")
	before.Things[1].Checks[0].Options["user"] = "belfry"
	memory, err := before.Memory()
	if err != nil {
		t.Fatal(err)
	}
	now := &discover.Discovery{}
	if err := now.Recall(memory, plugins.Catalog()); err != nil {
		t.Fatalf("Recall = %v; want nil", err)
	}
	if fmt.Sprint(now.Checks()) != fmt.Sprint(before.Checks()) {
		t.Errorf("recalled %+v; want %+v", now.Checks(), before.Checks())
	}
	if len(now.Things) != 2 || now.Things[0].Outcome != discover.Watched {
		t.Errorf("recalled %+v; want the two things that were watched", now.Things)
	}
	// Once more, nothing is twice.
	if err := now.Recall(memory, plugins.Catalog()); err != nil || len(now.Things) != 2 {
		t.Errorf("recalled again: %d things, %v; want 2, nil", len(now.Things), err)
	}
	// A version without these checks.
	old := &discover.Discovery{}
	if err := old.Recall(memory, nil); err != nil || len(old.Things) != 0 {
		t.Errorf("recalled without a catalog %+v, %v; want nothing", old.Things, err)
	}
	for _, bad := range []string{"", "{", `[{"product":"redis","checks":"\t"}]`} {
		if err := (&discover.Discovery{}).Recall([]byte(bad), plugins.Catalog()); err == nil {
			t.Errorf("Recall(%q) = nil; want an error", bad)
		}
	}
}

func FuzzRecall(f *testing.F) {
	memory, err := example("a", "b").Memory()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(memory)
	f.Add([]byte(`[{"product":"redis","checks":"checks: [{check: backup, target: 1, options: [}]"}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &discover.Discovery{}
		if d.Recall(data, plugins.Catalog()) != nil {
			return
		}
		for _, thing := range d.Things {
			if len(thing.Checks) == 0 || thing.Outcome != discover.Watched {
				t.Errorf("Recall(%q) = %+v; want things that are watched", data, thing)
			}
		}
	})
}
