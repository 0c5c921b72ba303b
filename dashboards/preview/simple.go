package preview

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/dashboards/board"
)

func (c canvas) stat(p board.Panel, lines []line) (template.HTML, error) {
	var o struct{ ColorMode, GraphMode, TextMode, Orientation string }
	if err := options(p, &o); err != nil {
		return "", err
	}
	columns := len(lines)
	if wide := int(c.W / 110); columns > wide {
		columns = max(1, wide)
	}
	rows := (len(lines) + columns - 1) / columns
	height := (c.H - float64(rows-1)*4) / float64(rows)
	var b strings.Builder
	fmt.Fprintf(&b, `<div class="stats" style="grid-template-columns:repeat(%d,1fr);height:%.0fpx">`, columns, c.H)
	for _, l := range lines {
		text, col := shown(l.field, l.Last())
		style := "color:" + col
		if o.ColorMode == "background" || o.ColorMode == "background_solid" {
			style = "color:#fff;background:" + col
			if col == "transparent" {
				style = "color:" + namedColors["text"]
			}
			if col == "#fade2a" || col == "#73bf69" || col == "#ff9830" || col == "#f2cc0c" {
				style = "color:#111217;background:" + col
			}
		}
		if o.TextMode == "name" {
			text = l.name
		}
		size := math.Min(height*0.5, math.Min(38, c.W/float64(columns)/float64(max(4, len([]rune(text))))*1.15))
		fmt.Fprintf(&b, `<div class="stat" style="%s">`, style)
		if o.GraphMode == "area" && len(l.Points) > 1 {
			b.WriteString(c.spark(l, c.W/float64(columns), height*0.4, col))
		}
		fmt.Fprintf(&b, `<b style="font-size:%.0fpx">%s</b>`, size, esc(text))
		if o.TextMode == "value_and_name" || o.TextMode == "auto" && len(lines) > 1 {
			fmt.Fprintf(&b, `<span>%s</span>`, esc(l.name))
		}
		b.WriteString(`</div>`)
	}
	b.WriteString(`</div>`)
	return template.HTML(b.String()), nil
}

func (c canvas) spark(l line, w, h float64, col string) string {
	low, high := bounds([]curve{{line: l}})
	var points []string
	for _, p := range l.Points {
		points = append(points, fmt.Sprintf("%.1f %.1f", c.x(p.Time, 0, w), h-(p.Value-low)/math.Max(high-low, 1e-12)*(h-2)))
	}
	return fmt.Sprintf(`<svg width="%.0f" height="%.0f"><path d="M%s" fill="none" stroke="%s" opacity=".5"/></svg>`, w, h, strings.Join(points, "L"), col)
}

