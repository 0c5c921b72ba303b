// Package dashboards makes the Grafana side of the catalog: a board for each
// product, one of the fleet and one of the exporter itself. Queries, units,
// limit lines and descriptions come from the definitions; what matters most
// is drawn by hand, and whatever else a check reports stands in a row that is
// made from its declaration alone.
package dashboards

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/belfry-monitoring/belfry/common/check"
)

// spec is a board before it is drawn.
type spec struct {
	uid, title, about string
	checks            []string // definitions whose board this is: all of their metrics are on it
	also              []string // definitions of other boards of which it shows something
	draw              func(*sheet)
}

// boards are all boards, in the order of their links. Each definition of the
// catalog is in the checks of exactly one.
func boards() []spec {
	return []spec{overview(), zulip(), postgresql(), rabbitmq(), backups(), jobs(), exporterHealth()}
}

// Uncovered returns the names of the definitions that are on no board.
func Uncovered(catalog []*check.Definition) []string {
	var missing []string
	for _, d := range catalog {
		if !slices.ContainsFunc(boards(), func(b spec) bool { return slices.Contains(b.checks, d.Name) }) {
			missing = append(missing, d.Name)
		}
	}
	return missing
}

// Files renders every board as dashboards/json/<uid without "belfry-">.json.
func Files(catalog []*check.Definition) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, b := range boards() {
		made, err := build(b, catalog)
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.title, err)
		}
		text, err := json.MarshalIndent(made, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.title, err)
		}
		files["dashboards/json/"+strings.TrimPrefix(b.uid, "belfry-")+".json"] = append(text, '\n')
	}
	return files, nil
}

// build draws a board and has the SDK validate it. The successor of this
// format is understood by Grafana 12 and later only.
//
//lint:ignore SA1019 Grafana 10 and 11 must be able to import it
func build(b spec, catalog []*check.Definition) (*dashboard.Dashboard, error) {
	s := newSheet(b, catalog)
	b.draw(s)
	for _, d := range s.definitions(b.checks) {
		s.rest(d)
	}
	s.endRow()
	//lint:ignore SA1019 as above
	builder := dashboard.NewDashboardBuilder(b.title).
		Uid(b.uid).Description(b.about).Tags([]string{"belfry"}).
		Timezone("browser").Time("now-6h", "now").Refresh("1m").Readonly().
		Tooltip(dashboard.DashboardCursorSyncCrosshair)
	for _, v := range s.variables() {
		builder.WithVariable(v)
	}
	for _, l := range links(b) {
		builder.Link(l)
	}
	builder.Annotation(s.alerts())
	made, err := builder.Build()
	if err != nil {
		return nil, err
	}
	if len(s.errs) > 0 {
		return nil, s.errs[0]
	}
	made.Panels = s.items
	return &made, made.Validate()
}
