package preview

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/belfry-monitoring/belfry/dashboards/board"
)

// curve is a line of a time series panel.
type curve struct {
	line
	color   string
	dashed  bool
	stacked bool
	fill    float64
	hidden  bool // in the legend
	base    map[float64]float64
}

func (c canvas) timeseries(p board.Panel, lines []line) (template.HTML, error) {
	var o struct {
		Legend struct {
			ShowLegend bool
			Placement  string
			Calcs      []string
		}
	}
	if err := options(p, &o); err != nil {
		return "", err
	}
	curves := curvesOf(lines)
	legend := ""
	if o.Legend.ShowLegend {
		legend = c.legend(curves)
	}
	rows := min(2, 1+len([]rune(stripTags(legend)))*7/int(c.W))
	plot := c.H - 18
	if legend != "" {
		plot -= float64(rows) * 18
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%.0f" height="%.0f">`, c.W, plot+18)
	c.plot(&b, curves, plot)
	b.WriteString(`</svg>`)
	if legend != "" {
		fmt.Fprintf(&b, `<div class="legend" style="height:%dpx">%s</div>`, rows*18, legend)
	}
	return template.HTML(b.String()), nil
}

func curvesOf(lines []line) []curve {
	curves := make([]curve, 0, len(lines))
	sums := map[float64]float64{}
	plain := 0
	for _, l := range lines {
		v := curve{line: l, fill: custom[float64](l.field, "fillOpacity")}
		switch {
		case l.field.Color.Mode == "fixed":
			v.color = hue(l.field.Color.FixedColor)
		default:
			v.color = palette[plain%len(palette)]
			plain++
		}
		style := custom[map[string]any](l.field, "lineStyle")
		v.dashed = style["fill"] == "dash"
		hide := custom[map[string]any](l.field, "hideFrom")
		v.hidden = hide["legend"] == true
		stacking := custom[map[string]any](l.field, "stacking")
		if v.stacked = stacking["mode"] == "normal"; v.stacked {
			v.base = map[float64]float64{}
			points := slices.Clone(v.Points)
			for i, p := range points {
				v.base[p.Time] = sums[p.Time]
				sums[p.Time] += p.Value
				points[i].Value = sums[p.Time]
			}
			v.Points = points
		}
		curves = append(curves, v)
	}
	return curves
}

func (c canvas) plot(b *strings.Builder, curves []curve, height float64) {
	field := curves[0].field
	low, high := bounds(curves)
	ticks := ticksOf(field, low, high, max(2, int(height/45)))
	low, high = math.Min(low, ticks[0]), math.Max(high, ticks[len(ticks)-1])
	width := 0
	for _, t := range ticks {
		width = max(width, len([]rune(format(field, t))))
	}
	left, right, bottom := float64(14+width*6), c.W-8, height-4
	y := func(v float64) float64 { return bottom - (v-low)/(high-low)*(bottom-8) }
	for _, t := range ticks {
		fmt.Fprintf(b, `<path d="M%.1f %.1fH%.1f" stroke="#26282e"/><text x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			left, y(t), right, left-6, y(t)+4, esc(format(field, t)))
	}
	c.times(b, left, right, height+13)
	for _, v := range curves {
		c.curve(b, v, left, right, y, y(math.Max(low, 0)))
	}
	for _, m := range c.marks {
		x := c.x(m.at, left, right)
		fmt.Fprintf(b, `<path d="M%.1f 4V%.1f" stroke="#f2495c" stroke-dasharray="2 3" opacity=".8"/><path d="M%.1f %.1fl-4 6h8z" fill="#f2495c"/>`, x, bottom, x, bottom)
	}
}

func (c canvas) curve(b *strings.Builder, v curve, left, right float64, y func(float64) float64, zero float64) {
	longest := 2.5 * c.window.Step.Seconds() // without a value: a gap
	var path, area strings.Builder
	var run []string
	last, begin := math.Inf(-1), 0.0
	closeRun := func() {
		if len(run) == 0 {
			return
		}
		path.WriteString("M" + strings.Join(run, "L"))
		if v.stacked {
			area.WriteString("M" + strings.Join(run, "L"))
			for i := len(v.Points) - 1; i >= 0; i-- {
				if p := v.Points[i]; p.Time <= last && p.Time >= begin {
					fmt.Fprintf(&area, "L%.1f %.1f", c.x(p.Time, left, right), y(v.base[p.Time]))
				}
			}
			area.WriteString("Z")
		} else {
			fmt.Fprintf(&area, "M%.1f %.1fL%sL%.1f %.1fZ", c.x(begin, left, right), zero, strings.Join(run, "L"), c.x(last, left, right), zero)
		}
		if len(run) == 1 && !v.dashed {
			fmt.Fprintf(&path, "l2 0")
		}
		run = nil
	}
	for _, p := range v.Points {
		if p.Time-last > longest {
			closeRun()
			begin = p.Time
		}
		run = append(run, fmt.Sprintf("%.1f %.1f", c.x(p.Time, left, right), y(p.Value)))
		last = p.Time
	}
	closeRun()
	if v.fill > 0 {
		fmt.Fprintf(b, `<path d="%s" fill="%s" opacity="%.2f"/>`, area.String(), v.color, v.fill/100)
	}
	dash := ""
	if v.dashed {
		dash = ` stroke-dasharray="8 6"`
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="%s"%s/>`, path.String(), v.color, map[bool]string{true: "1.3", false: "1.5"}[v.dashed], dash)
}

func bounds(curves []curve) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range curves {
		for _, p := range v.Points {
			low, high = math.Min(low, p.Value), math.Max(high, p.Value)
		}
	}
	f := curves[0].field
	if soft, ok := f.Custom["axisSoftMin"].(float64); ok {
		low = math.Min(low, soft)
	}
	if f.Min != nil {
		low = math.Min(low, *f.Min)
	}
	if f.Max != nil {
		high = math.Max(high, *f.Max)
	}
	if math.IsInf(low, 0) || math.IsInf(high, 0) {
		return 0, 1
	}
	if high-low < 1e-12 {
		if high == 0 {
			return 0, 1
		}
		low, high = math.Min(0, low), math.Max(0, high)*1.1
	}
	return low, high
}

// ticksOf are round values from low to beyond high.
func ticksOf(f board.Field, low, high float64, n int) []float64 {
	raw := (high - low) / float64(n)
	base := 10.0
	unit := 1.0
	if f.Unit == "bytes" {
		base = 2
	}
	if f.Unit == "s" {
		for _, s := range []float64{1, 60, 3600, 86400} {
			if raw >= s {
				unit = s
			}
		}
	}
	step := math.Pow(base, math.Floor(math.Log(raw/unit)/math.Log(base))) * unit
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if base == 2 && m == 2.5 || m == 2.5 && step*m < 1 && f.Unit == "none" {
			continue
		}
		if step*m >= raw {
			step *= m
			break
		}
	}
	var ticks []float64
	for t := math.Floor(low/step) * step; t < high+step*0.999; t += step {
		ticks = append(ticks, t)
	}
	if len(ticks) < 2 {
		ticks = append(ticks, ticks[0]+step)
	}
	return ticks
}

func (c canvas) legend(curves []curve) string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, v := range curves {
		if v.hidden || seen[v.name] {
			continue
		}
		seen[v.name] = true
		class := ""
		if v.dashed {
			class = ` class="dash"`
		}
		fmt.Fprintf(&b, `<span><i%s style="border-color:%s"></i>%s</span>`, class, v.color, esc(v.name))
	}
	return b.String()
}

func stripTags(s string) string {
	var b strings.Builder
	in := false
	for _, r := range s {
		switch {
		case r == '<':
			in = true
		case r == '>':
			in = false
			b.WriteString(" ")
		case !in:
			b.WriteRune(r)
		}
	}
	return b.String()
}
