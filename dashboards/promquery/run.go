package promquery

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/belfry-monitoring/belfry/dashboards/board"
)

// Window is the time that a dashboard shows.
type Window struct {
	From, To time.Time
	Step     time.Duration
}

// Result is what a target returned.
type Result struct {
	Target board.Target
	Expr   string // as it was asked
	Series []Series
}

// Panel runs the queries of a panel as Grafana does: instant ones at the end
// of the window, the others over all of it.
func (c Client) Panel(ctx context.Context, p board.Panel, s board.Scope, w Window) ([]Result, error) {
	var results []Result
	for _, t := range p.Targets {
		expr, err := board.Substitute(t.Expr, s)
		if err != nil {
			return nil, fmt.Errorf("panel %q: query %s: %w", p.Title, t.RefID, err)
		}
		r := Result{Target: t, Expr: expr}
		if t.Instant {
			r.Series, err = c.Instant(ctx, expr, w.To)
		} else {
			r.Series, err = c.Range(ctx, expr, w.From, w.To, w.Step)
		}
		if err != nil {
			return nil, fmt.Errorf("panel %q: %s: %w", p.Title, t.RefID, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// labelValues is a query variable's label_values(series, label).
var labelValues = regexp.MustCompile(`^label_values\((.+),\s*(\w+)\s*\)$`)

// VariableValues lists what a query variable offers.
func (c Client) VariableValues(ctx context.Context, v board.Variable, s board.Scope) ([]string, error) {
	expr, err := board.Substitute(v.Expr(), s)
	if err != nil {
		return nil, fmt.Errorf("variable %s: %w", v.Name, err)
	}
	parts := labelValues.FindStringSubmatch(expr)
	if parts == nil {
		return nil, fmt.Errorf("variable %s: %q is no label_values(series, label)", v.Name, expr)
	}
	values, err := c.LabelValues(ctx, parts[2], parts[1])
	if err != nil {
		return nil, fmt.Errorf("variable %s: %w", v.Name, err)
	}
	return values, nil
}

// Scope is the board with every variable at All, as it is opened first.
func Scope(b *board.Board, w Window, scrape time.Duration) board.Scope {
	s := board.Scope{
		Values: map[string][]string{}, AllValues: map[string]string{},
		Range: w.To.Sub(w.From), Step: w.Step, Scrape: scrape,
	}
	for _, v := range b.Templating.List {
		s.Values[v.Name] = []string{board.All}
		s.AllValues[v.Name] = v.AllValue
		if v.Type == "datasource" {
			s.Values[v.Name] = []string{"prometheus"}
		}
	}
	return s
}
