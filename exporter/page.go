package exporter

import (
	"bytes"
	"html/template"
	"net/http"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
)

const pageText = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Belfry</title>
<style>
body { font-family: sans-serif; margin: 1rem; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; }
.CRITICAL { background: #f8c9c4; } .UNKNOWN { background: #dcd3ea; } .WARNING { background: #fbe9a9; }
</style>
</head>
<body>
<h1>Belfry</h1>
<p><a href="metrics">Metrics</a> · <a href="api/v1/checks">Checks as JSON</a></p>
{{with .Discovery}}<h2>Found on this machine</h2>
<p>No configuration was given. Looked for: {{range $i, $p := .LookedFor}}{{if $i}}, {{end}}{{$p}}{{end}}.
What is found stays until a reload or restart. To keep it: <code>belfry_exporter --discover &gt; /etc/belfry/exporter.yml</code></p>
<ul>
{{range .Problems}}<li>{{.}}</li>
{{end}}{{range .Things}}<li>{{.Product}}, {{.Name}}: <b>{{.Outcome}}</b>. {{.Text}}{{range .Help}}<br><code>{{.}}</code>{{end}}</li>
{{else}}<li>Nothing was found.</li>
{{end}}</ul>
{{end}}<table>
<tr><th>State</th><th>Check</th><th>Target</th><th>Age</th><th>Text</th></tr>
{{range .Checks}}<tr class="{{.State}}"><td>{{if .Pending}}not looked yet{{else}}{{.State}}{{end}}</td><td>{{.Check}}</td><td>{{.Target}}</td><td>{{age .}}</td><td>{{.Text}}</td></tr>
{{else}}<tr><td colspan="5">No checks.</td></tr>
{{end}}</table>
</body>
</html>
`

func page() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{"age": func(i Item) string {
		if i.Age == nil {
			return ""
		}
		return check.FormatDuration(time.Duration(*i.Age * float64(time.Second)).Truncate(time.Second))
	}}).Parse(pageText))
}

// servePage lists the checks, worst first.
func (e *Exporter) servePage(page *template.Template) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		now := time.Now()
		var body bytes.Buffer
		if err := page.Execute(&body, e.list(now)); err != nil {
			http.Error(w, "the page cannot be made", http.StatusInternalServerError)
			e.log.Error("make the page", "err", err)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		w.Header().Set("Cache-Control", "no-store")
		w.Write(body.Bytes()) //nolint:errcheck // the client is gone
	}
}
