package dashboards

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"

	"github.com/belfry-monitoring/belfry/common/check"
)

// width of Grafana's grid.
const width = 24

// panel is a picture before it has its place.
type panel struct {
	title   string
	about   string // what it shows and what to aim for
	w, h    uint32
	queries []query
	view    cog.Builder[dashboard.Panel] // how it is drawn
}

// query is what a panel asks.
type query struct {
	id, expr, legend string
	instant          bool
	format           prometheus.PromQueryFormat // time series where empty
}

// sheet takes the panels of a board one after the other, from left to right
// and from top to bottom.
type sheet struct {
	board   spec
	catalog map[string]*check.Definition
	drawn   map[*check.Metric]map[string]bool // by metric and check: those with a panel of their own

	id        uint32
	x, y, row uint32 // next place; height of the panels beside it
	items     []dashboard.PanelOrRowPanel
	folded    *dashboard.RowPanel // the row that takes the panels, nil for none
	errs      []error
}

func newSheet(b spec, catalog []*check.Definition) *sheet {
	s := &sheet{board: b, catalog: map[string]*check.Definition{}, drawn: map[*check.Metric]map[string]bool{}}
	for _, d := range catalog {
		s.catalog[d.Name] = d
	}
	return s
}

// definition returns a check of the catalog. One that is not there is an
// error of the board.
func (s *sheet) definition(name string) *check.Definition {
	d := s.catalog[name]
	if d == nil {
		s.errs = append(s.errs, fmt.Errorf("no check %s in the catalog", name))
		return &check.Definition{Name: name}
	}
	return d
}

func (s *sheet) definitions(names []string) []*check.Definition {
	var list []*check.Definition
	for _, n := range names {
		list = append(list, s.definition(n))
	}
	return list
}

// metric returns a metric of a check, and notes that it has a panel.
func (s *sheet) metric(name, key string) *check.Metric {
	m := s.definition(name).MetricByKey(key)
	if m == nil {
		s.errs = append(s.errs, fmt.Errorf("check %s has no metric %s", name, key))
		return &check.Metric{Family: name, Key: key}
	}
	if s.drawn[m] == nil {
		s.drawn[m] = map[string]bool{}
	}
	s.drawn[m][name] = true
	return m
}

// heading begins a row.
func (s *sheet) heading(title string) {
	s.endRow()
	s.addRow(title, false)
}

// fold begins a row that is closed until somebody opens it.
func (s *sheet) fold(title string) {
	s.endRow()
	s.folded = s.addRow(title, true)
}

func (s *sheet) addRow(title string, collapsed bool) *dashboard.RowPanel {
	s.id++
	row := dashboard.NewRowPanel()
	row.Id, row.Title, row.Collapsed = s.id, &title, collapsed
	row.GridPos = &dashboard.GridPos{X: 0, Y: s.y, W: width, H: 1}
	row.Panels = []dashboard.Panel{}
	s.items = append(s.items, dashboard.PanelOrRowPanel{RowPanel: row})
	s.y++
	return row
}

// endRow goes to the left edge below everything. A closed row takes no more
// room than its heading.
func (s *sheet) endRow() {
	s.y += s.row
	s.x, s.row = 0, 0
	if s.folded != nil {
		s.y = s.folded.GridPos.Y + 1
		s.folded = nil
	}
}

// add puts a panel at the next place.
func (s *sheet) add(p panel) {
	made, err := p.view.Build()
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("panel %q: %w", p.title, err))
		return
	}
	if s.x+p.w > width {
		s.x, s.y, s.row = 0, s.y+s.row, 0
	}
	s.id++
	id := s.id
	made.Id, made.Title, made.Description = &id, &p.title, &p.about
	made.GridPos = &dashboard.GridPos{X: s.x, Y: s.y, W: p.w, H: p.h}
	source := datasource()
	made.Datasource = &source
	made.Targets = nil
	for i, q := range p.queries {
		if q.id == "" {
			q.id = string(rune('A' + i))
		}
		target, err := q.target()
		if err != nil {
			s.errs = append(s.errs, fmt.Errorf("panel %q: %w", p.title, err))
			return
		}
		made.Targets = append(made.Targets, target)
	}
	s.x += p.w
	s.row = max(s.row, p.h)
	if s.folded != nil {
		s.folded.Panels = append(s.folded.Panels, made)
		return
	}
	s.items = append(s.items, dashboard.PanelOrRowPanel{Panel: &made})
}

func (q query) target() (variants.Dataquery, error) {
	b := prometheus.NewDataqueryBuilder().RefId(q.id).Expr(q.expr).Datasource(datasource()).
		EditorMode(prometheus.QueryEditorModeCode)
	format := q.format
	if format == "" {
		format = prometheus.PromQueryFormatTimeSeries
	}
	b.Format(format)
	if q.legend != "" {
		b.LegendFormat(q.legend)
	}
	if q.instant {
		b.Instant()
	} else {
		b.Range()
	}
	return b.Build()
}

// datasource is the one that the variable names.
func datasource() common.DataSourceRef {
	kind, uid := "prometheus", "${datasource}"
	return common.DataSourceRef{Type: &kind, Uid: &uid}
}
