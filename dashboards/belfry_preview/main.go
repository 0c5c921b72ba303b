// Belfry_preview draws the dashboards without Grafana, from the data of a
// Prometheus, as pages of HTML and as pictures: "make previews" does it from a
// company's servers that it starts, lets run for some minutes and breaks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/belfry-monitoring/belfry/dashboards/board"
	"github.com/belfry-monitoring/belfry/dashboards/preview"
	"github.com/belfry-monitoring/belfry/dashboards/promquery"
	"github.com/belfry-monitoring/belfry/dashboards/scenery"
	"github.com/belfry-monitoring/belfry/testbed"
)

func main() {
	var p program
	flag.StringVar(&p.boards, "boards", "dashboards/json", "directory of the dashboards")
	flag.StringVar(&p.prometheus, "prometheus", "", "URL of the Prometheus that has the data; empty: start servers and break them")
	flag.StringVar(&p.pages, "pages", "", "directory for the pages of HTML; empty: none are kept")
	flag.StringVar(&p.pictures, "pictures", "", "directory for pictures, by Chromium; empty: none")
	flag.DurationVar(&p.window, "window", 6*time.Hour, "time that the boards show, up to now")
	flag.DurationVar(&p.scrape, "scrape", 15*time.Second, "time between two scrapes")
	flag.DurationVar(&p.calm, "calm", 4*time.Minute, "without -prometheus: how long all is well")
	flag.DurationVar(&p.broken, "broken", 55*time.Second, "without -prometheus: how long it is broken")
	flag.StringVar(&p.dir, "dir", "", "without -prometheus: directory for the servers, which is made and removed; its name is in the pictures")
	flag.BoolVar(&p.unfold, "unfold", false, "draw collapsed rows open")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := p.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "belfry_preview:", err)
		os.Exit(1)
	}
}

type program struct {
	boards, prometheus, pages, pictures, dir string
	window, scrape, calm, broken             time.Duration
	unfold                                   bool
}

func (p *program) run(ctx context.Context) error {
	if p.pages == "" && p.pictures == "" {
		return errors.New("nothing to do: give -pages or -pictures, a directory")
	}
	if p.prometheus != "" {
		return p.draw(ctx, promquery.Client{URL: p.prometheus}, p.window)
	}
	var err error
	runErr := testbed.Run(p.dir, os.Stderr, func(bed *testbed.Bed) { err = p.play(ctx, bed) })
	return errors.Join(runErr, err)
}

// play runs the scenery, well and then broken, and draws it.
func (p *program) play(ctx context.Context, bed *testbed.Bed) error {
	p.scrape = 2 * time.Second
	say("starting servers")
	s := scenery.New(bed, scenery.Options{Interval: 4 * time.Second, Scrape: p.scrape, Rules: rules})
	say("exporter at %s, Prometheus at %s", s.Exporter.URL(), s.Prometheus.URL())
	begun := time.Now()
	for time.Since(begun) < p.calm+p.broken {
		if time.Since(begun) > p.calm && !s.Broken() {
			say("breaking it")
			s.Break()
		}
		s.Work()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	return p.draw(ctx, promquery.Client{URL: s.Prometheus.URL()}, time.Since(begun).Truncate(time.Second))
}

// rules fire on verdicts as the product's own do, without their patience.
const rules = `groups:
- name: preview
  rules:
  - {alert: BelfryCritical, expr: belfry_check_state == 2, for: 4s, labels: {severity: critical}}
  - {alert: BelfryUnknown, expr: belfry_check_state == 3, for: 4s, labels: {severity: warning}}
`

func (p *program) draw(ctx context.Context, client promquery.Client, window time.Duration) error {
	files, err := filepath.Glob(filepath.Join(p.boards, "*.json"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no dashboards in %s", p.boards)
	}
	pages := p.pages
	if pages == "" {
		if pages, err = os.MkdirTemp("", "belfry-preview-"); err != nil {
			return err
		}
		defer os.RemoveAll(pages)
	}
	for _, dir := range []string{pages, p.pictures} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	to := time.Now()
	o := preview.Options{Scrape: p.scrape, Unfold: p.unfold, Window: promquery.Window{From: to.Add(-window), To: to, Step: max(p.scrape, (window / 700).Truncate(time.Second))}}
	for _, file := range files {
		if err := p.one(ctx, client, file, pages, o); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func (p *program) one(ctx context.Context, client promquery.Client, file, pages string, o preview.Options) error {
	b, err := board.Load(file)
	if err != nil {
		return err
	}
	name := "dashboard-" + strings.TrimSuffix(filepath.Base(file), ".json")
	pageFile := filepath.Join(pages, name+".html")
	page, err := os.Create(pageFile)
	if err != nil {
		return err
	}
	height, err := preview.Draw(ctx, page, b, client, o)
	if err := errors.Join(err, page.Close()); err != nil {
		return err
	}
	if p.pictures == "" {
		say("%s", pageFile)
		return nil
	}
	picture := filepath.Join(p.pictures, name+".png")
	if err := preview.Photograph(ctx, pageFile, picture, preview.Width, height); err != nil {
		return err
	}
	say("%s", picture)
	return nil
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }
