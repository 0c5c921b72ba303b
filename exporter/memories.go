package exporter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/memory"
)

// flushLimit is how long the memories of all checks may take to be written at
// the end, beside the time that the looks may take: 10,000 files are written
// in a second or two.
const flushLimit = 5 * time.Second

// memories opens the directory of --state-dir; nil where none is asked for.
func (f *flags) memories() (*memory.Keeper, error) {
	if f.stateDir == "" {
		return nil, nil
	}
	if f.stateEvery < time.Second {
		return nil, fmt.Errorf("--state-interval=%s: at least 1s", f.stateEvery)
	}
	// "exporter" keeps its files apart from those of the plugins: one that is
	// run by hand must not shorten what the exporter's next look looks back on.
	keeper, err := memory.NewKeeper(f.stateDir, "exporter", f.stateEvery)
	if err != nil {
		return nil, fmt.Errorf("--state-dir: %w", err)
	}
	return keeper, nil
}

// writeMemories writes what checks remember until ctx ends. A directory that
// cannot be written is no matter of the checks, which go on with what they
// remember: it is logged when it begins and when it ends, and counted.
func (e *Exporter) writeMemories(ctx context.Context) {
	keeper := e.options.Memories
	if keeper == nil {
		return
	}
	ticker := time.NewTicker(keeper.Pause())
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			before := keeper.Stats().Writes
			switch err := keeper.Write(now); {
			case err != nil && !failing:
				failing = true
				e.log.Error("what checks remember cannot be written, and a restart would forget it", "err", err)
			case err == nil && failing && keeper.Stats().Writes > before:
				failing = false
				e.log.Info("what checks remember can be written again")
			}
		}
	}
}

// Stop ends all looks and waits for them until ctx is over, then writes what
// they remember.
func (e *Exporter) Stop(ctx context.Context) error {
	err := check.Go(ctx, e.scheduler.Stop, e.probes.stop)
	if e.options.Memories != nil {
		// In a time of its own: a look that does not return must not cost the
		// memories of the others.
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
		defer cancel()
		err = errors.Join(err, e.options.Memories.Flush(flush))
	}
	return err
}
