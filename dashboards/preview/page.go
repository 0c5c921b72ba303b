// Package preview draws a dashboard from a Prometheus's data without Grafana:
// plain HTML and SVG in a dark look, every panel at its place. It is no
// Grafana; it shows whether a board says what it should.
package preview

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/belfry-monitoring/belfry/dashboards/board"
	"github.com/belfry-monitoring/belfry/dashboards/promquery"
)

// Options of a preview.
type Options struct {
	Window promquery.Window
	Scrape time.Duration // between two scrapes of the exporter
	Unfold bool          // draw the panels of collapsed rows too
}

// picture is what is drawn of one board.
type picture struct {
	Board    *board.Board
	Width    int
	Height   int
	Boxes    []box
	Headings []heading
	From, To string
	Refresh  string
	Values   []pair
}

type pair struct{ Name, Value string }

// box is a panel at its place.
type box struct {
	X, Y, W, H int
	Title      string
	About      string
	Body       template.HTML
}

type heading struct {
	Y, W   int
	Title  string
	Folded bool
}

// Width of a page in pixels.
const Width = 1600

// Sizes in pixels: those of Grafana's grid, and what the page's top takes.
const (
	cell, gap   = 30, 8
	margin, top = 16, 96
	titleHeight = 32
)

// Draw runs the queries of the board's panels and writes the page, and returns
// its height in pixels.
func Draw(ctx context.Context, w io.Writer, b *board.Board, client promquery.Client, o Options) (height int, err error) {
	scope := promquery.Scope(b, o.Window, o.Scrape)
	pic := picture{
		Board: b, Width: Width,
		From: o.Window.From.UTC().Format("2006-01-02 15:04"), To: o.Window.To.UTC().Format("15:04 UTC"),
	}
	for _, v := range b.Templating.List {
		value := "All"
		if v.Type == "datasource" {
			value = "Prometheus"
		}
		pic.Values = append(pic.Values, pair{v.Name, value})
	}
	marks, err := annotations(ctx, client, b, scope, o.Window)
	if err != nil {
		return 0, err
	}
	shift := shifts(b, o.Unfold)
	for _, p := range b.Panels {
		if p.Folded && !o.Unfold {
			continue
		}
		results, err := client.Panel(ctx, p, scope, o.Window)
		if err != nil {
			return 0, err
		}
		one := place(p.GridPos, shift(p.GridPos.Y, p.Row), Width)
		one.Title, one.About = p.Title, p.Description
		c := canvas{W: float64(one.W - 18), H: float64(one.H - titleHeight - 10), window: o.Window, marks: marks}
		if p.Title == "" {
			c.H += titleHeight - 10
		}
		if one.Body, err = c.draw(p, results); err != nil {
			return 0, fmt.Errorf("panel %q: %w", p.Title, err)
		}
		pic.Boxes = append(pic.Boxes, one)
		pic.Height = max(pic.Height, one.Y+one.H+margin)
	}
	for _, r := range b.Rows {
		at := place(r.GridPos, shift(r.GridPos.Y, r.Title), Width)
		pic.Headings = append(pic.Headings, heading{Y: at.Y, W: Width - 2*margin, Title: r.Title, Folded: r.Collapsed && !o.Unfold})
		pic.Height = max(pic.Height, at.Y+cell+margin)
	}
	return pic.Height, page.Execute(w, pic)
}

// shifts returns how many grid rows an item moves down because collapsed rows
// above it are open.
func shifts(b *board.Board, unfold bool) func(y int, row string) int {
	return func(y int, row string) int {
		sum := 0
		for _, r := range b.Rows {
			if !unfold || !r.Collapsed || r.GridPos.Y >= y || r.Title == row {
				continue
			}
			bottom := r.GridPos.Y + 1
			for _, p := range r.Panels {
				bottom = max(bottom, p.GridPos.Y+p.GridPos.H)
			}
			sum += bottom - r.GridPos.Y - 1
		}
		return sum
	}
}

func place(g board.Grid, shift, width int) box {
	column := float64(width-2*margin-23*gap) / 24
	x := func(n int) int { return margin + int(float64(n)*(column+gap)) }
	return box{
		X: x(g.X), W: x(g.X+g.W) - x(g.X) - gap,
		Y: top + (g.Y+shift)*(cell+gap), H: g.H*cell + (g.H-1)*gap,
	}
}

// mark is a moment when an alert began to fire.
type mark struct {
	at   float64
	text string
}

func annotations(ctx context.Context, client promquery.Client, b *board.Board, s board.Scope, w promquery.Window) ([]mark, error) {
	var marks []mark
	for _, a := range b.Annotations.List {
		if a.Expr == "" || !a.Enable {
			continue
		}
		expr, err := board.Substitute(a.Expr, s)
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %w", a.Name, err)
		}
		series, err := client.Range(ctx, expr, w.From, w.To, w.Step)
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %w", a.Name, err)
		}
		for _, one := range series {
			last := 0.0
			for _, p := range one.Points {
				if p.Time-last > 1.5*w.Step.Seconds() {
					marks = append(marks, mark{p.Time, board.Legend(a.TitleFormat, one.Labels)})
				}
				last = p.Time
			}
		}
	}
	return marks, nil
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))
