package sendreceivetime

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/belfry-monitoring/belfry/common/check"
	"github.com/belfry-monitoring/belfry/common/sendreceive"
	"github.com/belfry-monitoring/belfry/common/zulip"
)

const (
	// tidyTime is reserved for deleting message and queue. Of the default
	// 20 s it leaves 17.75 s to the work, of which the registration may take
	// a quarter: the message has 13.3 s at least, more than its critical 12 s.
	tidyTime = 2 * time.Second
	// leastTime is what a look takes at least that can tell anything of the
	// server; with less, its "timed out" would be the operator's doing.
	leastTime = 100 * time.Millisecond
	// pauseAfterError is waited before events are asked for again after an
	// error: Tornado takes some seconds to start.
	pauseAfterError = 500 * time.Millisecond
	// pauseAfterNothing is waited after an answer at once without anything
	// new, so that a server gone mad is not asked in a circle.
	pauseAfterNothing = 250 * time.Millisecond
	// busyPolls is how many answers with foreign events are followed at once.
	busyPolls = 20
)

// delivery is one message on its way.
type delivery struct {
	sender, receiver *zulip.Client
	to               string // the receiver's email
	token            string

	queues   []*zulip.Queue // all that were registered; the last is in use
	messages []int64        // all that were accepted
	lost     bool           // the server lost a queue

	maybeQueue   bool // there may be a queue that is not in the list
	maybeMessage bool // likewise a message

	sent    time.Time // when the first message was
	outcome sendreceive.Outcome
}

func newDelivery(from, to zulip.Bot) (*delivery, error) {
	sender, err := zulip.New(from)
	if err != nil {
		return nil, err
	}
	receiver, err := zulip.New(to)
	if err != nil {
		return nil, err
	}
	return &delivery{sender: sender, receiver: receiver, to: to.Email, token: sendreceive.Token()}, nil
}

// run takes the look, tidies up whatever came of it, and reports.
func (d *delivery) run(ctx context.Context, r *check.Report) (err error) {
	defer d.sender.Close()
	defer d.receiver.Close()
	work, tidyUp, cancel := check.Reserve(ctx, tidyTime)
	defer cancel()
	defer func() {
		// Deferred, so that a panic leaves nothing behind either.
		tidying, stop := tidyUp()
		defer stop()
		d.tidy(tidying).report(r, d.outcome.Delivered)
		d.rateLimit(r, err)
	}()
	err = d.look(work)
	d.outcome.Report(r)
	if d.lost {
		r.Find(queueLost, "the server lost the receiver's event queue while the message was on its way: did Tornado start anew?")
	}
	return err
}

// look sends the message on its way and waits for it. The time of ctx is the
// work's; its steps end a little earlier.
func (d *delivery) look(ctx context.Context) error {
	ctx, cancel := check.Step(ctx, time.Hour) // the last moment for steps, as a deadline
	defer cancel()
	if rest := left(ctx); rest < leastTime {
		return check.Faultf(check.Config, "", "", "the timeout leaves only %s for the look: give it more with -t", check.FormatDuration(max(rest, 0)))
	}
	started := time.Now()
	if err := d.register(ctx, registrationLimit(left(ctx))); err != nil {
		return err
	}
	d.outcome.Registered, d.outcome.Registration = true, time.Since(started)

	d.sent = time.Now()
	if err := d.send(ctx); err != nil {
		return err
	}
	d.outcome.Accepted, d.outcome.Acceptance = true, time.Since(d.sent)

	err := d.await(ctx)
	if zulip.IsQueueLost(err) {
		err = d.again(ctx)
	}
	switch {
	case d.outcome.Delivered:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case err != nil && !isTrouble(err) && !zulip.IsQueueLost(err):
		return err
	}
	d.outcome.GaveUp, d.outcome.Waited = true, time.Since(d.sent)
	return nil
}

