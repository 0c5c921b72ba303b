// Package page is the exporter's status page: the overview of all checks and a
// page for each. It makes views (plain data, built from snapshots) and renders
// them; it asks nothing and serves nothing.
//
// All text that is not this package's own is foreign: names of queues, errors
// of servers, targets. Views hold it with its invisible characters made
// visible, and the templates escape it.
package page

import (
	"embed"
	"fmt"
	"hash/fnv"
	"html/template"
	"io"
	"io/fs"
	"strings"
	"time"
)

//go:embed *.html
var templates embed.FS

//go:embed static
var static embed.FS

// Pages renders views. It may be used from any goroutine.
type Pages struct {
	templates *template.Template
	assets    string
}

// New parses the templates.
func New() *Pages {
	return &Pages{templates: template.Must(template.New("").ParseFS(templates, "*.html")), assets: digest()}
}

// Static are the files below static/: the stylesheet, the script, the icons.
func Static() fs.FS {
	files, err := fs.Sub(static, "static")
	if err != nil { // the name is valid
		panic("page: " + err.Error())
	}
	return files
}

// digest tells the static files of one build from those of another.
func digest() string {
	sum := fnv.New64a()
	err := fs.WalkDir(static, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := static.ReadFile(path)
		sum.Write(data) //nolint:errcheck // it cannot fail
		return err
	})
	if err != nil { // they are embedded
		panic("page: " + err.Error())
	}
	return fmt.Sprintf("%016x", sum.Sum64())
}

// Site is what every page says beside its own matter.
type Site struct {
	Now     time.Time
	Host    string // name of the machine
	User    string // as whom the exporter looks
	Version string // of the exporter
	Config  string // file that names the checks; empty: they were found on the machine
	// Root leads from the page's address to the overview's, because a proxy may
	// have put everything below a path that we do not know: "" or "../../".
	Root string
}

// Notice is something that the reader must know and that is no check: what was
// found on this machine and cannot be read, a configuration that was not loaded.
type Notice struct {
	Title, Text string
	Help        string   // what to do; may be empty
	Commands    []string // that do it, each on a line of its own
}

// frame is what the templates need around each page's own matter.
type frame struct {
	Title    string // of the window: tells the worst first
	Icon     string // state whose icon the window has
	Root     string
	Assets   string
	Host     string
	Version  string
	Now      Moment
	Refresh  Refresh
	Notices  []Notice
	Overview bool // this is the overview itself
}

func (s Site) frame(title string, icon state, refresh Refresh, notices []Notice) frame {
	f := frame{
		Title: title, Icon: icon.Class, Root: s.Root, Host: visible(s.Host), Version: visible(s.Version), Now: moment(s.Now), Refresh: refresh,
	}
	for _, n := range notices {
		shown := Notice{Title: visible(n.Title), Text: visible(n.Text), Help: visible(n.Help)}
		for _, c := range n.Commands {
			shown.Commands = append(shown.Commands, visible(c))
		}
		f.Notices = append(f.Notices, shown)
	}
	return f
}

// Overview renders the page of all checks.
func (p *Pages) Overview(w io.Writer, v *Overview) error { return p.render(w, "overview", v, &v.frame) }

// Check renders the page of one check.
func (p *Pages) Check(w io.Writer, v *CheckView) error { return p.render(w, "check", v, &v.frame) }

// Missing renders the page of a check that there is not.
func (p *Pages) Missing(w io.Writer, v *Missing) error { return p.render(w, "missing", v, &v.frame) }

func (p *Pages) render(w io.Writer, name string, view any, f *frame) error {
	f.Assets = p.assets
	if err := p.templates.ExecuteTemplate(w, name, view); err != nil {
		return fmt.Errorf("make the page %s: %w", name, err)
	}
	return nil
}

// Missing is a check that is not configured.
type Missing struct {
	frame
	Name, Target string
}

// MakeMissing says that there is no such check.
func MakeMissing(name, target string, site Site) *Missing {
	return &Missing{frame: site.frame("no such check · Belfry", unknown, Refresh{}, nil), Name: visible(name), Target: visible(target)}
}

// Policy is the Content-Security-Policy of the pages. The script may ask this
// server for the page anew; nothing comes from elsewhere.
func Policy(scripts bool) string {
	rules := []string{
		"default-src 'none'", "style-src 'self'", "img-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'",
	}
	if scripts {
		rules = append(rules, "script-src 'self'", "connect-src 'self'")
	}
	return strings.Join(rules, "; ")
}
