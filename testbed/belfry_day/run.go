package main

import (
	"context"
	"slices"
	"time"
)

// pace is the pause between two looks.
const pace = time.Second

// outcome is what came of one situation.
type outcome struct {
	*situation
	last    look // the last of those that had settled
	defects []defect
	took    time.Duration
}

// play runs one situation from all OK to all OK.
func (d *day) play(ctx context.Context, s *situation) (o outcome) {
	o = outcome{situation: s}
	begun := time.Now()
	defer func() { o.took = time.Since(begun) }()
	if !d.until(ctx, &o, before, s.recovery, func(l look) bool { return allOK(s, l) }) {
		return o
	}
	finished := d.act(s.do, s.lag)
	d.ticking = s.tick
	d.until(ctx, &o, entering, s.settle, func(l look) bool { return finished() && s.isSettled(l) })
	if d.broken.Load() {
		return o
	}
	d.hold(ctx, &o, settled, s.hold)
	d.ticking = nil
	finished = d.act(s.undo, s.lag)
	d.until(ctx, &o, leaving, s.recovery, func(l look) bool { return finished() && allOK(s, l) })
	d.ending(ctx, finished)
	return o
}

// act does something beside the looks, so that they see every moment of it. It
// is finished when the lag is over, too.
func (d *day) act(do func(*day), lag time.Duration) (finished func() bool) {
	if do == nil {
		return func() bool { return true }
	}
	end := make(chan struct{})
	go func() {
		defer close(end)
		done := false
		defer func() {
			if !done { // do does not return when the scene fails
				d.broken.Store(true)
			}
		}()
		do(d)
		done = true
		time.Sleep(lag)
	}()
	return func() bool {
		select {
		case <-end:
			return true
		default:
			return false
		}
	}
}

// ending waits for an act that takes longer than all its limits.
func (d *day) ending(ctx context.Context, finished func() bool) {
	for !finished() {
		d.pause(ctx)
	}
}

// until looks until done is met, and records what must not be said meanwhile.
// When the limit comes first, what is still wrong then is recorded.
func (d *day) until(ctx context.Context, o *outcome, p phase, limit time.Duration, done func(look) bool) bool {
	for end := time.Now().Add(limit); ctx.Err() == nil; d.pause(ctx) {
		l := d.lookAround(ctx)
		if ctx.Err() != nil {
			break
		}
		if p == entering || p == settled {
			o.last = l
		}
		if done(l) {
			return true
		}
		if p != before {
			o.add(o.situation.defects(p, l))
		}
		if time.Now().After(end) {
			strict := settled
			if p == before || p == leaving {
				strict = before
			}
			o.add(relabel(o.situation.defects(strict, l), p))
			return false
		}
	}
	return false
}

// hold looks for a while, in which everything must stay as it is wanted.
func (d *day) hold(ctx context.Context, o *outcome, p phase, span time.Duration) {
	for end := time.Now().Add(span); ctx.Err() == nil && time.Now().Before(end); d.pause(ctx) {
		l := d.lookAround(ctx)
		if ctx.Err() != nil {
			return
		}
		o.last = l
		o.add(o.situation.defects(p, l))
		o.add(o.situation.disagreements(l))
	}
}

func relabel(defects []defect, p phase) []defect {
	for i := range defects {
		defects[i].phase = p
	}
	return defects
}

// add records defects, each kind of a check in a face and phase once.
func (o *outcome) add(defects []defect) {
	for _, d := range defects {
		same := func(other defect) bool {
			return other.target == d.target && other.face == d.face && other.kind == d.kind && other.phase == d.phase
		}
		if !slices.ContainsFunc(o.defects, same) {
			o.defects = append(o.defects, d)
		}
	}
}

func (d *day) pause(ctx context.Context) {
	if d.ticking != nil {
		d.ticking(d)
	}
	timer := time.NewTimer(pace)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