// again registers a new queue and sends anew: events of the first message may
// have gone into the lost queue. The time counts from the first message on,
// as it does for a person who waits.
func (d *delivery) again(ctx context.Context) error {
	d.lost, d.outcome.Remark = true, "after the server had lost the event queue"
	err := d.persist(ctx, func() (bool, error) {
		err := d.register(ctx, left(ctx))
		return err == nil, err
	})
	if err == nil && ctx.Err() == nil {
		err = d.send(ctx)
	}
	if err == nil && ctx.Err() == nil {
		err = d.await(ctx)
	}
	if zulip.IsQueueLost(err) {
		d.outcome.Because = "the server lost the receiver's event queue twice (" + err.Error() + ")"
	}
	if isTrouble(err) {
		d.outcome.Trouble = err
	}
	return err
}

// registrationLimit is a quarter of the time, so that the message has the
// rest; where that is very little, up to 2 s, but never more than three
// quarters.
func registrationLimit(left time.Duration) time.Duration {
	return max(left/4, min(2*time.Second, left*3/4))
}

func (d *delivery) register(ctx context.Context, limit time.Duration) error {
	q, maybe, err := d.receiver.Register(ctx, limit)
	if err == nil {
		d.queues = append(d.queues, q)
	}
	d.maybeQueue = d.maybeQueue || maybe
	return err
}

func (d *delivery) send(ctx context.Context) error {
	id, maybe, err := d.sender.Send(ctx, d.to, "check_send_receive_time "+d.token, left(ctx))
	if err != nil {
		d.maybeMessage = d.maybeMessage || maybe
		return err
	}
	d.messages = append(d.messages, id)
	return nil
}

// await reads events until the message is among them or the time is over,
// which is no error. A lost queue is an error.
func (d *delivery) await(ctx context.Context) error {
	queue := d.queues[len(d.queues)-1]
	polls := 0
	return d.persist(ctx, func() (bool, error) {
		for {
			messages, fresh, err := d.receiver.Wait(ctx, queue, left(ctx))
			if err != nil {
				return false, err
			}
			for _, m := range messages {
				if strings.Contains(m.Content, d.token) {
					d.outcome.Delivered, d.outcome.EndToEnd = true, time.Since(d.sent)
					return true, nil
				}
			}
			d.outcome.Trouble = nil
			if polls++; (!fresh || polls > busyPolls) && !pause(ctx, pauseAfterNothing) {
				return true, nil
			}
		}
	})
}

// persist tries until it is done, an error is not the server's trouble, or
// the time is over, which is no error: a Tornado that starts anew is a moment
// of 502 pages. The trouble that lasts is kept for the report.
func (d *delivery) persist(ctx context.Context, try func() (done bool, err error)) error {
	for {
		done, err := try()
		if done || err != nil && !isTrouble(err) {
			return err
		}
		if !isSilence(err) {
			d.outcome.Trouble = err
		}
		if !pause(ctx, pauseAfterError) {
			return nil
		}
	}
}

// isTrouble tells errors of a server that may serve again in a moment from
// those that will stay.
func isTrouble(err error) bool {
	return err != nil && check.ReasonOf(err).State() == check.Critical
}

// isSilence tells a long poll without an answer, which is how waiting in vain
// ends, from trouble.
func isSilence(err error) bool {
	var fault *check.Fault
	return errors.As(err, &fault) && fault.Reason == check.Timeout && fault.Stage == zulip.WaitStage
}

// left is the time until the deadline.
func left(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return time.Hour
	}
	return time.Until(end)
}

// pause waits; false when the time is over before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// rateLimit reports what the rate limit leaves to each bot.
func (d *delivery) rateLimit(r *check.Report, err error) {
	silent := true
	for _, b := range []struct {
		label  string
		client *zulip.Client
	}{{"sender", d.sender}, {"receiver", d.receiver}} {
		if n, ok := b.client.RateLimitRemaining(); ok {
			r.Observe(rateLimitRemaining, float64(n), b.label)
			silent = false
		}
	}
	if silent && err == nil {
		r.Note("the server names no rate limit")
	}
}
