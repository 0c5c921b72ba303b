package exporter

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/exporter/systemd"
)

// Of the watchdog's time, a ping comes four times at least; what is stuck for half of
// it gets none. A process that freezes is so ended one and a half of these
// times later, and one that is merely slow for less than a half never.
const (
	pingsPerWatchdog = 4
	slackPerWatchdog = 2

	// statusInterval is how often the status line is brought up to date at
	// least, and the manager pinged.
	statusInterval = 5 * time.Second
)

// pulse tells the service manager how the exporter is doing. It has no other
// clock than its own: whatever it asks may be the thing that is stuck, and
// then it does not come back to ping.
type pulse struct {
	manager   *systemd.Manager
	exporter  *Exporter
	listeners []net.Listener // each a *listener
	log       *slog.Logger

	missed bool // the last ping was withheld
}

// run pings until ctx ends.
func (p *pulse) run(ctx context.Context) {
	if p.manager == nil {
		return
	}
	interval := statusInterval
	if w := p.manager.Watchdog(); w > 0 {
		interval = min(interval, w/pingsPerWatchdog)
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	failing := false
	for {
		err := p.beat(time.Now())
		if err != nil && !failing {
			p.log.Warn("the service manager cannot be told how the exporter is doing", "err", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// beat pings where everything moves.
func (p *pulse) beat(now time.Time) error {
	if p.manager.Watchdog() == 0 {
		return p.manager.Status(p.exporter.status(now))
	}
	if err := p.stuck(now, p.manager.Watchdog()/slackPerWatchdog); err != nil {
		told := p.manager.Status("stuck, no ping of the watchdog: " + err.Error())
		if !p.missed {
			p.missed = true
			p.log.Error("the exporter is stuck and does not ping the watchdog of the service manager", "err", err)
		}
		return told
	}
	if p.missed {
		p.missed = false
		p.log.Info("the exporter moves again and pings the watchdog")
	}
	if err := p.manager.Ping(); err != nil {
		return err
	}
	return p.manager.Status(p.exporter.status(now))
}

func (p *pulse) stuck(now time.Time, slack time.Duration) error {
	for _, l := range p.listeners {
		if err := l.(*listener).stuck(now, slack); err != nil {
			return err
		}
	}
	return p.exporter.scheduler.Stuck(now, slack)
}

// status counts the checks by their state, worst first.
func (e *Exporter) status(now time.Time) string {
	snapshots := e.scheduler.Snapshots(now)
	var states [4]int
	pending := 0
	for _, s := range snapshots {
		if s.Result == nil {
			pending++
			continue
		}
		states[min(s.Result.State, check.Unknown)]++
	}
	var counts []string
	for _, s := range []check.State{check.Critical, check.Unknown, check.Warning, check.OK} {
		if n := states[s]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if pending > 0 {
		counts = append(counts, fmt.Sprintf("%d not looked at yet", pending))
	}
	text := fmt.Sprintf("%d checks", len(snapshots))
	if len(snapshots) == 1 {
		text = "1 check"
	}
	if len(counts) > 0 {
		text += ": " + strings.Join(counts, ", ")
	}
	if e.refused.Load() {
		text += "; the configuration was refused at the last reload, the one before is in use"
	}
	return text
}