func (c canvas) bargauge(lines []line) template.HTML {
	largest := math.Inf(-1)
	name, value := 0, 0
	for _, l := range lines {
		text, _ := shown(l.field, l.Last())
		name, value = max(name, len([]rune(l.name))), max(value, len([]rune(text)))
		if v := l.Last(); !math.IsInf(v, 0) && !math.IsNaN(v) {
			largest = math.Max(largest, v)
		}
	}
	if m := lines[0].field.Max; m != nil {
		largest = *m
	}
	left := math.Min(float64(name)*6.9+10, c.W*0.5)
	right := c.W - float64(value)*7.5 - 14
	height := math.Min(30, c.H/float64(len(lines)))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%.0f" height="%.0f">`, c.W, c.H)
	for i, l := range lines {
		y := float64(i) * height
		if y+height > c.H+1 {
			break
		}
		text, col := shown(l.field, l.Last())
		share := 0.0
		if largest > 0 {
			share = math.Max(0, math.Min(1, l.Last()/largest))
		}
		fmt.Fprintf(&b, `<text x="%.0f" y="%.1f" text-anchor="end" style="fill:#ccccdc">%s</text><rect x="%.0f" y="%.1f" width="%.1f" height="%.1f" fill="#22252b"/>`,
			left-8, y+height/2+4, esc(l.name), left, y+2, right-left, height-6)
		fmt.Fprintf(&b, `<rect x="%.0f" y="%.1f" width="%.1f" height="%.1f" fill="%s" opacity=".35"/><path d="M%.1f %.1fv%.1f" stroke="%s" stroke-width="2"/>`,
			left, y+2, share*(right-left), height-6, col, left+share*(right-left), y+2, height-6, col)
		fmt.Fprintf(&b, `<text x="%.0f" y="%.1f" style="fill:%s;font-size:13px">%s</text>`, right+8, y+height/2+4, col, esc(text))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// timeline draws a bar of states for each series.
func (c canvas) timeline(lines []line) template.HTML {
	name := 0
	for _, l := range lines {
		name = max(name, len([]rune(l.name)))
	}
	left, right := math.Min(float64(name)*6.4+12, c.W*0.4), c.W-6
	height := (c.H - 20) / float64(len(lines))
	bar := math.Min(height*0.8, 34)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%.0f" height="%.0f">`, c.W, c.H)
	step := c.window.Step.Seconds()
	for i, l := range lines {
		y := float64(i)*height + (height-bar)/2
		fmt.Fprintf(&b, `<text x="%.0f" y="%.1f" text-anchor="end" style="fill:#ccccdc">%s</text>`, left-8, y+bar/2+4, esc(l.name))
		for from := 0; from < len(l.Points); {
			to := from
			for to+1 < len(l.Points) && l.Points[to+1].Value == l.Points[from].Value && l.Points[to+1].Time-l.Points[to].Time < 2.5*step {
				to++
			}
			text, col := shown(l.field, l.Points[from].Value)
			x1 := c.x(l.Points[from].Time, left, right)
			x2 := math.Min(right, c.x(l.Points[to].Time+step, left, right))
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" opacity=".85"/>`, x1, y, math.Max(1, x2-x1), bar, col)
			if x2-x1 > float64(len([]rune(text)))*7+6 && bar >= 12 {
				fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" style="fill:#111217">%s</text>`, x1+5, y+bar/2+4, esc(text))
			}
			from = to + 1
		}
	}
	c.times(&b, left, right, c.H-4)
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// heatmap draws the buckets of a histogram: series with a label le, each
// holding those below.
func (c canvas) heatmap(p board.Panel, lines []line) (template.HTML, error) {
	var o struct {
		YAxis struct{ Unit string } `json:"yAxis"`
	}
	if err := options(p, &o); err != nil {
		return "", err
	}
	bound := func(l line) float64 {
		v, err := strconv.ParseFloat(strings.TrimPrefix(l.Labels["le"], "+"), 64)
		if err != nil {
			return math.NaN()
		}
		return v
	}
	slices.SortFunc(lines, func(a, b line) int {
		if bound(a) < bound(b) {
			return -1
		}
		return 1
	})
	below, highest := map[float64]float64{}, 0.0
	counts := make([]map[float64]float64, len(lines))
	for i, l := range lines {
		counts[i] = map[float64]float64{}
		for _, q := range l.Points {
			counts[i][q.Time] = math.Max(0, q.Value-below[q.Time])
			below[q.Time] = q.Value
			highest = math.Max(highest, counts[i][q.Time])
		}
	}
	left, right, height := 62.0, c.W-6, (c.H-20)/float64(len(lines))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%.0f" height="%.0f">`, c.W, c.H)
	width := math.Max(1, (right-left)*c.window.Step.Seconds()/c.window.To.Sub(c.window.From).Seconds())
	for i, l := range lines {
		y := c.H - 20 - float64(i+1)*height
		text := "lost"
		if v := bound(l); !math.IsInf(v, 0) {
			text = "≤ " + format(board.Field{Unit: o.YAxis.Unit}, v)
		} else {
			text = "+Inf"
		}
		fmt.Fprintf(&b, `<text x="%.0f" y="%.1f" text-anchor="end">%s</text>`, left-6, y+height/2+4, esc(text))
		for at, n := range counts[i] {
			if n < 1e-9 {
				continue
			}
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#ff9830" opacity="%.2f"/>`,
				math.Max(left, c.x(at, left, right)-width), y+1, width, height-2, 0.15+0.85*n/highest)
		}
	}
	c.times(&b, left, right, c.H-4)
	b.WriteString(`</svg>`)
	return template.HTML(b.String()), nil
}
