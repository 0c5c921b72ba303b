package check

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// ParseLimits reads the values of -w or -c: a range for the first metric, or
// key=range, or key{label=glob,...}=range; one value may hold several,
// separated by commas. Empty values mean not given.
func ParseLimits(d *Definition, severity State, values []string) ([]Limit, error) {
	var limits []Limit
	for _, value := range values {
		bare := 0
		items, err := splitLimits(value)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			limit, err := parseLimit(d, severity, item)
			if err != nil {
				return nil, err
			}
			if !strings.Contains(item, "=") {
				if bare++; bare > 1 {
					return nil, fmt.Errorf("limit %q: two ranges for %s in one value: name the others, key=range", value, d.Metrics[0].Key)
				}
			}
			limits = append(limits, limit)
		}
	}
	return limits, nil
}

// splitLimits splits at commas outside braces.
func splitLimits(value string) ([]string, error) {
	if strings.TrimSpace(value) == "" {
		return nil, nil
	}
	var items []string
	depth, from := 0, 0
	for i, c := range value {
		switch c {
		case '{':
			depth++
		case '}':
			depth--
		case ',':
			if depth == 0 {
				items = append(items, value[from:i])
				from = i + 1
			}
		}
		if depth < 0 || depth > 1 {
			return nil, fmt.Errorf("limit %q: braces do not match: write key{label=glob}=range", value)
		}
	}
	if depth != 0 {
		return nil, fmt.Errorf("limit %q: no closing brace: write key{label=glob}=range", value)
	}
	return append(items, value[from:]), nil
}

func parseLimit(d *Definition, severity State, item string) (Limit, error) {
	if len(d.Metrics) == 0 {
		return Limit{}, fmt.Errorf("limit %q: %s has no metric", item, d.Plugin())
	}
	metric, match, spec := d.Metrics[0], map[string]string(nil), item
	if strings.Contains(item, "=") {
		name, rest, ok := cutLimit(item)
		if !ok {
			return Limit{}, fmt.Errorf("limit %q: no = after the braces: write key{label=glob}=range", item)
		}
		key, labels, braces := strings.Cut(name, "{")
		if metric = d.MetricByKey(key); metric == nil {
			return Limit{}, fmt.Errorf("limit %q: no metric %q; there are %s", item, key, strings.Join(metricKeys(d), ", "))
		}
		if braces {
			var err error
			if match, err = parseMatch(metric, strings.TrimSuffix(labels, "}")); err != nil {
				return Limit{}, fmt.Errorf("limit %q: %w", item, err)
			}
		}
		spec = rest
	}
	r, err := ParseRange(spec, metric.JudgedUnit())
	if err != nil {
		if spec == item {
			return Limit{}, err
		}
		return Limit{}, fmt.Errorf("limit %q: %w", item, err)
	}
	return Limit{Metric: metric, Match: match, Severity: severity, Range: r}, nil
}

// cutLimit splits "key{label=glob}=range" at the equals sign outside braces.
func cutLimit(item string) (name, spec string, ok bool) {
	if end := strings.Index(item, "}"); end >= 0 {
		spec, ok = strings.CutPrefix(item[end+1:], "=")
		return item[:end+1], spec, ok
	}
	return strings.Cut(item, "=")
}

func parseMatch(m *Metric, labels string) (map[string]string, error) {
	match := make(map[string]string)
	for _, pair := range strings.Split(labels, ",") {
		label, glob, ok := strings.Cut(pair, "=")
		label, glob = strings.TrimSpace(label), strings.Trim(strings.TrimSpace(glob), `"`)
		if !ok || glob == "" {
			return nil, errors.New("write label=glob in the braces")
		}
		if !contains(m.Labels, label) {
			return nil, fmt.Errorf("metric %s has no label %q; it has %s", m.Key, label, orNone(m.Labels))
		}
		if _, twice := match[label]; twice {
			return nil, fmt.Errorf("label %q twice", label)
		}
		match[label] = glob
	}
	return match, nil
}

// ParseSeverities reads the values of --severity: key=state, several
// separated by commas.
func ParseSeverities(d *Definition, values []string) (map[string]State, error) {
	severities := make(map[string]State)
	for _, value := range values {
		for _, item := range strings.Split(value, ",") {
			if strings.TrimSpace(item) == "" {
				continue
			}
			key, word, ok := strings.Cut(item, "=")
			if !ok {
				return nil, fmt.Errorf("severity %q: write finding=state", item)
			}
			if d.FindingByKey(key) == nil && builtinFinding(key) == nil {
				return nil, fmt.Errorf("severity %q: no finding %q; there are %s", item, key, strings.Join(findingKeys(d), ", "))
			}
			state, err := ParseState(word)
			if err != nil {
				return nil, fmt.Errorf("severity %q: %w", item, err)
			}
			severities[key] = state
		}
	}
	return severities, nil
}

// ParseParts checks the values of --only and --skip against the definition;
// several are separated by commas.
func ParseParts(d *Definition, values []string) ([]string, error) {
	var names []string
	for _, value := range values {
		for _, name := range strings.Split(value, ",") {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			known := make([]string, 0, len(d.Parts))
			for _, p := range d.Parts {
				known = append(known, p.Name)
			}
			if !contains(known, name) {
				return nil, fmt.Errorf("no part %q in %s; there are %s", name, d.Plugin(), orNone(known))
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// String writes the limit so that ParseLimits reads it back.
func (l Limit) String() string {
	var b strings.Builder
	b.WriteString(l.Metric.Key)
	if len(l.Match) > 0 {
		labels := make([]string, 0, len(l.Match))
		for label, glob := range l.Match {
			labels = append(labels, label+"="+glob)
		}
		sort.Strings(labels)
		b.WriteString("{" + strings.Join(labels, ",") + "}")
	}
	return b.String() + "=" + l.Range.Format(l.Metric.JudgedUnit())
}

// applies reports whether the limit's globs match the label values.
func (l Limit) applies(m *Metric, labels []string) bool {
	if l.Metric.Key != m.Key {
		return false
	}
	for i, name := range m.Labels {
		if glob, ok := l.Match[name]; ok && (i >= len(labels) || !Glob(glob, labels[i])) {
			return false
		}
	}
	return true
}

// Glob reports whether the pattern matches the whole text: * stands for any
// run of characters, slashes and dots included, ? for one.
func Glob(pattern, text string) bool {
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == text // most are names, and a profile has many
	}
	p, t := []rune(pattern), []rune(text)
	star, mark, i, j := -1, 0, 0, 0
	for j < len(t) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

func metricKeys(d *Definition) []string {
	keys := make([]string, 0, len(d.Metrics))
	for _, m := range d.Metrics {
		keys = append(keys, m.Key)
	}
	return keys
}

func findingKeys(d *Definition) []string {
	var keys []string
	for _, f := range d.Findings {
		keys = append(keys, f.Key)
	}
	for _, f := range BuiltinFindings() {
		keys = append(keys, f.Key)
	}
	return keys
}

func contains(list []string, item string) bool {
	for _, s := range list {
		if s == item {
			return true
		}
	}
	return false
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
