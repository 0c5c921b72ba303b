package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"

	"github.com/belfry-monitoring/belfry/common/check"
)

// unitOf is Grafana's name of the unit in which a metric's panels show it.
func unitOf(m *check.Metric) string {
	if m.Kind == check.Counter {
		return "short"
	}
	switch m.JudgedUnit() {
	case check.Seconds:
		return "s"
	case check.Bytes:
		return "bytes"
	case check.Ratio:
		return "percentunit"
	}
	return "short"
}

// Colours of the verdicts.
const (
	colorOK       = "green"
	colorWarning  = "yellow"
	colorUnknown  = "purple"
	colorCritical = "red"
)

// words maps numbers to words and colours.
func words(results map[string][2]string) []dashboard.ValueMapping {
	options := map[string]dashboard.ValueMappingResult{}
	for value, r := range results {
		text, color := r[0], r[1]
		options[value] = dashboard.ValueMappingResult{Text: &text, Color: &color}
	}
	m := dashboard.NewValueMap()
	m.Options = options
	return []dashboard.ValueMapping{{ValueMap: m}}
}

// stateWords are for belfry_check_state, badnessWords for badness.
func stateWords() []dashboard.ValueMapping {
	return words(map[string][2]string{
		"0": {"OK", colorOK}, "1": {"WARNING", colorWarning}, "2": {"CRITICAL", colorCritical}, "3": {"UNKNOWN", colorUnknown},
	})
}

func badnessWords() []dashboard.ValueMapping {
	return words(map[string][2]string{
		"0": {"OK", colorOK}, "1": {"WARNING", colorWarning}, "2": {"UNKNOWN", colorUnknown}, "3": {"CRITICAL", colorCritical},
	})
}

// steps are thresholds: colours from values on, the first from nothing on.
type step struct {
	from  float64
	color string
}

func thresholds(base string, steps ...step) cog.Builder[dashboard.ThresholdsConfig] {
	list := []dashboard.Threshold{{Color: base}}
	for _, s := range steps {
		from := s.from
		list = append(list, dashboard.Threshold{Value: &from, Color: s.color})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(list)
}

func byThresholds() cog.Builder[dashboard.FieldColor] {
	return dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)
}

// lines draws series over time, with the limit lines dashed.
func lines(unit string) *timeseries.PanelBuilder {
	b := timeseries.NewPanelBuilder().Unit(unit).NoValue("nothing to show").
		DrawStyle(common.GraphDrawStyleLine).LineInterpolation(common.LineInterpolationLinear).LineWidth(1).FillOpacity(6).
		ShowPoints(common.VisibilityModeNever).AxisSoftMin(0).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassic)).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for _, l := range []struct{ severity, color string }{{"warning", colorWarning}, {"critical", colorCritical}} {
		b.WithOverride(dashboard.MatcherConfig{Id: "byRegexp", Options: "/^" + l.severity + " (above|below)$/"}, []dashboard.DynamicConfigValue{
			property("color", map[string]string{"mode": "fixed", "fixedColor": l.color}),
			property("custom.lineStyle", map[string]any{"fill": "dash", "dash": []int{8, 6}}),
			property("custom.fillOpacity", 0),
			property("custom.stacking", map[string]string{"mode": "none"}),
		})
	}
	return b
}

// stacked draws series on top of each other.
func stacked(unit string) *timeseries.PanelBuilder {
	return lines(unit).FillOpacity(40).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
}

func named(name string) dashboard.MatcherConfig {
	return dashboard.MatcherConfig{Id: "byName", Options: name}
}

// numbers draws the newest values large, each in its colour.
func numbers(unit string) *stat.PanelBuilder {
	return stat.NewPanelBuilder().Unit(unit).NoValue("no data").
		ReduceOptions(newest()).ColorMode(common.BigValueColorModeValue).GraphMode(common.BigValueGraphModeNone).
		TextMode(common.BigValueTextModeAuto).JustifyMode(common.BigValueJustifyModeCenter).
		ColorScheme(byThresholds())
}

// verdicts draws a box in the colour of each verdict.
func verdicts() *stat.PanelBuilder {
	return numbers("short").ColorMode(common.BigValueColorModeBackground).TextMode(common.BigValueTextModeValueAndName).
		Mappings(badnessWords()).Thresholds(thresholds("text"))
}

func newest() cog.Builder[common.ReduceDataOptions] {
	return common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})
}

// bars draws the newest values as bars, one below the other.
func bars(unit string) *bargauge.PanelBuilder {
	return bargauge.NewPanelBuilder().Unit(unit).NoValue("nothing to show").Min(0).
		ReduceOptions(newest()).Orientation(common.VizOrientationHorizontal).DisplayMode(common.BarGaugeDisplayModeGradient).
		ValueMode(common.BarGaugeValueModeColor).ShowUnfilled(true).ColorScheme(byThresholds())
}

