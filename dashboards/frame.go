package dashboards

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// all are the checks that a board shows something of, none for every check.
func (b spec) all() []string { return append(slices.Clone(b.checks), b.also...) }

// hasCheck tells whether a board has the variable check: where it shows one
// check only there is nothing to choose.
func (b spec) hasCheck() bool { return len(b.all()) != 1 && !b.ofExporter() }

// ofExporter tells whether the board is about the exporter, not about what it
// looks at.
func (b spec) ofExporter() bool { return b.uid == exporterUID }

// variables are chained: each offers what is there under those before it.
func (s *sheet) variables() []cog.Builder[dashboard.VariableModel] {
	source := dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")
	list := []cog.Builder[dashboard.VariableModel]{source}
	from, matchers := "belfry_check_state", []string{}
	if s.board.ofExporter() {
		from = "belfry_exporter_checks"
	}
	if len(s.board.all()) > 0 {
		matchers = append(matchers, fmt.Sprintf("check=~%q", strings.Join(s.board.all(), "|")))
	}
	add := func(name, label, about string) {
		expr := fmt.Sprintf("label_values(%s{%s}, %s)", from, strings.Join(matchers, ","), name)
		list = append(list, dashboard.NewQueryVariableBuilder(name).Label(label).Description(about).Datasource(datasource()).
			Query(dashboard.StringOrMap{String: &expr}).Multi(true).IncludeAll(true).AllValue(".+").
			Current(dashboard.VariableOption{Text: one("All"), Value: one("$__all")}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc))
		matchers = append(matchers, fmt.Sprintf(`%s=~"$%s"`, name, name))
	}
	add("job", "Job", "The scrape job of Prometheus.")
	add("instance", "Instance", "The exporter.")
	if s.board.ofExporter() {
		return list
	}
	if s.board.hasCheck() {
		add("check", "Check", "What kind of look.")
	}
	add("target", "Target", "What is looked at.")
	return list
}

func one(text string) dashboard.StringOrArrayOfString {
	return dashboard.StringOrArrayOfString{String: &text}
}

// carried are the variables that mean the same on every board. A target does
// not: most have it on one board only, and the others would stay empty.
const carried = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"

// links lead to the other boards, with the time and the carried variables.
func links(b spec) []cog.Builder[dashboard.DashboardLink] {
	var list []cog.Builder[dashboard.DashboardLink]
	for _, other := range boards() {
		if other.uid == b.uid {
			continue
		}
		list = append(list, dashboard.NewDashboardLinkBuilder(strings.TrimPrefix(other.title, titlePrefix)).
			Type(dashboard.DashboardLinkTypeLink).Url("/d/"+other.uid+"?"+carried).Tooltip(other.about).KeepTime(true))
	}
	return list
}

// titlePrefix makes the boards findable among others.
const titlePrefix = "Belfry / "

// alerts mark when an alert of what the board shows began to fire.
func (s *sheet) alerts() cog.Builder[dashboard.AnnotationQuery] {
	matchers := []string{`alertstate="firing"`, `job=~"$job"`}
	switch {
	case s.board.ofExporter():
		matchers = append(matchers, `check=""`)
	case s.board.hasCheck():
		matchers = append(matchers, `check=~"$check"`, `target=~"$target"`)
	default:
		matchers = append(matchers, fmt.Sprintf(`check=~%q`, strings.Join(s.board.all(), "|")), `target=~"$target"`)
	}
	if c := s.board.all(); s.board.hasCheck() && len(c) > 0 {
		matchers = append(matchers, fmt.Sprintf(`check=~%q`, strings.Join(c, "|")))
	}
	expr := "ALERTS{" + strings.Join(matchers, ",") + "}"
	return dashboard.NewAnnotationQueryBuilder().Name("Alerts").Datasource(datasource()).Enable(true).IconColor("red").
		Expr(expr).Target(prometheus.NewDataqueryBuilder().RefId("Anno").Expr(expr)).
		TitleFormat("{{alertname}} {{target}}").TextFormat("{{severity}} {{check}} {{target}} {{instance}}").TagKeys("alertname,severity,target")
}
