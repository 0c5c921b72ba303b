package sendreceivetime

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/sendreceive"
	"github.com/belfry-monitoring/belfry/common/zulip"
)

const (
	// tidyLimit bounds one request of the clean-up, so that there is time to
	// try once more.
	tidyLimit = 900 * time.Millisecond
	tidyTries = 3
	tidyPause = 200 * time.Millisecond
)

// leftovers is what the clean-up could not do.
type leftovers struct {
	failed []string // what should have worked
	notes  []string // what the bot may not do, or what is said for completeness
}

// tidy deletes the messages and queues. The bots work side by side, because a
// look that was interrupted has very little time.
func (d *delivery) tidy(ctx context.Context) *leftovers {
	var messages, queues leftovers
	err := check.Go(ctx,
		func(ctx context.Context) error { d.tidyMessages(ctx, &messages); return nil },
		func(ctx context.Context) error { d.tidyQueues(ctx, &queues); return nil },
	)
	all := &leftovers{failed: append(messages.failed, queues.failed...), notes: append(messages.notes, queues.notes...)}
	if err != nil {
		all.failed = append(all.failed, err.Error())
	}
	return all
}

func (d *delivery) tidyQueues(ctx context.Context, l *leftovers) {
	if d.maybeQueue {
		l.notes = append(l.notes, "an event queue whose registration was not heard of may stay until it expires, after 10 minutes")
	}
	for _, q := range d.queues {
		err := insist(ctx, func() error { return d.receiver.DeleteQueue(ctx, q, tidyLimit) })
		if err != nil {
			l.failed = append(l.failed, fmt.Sprintf("the event queue stays until it expires: %v", err))
		}
	}
}

func (d *delivery) tidyMessages(ctx context.Context, l *leftovers) {
	if d.maybeMessage {
		d.search(ctx, l)
	}
	for _, id := range d.messages {
		err := insist(ctx, func() error { return d.sender.DeleteMessage(ctx, id, tidyLimit) })
		switch {
		case zulip.IsRefused(err):
			l.notes = append(l.notes, fmt.Sprintf("the message stays, because the sender may not delete it: %v", err))
		case err != nil:
			l.failed = append(l.failed, fmt.Sprintf("the message stays: %v", err))
		}
	}
}

// search adds messages that were accepted although their acceptance was not
// heard of. The server may still be at it, so that not finding any is tried
// again.
func (d *delivery) search(ctx context.Context, l *leftovers) {
	known := make(map[int64]bool)
	for _, id := range d.messages {
		known[id] = true
	}
	found := 0
	err := insist(ctx, func() error {
		ids, err := d.sender.FindSent(ctx, d.to, d.token, tidyLimit)
		for _, id := range ids {
			if !known[id] {
				d.messages = append(d.messages, id)
				found++
			}
		}
		if err == nil && found == 0 {
			return errNotFound
		}
		return err
	})
	switch {
	case found > 0:
		l.notes = append(l.notes, "the message whose acceptance was not heard of was accepted all the same")
	case err != nil:
		l.notes = append(l.notes, fmt.Sprintf("the message whose acceptance was not heard of may turn up and stay: %v", err))
	}
}

// errNotFound has no reason of a fault and a text of its own.
var errNotFound = check.Faultf(check.Timeout, "", "", "it is not there yet")

// insist tries a request of the clean-up a few times, as far as time allows.
func insist(ctx context.Context, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		wait, limited := zulip.RetryAfter(err)
		switch {
		case err == nil || n == tidyTries || !limited && !passes(err):
			return err
		case limited && wait > left(ctx):
			return err
		case !pause(ctx, max(wait, tidyPause)):
			return err
		}
	}
}

// report says what was left behind: as a finding where all else is well, as
// notes where a failure explains it.
func (l *leftovers) report(r *check.Report, d *delivery) {
	name := d.realm.name
	for _, note := range l.notes {
		r.Note("%s", sendreceive.Named(name, note))
	}
	if len(l.failed) == 0 {
		return
	}
	if d.outcome.Delivered {
		r.Find(sendreceive.LeftBehind, sendreceive.Named(name, "delivered, but "+strings.Join(l.failed, "; ")), name)
		return
	}
	for _, text := range l.failed {
		r.Note("%s", sendreceive.Named(name, text))
	}
}
