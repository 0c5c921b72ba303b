// Package board reads a dashboard's JSON as Grafana would: its panels, also
// those of collapsed rows, the queries behind them, and the variables in
// these. It is for readers that are not Grafana: tests and the preview.
package board

import (
	"encoding/json"
	"fmt"
	"os"
)

// Board is a dashboard.
type Board struct {
	UID         string `json:"uid"`
	Title       string
	Description string
	Tags        []string
	Links       []Link
	Templating  struct{ List []Variable }
	Annotations struct{ List []Annotation }

	// Panels are those that show data, in the order of the file.
	Panels []Panel `json:"-"`
	// Rows are the headings between them.
	Rows []Panel `json:"-"`
}

// Panel is a picture of data, or the heading of a row.
type Panel struct {
	ID              int
	Type            string
	Title           string
	Description     string
	GridPos         Grid
	Datasource      *Reference
	Targets         []Target
	Transformations []Transformation
	FieldConfig     FieldConfig
	Options         json.RawMessage
	Collapsed       bool
	Panels          []Panel // of a collapsed row
	Links           []Link

	// Row is the title of the row that the panel stands under, and Folded
	// whether that row is collapsed.
	Row    string `json:"-"`
	Folded bool   `json:"-"`
}

// Grid is where a panel stands: in 24ths of the width and in rows of 30
// pixels and a gap of 8.
type Grid struct{ X, Y, W, H int }

// Reference names a data source.
type Reference struct{ Type, UID string }

// Target is a query.
type Target struct {
	RefID        string `json:"refId"`
	Expr         string
	LegendFormat string
	Format       string // "table", "heatmap", "time_series"
	Instant      bool
	Range        bool
	Datasource   *Reference
}

// Transformation changes what the queries returned before it is drawn.
type Transformation struct {
	ID      string
	Options json.RawMessage
}

// Link leads to another page.
type Link struct {
	Title     string
	URL       string `json:"url"`
	KeepTime  bool
	TargetNew bool `json:"targetBlank"`
}

// Variable is a template variable.
type Variable struct {
	Name       string
	Type       string // "datasource", "query", ...
	Query      json.RawMessage
	Multi      bool
	IncludeAll bool
	AllValue   string
}

// Expr is the query of a query variable, such as label_values(up, job).
func (v Variable) Expr() string {
	var text string
	if json.Unmarshal(v.Query, &text) == nil {
		return text
	}
	var object struct{ Query string }
	json.Unmarshal(v.Query, &object) //nolint:errcheck // no query then
	return object.Query
}

// Annotation marks moments in all panels.
type Annotation struct {
	Name        string
	Enable      bool
	Expr        string
	TitleFormat string
	TextFormat  string
	TagKeys     string
}

// FieldConfig says how values are shown.
type FieldConfig struct {
	Defaults  Field
	Overrides []struct {
		Matcher struct {
			ID      string
			Options json.RawMessage
		}
		Properties []struct {
			ID    string
			Value json.RawMessage
		}
	}
}

// Field says how the values of one series or column are shown.
type Field struct {
	DisplayName string
	Unit        string
	Decimals    *int
	Min, Max    *float64
	NoValue     string
	Color       struct{ Mode, FixedColor string }
	Mappings    []Mapping
	Thresholds  struct {
		Mode  string
		Steps []Step
	}
	Links  []Link
	Custom map[string]any // what only one type of panel knows
}

// Step is a threshold: the colour from a value on, which the first has none of.
type Step struct {
	Value *float64
	Color string
}

// Mapping replaces values by words and colours.
type Mapping struct {
	Type    string // "value", "range", "special"
	Options json.RawMessage
}

// Parse reads the JSON of a dashboard.
func Parse(data []byte) (*Board, error) {
	var file struct {
		Board
		Panels []Panel
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("read a dashboard: %w", err)
	}
	b := &file.Board
	row := ""
	for _, p := range file.Panels {
		if p.Type != "row" {
			p.Row = row
			b.Panels = append(b.Panels, p)
			continue
		}
		row = p.Title
		b.Rows = append(b.Rows, p)
		for _, inner := range p.Panels {
			inner.Row, inner.Folded = row, p.Collapsed
			b.Panels = append(b.Panels, inner)
		}
	}
	if b.UID == "" || len(b.Panels) == 0 {
		return nil, fmt.Errorf("read a dashboard: no uid or no panels in %d bytes of JSON", len(data))
	}
	return b, nil
}

// Load reads a dashboard's file.
func Load(path string) (*Board, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}