// shares draws how much of their limits values have used.
func shares() *bargauge.PanelBuilder {
	return bars("percentunit").Max(1).Thresholds(thresholds(colorOK, step{0.6, colorWarning}, step{1, colorCritical}))
}

// timeline draws states over time.
func timeline(mappings []dashboard.ValueMapping) *statetimeline.PanelBuilder {
	return statetimeline.NewPanelBuilder().Mappings(mappings).NoValue("nothing to show").
		MergeValues(true).ShowValue(common.VisibilityModeAuto).RowHeight(0.85).LineWidth(0).FillOpacity(85).
		ColorScheme(byThresholds()).Thresholds(thresholds("text")).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(false)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeSingle))
}

// distribution draws a histogram over time.
func distribution(unit string) *heatmap.PanelBuilder {
	return heatmap.NewPanelBuilder().NoValue("nothing to show").Calculate(false).
		Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("Oranges").Steps(64).Fill("dark-orange").Exponent(0.5).Scale(heatmap.HeatmapColorScaleExponential)).
		CellGap(1).
		YAxis(heatmap.NewYAxisConfigBuilder().Unit(unit).AxisPlacement(common.AxisPlacementLeft))
}

// rows draws a table.
func rows() *table.PanelBuilder {
	return table.NewPanelBuilder().NoValue("nothing to show").ShowHeader(true).CellHeight(common.TableCellHeightSm).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{"sum"}))
}

// merged joins the queries of a table into one row for each thing, in this
// order of columns; those without a title are left out, or hidden where a link
// needs them.
func merged(b *table.PanelBuilder, columns ...column) *table.PanelBuilder {
	exclude, rename, index := map[string]bool{}, map[string]string{}, map[string]int{}
	for _, name := range []string{"Time", "job", "instance", "__name__", "severity", "bound", "inside", "check"} {
		exclude[name] = true
	}
	for i, c := range columns {
		delete(exclude, c.name)
		index[c.name] = i
		shown := c.name
		if c.title != "" {
			rename[c.name], shown = c.title, c.title
		}
		if len(c.properties) > 0 {
			b.WithOverride(named(shown), c.properties)
		}
	}
	return b.
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"excludeByName": exclude, "renameByName": rename, "indexByName": index,
		}})
}

// column is one of a table.
type column struct {
	name, title string
	properties  []dashboard.DynamicConfigValue
}

func property(id string, value any) dashboard.DynamicConfigValue {
	return dashboard.DynamicConfigValue{Id: id, Value: value}
}

// verdictColumn shows badness as a word on its colour.
func verdictColumn(name string) column {
	return column{name, "Verdict", []dashboard.DynamicConfigValue{
		property("mappings", badnessWords()), property("custom.cellOptions", map[string]any{"type": "color-background", "mode": "basic"}),
		property("custom.width", 110),
	}}
}

// linkColumn shows a text that leads to the board of the row's check.
func linkColumn(name, title string) column {
	return column{name, title, []dashboard.DynamicConfigValue{property("links", []map[string]any{{
		"title": "Show ${__value.raw} on its board",
		"url":   "/d/${__data.fields.board}?var-target=${__data.fields.target}&" + carried + "&${__url_time_range}",
	}})}}
}

// hiddenColumn is there for links only.
func hiddenColumn(name string) column {
	return column{name, "", []dashboard.DynamicConfigValue{property("custom.hidden", true)}}
}

func unitColumn(name, title, unit string) column {
	return column{name, title, []dashboard.DynamicConfigValue{property("unit", unit)}}
}

func sortedBy(b *table.PanelBuilder, title string, descending bool) *table.PanelBuilder {
	return b.SortBy([]cog.Builder[common.TableSortByFieldState]{
		common.NewTableSortByFieldStateBuilder().DisplayName(title).Desc(descending),
	})
}

func stateColor(s check.State) string {
	switch s {
	case check.OK:
		return colorOK
	case check.Warning:
		return colorWarning
	case check.Critical:
		return colorCritical
	}
	return colorUnknown
}

// colored gives the series that are named as a verdict its colour.
func colored(b *timeseries.PanelBuilder) *timeseries.PanelBuilder {
	for _, s := range check.States() {
		b.WithOverride(named(s.String()), []dashboard.DynamicConfigValue{
			property("color", map[string]string{"mode": "fixed", "fixedColor": stateColor(s)}),
		})
	}
	return b
}

// countColumn shows a number in a colour unless it is 0.
func countColumn(name, title, color string) column {
	return column{name, title, []dashboard.DynamicConfigValue{
		property("custom.cellOptions", map[string]any{"type": "color-text"}),
		property("thresholds", map[string]any{"mode": "absolute", "steps": []map[string]any{
			{"value": nil, "color": "text"}, {"value": 1, "color": color},
		}}),
	}}
}
