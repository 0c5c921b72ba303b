package preview

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/belfry-monitoring/belfry/dashboards/board"
	"github.com/belfry-monitoring/belfry/dashboards/promquery"
)

// frame is a table: rows of texts and numbers by column, nil where there is
// nothing.
type frame struct {
	columns []string
	rows    []map[string]any
}

// frameOf makes a table of what an instant query in the format "table"
// returned: a column for each label, and the value's, which has the query's
// name where there are several.
func frameOf(r promquery.Result, several bool) frame {
	value := "Value"
	if several {
		value = "Value #" + r.Target.RefID
	}
	labels := map[string]bool{}
	f := frame{}
	for _, s := range r.Series {
		row := map[string]any{"Time": s.Points[len(s.Points)-1].Time, value: s.Last()}
		for name, v := range s.Labels {
			labels[name], row[name] = true, v
		}
		f.rows = append(f.rows, row)
	}
	names := make([]string, 0, len(labels))
	for name := range labels {
		names = append(names, name)
	}
	slices.Sort(names)
	f.columns = append(append([]string{"Time"}, names...), value)
	return f
}

// merge joins the rows of all frames that have the same values in the columns
// that the frames share.
func merge(frames []frame) frame {
	var out frame
	shared := map[string]int{}
	for _, f := range frames {
		for _, name := range f.columns {
			if shared[name]++; shared[name] == 1 {
				out.columns = append(out.columns, name)
			}
		}
	}
	var keys []string
	for _, name := range out.columns {
		if shared[name] == len(frames) && len(frames) > 1 {
			keys = append(keys, name)
		}
	}
	for _, f := range frames {
		for _, row := range f.rows {
			at := slices.IndexFunc(out.rows, func(o map[string]any) bool { return mergeable(o, row, keys) })
			if at < 0 {
				at = len(out.rows)
				out.rows = append(out.rows, map[string]any{})
			}
			for name, v := range row {
				out.rows[at][name] = v
			}
		}
	}
	return out
}

func mergeable(a, b map[string]any, keys []string) bool {
	for _, k := range keys {
		if a[k] != b[k] {
			return false
		}
	}
	for name, v := range b { // a value that is already there is another row's
		if old, ok := a[name]; ok && old != v {
			return false
		}
	}
	return true
}

// organize leaves out, orders and renames columns.
func organize(f frame, options json.RawMessage) (frame, error) {
	var o struct {
		ExcludeByName map[string]bool
		IndexByName   map[string]int
		RenameByName  map[string]string
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return f, err
	}
	var out frame
	for _, name := range f.columns {
		if !o.ExcludeByName[name] {
			out.columns = append(out.columns, name)
		}
	}
	index := func(name string) int {
		if i, ok := o.IndexByName[name]; ok {
			return i
		}
		return 1000
	}
	slices.SortStableFunc(out.columns, func(a, b string) int { return cmp.Compare(index(a), index(b)) })
	rename := func(name string) string {
		if to := o.RenameByName[name]; to != "" {
			return to
		}
		return name
	}
	for _, row := range f.rows {
		renamed := map[string]any{}
		for name, v := range row {
			renamed[rename(name)] = v
		}
		out.rows = append(out.rows, renamed)
	}
	for i, name := range out.columns {
		out.columns[i] = rename(name)
	}
	return out, nil
}

// Table makes the rows of a table panel: transformed, and sorted as the panel
// says.
func tableOf(p board.Panel, results []promquery.Result) (frame, error) {
	var frames []frame
	for _, r := range results {
		if len(r.Series) > 0 {
			frames = append(frames, frameOf(r, len(results) > 1))
		}
	}
	if len(frames) == 0 {
		return frame{}, nil
	}
	f := frames[0]
	for _, t := range p.Transformations {
		var err error
		switch t.ID {
		case "merge":
			f = merge(frames)
		case "organize":
			f, err = organize(f, t.Options)
		default:
			err = fmt.Errorf("it is not known here")
		}
		if err != nil {
			return f, fmt.Errorf("transformation %s: %w", t.ID, err)
		}
	}
	var o struct {
		SortBy []struct {
			DisplayName string
			Desc        bool
		}
	}
	if err := options(p, &o); err != nil {
		return f, err
	}
	for _, s := range slices.Backward(o.SortBy) {
		slices.SortStableFunc(f.rows, func(a, b map[string]any) int {
			order := compare(a[s.DisplayName], b[s.DisplayName])
			if s.Desc {
				return -order
			}
			return order
		})
	}
	return f, nil
}

func compare(a, b any) int {
	x, isNumber := a.(float64)
	y, both := b.(float64)
	if isNumber && both {
		return cmp.Compare(x, y)
	}
	if (a == nil) != (b == nil) {
		return map[bool]int{true: -1, false: 1}[a == nil]
	}
	return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

func (c canvas) table(p board.Panel, results []promquery.Result) (template.HTML, error) {
	f, err := tableOf(p, results)
	if err != nil {
		return "", err
	}
	if len(f.rows) == 0 {
		return none(p.FieldConfig.Defaults), nil
	}
	var head, body strings.Builder
	fields := map[string]board.Field{}
	for _, name := range f.columns {
		field, err := p.FieldConfig.Of(name, "")
		if err != nil {
			return "", err
		}
		fields[name] = field
		if custom[bool](field, "hidden") {
			continue
		}
		style, class := "", ""
		if w := custom[float64](field, "width"); w > 0 {
			style = fmt.Sprintf(` style="width:%.0fpx"`, w)
		}
		if numeric(f, name) {
			class = ` class="number"`
		}
		fmt.Fprintf(&head, `<th%s%s>%s</th>`, class, style, esc(name))
	}
	room := int(c.H/28) - 1
	for i, row := range f.rows {
		if i >= room {
			break
		}
		body.WriteString("<tr>")
		for _, name := range f.columns {
			if !custom[bool](fields[name], "hidden") {
				body.WriteString(cellOf(fields[name], row[name], numeric(f, name)))
			}
		}
		body.WriteString("</tr>")
	}
	return template.HTML(`<table><tr>` + head.String() + `</tr>` + body.String() + `</table>`), nil
}

func numeric(f frame, name string) bool {
	for _, row := range f.rows {
		if _, ok := row[name].(float64); ok {
			return true
		}
	}
	return false
}

func cellOf(f board.Field, v any, number bool) string {
	class := ""
	if number {
		class = "number"
	}
	switch v := v.(type) {
	case string:
		if len(f.Links) > 0 {
			class = "link"
		}
		return fmt.Sprintf(`<td class="%s">%s</td>`, class, esc(v))
	case float64:
		text, col := shown(f, v)
		style := ""
		kind, _ := custom[map[string]any](f, "cellOptions")["type"].(string)
		switch kind {
		case "color-background":
			style = fmt.Sprintf(` style="background:%s;color:#111217;text-align:left"`, col)
		case "color-text":
			style = fmt.Sprintf(` style="color:%s"`, col)
		}
		return fmt.Sprintf(`<td class="%s"%s>%s</td>`, class, style, esc(text))
	}
	return `<td></td>`
}
