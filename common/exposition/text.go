package exposition

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// Text renders the samples in the Prometheus text format 0.0.4. Samples of
// one family are brought together under one HELP and TYPE.
func Text(samples []Sample) []byte {
	var order []string
	families := make(map[string][]Sample)
	for _, s := range samples {
		name := s.Family.Name
		if _, ok := families[name]; !ok {
			order = append(order, name)
		}
		families[name] = append(families[name], s)
	}
	var b bytes.Buffer
	for _, name := range order {
		f := families[name][0].Family
		b.WriteString("# HELP " + name + " " + escapeHelp(f.Help) + "\n# TYPE " + name + " " + string(f.Type) + "\n")
		for _, s := range families[name] {
			b.WriteString(name)
			for i, label := range s.Family.Labels {
				b.WriteByte("{,"[min(i, 1)])
				b.WriteString(label + `="` + escapeValue(s.Values[i]) + `"`)
			}
			b.WriteString("} " + number(s.Number) + "\n")
		}
	}
	return b.Bytes()
}

func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	case math.IsNaN(v):
		return "NaN"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func escapeHelp(s string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(s)
}

func escapeValue(s string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(s)
}
