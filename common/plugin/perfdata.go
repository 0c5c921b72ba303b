package plugin

import (
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/belfry-monitoring/belfry/common/check"
)

// perfdata renders the values as 'label'=value[UOM];warn;crit;min, unlabelled
// ones first, within the bound in bytes; of quiet metrics only what a limit
// judges. It returns how many were left out for want of room.
func perfdata(r *check.Result, limit int) (text string, left int) {
	values := make([]check.Value, 0, len(r.Values))
	for _, v := range r.Values {
		// Icinga and Telegraf drop what is no number; the row says it.
		if !math.IsNaN(v.Judged) && !math.IsInf(v.Judged, 0) && (!v.Metric.Quiet || v.Warning != nil || v.Critical != nil) {
			values = append(values, v)
		}
	}
	order := make(map[*check.Metric]int)
	for i, m := range r.Definition.Metrics {
		order[m] = i
	}
	sort.SliceStable(values, func(a, b int) bool {
		x, y := values[a], values[b]
		if bare := unlabelled(x); bare != unlabelled(y) {
			return bare
		}
		if order[x.Metric] != order[y.Metric] {
			return order[x.Metric] < order[y.Metric]
		}
		return strings.Join(x.Labels, "\x00") < strings.Join(y.Labels, "\x00")
	})
	var b strings.Builder
	seen := make(map[string]bool, len(values))
	for _, v := range values {
		label := Label(v)
		item := quote(label) + "=" + number(v)
		if seen[label] || b.Len()+1+len(item) > limit {
			left++
			continue
		}
		seen[label] = true
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(item)
	}
	return b.String(), left
}

func unlabelled(v check.Value) bool {
	return !slices.ContainsFunc(v.Labels, func(l string) bool { return l != "" })
}

// Label is a value's name in performance data: the metric's key, then its
// label values, separated by blanks, so that the key maps back to the metric.
// What would break the reader's splitting becomes an underscore; an empty
// label value is none, as it is to Prometheus.
func Label(v check.Value) string {
	parts := make([]string, 0, 1+len(v.Labels))
	parts = append(parts, v.Metric.Key)
	for _, l := range v.Labels {
		if l != "" {
			parts = append(parts, cleanLabel(l))
		}
	}
	return strings.Join(parts, " ")
}

func cleanLabel(label string) string {
	var b strings.Builder
	for _, r := range check.CleanMax(label, 80) {
		switch r {
		case '\'', '"', '=', '|', ' ', ';', ',':
			r = '_'
		}
		b.WriteRune(r)
	}
	// "::" is check_multi's separator and carries on to later labels in Icinga.
	clean := b.String()
	for strings.Contains(clean, "::") {
		clean = strings.ReplaceAll(clean, "::", "__")
	}
	if clean == "" {
		return "_"
	}
	return clean
}

func quote(label string) string {
	if strings.Contains(label, " ") {
		return "'" + label + "'"
	}
	return label
}

// number renders value, unit, limits and minimum; trailing empty fields are
// left away.
func number(v check.Value) string {
	unit := v.Metric.JudgedUnit()
	uom := unit.UOM()
	if v.Metric.Kind == check.Counter {
		uom = "c"
	}
	fields := []string{
		strconv.FormatFloat(unit.Shown(v.Judged), 'f', -1, 64) + uom, limitText(v.Warning, unit), limitText(v.Critical, unit), "",
	}
	if v.Metric.Kind == check.Counter || v.Metric.Kind == check.Since || unit == check.Bytes || unit == check.Ratio {
		fields[3] = "0" // what cannot be below zero by nature
	}
	return strings.TrimRight(strings.Join(fields, ";"), ";")
}

func limitText(r *check.Range, unit check.Unit) string {
	if r == nil {
		return ""
	}
	return r.Format(unit)
}
