package exporter

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/user"
	"path"
	"time"

	"github.com/prometheus/common/version"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/exporter/page"
)

// statusPage serves what a person looks at.
type statusPage struct {
	exporter *Exporter
	pages    *page.Pages
	site     page.Site // of the overview, without the time
}

// handlePages adds the pages to the mux.
func (e *Exporter) handlePages(mux *http.ServeMux) {
	s := &statusPage{exporter: e, pages: page.New(), site: page.Site{Version: version.Version}}
	s.site.Host, _ = os.Hostname() // a page without it is as good
	if account, err := user.Current(); err == nil {
		s.site.User = account.Username
	}
	mux.HandleFunc("GET /{$}", s.overview)
	mux.HandleFunc("GET /check/{check}/{target...}", s.check)
}

func (s *statusPage) overview(w http.ResponseWriter, r *http.Request) {
	site := s.site
	site.Now = time.Now()
	q := page.ParseQuery(r.URL.Query())
	v := page.MakeOverview(s.exporter.scheduler.Snapshots(site.Now), q, s.exporter.notices(), site)
	s.write(w, http.StatusOK, q.Seconds > 0, func(w io.Writer) error { return s.pages.Overview(w, v) })
}

// check serves the page of one check; page.Link makes its addresses.
func (s *statusPage) check(w http.ResponseWriter, r *http.Request) {
	site := s.site
	site.Now, site.Root = time.Now(), page.Root(r.URL.EscapedPath())
	name, target := r.PathValue("check"), r.PathValue("target")
	if target == "" {
		target = r.URL.Query().Get("target")
	}
	snap, ok := s.exporter.scheduler.Snapshot(name, target, site.Now)
	if !ok {
		v := page.MakeMissing(name, target, site)
		s.write(w, http.StatusNotFound, false, func(w io.Writer) error { return s.pages.Missing(w, v) })
		return
	}
	if s.exporter.discovery.Load() == nil {
		site.Config = s.exporter.options.ConfigFile
	}
	refresh := page.ParseRefresh(r.URL.Query())
	v := page.MakeCheck(&snap, s.exporter.configured(name, target), refresh, site)
	s.write(w, http.StatusOK, refresh.Seconds > 0, func(w io.Writer) error { return s.pages.Check(w, v) })
}

// write sends a page, whole or not at all.
func (s *statusPage) write(w http.ResponseWriter, status int, scripts bool, render func(io.Writer) error) {
	var body bytes.Buffer
	if err := render(&body); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		s.exporter.log.Error(err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", page.Policy(scripts))
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body.Bytes()) //nolint:errcheck // the client is gone
}

// serveStatic serves stylesheet, script and icons. Their addresses change with
// their content.
func serveStatic(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	kind, known := map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}[path.Ext(name)]
	data, err := fs.ReadFile(page.Static(), name)
	if err != nil || !known {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.Header().Set("Cache-Control", "private, max-age=86400")
	w.Write(data) //nolint:errcheck // the client is gone
}

// notices are what the page says beside the checks.
func (e *Exporter) notices() []page.Notice {
	var list []page.Notice
	if err := e.reloadErr.Load(); err != nil {
		list = append(list, page.Notice{
			Title: "The configuration was not loaded, the one before stays in use",
			Text:  check.CleanMax((*err).Error(), 5*check.MaxText),
			Help:  "belfry_exporter --config.file=" + e.options.ConfigFile + " --config.check says everything that is wrong with it.",
		})
	}
	if e.scheduler.Stats().Jobs == 0 {
		list = append(list, e.probes.notices()...)
	}
	return append(list, e.discoveryNotices()...)
}
